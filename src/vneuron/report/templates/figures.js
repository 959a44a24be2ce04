"use strict";
// What every page shares: its figures in the colours of the theme, and the button that copies.
const vneuron = (() => {
  const byId = (id) => document.getElementById(id);
  const narrow = window.matchMedia("(max-width: 640px)");
  const figures = new Map();
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Figures come with the colours of a light page; what is ink, ground or grid follows the theme.
  function themed(layout) {
    const axis = { gridcolor: color("--grid"), linecolor: color("--grid") };
    return {
      ...layout,
      autosize: true,
      font: { ...layout.font, color: color("--soft"), size: narrow.matches ? 11 : 13 },
      xaxis: { ...layout.xaxis, ...axis },
      yaxis: { ...layout.yaxis, ...axis },
      hoverlabel: { bgcolor: color("--panel"), bordercolor: color("--line"), font: { color: color("--ink") } },
    };
  }
  function themedTraces(traces) {
    const heat = [0, 0.35, 0.7, 1].map((at, i) => [at, color(`--heat-${i}`)]);
    return traces.map((trace) => {
      if (trace.meta && ["verdicts", "signed"].includes(trace.meta.role)) return trace;
      if (trace.type === "heatmap") return { ...trace, colorscale: heat };
      if (!trace.meta || trace.meta.role !== "observed") return trace;
      return { ...trace, line: { ...trace.line, color: color("--ink") } };
    });
  }
  const config = { responsive: true, displaylogo: false, displayModeBar: false };
  function draw(id) {
    const { data, layout } = figures.get(id);
    const place = byId(id);
    if (layout.height) place.style.height = layout.height + "px";
    Plotly.react(place, themedTraces(data), themed(layout), config);
  }
  for (const source of document.querySelectorAll(".figure-data")) {
    if (byId(source.dataset.for)) figures.set(source.dataset.for, JSON.parse(source.textContent));
  }

  byId("copy").addEventListener("click", async () => {
    const code = document.querySelector(".code code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      byId("copy").textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
    }
  });

  return { byId, color, draw, figures, narrow };
})();
