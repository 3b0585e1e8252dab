// The live page: asks each second for what is new, keeps it, and shows it; after the end it is the run's summary.
"use strict";
(() => {
  const { byId, element, fill, row, items } = page;
  const EVERY_MS = 1000;
  const paths = document.body.dataset;
  const run = { head: null, sheet: null, folder: "" };
  const board = new charts.Board(byId("run"), { live: true });
  const endpoint = { name: null, board: new charts.Board(byId("endpoint-charts"), { live: true }), asked: 0 };

  const STATES = { waiting: "getting ready", running: "running", draining: "waiting for the last answers", done: "over" };

  const learn = (live) => {
    if (live.run) {
      [run.head, run.sheet, board.range] = [live.run, null, null];
      choose(null);
    }
    if (live.sheet) run.sheet = charts.merged(run.sheet, live.sheet);
  };

  /** The newest second that has been measured: the plan's own points go on to the run's end. */
  const newest = (key) => {
    const rates = run.sheet?.charts.find((chart) => chart.id === key[0]);
    return rates?.lines.find((line) => line.key === key[1])?.values ?? [];
  };
  const last = (...key) => newest(key).findLast((value) => value !== null && value !== undefined) ?? null;
  const measured = () => newest(["rates", "completed"]).length;
  const since = () => (run.sheet && measured() ? run.sheet.t[measured() - 1] : 0);

  // ---- words ---------------------------------------------------------------------------------------------------

  const tile = (name, value, meaning, css = "") => {
    const box = element("div");
    box.append(element("dt", "", name), element("dd", `value ${css}`, value), element("dd", "meaning", meaning));
    return box;
  };

  const tiles = (live) => {
    const { head } = run;
    const best = Math.max(0, ...newest(["rates", "completed"]).filter((value) => value !== null));
    const serving = live.workers.filter((worker) => worker.state === "serving").length;
    const lost = live.workers.filter((worker) => worker.state === "lost").length;
    const planned = newest(["rates", "planned"])[Math.max(0, measured() - 1)] ?? 0;
    const now = live.state === "done" ? [] : [
      tile("Completed", `${words.rate(last("rates", "completed") ?? 0)} ${live.noun}s/s`, `in the last second; ${words.rate(planned)} planned`),
      tile("p99 response time", words.latency(last("percentiles", "p99")), `in the last second; p99.9 ${words.latency(last("percentiles", "p99-9"))}`),
    ];
    const workers = live.state === "done" ? words.things(live.workers.length, "worker") : `${words.things(serving, "worker")} serving`;
    fill("tiles", [
      ...now,
      tile("Best second", `${words.rate(best)} ${live.noun}s/s`, `the plan peaks at ${words.rate(head.peak_tps)}`),
      tile("Errors", live.requests ? words.percent(live.failures / live.requests) : "–", `${words.things(live.failures, "failure")} in ${words.things(live.requests, "request")}; ${words.things(live.dropped, "arrival")} dropped`, live.failures ? "over" : ""),
      tile("Load generator", `${words.latency(live.lag_ms.p99 ?? 0)} late`, `at p99; the limit is ${words.latency(head.max_lag_ms)}. ${workers}${lost ? `, ${lost} lost` : ""}`, lost || live.lag_ms.p99 > head.max_lag_ms ? "over" : ""),
    ]);
  };

  const verdict = (live) => {
    const { word, sentence, reasons, final } = live.verdict;
    byId("verdict").className = `verdict ${word.toLowerCase().replace(" ", "-")}`;
    byId("word").replaceChildren(word, ...(final || word === "WAITING" ? [] : [element("small", "", "so far")]));
    byId("sentence").textContent = sentence;
    fill("reasons", items(reasons));
    byId("audit").textContent = live.audit;
    byId("files").hidden = live.state !== "done";
    byId("folder").textContent = run.head.folder;
  };

  const objectives = (live) => fill("slo", live.slo.map((slo) => {
    const expr = element("td", "wrap");
    expr.append(element("code", "", slo.expr));
    const waiting = slo.state === "waiting";
    if (slo.note && !waiting) expr.append(element("br"), element("span", "soft", slo.note));
    const css = /^(met|missed)/.test(slo.state) ? slo.state.split(" ")[0] : "soft";
    return row([expr, waiting ? "–" : slo.observed, [css, waiting ? "no data yet" : slo.state]]);
  }));

  // Rows stay as long as the endpoints are the same: whoever points at a name or has tabbed to it keeps it.
  let listed = [];
  const endpointRow = (name) => {
    const pick = element("button", "pick", name);
    pick.type = "button";
    pick.dataset.name = name;
    pick.setAttribute("aria-pressed", String(name === endpoint.name));
    const cell = element("td", "wrap");
    cell.append(pick);
    return row([cell, ...Array(6).fill("")], ["", byId("rate").textContent, "requests", "share", "p50", "p99", "failed"]);
  };
  const endpoints = (live) => {
    const names = live.endpoints.map(({ name }) => name);
    const over = live.state === "done";
    byId("rate").textContent = over ? "requests/s" : "now/s";
    byId("rate-of").textContent = over ? "All figures are of the whole run." : "Rates are of the last five seconds, the rest of the whole run.";
    const shown = [byId("rate").textContent, ...names];
    if (shown.join("\n") !== listed.join("\n")) {
      listed = shown;
      fill("endpoints", names.map(endpointRow));
    }
    live.endpoints.forEach((each, i) => {
      const cells = [...byId("endpoints").rows[i].cells].slice(1);
      [
        words.rate(each.rate), words.count(each.requests), words.percent(each.share), words.latency(each.p50),
        words.latency(each.p99), words.count(each.failures),
      ].forEach((text, column) => { cells[column].textContent = text; });
      cells.at(-1).className = each.failures ? "over" : "";
    });
    byId("more-endpoints").textContent = live.more_endpoints ? `And ${words.things(live.more_endpoints, "more endpoint")}, in the report.` : "";
  };

  const networkHeadings = ["", ...[...byId("network").closest("table").querySelectorAll("th")].slice(1).map((th) => th.textContent)];
  const network = (live) => {
    byId("network-seen").hidden = !live.network.length;
    if (byId("network-seen").open) fill("network", live.network.map(([name, cells]) => row([["wrap", name], ...cells], networkHeadings)));
  };

  const errors = (live) => {
    byId("errors-seen").hidden = !live.errors.length;
    fill("errors", live.errors.flatMap((error) => {
      const shown = row([error.error, ["left", error.endpoint], words.count(error.count), error.share, ["left", error.when]], ["", "endpoint", "count", "share", "first to last"]);
      if (!error.sample) return [shown];
      shown.className = "joined";
      const sample = element("td", "wrap soft", error.sample);
      sample.colSpan = 5;
      const below = row([sample]);
      below.className = "sample";
      return [shown, below];
    }));
  };

  const generator = (live) => {
    const late = live.lag_ms;
    byId("health").textContent = `Dispatch lag p50 ${words.latency(late.p50)}, p99 ${words.latency(late.p99)}, max ${words.latency(late.max)} over the whole run; waiting for a free user p99 ${words.latency(live.queueing_ms.p99)}; ${words.things(live.report_gaps, "report")} missing.`;
    fill("workers", live.workers.map((w) => row([
      w.name, [w.state === "lost" ? "over" : "", w.state], [w.cpu > 0.9 ? "over" : "", words.percent(w.cpu)], words.count(w.started),
      words.count(w.in_flight), words.count(w.backlog), [w.lag_p99_ms > run.head.max_lag_ms ? "over" : "", words.latency(w.lag_p99_ms)],
    ])));
    fill("equations", live.equations.map(([text, holds]) => element("li", holds ? "" : "missed", text)));
    fill("events", live.events.map(([t, text], number) => {
      const item = element("li");
      item.append(element("b", "", String(number + 1)), `${words.clock(t)}: ${text}`);
      return item;
    }));
  };

  const finished = (live) => {
    byId("finished").hidden = !live.finished.length;
    fill("runs", live.finished.toReversed().map((over) => {
      const link = element("a", "", "report");
      link.href = reportOf(over);
      link.setAttribute("aria-label", `report of ${over.name}`);
      const cell = element("td");
      cell.append(link);
      return row([over.name, ["left", over.plan], `${words.rate(over.peak_tps)}/s`, [over.verdict === "PASS" ? "met" : "missed", over.verdict], cell]);
    }));
  };

  const reportOf = (over) => `${paths.runs}${encodeURIComponent(over.name)}/report.html`;

  const heading = (live) => {
    const { head } = run;
    const going = ["waiting", "running", "draining"].includes(live.state);
    byId("stop").hidden = !going;
    byId("form").hidden = going;
    const over = live.finished.at(-1);
    byId("report").hidden = going || !over;
    if (over) byId("report").href = reportOf(over);
    if (!head) return;
    byId("plan").textContent = head.plan;
    byId("about").textContent = `${STATES[live.state]} · ${words.clock(live.t_s)} of ${words.clock(head.duration_s)} · ${head.targets.join(", ")}`;
    document.title = `${live.verdict?.word ?? ""} ${head.plan} · ${STATES[live.state]}`.trim();
    byId("bar").value = Math.min(1, live.t_s / head.duration_s);
  };

  // ---- one endpoint, on click ------------------------------------------------------------------------------------

  const choose = (name) => {
    endpoint.name = name === endpoint.name ? null : name;
    byId("endpoint-charts").hidden = true;
    if (endpoint.name) askEndpoint();
  };
  const askEndpoint = async () => {
    const asked = (endpoint.asked += 1);
    const answer = await fetch(`${paths.endpoint}?name=${encodeURIComponent(endpoint.name)}`, { cache: "no-store" });
    if (!answer.ok || asked !== endpoint.asked || !endpoint.name) return;
    byId("endpoint-charts").hidden = false;
    endpoint.board.show(await answer.json());
  };
  byId("endpoints").addEventListener("click", (event) => {
    const { name } = event.target.dataset;
    if (!name) return;
    choose(name);
    for (const pick of byId("endpoints").querySelectorAll(".pick")) pick.setAttribute("aria-pressed", String(pick.dataset.name === endpoint.name));
  });

  // ---- each second -------------------------------------------------------------------------------------------------

  const show = (live) => {
    learn(live);
    byId("idle").hidden = live.state !== "idle";
    byId("run").hidden = live.state === "idle";
    document.body.dataset.state = live.state;
    heading(live);
    finished(live);
    if (live.state === "idle") return;
    for (const part of [verdict, tiles, objectives, endpoints, network, errors, generator]) part(live);
    if (run.sheet) board.show(run.sheet);
    if (endpoint.name && live.state !== "done") askEndpoint().catch(() => {});
  };

  let silent = null;
  const trouble = () => {
    silent ??= new Date();
    const { folder } = run.head ?? {};
    const resume = folder ? ` “singlesday resume ${folder}” goes on with the run where it was last saved.` : "";
    byId("trouble").textContent = `The master has not answered since ${silent.toLocaleTimeString()}. If it was stopped or killed, its workers stop sending within 3 s.${resume} Below is the last that it said; this page goes on asking.`;
    byId("trouble").hidden = false;
  };

  /** What is new, or null if the master does not say. */
  const news = async () => {
    try {
      const answer = await fetch(`${paths.live}?run=${encodeURIComponent(run.head?.id ?? "")}&since=${since()}`, { cache: "no-store" });
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    }
  };

  let [asked, shown] = [0, 0];
  const ask = async () => {
    setTimeout(ask, EVERY_MS);
    const number = (asked += 1);
    const live = await news();
    if (number < shown) return; // a later answer has overtaken it, and may have told the end
    shown = number;
    if (!live) { trouble(); return; }
    [silent, byId("trouble").hidden] = [null, true];
    show(live);
  };

  byId("stop").addEventListener("click", async (event) => {
    event.target.disabled = true;
    try {
      await fetch(paths.stop, { method: "POST" });
    } finally {
      event.target.disabled = false;
    }
  });
  ask();
})();
