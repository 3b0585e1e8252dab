// Figures in words, with the same digits and units as publish/wording.py writes them.
"use strict";
const words = (() => {
  const number = (value, digits = 3) => value.toLocaleString("en-US", { maximumSignificantDigits: digits });
  const whole = (value) => Math.round(value).toLocaleString("en-US");
  const none = (value) => value === null || value === undefined;

  const latency = (ms) => {
    if (none(ms)) return "–";
    if (ms < 0.9995) return ms ? `${number(ms * 1000)} µs` : "0 ms";
    return ms < 999.5 ? `${number(ms)} ms` : `${number(ms / 1000)} s`;
  };
  const rate = (value) => (none(value) ? "–" : value >= 99.95 ? whole(value) : number(value));
  const percent = (share) => {
    if (none(share)) return "–";
    if (share > 0.99 && share < 1) return `${Math.floor(share * 1e5) / 1e3}%`; // never 100% of what is not all
    return share && Math.abs(share) < 1e-6 ? "<0.0001%" : `${number(share * 100)}%`;
  };
  const clock = (seconds) => {
    if (seconds < 60) return `${number(seconds)} s`;
    const s = Math.round(seconds);
    const parts = [[Math.floor(s / 3600), "h"], [Math.floor((s % 3600) / 60), "min"], [s % 60, "s"]];
    return parts.filter(([value]) => value).map(([value, unit]) => `${value} ${unit}`).join(" ");
  };
  const count = (value) => (none(value) ? "–" : whole(value));
  const things = (value, noun) => `${whole(value)} ${noun}${value === 1 ? "" : "s"}`;
  const quantile = (nines) => `p${number((1 - 10 ** -nines) * 100, 8)}`;

  const size = (bytes) => {
    const [scale, unit] = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]].find(([least]) => bytes >= least * 0.9995) ?? [1, "B"];
    return none(bytes) ? "–" : `${number(bytes / scale)} ${unit}`;
  };

  // How a value of a chart is written, by the chart's unit.
  const of = { ms: latency, per_s: rate, count, share: percent, bytes: size };
  return { latency, rate, percent, clock, count, things, quantile, of };
})();
