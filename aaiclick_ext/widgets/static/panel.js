// The panel beside the drawing: all that is said of a step, and what the kernel is asked of it.

const LANGUAGES = {
  sql: {
    tokens: /(--[^\n]*|\/\*[^]*?\*\/)|('(?:[^'\\]|\\.|'')*')|("(?:[^"\\]|\\.)*"|`[^`]*`)|(\b\d[\w.]*)|([A-Za-z_]\w*)/g,
    words: new Set(("all and any array as asc between by case cast create cross desc distinct else " +
      "end engine except exists false final format from full global group having in inner insert " +
      "intersect interval into is join left like limit not null offset on or order outer over " +
      "partition prewhere replace right sample select semi settings table then true union using " +
      "values view when where window with").split(" ")),
  },
  python: {
    tokens: /(#[^\n]*)|([rbfu]{0,2}(?:"""[^]*?"""|'''[^]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))|((?!))|(\b\d[\w.]*)|([A-Za-z_]\w*)/g,
    words: new Set(("False None True and as assert async await break class continue def del elif " +
      "else except finally for from global if import in is lambda nonlocal not or pass raise " +
      "return try while with yield").split(" ")),
  },
};
const TOKEN_KINDS = ["comment", "string", "name", "number"];

/** Text as spans: comments, strings, numbers and words of a language. */
function highlighted(text, language) {
  const { tokens, words } = LANGUAGES[language];
  const code = make("code", "");
  let end = 0;
  for (const match of text.matchAll(tokens)) {
    const [token, ...groups] = match, word = groups[4];
    const kind = word === undefined ? TOKEN_KINDS[groups.findIndex((group) => group !== undefined)]
      : words.has(language === "sql" ? word.toLowerCase() : word) ? "word" : "";
    if (!kind) continue;
    code.append(text.slice(end, match.index), make("span", `token-${kind}`, token));
    end = match.index + token.length;
  }
  code.append(text.slice(end));
  return code;
}

/** Questions to the kernel, and who waits for which answer. */
class Questions {
  constructor(model) {
    this.model = model;
    this.waiting = new Map();
    this.last = Math.floor(Math.random() * 2 ** 30); // another view of this model asks too
    this.hear = (message) => {
      const act = message?.type === "answer" && this.waiting.get(message.request);
      this.waiting.delete(message?.request);
      if (act) act(message);
    };
    model.on("msg:custom", this.hear);
  }

  may(about) {
    return (this.model.get("_can") ?? []).includes(about);
  }

  ask(about, node, row, act) {
    this.last += 1;
    this.waiting.set(this.last, act);
    this.model.send({ type: "ask", request: this.last, about, node, row });
    return this.last;
  }

  stop(request) {
    this.model.send({ type: "stop", request });
  }

  close() {
    this.model.off("msg:custom", this.hear);
    this.waiting.clear();
  }
}

const ASKED = "The kernel is asked.";

function note(text, kind = "hint") {
  return make("p", kind, text);
}

function problem(text) {
  const element = make("pre", "error", text);
  element.setAttribute("role", "alert");
  return element;
}

/** Rows as a table; `act` is called with the number of a row that is clicked. */
function grid({ columns, rows, summary, stale }, act) {
  const table = make("table", "grid"), head = make("tr", ""), body = make("tbody", "");
  if (act) head.append(make("td", ""));
  for (const [name, type, number] of columns) {
    const title = make("th", number ? "number" : "", name, make("span", "type", type));
    title.scope = "col";
    head.append(title);
  }
  rows.forEach((cells, place) => {
    const row = make("tr", act ? "asks" : "");
    if (act) {
      const ask = button(`Where row ${place + 1} comes from`, String(place + 1), () => {});
      row.append(make("td", "", ask));
      row.addEventListener("click", () => {
        for (const other of body.children) other.classList.toggle("asked", other === row);
        act(place);
      });
    }
    cells.forEach((cell, column) => {
      const shown = cell === null ? make("span", "null", "NULL") : cell;
      row.append(make("td", columns[column][2] ? "number" : "", shown));
    });
    body.append(row);
  });
  table.append(make("thead", "", head), body);
  const scroll = make("div", "scroll", table);
  const foot = note(summary);
  if (stale) foot.append(" ", make("span", "badge", stale));
  return make("div", "", scroll, foot);
}

