// Tables that sort and filter; the page is complete without any of this.
(() => {
  "use strict";
  const FEW = 8;

  // The headings of a sortable table are buttons, so that the keyboard reaches them.
  function makeSortable(table) {
    if (table.tBodies[0].rows.length < 2) return;
    table.classList.add("sortable", "asc", "n-last");
    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
    }
  }

  function makeFilter(table) {
    const total = table.tBodies[0].rows.length;
    if (total <= FEW) return;
    const bar = document.createElement("div");
    const label = document.createElement("label");
    const field = document.createElement("input");
    const count = document.createElement("output");
    bar.className = "filter";
    field.type = "search";
    field.placeholder = "words, such as a method or a problem";
    label.append("Filter ", field);
    bar.append(label, count);
    table.closest(".wide").before(bar);
    const filter = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? `${shown} of ${total} lines` : `${total} lines`;
    };
    field.addEventListener("input", filter);
    filter();
  }

  // A link to what lies within something closed opens it.
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) {
      box.open = true;
    }
    const inside = target.querySelector(":scope > details.folded");
    if (inside) inside.open = true;
  }

  document.querySelectorAll(".wide > table").forEach((table) => {
    makeSortable(table);
    makeFilter(table);
  });
  document.querySelectorAll("nav details a").forEach((link) => {
    link.addEventListener("click", () => { link.closest("details").open = false; });
  });
  window.addEventListener("hashchange", reveal);
  reveal();
})();
