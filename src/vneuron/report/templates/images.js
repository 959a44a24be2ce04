"use strict";
(() => {
  const { byId, draw, figures } = vneuron;
  const rasters = JSON.parse(byId("raster-data").textContent);
  const choice = byId("example");
  if (choice) {
    const pattern = figures.get("raster");
    choice.addEventListener("change", () => {
      const [trace] = pattern.data;
      figures.set("raster", { ...pattern, data: [{ ...trace, z: rasters[choice.value] }] });
      draw("raster");
    });
  }
  const drawAll = () => figures.forEach((_, id) => draw(id));
  drawAll();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  vneuron.narrow.addEventListener("change", drawAll);
})();
