// Draws a page's charts; in a run's report also those of the endpoint that is chosen, at times of their own.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { run, endpoints } = data.run ? data : { run: data, endpoints: { charts: [] } };
  const board = new charts.Board(document.querySelector("main"));
  const { t, bin_s } = endpoints;
  board.show({ ...run, charts: [...run.charts, ...endpoints.charts.map((chart) => ({ ...chart, t, bin_s }))] });

  const picks = [...document.querySelectorAll("button.pick")];
  for (const pick of picks) {
    pick.addEventListener("click", () => {
      for (const other of picks) other.setAttribute("aria-pressed", String(other === pick));
      for (const figure of document.querySelectorAll('figure[data-chart^="endpoint-"]')) {
        figure.dataset.chart = figure.dataset.chart.replace(/\d+/, pick.dataset.endpoint);
      }
      board.show(board.sheet);
      document.querySelector('figure[data-chart^="endpoint-"]').scrollIntoView({ block: "nearest" });
    });
  }
})();
