// The live page: asks each second for what is new, keeps it, and draws it as the report will.
"use strict";
(() => {
  const EVERY_MS = 1000;
  const MARGIN = { left: 58, right: 10, top: 24, bottom: 30 };
  const HEAT_LEVELS = 6;
  const byId = (id) => document.getElementById(id);
  const paths = document.body.dataset;

  // ---- words -------------------------------------------------------------------------------------------

  const digits = (value) => Number(value.toPrecision(3)).toLocaleString("en-US");
  const latency = (ms) => {
    if (ms === null || ms === undefined) return "–";
    if (ms < 1) return ms === 0 ? "0 ms" : `${digits(ms * 1000)} µs`;
    return ms < 1000 ? `${digits(ms)} ms` : `${digits(ms / 1000)} s`;
  };
  const rate = (value) => (value >= 100 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3))));
  const whole = (value) => Math.round(value).toLocaleString("en-US");
  const percent = (share) => `${Number((share * 100).toPrecision(3))}%`;
  const clock = (seconds) => {
    const s = Math.round(seconds);
    if (s < 60) return `${s} s`;
    const [h, m, rest] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60), s % 60];
    return [[h, "h"], [m, "min"], [rest, "s"]].filter(([n]) => n).map(([n, unit]) => `${n} ${unit}`).join(" ");
  };

  // ---- parts of the page; text goes in as text, never as markup --------------------------------------------

  const element = (name, css, text) => {
    const made = document.createElement(name);
    if (css) made.className = css;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const fill = (id, children) => byId(id).replaceChildren(...children);
  const row = (cells) => {
    const made = element("tr");
    made.append(...cells.map((cell) => (cell instanceof Node ? cell : element("td", "", cell))));
    return made;
  };

  // ---- drawing -------------------------------------------------------------------------------------------

  const svgNode = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const linear = (low, high, from, to) => (value) => from + ((Math.min(Math.max(value, low), high) - low) / (high - low)) * (to - from);
  const logarithmic = (low, high, from, to) => {
    const scale = linear(Math.log10(low), Math.log10(high), from, to);
    return (value) => scale(Math.log10(Math.min(Math.max(value, low), high)));
  };
  const roundSteps = (high, about) => {
    const rough = high / about;
    const magnitude = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((f) => f * magnitude).find((s) => s >= rough * (1 - 1e-9));
    return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, i) => i * step);
  };
  const timeSteps = (duration, about) => {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
    const step = steps.find((s) => duration / s <= about) || 86400;
    return Array.from({ length: Math.floor(duration / step) + 1 }, (_, i) => i * step);
  };
  const decades = (low, high) => {
    const first = Math.ceil(Math.log10(low) - 1e-9);
    const last = Math.floor(Math.log10(high) + 1e-9);
    return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
  };
  const logBounds = (low, high) => {
    const bottom = 10 ** Math.floor(Math.log10(low));
    return [bottom, Math.max(10 ** Math.ceil(Math.log10(high)), bottom * 10)];
  };

  class Plot {
    constructor(id, head, { low = 0, high, log = false, ticks, name }) {
      this.box = byId(id);
      this.width = Math.max(this.box.clientWidth, 280);
      this.height = this.width > 700 ? 260 : 220;
      this.bottom = this.height - MARGIN.bottom;
      this.right = this.width - MARGIN.right;
      this.x = linear(0, Math.max(head.duration_s, 1e-3), MARGIN.left, this.right);
      this.y = (log ? logarithmic : linear)(low, high, this.bottom, MARGIN.top);
      this.svg = svgNode("svg", { viewBox: `0 0 ${this.width} ${this.height}` });
      head.phases.forEach(([from, to, label], number) => this.phase(from, to, label, number));
      for (const tick of ticks) {
        this.add("path", { class: "grid", d: `M${MARGIN.left} ${this.y(tick)}H${this.right}` });
        this.add("text", { class: "tick end", x: MARGIN.left - 8, y: this.y(tick) + 4 }, name(tick));
      }
      this.add("path", { class: "base", d: `M${MARGIN.left} ${this.bottom}H${this.right}` });
      for (const tick of timeSteps(head.duration_s, this.width / 85)) {
        const x = this.x(tick);
        this.add("text", { class: x > this.right - 14 ? "tick end" : "tick mid", x, y: this.bottom + 17 }, clock(tick));
      }
    }
    add(name, attributes, text) { this.svg.append(svgNode(name, attributes, text)); }
    phase(from, to, label, number) {
      const [left, width] = [this.x(from), this.x(to) - this.x(from)];
      if (width <= 0) return;
      if (number % 2 === 0) this.add("path", { class: "phase", d: `M${left} ${MARGIN.top}h${width}V${this.bottom}h${-width}z` });
      if (width > 6 * label.length + 8) this.add("text", { class: "phase-name", x: left + 4, y: 12 }, label);
    }
    path(points) {
      let pen = "M";
      return points.map(([t, value]) => {
        if (value === null) { pen = "M"; return ""; }
        const part = `${pen}${this.x(t).toFixed(1)} ${this.y(value).toFixed(1)}${pen === "M" ? "h0" : ""}`;
        pen = "L";
        return part;
      }).join("");
    }
    line(points, css) { this.add("path", { class: `line ${css}`, d: this.path(points) }); }
    area(points, css) {
      if (!points.length) return;
      const ends = `L${this.x(points.at(-1)[0])} ${this.bottom}H${this.x(points[0][0])}Z`;
      this.add("path", { class: `area ${css}`, d: this.path(points) + ends });
    }
    show(t) {
      if (t !== null) this.add("path", { class: "now", d: `M${this.x(t)} ${MARGIN.top}V${this.bottom}` });
      this.box.replaceChildren(this.svg);
    }
  }

  // ---- what is known ------------------------------------------------------------------------------------

  const known = { head: null, points: new Map(), bin: 1 };

  const learn = (live) => {
    if (live.run) {
      known.head = live.run;
      known.points = new Map();
    }
    known.bin = live.bin_s;
    for (const point of live.points) known.points.set(point.t, point);
  };
  const timeline = () => [...known.points.values()].sort((a, b) => a.t - b.t);
  const since = () => Math.max(0, ...known.points.keys());

  // ---- the pictures -------------------------------------------------------------------------------------

  const series = (points, key) => points.map((p) => [p.t + known.bin / 2, p[key]]);
  const highest = (points, keys) => Math.max(0, ...points.flatMap((p) => keys.map((key) => p[key] ?? 0)));
  const legend = (chart, values) => {
    for (const [css, text] of Object.entries(values)) {
      const output = document.querySelector(`output[data-series="${chart}-${css}"]`);
      if (output) output.textContent = text;
    }
  };

  const drawRates = (head, points, now) => {
    const high = Math.max(1, highest(points, ["started", "completed"]), ...head.planned.map(([, tps]) => tps)) * 1.08;
    const plot = new Plot("rates", head, { high, ticks: roundSteps(high, 5), name: rate });
    plot.area(head.planned, "planned");
    plot.line(head.planned, "planned");
    for (const key of ["started", "completed"]) plot.line(series(points, key), key);
    plot.line(points.map((p) => [p.t + known.bin / 2, p.failed || null]), "failed");
    plot.show(now);
  };

  const drawPercentiles = (head, points, now) => {
    const lowest = Math.min(1, ...points.map((p) => p.p50).filter((v) => v));
    const [low, high] = logBounds(Math.max(lowest, 0.01), Math.max(highest(points, ["max"]), 10));
    const plot = new Plot("percentiles", head, { low, high, log: true, ticks: decades(low, high), name: latency });
    for (const [key, css] of [["p50", "p50"], ["p90", "p90"], ["p99", "p99"], ["p99_9", "p99-9"], ["max", "max"]]) {
      plot.line(series(points, key), css);
    }
    plot.show(now);
  };

  const drawHeat = (head, points, now) => {
    const cells = points.flatMap((p) => p.heat.map(([upper, count]) => [p.t, upper / 1000, count]));
    const most = Math.max(1, ...cells.map(([, , count]) => count));
    const bounds = [...new Set(cells.map(([, ms]) => ms))].sort((a, b) => a - b);
    const below = new Map(bounds.map((ms, i) => [ms, bounds[i - 1] ?? 0]));
    const [low, high] = logBounds(Math.max(0.01, Math.min(1, ...cells.map(([, ms]) => ms / 1.4))), Math.max(10, ...cells.map(([, ms]) => ms)));
    const plot = new Plot("heat", head, { low, high, log: true, ticks: decades(low, high), name: latency });
    const shades = Array.from({ length: HEAT_LEVELS }, () => []);
    for (const [t, ms, count] of cells) {
      const shade = Math.floor((Math.log(count) / Math.log(most + 1)) * HEAT_LEVELS);
      const [left, right] = [Math.round(plot.x(t)), Math.max(Math.round(plot.x(t + known.bin)), Math.round(plot.x(t)) + 1)];
      const [bottom, top] = [Math.round(plot.y(Math.max(below.get(ms), ms / 1.4))), Math.round(plot.y(ms))];
      shades[shade].push(`M${left} ${top}H${right}V${bottom}H${left}z`);
    }
    shades.forEach((paths_, level) => plot.add("path", { class: `heat-${level + 1}`, d: paths_.join("") }));
    plot.show(now);
  };

  const drawLag = (head, points, now) => {
    const high = logBounds(0.01, Math.max(head.max_lag_ms * 2, highest(points, ["lag"])))[1];
    const plot = new Plot("lag", head, { low: 0.01, high, log: true, ticks: decades(0.01, high), name: latency });
    const limit = plot.y(head.max_lag_ms);
    plot.add("path", { class: "limit", d: `M${MARGIN.left} ${limit}H${plot.right}` });
    plot.add("text", { class: "tick end", x: plot.right - 4, y: limit + 14 }, "limit 10 ms");
    plot.line(series(points, "lag"), "lag");
    plot.show(now);
  };

  const drawLoad = (head, points, now) => {
    const high = Math.max(1, highest(points, ["in_flight", "backlog"])) * 1.08;
    const plot = new Plot("load", head, { high, ticks: roundSteps(high, 5), name: rate });
    plot.line(series(points, "in_flight"), "in-flight");
    plot.line(series(points, "backlog"), "backlog");
    plot.show(now);
  };

  const draw = (live) => {
    const head = known.head;
    const points = timeline();
    const now = live.state === "running" ? live.t_s : null;
    for (const picture of [drawRates, drawPercentiles, drawHeat, drawLag, drawLoad]) picture(head, points, now);
    const last = points.at(-1);
    if (!last) return;
    legend("rates", { planned: rate(last.planned), started: rate(last.started), completed: rate(last.completed), failed: rate(last.failed) });
    legend("percentiles", { p50: latency(last.p50), p90: latency(last.p90), p99: latency(last.p99), "p99-9": latency(last.p99_9), max: latency(last.max) });
    legend("lag", { lag: latency(last.lag) });
    legend("load", { "in-flight": whole(last.in_flight), backlog: whole(last.backlog) });
  };

  // ---- the words ----------------------------------------------------------------------------------------

  const tile = (name, value, meaning, css = "") => {
    const box = element("div");
    box.append(element("dt", "", name), element("dd", `value ${css}`, value), element("dd", "meaning", meaning));
    return box;
  };

  const serving = (live) => {
    const count = live.workers.filter((worker) => worker.state === "serving").length;
    return `${count} ${count === 1 ? "worker" : "workers"} serving`;
  };

  const tiles = (live) => {
    const last = timeline().at(-1) ?? { planned: 0, started: 0, completed: 0, p99: null, p99_9: null, in_flight: 0, backlog: 0 };
    const best = highest(timeline(), ["completed"]);
    fill("tiles", [
      tile("Completed", `${rate(last.completed)} TPS`, `${live.noun}s/s in the last second; ${rate(last.planned)} planned, ${rate(last.started)} started`),
      tile("Best second", `${rate(best)} TPS`, `the plan peaks at ${rate(known.head.peak_tps)}${live.noun === "order" ? `, ${known.head.record}` : ""}`),
      tile("p99 response", latency(last.p99), `in the last second; p99.9 ${latency(last.p99_9)}`),
      tile("Errors", live.requests ? percent(live.failures / live.requests) : "–", `${whole(live.failures)} of ${whole(live.requests)} requests; ${whole(live.dropped)} arrivals dropped`),
      tile("Dispatch lag p99", latency(live.lag_ms.p99), `may be ${latency(known.head.max_lag_ms)}; ${serving(live)}`, live.lag_ms.p99 > known.head.max_lag_ms ? "over" : ""),
    ]);
  };

  const STATES = { waiting: "getting ready", running: "running", draining: "waiting for the last answers", done: "over" };

  const words = (live) => {
    const head = known.head;
    byId("plan").textContent = head.plan;
    byId("about").textContent = `${STATES[live.state]} · ${clock(live.t_s)} of ${clock(head.duration_s)} · ${head.targets.join(", ")}`;
    document.title = `${head.plan} · ${STATES[live.state]}`;
    byId("bar").style.width = `${Math.min(100, (live.t_s / head.duration_s) * 100)}%`;
    const verdict = live.verdict;
    byId("verdict").className = `verdict ${verdict.word.toLowerCase()}`;
    byId("word").replaceChildren(verdict.word, ...(verdict.final || verdict.word === "WAITING" ? [] : [element("small", "", "so far")]));
    byId("sentence").textContent = verdict.sentence;
    byId("audit").textContent = live.audit;
    fill("reasons", verdict.reasons.map((reason) => element("li", "", reason)));
    fill("slo", live.slo.map((slo) => {
      const expr = element("td", "wrap");
      expr.append(element("code", "", slo.expr));
      if (slo.note && slo.state !== "waiting") expr.append(element("br"), element("span", "soft", slo.note));
      return row([expr, slo.state === "waiting" ? "–" : slo.observed, element("td", slo.state === "waiting" ? "soft" : slo.state, slo.state)]);
    }));
    byId("errors-seen").hidden = !live.errors.length;
    fill("errors", live.errors.flatMap((error) => {
      const shown = row([element("td", "", error.error), element("td", "left", error.endpoint), whole(error.count), error.share, element("td", "left", error.when)]);
      if (!error.sample) return [shown];
      shown.className = "joined";
      const sample = element("td", "wrap soft", error.sample);
      sample.colSpan = 5;
      const below = row([sample]);
      below.className = "sample";
      return [shown, below];
    }));
    byId("health").textContent = `Dispatch lag p50 ${latency(live.lag_ms.p50)}, p99 ${latency(live.lag_ms.p99)}, max ${latency(live.lag_ms.max)} over the whole run; queueing p99 ${latency(live.queueing_ms.p99)}; ${live.report_gaps} reports missing.`;
    fill("workers", live.workers.map((w) => row([
      w.name, element("td", w.state === "lost" ? "over" : "", w.state), element("td", w.cpu > 0.9 ? "over" : "", percent(w.cpu)),
      whole(w.started), whole(w.in_flight), whole(w.backlog), element("td", w.lag_p99_ms > head.max_lag_ms ? "over" : "", latency(w.lag_p99_ms)), whole(w.report_gaps),
    ])));
    fill("equations", live.equations.map(([text, holds]) => element("li", holds ? "" : "missed", text)));
    fill("events", live.events.map(([t, text]) => element("li", "", `${digits(t)} s: ${text}`)));
  };

  const finished = (live) => {
    byId("finished").hidden = !live.finished.length;
    fill("runs", live.finished.toReversed().map((run) => {
      const link = element("a", "", "open");
      link.href = `${paths.runs}${encodeURIComponent(run.name)}/report.html`;
      const cell = element("td");
      cell.append(link);
      return row([run.name, element("td", "left", run.plan), `${rate(run.peak_tps)} TPS`, element("td", run.verdict === "PASS" ? "met" : "missed", run.verdict), cell]);
    }));
  };

  const buttons = (live) => {
    const going = ["waiting", "running", "draining"].includes(live.state);
    byId("stop").hidden = !going;
    byId("form").hidden = going;
    const last = live.finished.at(-1);
    byId("report").hidden = going || !last;
    if (last) byId("report").href = `${paths.runs}${encodeURIComponent(last.name)}/report.html`;
  };

  // ---- each second ---------------------------------------------------------------------------------------

  let latest = null;

  const show = (live) => {
    latest = live;
    learn(live);
    byId("idle").hidden = live.state !== "idle";
    byId("run").hidden = live.state === "idle";
    document.body.dataset.state = live.state;
    buttons(live);
    finished(live);
    if (live.state === "idle") return;
    for (const word of document.querySelectorAll(".noun")) word.textContent = `${live.noun}s`;
    words(live);
    tiles(live);
    draw(live);
  };

  const ask = async () => {
    try {
      const answer = await fetch(`${paths.live}?run=${encodeURIComponent(known.head?.id ?? "")}&since=${since()}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      show(await answer.json());
      byId("trouble").hidden = true;
    } catch (error) {
      byId("trouble").textContent = `The master does not answer (${error.message}); what is below is the last that it said.`;
      byId("trouble").hidden = false;
    }
    setTimeout(ask, EVERY_MS);
  };

  byId("stop").addEventListener("click", async (event) => {
    event.target.disabled = true;
    try {
      await fetch(paths.stop, { method: "POST" });
    } finally {
      event.target.disabled = false;
    }
  });
  window.addEventListener("resize", () => { if (latest && latest.state !== "idle") draw(latest); });
  ask();
})();