function sourceRows(source) {
  const title = make("h5", "", source.name, make("span", "role", source.role));
  title.append(make("span", source.exact ? "badge good" : "badge",
    source.exact ? "exactly these rows" : "these rows or fewer"));
  const box = make("div", "origin", title, ...source.notes.map((text) => note(text)));
  box.append(source.error ? problem(source.error) : grid(source.rows));
  return box;
}

function traced(answer, place) {
  const title = make("h4", "", `What row ${place + 1} is made of`);
  if (answer.error) return make("div", "trace", title, problem(answer.error));
  const { sources, notes } = answer.trace;
  const told = notes.map((text) => note(text));
  if (!sources.length) told.push(note("It is made of values only: no table went into it."));
  return make("div", "trace", title, ...told, ...sources.map(sourceRows));
}

const OUTCOMES = {
  exact: "Restored, row for row as it was.",
  "equal but unordered": "Restored: the same rows, in another order.",
  unchecked: "Restored in the same way, with as many rows; it was too large to compare.",
  differs: "Restored, but it is not as it was.",
  impossible: "It cannot be restored.",
};

function restored(answer) {
  if (answer.error) return problem(answer.error);
  const { status, reason, variable } = answer.restored;
  const text = [OUTCOMES[status] ?? status, reason, variable && `It is in the variable ${variable}.`];
  const box = note(text.filter(Boolean).join(" "), `outcome is-${status.split(" ")[0]}`);
  box.setAttribute("role", "status");
  return box;
}

/** What the kernel told of nodes, so that a panel opened again shows it. */
class Panel {
  constructor(questions, nodes, act) {
    Object.assign(this, { questions, nodes, act, told: new Map() });
    this.element = make("section", "panel");
    this.element.setAttribute("role", "region");
    this.element.setAttribute("aria-label", "Details of the chosen step");
    this.element.tabIndex = -1;
  }

  /** Show a step or a fold; what is shown again, because it changed, stays where it is. */
  show(node, item) {
    const id = item?.id ?? node.id, scrolled = id === this.id ? this.element.scrollTop : 0;
    const inside = this.element.contains(document.activeElement);
    Object.assign(this, { node, id });
    const close = button("Close (Escape)", "×", () => this.act.close());
    close.classList.add("close");
    const parts = item?.members ? this.fold(item) : this.step(node, item);
    this.element.replaceChildren(close, ...parts);
    this.element.scrollTop = scrolled;
    if (inside) this.element.focus({ preventScroll: true }); // what had it is gone
  }

  fold(item) {
    const list = make("ol", "members");
    for (const id of item.members) {
      const { operation, name, cell } = this.nodes.get(id) ?? {};
      list.append(make("li", "", [operation, name, cell].filter(Boolean).join(" · ")));
    }
    const open = button("Draw these steps", "Draw these steps", () => this.act.open(item.members));
    return [make("p", "head", make("strong", "", item.operation)), open, list];
  }

  step(node, item) {
    const parts = item?.column ? this.column(item, node) : [];
    const head = make("p", "head", make("strong", "", node.operation));
    for (const part of ["name", "cell", "rows", "state"]) {
      if (node[part]) head.append(make("span", `${part} is-${node.state}`, node[part]));
    }
    parts.push(head);
    for (const text of node.stale) parts.push(note(`Stale: ${text}.`, "warning"));
    if (node.error) parts.push(problem(node.error));
    if (node.state === "dropped" || this.told.has(`restore ${node.id}`)) {
      parts.push(this.restoring(node));
    }
    if (node.kind !== "sink" && !["dropped", "failed"].includes(node.state)) {
      parts.push(this.rows(node));
    }
    parts.push(this.columns(node));
    const facts = make("dl", "");
    for (const [label, text] of node.facts) facts.append(make("dt", "", label), make("dd", "", text));
    parts.push(facts);
    if (node.sql) parts.push(this.sql(node));
    if (node.source) parts.push(this.code(node.source, "source", "Cell", "python"));
    return parts;
  }

