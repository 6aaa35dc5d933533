// The menu of a column: sort, filter, hide, move; and the list of columns.

function field(label, value, placeholder) {
  const input = make("input", "");
  input.type = "text";
  input.value = value ?? "";
  input.placeholder = placeholder ?? "";
  input.spellcheck = false;
  return { input, row: make("label", "field", make("span", "", label), input) };
}

function onEnter(inputs, act) {
  for (const input of inputs) {
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); act(); }
    });
  }
}

function columnMenu(column, { summary, filterOf, setFilter, sort, hide, move, close }) {
  const menu = make("div", "menu");
  menu.setAttribute("role", "dialog");
  menu.setAttribute("aria-label", `Column ${column.name}`);
  const acts = make("div", "acts");
  const act = (label, title, run) => acts.append(button(label, title, () => { run(); close(); }));
  if (column.hasOrder) {
    act("Sort ↑", "Sort by this column, from the least", (() => sort("asc")));
    act("Sort ↓", "Sort by this column, from the greatest", (() => sort("desc")));
    act("Then ↑", "Sort within the columns sorted by", (() => sort("asc", true)));
    act("Then ↓", "Sort within the columns sorted by", (() => sort("desc", true)));
    act("Unsort", "Do not sort by this column", () => sort(null));
  }
  act("← Move", "Move it to the left", () => move(-1));
  act("Move →", "Move it to the right", () => move(1));
  act("Hide", "Hide this column", hide);
  menu.append(make("div", "head-line", make("b", "", column.name), make("span", "type", column.type)), acts);

  if (column.hasRange) {
    const now = filterOf("between");
    const example = column.kind === "time" ? "2026-01-31" : "";
    const low = field("From", now?.[2], example), high = field("To", now?.[3], example);
    const apply = () => {
      const bounds = [low.input.value, high.input.value].map((text) => (text === "" ? null : text));
      const keepsBelow = now && now[3] === bounds[1] ? now[4] : false;
      setFilter("between", bounds.some((bound) => bound !== null) ? [...bounds, keepsBelow] : null);
      close();
    };
    onEnter([low.input, high.input], apply);
    menu.append(make("fieldset", "", make("legend", "", "Range"), low.row, high.row, button("Apply", "", apply)));
  }
  if (column.isSearched) {
    const text = field("Contains", filterOf("contains")?.[2]);
    const apply = () => {
      setFilter("contains", text.input.value === "" ? null : [text.input.value]);
      close();
    };
    onEnter([text.input], apply);
    menu.append(make("fieldset", "", make("legend", "", "Text"), text.row, button("Apply", "", apply)));
  }
  const values = (summary?.top ?? []).filter(([, , , isCut]) => !isCut);
  const chosen = new Set(filterOf("one_of")?.[2] ?? []);
  for (const value of chosen) {
    if (value !== null && !values.some(([, , known]) => known === value)) values.push([value, null, value, false]);
  }
  if (values.length && column.hasOrder) {
    const list = make("div", "values");
    const boxes = values.map(([shown, count, value]) => {
      const box = make("input", "");
      box.type = "checkbox";
      box.checked = chosen.has(value);
      const label = make("span", "value", shown === "" ? "(empty)" : shown);
      list.append(make("label", "", box, label, make("span", "count", count === null ? "" : counted(count))));
      return [box, value];
    });
    const apply = () => {
      const found = boxes.filter(([box]) => box.checked).map(([, value]) => value);
      setFilter("one_of", found.length ? [found] : null);
      close();
    };
    menu.append(make("fieldset", "", make("legend", "", "Values"), list, button("Apply", "", apply)));
  }
  if (column.isNullable) {
    const now = filterOf("null")?.[2];
    const choose = (label, wanted) => {
      const element = button(label, "", () => { setFilter("null", wanted === undefined ? null : [wanted]); close(); });
      element.setAttribute("aria-pressed", String(now === wanted));
      return element;
    };
    menu.append(make("fieldset", "", make("legend", "", "Null"), choose("all", undefined), choose("not null", false), choose("null", true)));
  }
  return menu;
}

const LISTED = 200;

function columnList(columns, { order, choose, close }) {
  const menu = make("div", "menu columns");
  menu.setAttribute("role", "dialog");
  menu.setAttribute("aria-label", "Columns");
  const find = field("Find", "", "part of a name"), list = make("div", "values");
  const said = make("div", "type");
  let shown = [...order];

  function fill() {
    const text = find.input.value.toLowerCase();
    const all = [...shown, ...columns.map((_, n) => n).filter((n) => !shown.includes(n))];
    const found = all.filter((n) => columns[n].name.toLowerCase().includes(text));
    list.replaceChildren(...found.slice(0, LISTED).map(line));
    said.textContent = `${counted(shown.length)} of ${counted(columns.length)} shown` +
      (found.length > LISTED ? `; ${counted(found.length - LISTED)} more match` : "");
  }

  function line(n) {
    const box = make("input", "");
    box.type = "checkbox";
    box.checked = shown.includes(n);
    box.addEventListener("change", () => {
      shown = box.checked ? [...shown, n] : shown.filter((other) => other !== n);
      change();
    });
    const place = shown.indexOf(n);
    const up = button("↑", `Move ${columns[n].name} before the column before it`, () => {
      shown.splice(place, 1);
      shown.splice(place - 1, 0, n);
      change();
    });
    up.disabled = place < 1;
    return make("div", "line", make("label", "", box, make("span", "value", columns[n].name), make("span", "type", columns[n].type)), up);
  }

  function change() {
    choose(shown);
    fill();
  }

  find.input.addEventListener("input", fill);
  const all = button("All", "Show every column", () => { shown = columns.map((_, n) => n); change(); });
  const none = button("None", "Hide every column", () => { shown = []; change(); });
  menu.append(make("div", "head-line", make("b", "", "Columns"), said), find.row, make("div", "acts", all, none, button("Close", "", close)), list);
  fill();
  return menu;
}
