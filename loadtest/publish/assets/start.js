// The start page: shows what will be played as the fields stand, and starts it.
"use strict";
(() => {
  const { byId, element, fill, row } = page;
  const paths = document.body.dataset;
  const form = byId("start");
  const board = new charts.Board(byId("preview"));
  const WAIT_MS = 250;
  const FIELD_OF = { targets: "host", left_out: "plan" }; // what the check calls a field that is called otherwise here

  const fields = () => new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
  const ask = (path) => fetch(path, { method: "POST", body: fields(), cache: "no-store" });

  const refuse = (error) => {
    for (const place of form.querySelectorAll(".error")) place.hidden = true;
    for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
    byId("go").disabled = Boolean(error);
    if (!error) return null;
    const name = FIELD_OF[error.field] ?? error.field;
    const own = document.getElementById(`${name}-error`);
    const place = own ?? byId("form-error");
    const said = own ? error.message.replace(/^[\w-]+: /, "") : error.message; // the field's name is above it
    place.textContent = said[0].toUpperCase() + said.slice(1);
    place.hidden = false;
    const input = form.elements.namedItem(name);
    input?.setAttribute("aria-invalid", "true");
    return input;
  };

  let asked = 0;
  const preview = async () => {
    const mine = (asked += 1);
    byId("preview").setAttribute("aria-busy", "true");
    byId("plan-effect").textContent = byId("plan").selectedOptions[0]?.dataset.description ?? "";
    const shown = await (await ask(paths.preview)).json();
    if (mine !== asked) return;
    refuse(shown.error);
    byId("preview").setAttribute("aria-busy", String(Boolean(shown.error)));
    for (const [name, text] of Object.entries(shown.effects)) byId(`${name}-effect`).textContent = text;
    if (!shown.sheet) return;
    fill("facts", shown.facts.map(([name, value, meaning]) => {
      const box = element("div");
      box.append(element("dt", "", name), element("dd", "value", value), element("dd", "meaning", meaning));
      return box;
    }));
    fill("shares", shown.shares.map((each) => row([each.scenario, words.count(each.arrivals), words.percent(each.share)])));
    fill("objectives", shown.objectives.map((text) => {
      const item = element("li");
      item.append(element("code", "", text));
      return item;
    }));
    board.range = null;
    board.show(shown.sheet);
  };

  let timer = null;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => preview().catch(silent), WAIT_MS);
  };
  const silent = () => refuse({ field: "form", message: "The master does not answer; it may have been stopped." });

  form.addEventListener("input", soon);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    byId("go").disabled = true;
    clearTimeout(timer);
    asked += 1; // a preview that answers late must not hide what START was refused for
    try {
      const answer = await (await ask(paths.swarm)).json();
      if (answer.success) {
        window.location.assign(paths.page);
        return;
      }
      refuse(answer)?.focus();
    } catch {
      silent();
    }
    byId("go").disabled = false; // what START was refused for may pass by itself, as the end of the run before does
  });

  const watch = async () => {
    try {
      const { state } = await (await fetch(paths.state, { cache: "no-store" })).json();
      byId("going").hidden = ["idle", "done"].includes(state);
      byId("over").hidden = state !== "done";
    } catch {
      byId("going").hidden = byId("over").hidden = true;
    } finally {
      setTimeout(watch, 2000);
    }
  };
  preview().catch(silent);
  watch();
})();
