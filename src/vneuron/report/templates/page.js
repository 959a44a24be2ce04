"use strict";
(() => {
  const { byId, color, draw, figures, narrow } = vneuron;

  // Forecast windows: the figure that came with the page is the pattern, the columns are swapped.
  const series = JSON.parse(byId("window-data").textContent);
  const pattern = figures.get("fan");
  let path = 0, whole = false;
  function times(t) {
    if (t.list) return t.list;
    const numbers = t.numbers || Array.from({ length: t.n }, (_, i) => t.start + i * t.step);
    return t.dates ? numbers.map((n) => new Date(n).toISOString().slice(0, 19)) : numbers;
  }
  function showWindow() {
    const w = series[byId("series").value].windows[byId("window").value];
    const x = times(w.times), future = x.slice(w.history);
    const paths = Object.keys(w.columns).filter((c) => c.includes("-path-"));
    const data = pattern.data.map((trace) => {
      const role = trace.meta.role;
      if (role === "observed") return { ...trace, x, y: w.y };
      const names = role === "one path" ? [paths[path % paths.length]] : trace.meta.columns;
      const known = names.filter((c) => w.columns[c]);
      if (known.length === 1) return { ...trace, x: future, y: w.columns[known[0]] };
      return { ...trace, x: known.flatMap(() => [...future, future[future.length - 1]]), y: known.flatMap((c) => [...w.columns[c], null]) };
    });
    const shown = whole ? 0 : Math.max(0, w.history - Math.max(24, Math.round(1.25 * future.length)));
    const layout = { ...pattern.layout, uirevision: `${byId("series").value}/${byId("window").value}/${whole}` };
    layout.legend = { ...layout.legend, uirevision: "kept" };
    layout.xaxis = { ...layout.xaxis, range: [x[shown], x[x.length - 1]] };
    if (w.times.dates) layout.xaxis.type = "date";
    layout.yaxis = { ...layout.yaxis, range: reach(w, shown) };
    if (w.history > 0) {
      layout.shapes = [{ type: "line", x0: x[w.history - 1], x1: x[w.history - 1], yref: "paper", y0: 0, y1: 1, line: { width: 1, dash: "dot", color: color("--soft") } }];
    }
    figures.set("fan", { data, layout });
    draw("fan");
    byId("window-facts").textContent = w.facts.length ? w.facts.join(" · ") + "." : "";
    byId("earlier").disabled = byId("window").selectedIndex <= 0;
    byId("later").disabled = byId("window").selectedIndex >= byId("window").options.length - 1;
  }
  function reach(w, shown) {
    const all = [...w.y.slice(shown), ...Object.values(w.columns).flat()].filter((v) => v !== null);
    const low = Math.min(...all), high = Math.max(...all), room = 0.04 * (high - low || 1);
    return [low - room, high + room];
  }
  function listWindows() {
    byId("window").replaceChildren(...series[byId("series").value].windows.map((w, i) => {
      const option = document.createElement("option");
      option.value = i;
      option.textContent = w.cutoff;
      return option;
    }));
    showWindow();
  }
  if (series.length) {
    byId("series").addEventListener("change", listWindows);
    byId("window").addEventListener("change", showWindow);
    const move = (by) => { byId("window").selectedIndex += by; showWindow(); };
    byId("earlier").addEventListener("click", () => move(-1));
    byId("later").addEventListener("click", () => move(1));
    byId("next-path").addEventListener("click", () => { path += 1; showWindow(); });
    byId("next-path").hidden = !pattern.data.some((t) => t.meta.role === "one path");
    byId("whole").addEventListener("click", () => {
      whole = !whole;
      byId("whole").textContent = whole ? "Recent history" : "Whole history";
      showWindow();
    });
    listWindows();
  }
  const drawAll = () => figures.forEach((_, id) => { if (id !== "fan") draw(id); });
  drawAll();
  const redraw = () => { drawAll(); if (series.length) showWindow(); };
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);

  for (const button of document.querySelectorAll(".unit-choice")) {
    button.addEventListener("click", () => {
      byId("score-table").classList.toggle("show-raw", button.dataset.unit === "raw");
      document.querySelectorAll(".unit-choice").forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
    });
  }

  const table = byId("health-table");
  if (table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const numeric = head.dataset.kind === "number";
        const up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "descending" : !numeric || column === 0;
        heads.forEach((h) => h.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = (row) => {
          const cell = row.cells[column];
          if (!numeric) return cell.textContent;
          const text = cell.dataset.value ?? cell.textContent;
          return text === "" ? NaN : Number(text);
        };
        const rows = [...table.tBodies[0].rows].sort((a, b) => {
          const [p, q] = [key(a), key(b)];
          if (!numeric) return (up ? 1 : -1) * p.localeCompare(q);
          if (Number.isNaN(p) || Number.isNaN(q)) return Number.isNaN(p) - Number.isNaN(q);
          return (up ? 1 : -1) * (p - q);
        });
        table.tBodies[0].append(...rows);
      });
    });
  }
})();
