// The reading line: hovering (or touching) any picture over time shows that moment's figures in every legend.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const pictures = [...document.querySelectorAll(".over-time svg")];
  const outputs = [...document.querySelectorAll("output[data-series]")];
  const clocks = [...document.querySelectorAll("output[data-clock]")];

  const digits = (value) => Number(value.toPrecision(3)).toLocaleString("en-US");
  const milliseconds = (ms) => {
    if (ms < 1) return ms === 0 ? "0 ms" : `${digits(ms * 1000)} µs`;
    return ms < 1000 ? `${digits(ms)} ms` : `${digits(ms / 1000)} s`;
  };
  const whole = (value) => Math.round(value).toLocaleString("en-US");
  const write = { ms: milliseconds, rate: whole, count: whole };

  const pointAt = (seconds) => {
    const next = data.end.findIndex((end) => seconds < end);
    return next === -1 ? data.t.length - 1 : next;
  };

  const show = (point) => {
    const middle = (data.t[point] + data.end[point]) / 2 / data.duration;
    for (const picture of pictures) {
      const { left, right } = picture.dataset;
      const x = Number(left) + middle * (Number(right) - Number(left));
      const cross = picture.querySelector(".cross");
      cross.setAttribute("transform", `translate(${x.toFixed(1)} 0)`);
      cross.classList.add("shown");
    }
    for (const output of outputs) {
      const value = data.series[output.dataset.series][point];
      output.textContent = value === null ? "–" : write[output.dataset.unit](value);
    }
    for (const clock of clocks) clock.textContent = `at ${data.t[point]} s`;
  };

  const clear = () => {
    for (const picture of pictures) picture.querySelector(".cross").classList.remove("shown");
    for (const output of [...outputs, ...clocks]) output.textContent = "";
  };

  const read = (event) => {
    const picture = event.currentTarget;
    const box = picture.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * picture.viewBox.baseVal.width;
    const { left, right } = picture.dataset;
    const share = (x - Number(left)) / (Number(right) - Number(left));
    if (share >= 0 && share <= 1) show(pointAt(share * data.duration));
  };

  if (data.t.length === 0) return;
  for (const picture of pictures) {
    picture.addEventListener("pointermove", read);
    picture.addEventListener("pointerdown", read);
    picture.addEventListener("pointerleave", clear);
  }
})();
