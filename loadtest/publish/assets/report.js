// The report's charts: the run's on one board, the chosen endpoint's on another.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const board = new charts.Board(document.querySelector("main"));
  board.show({ ...data.run, charts: [...data.run.charts, ...data.endpoints.charts.map((chart) => ({
    ...chart, t: data.endpoints.t, bin_s: data.endpoints.bin_s,
  }))] });

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
