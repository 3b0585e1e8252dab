// What start page and live page build their tables and lists from; text goes in as text, never as markup.
"use strict";
const page = (() => {
  const byId = (id) => document.getElementById(id);
  const element = charts.element;
  const fill = (id, children) => byId(id).replaceChildren(...children);

  /** A row of a table: strings, nodes, or [css, text] for each cell. */
  const row = (cells, labels = []) => {
    const made = element("tr");
    made.append(...cells.map((cell, i) => {
      const built = cell instanceof Node ? cell : Array.isArray(cell) ? element("td", ...cell) : element("td", "", cell);
      if (labels[i]) built.dataset.label = labels[i];
      return built;
    }));
    return made;
  };
  const items = (texts, css = "") => texts.map((text) => element("li", css, text));
  return { byId, element, fill, row, items };
})();
