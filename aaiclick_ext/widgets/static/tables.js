// The tables of a kernel, sorted by a click on a column. Loads nothing and sends nothing.
// Everything shown is untrusted: text is set as textContent.

function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

/** Numbers by value, text by letters; what is not known comes last, whichever way. */
function compare(left, right, descending) {
  if (left === null || right === null) return (left === null) - (right === null);
  const order = typeof left === "number" && typeof right === "number"
    ? left - right
    : String(left).localeCompare(String(right), undefined, { numeric: true });
  return descending ? -order : order;
}

function render({ model, el }) {
  const columns = model.get("_columns");
  const rows = model.get("_rows").map((cells) => ({
    orders: cells.map(([, order]) => order),
    line: make("tr", "", ...cells.map(([text], place) => {
      const cell = make("td", columns[place][1] ? "number" : "", text);
      cell.title = text;
      return cell;
    })),
  }));
  const body = make("tbody", "", ...rows.map((row) => row.line));
  let sorted = -1, descending = false;

  const heads = columns.map(([title, number], place) => {
    const button = make("button", "", title);
    button.type = "button";
    const head = make("th", number ? "number" : "", button);
    head.scope = "col";
    button.addEventListener("click", () => {
      descending = sorted === place ? !descending : number;
      sorted = place;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const ordered = [...rows].sort(
        (a, b) => compare(a.orders[place], b.orders[place], descending));
      body.replaceChildren(...ordered.map((row) => row.line));
    });
    return head;
  });

  const table = make("table", "", make("thead", "", make("tr", "", ...heads)), body);
  const scroll = make("div", "scroll", table);
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Tables of this kernel");
  const root = make("div", "aai-tables", scroll, make("div", "summary", model.get("_summary")));
  el.append(root);
  return () => root.remove();
}

export default { render };
