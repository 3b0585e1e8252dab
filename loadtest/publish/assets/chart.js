// Draws every chart that a browser shows, from the one shape in publish/series.py. A Board is a page's charts over one
// time axis: pointing at one reads that moment in all, dragging zooms all; the same by keyboard. It draws SVG, so that
// colours are the style sheet's, charts print, and nothing needs more than `script-src` to be allowed.
"use strict";
const charts = (() => {
  const MARGIN = { left: 60, right: 14, top: 24, bottom: 26 };
  const SHADES = 6;
  const LEAST_DRAG_PX = 6;

  // ---- scales and ticks ----------------------------------------------------------------------------------------
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const linear = (low, high, from, to) => (value) => from + ((value - low) / (high - low)) * (to - from);
  const logarithmic = (low, high, from, to) => (value) => from + (Math.log(Math.max(value, low) / low) / Math.log(high / low)) * (to - from);
  const multiples = (low, high, step) => {
    const first = Math.ceil(low / step - 1e-9);
    return Array.from({ length: Math.max(0, Math.floor(high / step + 1e-9) - first + 1) }, (_, i) => (first + i) * step);
  };
  const roundTicks = (low, high, about) => {
    const size = 10 ** Math.floor(Math.log10((high - low) / about));
    const step = [1, 2, 5, 10].map((factor) => factor * size).find((each) => (high - low) / each <= about * (1 + 1e-9));
    return multiples(low, high, step);
  };
  const timeTicks = (low, high, about) => {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];
    const step = steps.find((each) => (high - low) / each <= about) ?? 86400 * Math.ceil((high - low) / about / 86400);
    return high - low < 2 ? roundTicks(low, high, about) : multiples(low, high, step);
  };
  const decadeTicks = (low, high) => {
    const factors = Math.log10(high / low) > 2.5 ? [1] : [1, 2, 5];
    return Array.from({ length: 14 }, (_, i) => factors.map((f) => f * 10 ** (i - 4))).flat().filter((tick) => tick >= low && tick <= high);
  };

  /** What each horizontal axis counts: its ticks, how a value is said, and how far beyond the last point it goes. */
  const AXES = {
    time: { ticks: timeTicks, says: words.clock, room: 1 },
    quantile: { ticks: (low, high) => multiples(low, high, 1), says: (nines) => (nines ? words.quantile(nines) : "min"), room: 1 },
    rate: { ticks: roundTicks, says: (value) => `${words.rate(value)}/s`, room: 1.05 },
  };

  /** What a chart shows, for those who do not see it: the highest value of each line, and where it is. */
  const described = ({ title, counts, unit, axis, lines, heat }, t) => {
    const peaks = lines.filter(({ values }) => values.some(Number.isFinite)).map(({ label, values }) => {
      const at = values.reduce((best, value, i) => (value > (values[best] ?? -Infinity) ? i : best), 0);
      return `${label} at most ${words.of[unit](values[at])}, at ${AXES[axis].says(t[at])}`;
    });
    const span = heat?.upper_ms.length ? [`all up to ${words.latency(heat.upper_ms.at(-1))}`] : [];
    return `${title}, ${counts}: ${[...peaks, ...span].join("; ") || "nothing was measured"}.`;
  };

  // ---- elements; text goes in as text, never as markup ---------------------------------------------------------
  const svg = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const element = (name, css = "", text = "") => Object.assign(document.createElement(name), { className: css, textContent: text });

  /** Index of the first of ascending `values` that is above `value`. */
  const above = (values, value) => {
    let [low, high] = [0, values.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] > value) high = middle;
      else low = middle + 1;
    }
    return low;
  };

  // ---- one chart -----------------------------------------------------------------------------------------------
  class Picture {
    constructor(board, figure) {
      this.board = board;
      this.figure = figure;
      this.legend = element("ul", "legend");
      this.box = element("div", "chart");
      this.box.tabIndex = 0;
      this.box.setAttribute("role", "group");
      this.box.setAttribute("aria-roledescription", "chart");
      figure.append(this.legend, this.box);
      this.drag = null;
      const watch = ([seen]) => {
        this.near = seen.isIntersecting;
        if (this.near && this.stale) this.draw();
      };
      new IntersectionObserver(watch, { rootMargin: "300px" }).observe(figure);
      this.listen();
    }

    get span() {
      if (!this.overTime) return [0, Math.max(1, (this.t.at(-1) ?? 1) * this.axis.room)];
      return this.board.range ?? [0, Math.max(this.board.sheet.end_s, 1e-3)];
    }

    show(chart) {
      const [before, key] = [this.legendKey, [chart.counts, ...chart.lines.map((line) => line.label)].join()];
      [this.chart, this.t, this.step, this.legendKey] = [chart, chart.t, chart.bin_s, key];
      [this.axis, this.overTime] = [AXES[chart.axis], chart.axis === "time"];
      this.box.setAttribute("aria-label", described(chart, this.t));
      for (const heading of this.figure.querySelectorAll("h3")) heading.textContent = chart.title;
      if (before !== key) this.drawLegend();
      this.draw();
    }

    drawLegend() {
      const items = this.chart.counts ? [element("li", "unit", this.chart.counts)] : [];
      this.outputs = this.chart.lines.map((line) => {
        const item = element("li");
        const output = element("output");
        output.dataset.series = line.key;
        item.append(element("i", line.key), line.label, output);
        items.push(item);
        return output;
      });
      if (this.chart.heat) {
        const item = element("li", "", "fewer");
        for (let shade = 1; shade <= SHADES; shade += 1) item.append(element("i", `cell heat-${shade}`));
        item.append("more requests");
        items.push(item);
      }
      this.moment = element("li", "moment");
      this.legend.replaceChildren(...items, this.moment);
    }

    /** Draws the chart, unless it is far off the screen: then it is drawn when it comes near, so that zooming is smooth. */
    draw(always = false) {
      this.stale = this.root && !this.near && !always;
      if (this.stale) return;
      this.width = Math.max(this.box.clientWidth, 260);
      this.height = this.width > 700 ? 270 : 220;
      [this.right, this.bottom] = [this.width - MARGIN.right, this.height - MARGIN.bottom];
      this.root = svg("svg", { viewBox: `0 0 ${this.width} ${this.height}`, height: this.height, "aria-hidden": "true" });
      this.drawPlot();
      this.box.replaceChildren(this.root);
      this.point();
    }

    drawPlot() {
      const [from, to] = this.span;
      this.x = linear(from, to, MARGIN.left, this.right);
      this.place = (i) => this.x(this.t[i] + (this.overTime ? this.step / 2 : 0));
      const first = Math.max(0, above(this.t, from - this.step) - 1);
      this.seen = [first, Math.min(this.t.length, above(this.t, to) + 1)];
      this.cells = this.chart.heat ? this.seenCells() : [];
      const ticks = this.vertical();
      if (this.overTime) this.drawPhases();
      for (const tick of ticks) {
        const y = this.y(tick);
        this.add("path", { class: tick ? "grid" : "base", d: `M${MARGIN.left} ${y.toFixed(1)}H${this.right}` });
        this.add("text", { class: "tick end", x: MARGIN.left - 8, y: y + 4 }, words.of[this.chart.unit](tick));
      }
      this.drawTimeAxis(from, to);
      const id = `clip-${this.chart.id}`;
      const clip = svg("clipPath", { id });
      clip.append(svg("rect", { x: MARGIN.left, y: 0, width: this.right - MARGIN.left, height: this.bottom + 1 }));
      this.inside = svg("g", { "clip-path": `url(#${id})` });
      this.root.append(clip, this.inside);
      if (this.chart.heat) this.drawHeat();
      if (this.chart.limit) this.drawLimit();
      for (const line of this.chart.lines) this.drawLine(line);
      if (this.overTime) this.drawMarks();
    }

    add(name, attributes, text) { this.root.append(svg(name, attributes, text)); }
    /** Sets the vertical scale to what is in sight and gives its ticks. */
    vertical() {
      let [low, high] = [Infinity, 0];
      const take = (value) => {
        if (value > high) high = value;
        if (value > 0 && value < low) low = value;
      };
      for (const { values } of this.chart.lines) for (let i = this.seen[0]; i < this.seen[1]; i += 1) take(values[i]);
      const { heat, limit } = this.chart;
      if (heat) for (const [, row] of this.cells) take(heat.upper_ms[row]);
      if (limit) take(limit * 1.5);
      if (!this.chart.log) {
        high = Math.max(high * 1.08, this.chart.unit === "share" ? 0.001 : 1);
        this.y = linear(0, high, this.bottom, MARGIN.top);
        return roundTicks(0, high, 5).filter((tick) => this.chart.unit !== "count" || Number.isInteger(tick));
      }
      if (low > high) [low, high] = [1, 10];
      low = 10 ** (Math.floor(Math.log10(low * 0.8) * 3) / 3);
      high = Math.max(high * 1.15, low * 4);
      this.y = logarithmic(low, high, this.bottom, MARGIN.top);
      return decadeTicks(low, high);
    }

    drawTimeAxis(from, to) {
      this.add("path", { class: "base", d: `M${MARGIN.left} ${this.bottom}H${this.right}` });
      for (const tick of this.axis.ticks(from, to, this.width / 110)) {
        const x = this.x(tick);
        this.add("path", { class: "base", d: `M${x.toFixed(1)} ${this.bottom}v4` });
        this.add("text", { class: `tick ${x > this.right - 16 ? "end" : "mid"}`, x, y: this.bottom + 18 }, this.axis.says(tick));
      }
    }

    drawPhases() {
      this.board.sheet.phases.forEach(([from, to, label], number) => {
        const [left, right] = [Math.max(this.x(from), MARGIN.left), Math.min(this.x(to), this.right)];
        if (right <= left) return;
        const height = this.bottom - MARGIN.top;
        if (number % 2 === 0) this.add("rect", { class: "phase", x: left, y: MARGIN.top, width: right - left, height });
        if (right - left > 6.4 * label.length + 8) this.add("text", { class: "phase-name", x: left + 4, y: 14 }, label);
      });
    }

    drawMarks() {
      this.board.sheet.marks.forEach(([at], number) => {
        const x = this.x(at);
        if (x < MARGIN.left - 1 || x > this.right + 1) return;
        const dot = clamp(x, MARGIN.left + 8, this.right - 8);
        this.add("path", { class: "event", d: `M${x.toFixed(1)} ${MARGIN.top}V${this.bottom}` });
        this.add("circle", { class: "event-dot", cx: dot, cy: MARGIN.top, r: 8 });
        this.add("text", { class: "event-number mid", x: dot, y: MARGIN.top + 4 }, String(number + 1));
      });
      const now = this.board.sheet.now_s;
      if (now !== null) this.add("path", { class: "now", d: `M${this.x(now).toFixed(1)} ${MARGIN.top}V${this.bottom}` });
    }

    drawLimit() {
      const y = this.y(this.chart.limit);
      this.inside.append(
        svg("path", { class: "limit", d: `M${MARGIN.left} ${y.toFixed(1)}H${this.right}` }),
        svg("text", { class: "tick end", x: this.right - 6, y: y - 6 }, `limit ${words.of[this.chart.unit](this.chart.limit)}`),
      );
    }

    drawLine({ key, values, area }) {
      const runs = this.runs(values);
      const draw = (css, paths) => this.inside.append(svg("path", { class: `${css} ${key}`, d: paths.join("") }));
      if (area) draw("area", runs.map((run) => `M${run[0][0]} ${this.bottom}L${run.join("L")}V${this.bottom}Z`));
      draw("line", runs.map((run) => `M${run.join("L")}${run.length === 1 ? "h0" : ""}`));
    }

    /** Points in pixels, a list for each stretch without a gap. */
    runs(values) {
      const found = [];
      let previous = -Infinity;
      for (let i = this.seen[0]; i < this.seen[1]; i += 1) {
        if (!Number.isFinite(values[i])) { previous = -Infinity; continue; }
        if (this.overTime ? this.t[i] - previous > 1.5 * this.step : previous < 0) found.push([]);
        previous = this.t[i];
        found.at(-1).push([this.place(i).toFixed(1), this.y(values[i]).toFixed(1)]);
      }
      return found;
    }

    /** (instant, row, binary logarithm of the number of requests) of each cell in sight. */
    seenCells() {
      const columns = this.chart.heat.columns.slice(...this.seen);
      const cells = columns.flatMap((column, i) => [...column].map((level, row) => [this.seen[0] + i, row, parseInt(level, 36)]));
      return cells.filter(([, , level]) => level >= 0); // "." is no number
    }

    drawHeat() {
      const upper = this.chart.heat.upper_ms;
      // A gap stays a gap: a cell reaches down to the next bound, four to an octave, and no further.
      const edges = upper.map((ms, row) => [ms, Math.max(upper[row - 1] ?? 0, ms / 1.4)].map((edge) => Math.round(this.y(edge))));
      const most = this.cells.reduce((high, [, , level]) => Math.max(high, level), 0);
      const paths = Array.from({ length: SHADES }, () => []);
      for (const [i, row, level] of this.cells) {
        const left = Math.round(this.x(this.t[i]));
        const right = Math.max(Math.round(this.x(this.t[i] + this.step)), left + 1);
        paths[Math.floor((level / (most + 1)) * SHADES)].push(`M${left} ${edges[row][0]}H${right}V${edges[row][1]}H${left}z`);
      }
      paths.forEach((cells, shade) => this.inside.append(svg("path", { class: `heat-${shade + 1}`, d: cells.join("") })));
    }

    // ---- reading and zooming -----------------------------------------------------------------------------------
    /** The point nearest to the cursor, or -1. */
    index() {
      const at = this.overTime ? this.board.cursor : this.cursor ?? null;
      if (at === null || !this.t.length) return -1;
      return clamp(above(this.t, at) - 1, 0, this.t.length - 1);
    }

    /** Shows the cursor, and in the legend the values there; without one the last values while a run goes on. */
    point() {
      this.cross?.remove();
      const at = this.index();
      const measured = this.chart.lines.filter(({ key }) => key !== "planned").map(({ values }) => values.length);
      const shown = at < 0 && this.board.live ? Math.max(...measured) - 1 : at; // the plan's own line goes on
      this.chart.lines.forEach(({ values }, i) => {
        this.outputs[i].textContent = shown < 0 ? "" : words.of[this.chart.unit](values[shown]);
      });
      this.moment.textContent = at < 0 ? "" : `at ${this.axis.says(this.t[at])}`;
      if (at < 0) return;
      const x = this.place(at);
      if (x < MARGIN.left - 1 || x > this.right + 1) return;
      this.cross = svg("g", { class: "cross" });
      if (this.drag !== null) {
        const [left, right] = [this.x(this.drag), this.x(this.board.cursor)].sort((a, b) => a - b);
        this.cross.append(svg("rect", { class: "chosen", x: left, width: right - left, y: MARGIN.top, height: this.bottom - MARGIN.top }));
      }
      this.cross.append(svg("path", { d: `M${x.toFixed(1)} ${MARGIN.top}V${this.bottom}` }));
      for (const { key, values } of this.chart.lines) {
        if (Number.isFinite(values[at])) this.cross.append(svg("circle", { class: `dot ${key}`, cx: x.toFixed(1), cy: this.y(values[at]).toFixed(1), r: 3.5 }));
      }
      this.root.append(this.cross);
    }

    /** The value of the horizontal axis under a pointer. */
    under(event) {
      const box = this.root.getBoundingClientRect();
      const px = ((event.clientX - box.left) / box.width) * this.width;
      const [from, to] = this.span;
      return clamp(linear(MARGIN.left, this.right, from, to)(px), from, to);
    }

    readAt(t) {
      if (this.overTime) this.board.read(t);
      else if (this.t.length) {
        this.cursor = t;
        this.point();
      }
    }

    listen() {
      const { box } = this;
      box.addEventListener("pointerdown", (event) => {
        if (event.pointerType !== "touch" && !event.button && this.overTime) {
          this.drag = this.under(event);
          box.setPointerCapture(event.pointerId);
        }
        this.readAt(this.under(event));
      });
      box.addEventListener("pointermove", (event) => this.readAt(this.under(event)));
      box.addEventListener("pointerup", (event) => {
        const [from, to] = [this.drag, this.under(event)].sort((a, b) => a - b);
        const far = this.drag !== null && this.x(to) - this.x(from) >= LEAST_DRAG_PX;
        this.drag = null;
        if (far) this.board.zoom(from, to);
        else this.point();
      });
      box.addEventListener("pointercancel", () => {
        this.drag = null;
        this.point();
      });
      box.addEventListener("pointerleave", () => { if (this.drag === null) this.readAt(null); });
      box.addEventListener("dblclick", () => this.board.zoom());
      box.addEventListener("keydown", (event) => this.key(event));
      box.addEventListener("blur", () => this.readAt(null));
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || !this.t.length) return;
      const [[from, to], last] = [this.span, this.t.length - 1];
      const at = this.index() < 0 ? above(this.t, from) - 1 : this.index();
      const [here, step] = [this.t[Math.max(0, at)], event.shiftKey ? 10 : 1];
      const move = (by) => this.t[clamp(at + by, 0, last)];
      const near = (factor) => [here - (here - from) * factor, here + (to - here) * factor];
      const keys = {
        ArrowRight: () => this.readAt(move(step)),
        ArrowLeft: () => this.readAt(move(-step)),
        Home: () => this.readAt(this.t[0]),
        End: () => this.readAt(this.t.at(-1)),
        "+": () => this.overTime && this.board.zoom(...near(0.5)),
        "-": () => this.overTime && this.board.zoom(...near(2)),
        Escape: () => this.board.zoom(),
      };
      const act = keys[event.key === "=" ? "+" : event.key];
      if (!act) return;
      event.preventDefault();
      act();
      const read = this.chart.lines.map(({ label }, i) => `${label} ${this.outputs[i].textContent}`);
      this.board.voice.textContent = `${this.moment.textContent}: ${read.join(", ")}`;
    }
  }

  // ---- the charts of one page that share a time axis -------------------------------------------------------------
  class Board {
    /** Charts go into the figures with `data-chart` below `root`; `live`: legends show the newest values. */
    constructor(root, { live = false } = {}) {
      this.root = root;
      this.live = live;
      [this.range, this.cursor, this.pictures] = [null, null, new Map()];
      this.voice = element("p", "unseen");
      this.voice.setAttribute("aria-live", "polite");
      root.append(this.voice);
      this.tools = root.querySelector(".zoom");
      for (const change of ["resize", "beforeprint"]) window.addEventListener(change, () => this.redraw(change === "beforeprint"));
    }

    show(sheet) {
      this.sheet = sheet;
      const common = { lines: [], axis: "time", t: sheet.t, bin_s: sheet.bin_s };
      const known = new Map(sheet.charts.map((chart) => [chart.id, { ...common, ...chart }]));
      for (const figure of this.root.querySelectorAll("figure[data-chart]")) {
        const chart = known.get(figure.dataset.chart);
        figure.hidden = !chart;
        if (!chart) continue;
        if (!this.pictures.has(figure)) this.pictures.set(figure, new Picture(this, figure));
        this.pictures.get(figure).show(chart);
      }
      this.drawTools();
    }

    redraw(always = false) { for (const [figure, picture] of this.pictures) if (!figure.hidden) picture.draw(always); }

    read(t) {
      this.cursor = t;
      for (const [figure, picture] of this.pictures) if (!figure.hidden) picture.point();
    }

    /** Shows [from, to) seconds, or everything. */
    zoom(from = null, to = null) {
      const end = this.sheet.end_s;
      const least = Math.min(2 * this.sheet.bin_s, end);
      const whole = from === null || (from <= 0 && to >= end) || to - from >= end;
      if (!whole && to - from < least) [from, to] = [(from + to - least) / 2, (from + to + least) / 2];
      this.range = whole ? null : [Math.max(0, Math.min(from, end - least)), Math.min(end, Math.max(to, least))];
      this.drawTools();
      this.redraw();
    }

    /** A button for each phase, and one for the whole run: zooming without a mouse. */
    drawTools() {
      if (!this.tools) return;
      const spans = [[null, null, "whole run"], ...this.sheet.phases];
      const key = JSON.stringify(spans);
      if (this.toolsKey !== key) {
        this.toolsKey = key;
        this.tools.replaceChildren(...spans.map(([from, to, name]) => {
          const button = element("button", "span", name);
          button.type = "button";
          button.addEventListener("click", () => this.zoom(from, to));
          return button;
        }), element("span", "soft", "or drag across a chart; Esc shows all"));
      }
      [...this.tools.querySelectorAll("button")].forEach((button, i) => {
        const [from, to] = this.range ?? [null, null];
        button.setAttribute("aria-pressed", String(spans[i][0] === from && spans[i][1] === to));
      });
    }
  }

  /** A sheet and what has become known since: newer points take the place of those of the same time. */
  const merged = (known, newer) => {
    if (!known) return newer;
    const [from, to] = newer.t.length ? [above(known.t, newer.t[0] - 1e-9), above(known.t, newer.t.at(-1))] : [0, 0];
    const join = (a, b, none = null) => [...a.slice(0, from), ...Array(Math.max(0, from - a.length)).fill(none), ...b, ...a.slice(to)];
    const before = new Map(known.charts.map((chart) => [chart.id, chart]));
    const newest = newer.charts.map((chart) => {
      const old = before.get(chart.id);
      if (!old || chart.t) return chart;
      const lines = chart.lines?.map((line, i) => ({ ...line, values: join(old.lines[i].values, line.values) })) ?? [];
      return { ...chart, lines, heat: chart.heat && joinedHeat(old.heat, chart.heat, (a, b) => join(a, b, "")) };
    });
    return { ...newer, t: join(known.t, newer.t), charts: newest };
  };

  /** Heat maps whose rows may differ: rows are renumbered by their bounds. */
  const joinedHeat = (a, b, join) => {
    const upper = [...new Set([...a.upper_ms, ...b.upper_ms])].sort((one, two) => one - two);
    const renumbered = (heat, columns) => {
      const place = new Map(heat.upper_ms.map((ms, row) => [ms, row]));
      return columns.map((column) => upper.map((ms) => column[place.get(ms)] ?? ".").join(""));
    };
    return { upper_ms: upper, columns: join(renumbered(a, a.columns), renumbered(b, b.columns)) };
  };

  return { Board, merged, element };
})();