  /** The SQL as the log has it, until the kernel has printed it with a line for each clause. */
  sql(node) {
    const box = make("div", ""), show = (text) => this.code(text, "sql", "SQL", "sql");
    const known = this.told.get(`sql ${node.id}`);
    box.append(show(known?.sql || node.sql));
    if (!known && this.questions.may("sql")) {
      this.questions.ask("sql", node.id, null, (answer) => {
        this.told.set(`sql ${node.id}`, answer);
        if (answer.sql && answer.sql !== node.sql) box.replaceChildren(show(answer.sql));
      });
    }
    return box;
  }

  column(item, node) {
    const head = make("p", "head", make("strong", "", item.column));
    if (item.type) head.append(make("span", "type", item.type));
    head.append(make("span", "", `column of ${node.name || node.operation}`));
    const list = make("dl", "");
    for (const [label, ends] of this.act.around(item.id)) {
      for (const text of ends) list.append(make("dt", "", label), make("dd", "", text));
    }
    return [head, list];
  }

  code(text, part, label, language) {
    const pre = make("pre", part, highlighted(text, language));
    pre.tabIndex = 0;
    const copy = button(`Copy the ${label === "SQL" ? label : "cell"}`, "Copy", async () => {
      try {
        await navigator.clipboard.writeText(text);
      } catch { // no permission, or a page that is not secure
        getSelection().selectAllChildren(pre);
        document.execCommand("copy");
      }
      copy.textContent = "Copied";
    });
    return make("div", "", make("h4", "", label, copy), pre);
  }

  /** Ask once, show that it was asked, then the answer. */
  ask(about, node, row, box, show) {
    const focused = () => box.contains(document.activeElement), inside = focused();
    const request = this.questions.ask(about, node.id, row, (answer) => {
      const stays = focused();
      this.told.set(`${about} ${node.id}`, answer);
      box.replaceChildren(show(answer));
      if (stays) this.element.focus({ preventScroll: true });
    });
    const stop = button("Stop", "Stop", () => this.questions.stop(request));
    box.replaceChildren(note(ASKED), stop);
    if (inside) stop.focus({ preventScroll: true });
  }

  columns(node) {
    const box = make("div", "");
    const list = (columns) => {
      const table = make("table", "columns");
      for (const [name, type] of columns) {
        table.append(make("tr", "", make("td", "", name), make("td", "type", type)));
      }
      const title = `${columns.length.toLocaleString("en")} column${columns.length === 1 ? "" : "s"}`;
      const parts = make("details", "", make("summary", "", title), make("div", "scroll", table));
      parts.open = columns.length <= 12;
      return parts;
    };
    const show = (answer) => (answer.columns ? list(answer.columns) : note(answer.error ?? ""));
    const known = this.told.get(`columns ${node.id}`);
    if (node.columns.length) box.append(list(node.columns));
    else if (known?.columns) box.append(show(known));
    else if (node.state === "view" && this.questions.may("columns")) {
      this.ask("columns", node, null, box, show);
    }
    return box;
  }

  rows(node) {
    const box = make("div", "preview");
    if (!this.questions.may("rows")) return box;
    const trace = make("div", "");
    const show = (answer) => {
      trace.replaceChildren();
      if (answer.error) return make("div", "", problem(answer.error), ask);
      const act = this.questions.may("trace") && ((place) => this.ask("trace", node, place, trace,
        (found) => traced(found, place)));
      const hint = act ? note("Click a row to see the rows that it is made of.") : "";
      return make("div", "", grid(answer.rows, act), hint, trace);
    };
    const ask = button("Show the first rows", "Show the first rows",
      () => this.ask("rows", node, null, box, show));
    const known = this.told.get(`rows ${node.id}`);
    box.append(known ? show(known) : ask);
    return box;
  }

  restoring(node) {
    const box = make("div", "restore");
    if (!this.questions.may("restore")) return box;
    const known = this.told.get(`restore ${node.id}`);
    if (known) box.append(restored(known));
    else {
      box.append(button("Restore this table", "Restore this table",
        () => this.ask("restore", node, null, box, restored)));
    }
    return box;
  }
}
