// A browsed table: only the rows and columns in sight are asked for, and drawn.
// Loads nothing. All text is set as textContent. Sends a sign of life while it is shown.

const ROW = 25;
const HEAD = 92;
const RAIL_PIXELS = 4_000_000;
const LEAST_WIDTH = 60, FITTED_WIDTH = 280, MOST_WIDTH = 800;
const AHEAD = 20; // rows asked for beyond those in sight
const COLUMNS_AHEAD = 2;
const SUMMED_AT_ONCE = 12;
const SUMMARY_AFTER_MS = 120;
const SIGN_OF_LIFE_MS = 10_000;
const LONG_MS = 250;
const HIDDEN_MS = 300;

function widthOf(column) {
  const least = { number: 110, time: 170, boolean: 90, text: 130 }[column.kind] ?? 130;
  return Math.min(FITTED_WIDTH, Math.max(least, 64 + 7.8 * column.name.length));
}

// The width in which some texts can be read; letters are taken to be as wide as digits.
function fittedTo(texts, width) {
  const longest = texts.reduce((most, text) => Math.max(most, typeof text === "string" ? text.length : 0), 0);
  return Math.min(FITTED_WIDTH, Math.max(width, 20 + 8.6 * longest));
}

function render({ model, el }) {
  const viewer = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  const given = model.get("_table");
  const columns = given.columns.map(([name, type, label, kind, hasOrder, hasRange, isSearched, isNullable], number) => (
    { number, name, type, label, kind, hasOrder, hasRange, isSearched, isNullable }));
  const asker = makeAsker(model, viewer);
  let look = { filters: [], search: "", sorts: [] };
  let order = columns.map((column) => column.number);
  const widths = columns.map(widthOf);
  let total = null, top = 0, isFrozen = false, isLost = false, error = "";
  let active = { row: 0, place: 0 }, anchor = null;
  let summaries = new Map(), summing = null, counting = null, summaryTimer = null;
  const heads = new Map(), fitted = new Set();

  // What there is in the page.

  const title = make("span", "title", given.name || "table");
  const size = make("span", "size");
  const search = make("input", "search");
  search.type = "search";
  search.placeholder = "Search text";
  search.setAttribute("aria-label", "Search all columns of text");
  search.hidden = !columns.some((column) => column.isSearched);
  const columnsButton = button("Columns", "Choose and order columns", () => openColumns());
  const queryButton = button("SQL", "Show the query", () => toggleQuery());
  const refreshButton = button("Refresh", "Show the rows as they are now", () => refresh());
  const bar = make("div", "bar", title, size, search, columnsButton, queryButton, refreshButton);
  const chips = make("div", "chips");
  const head = make("div", "head"), body = make("div", "body"), alert = make("div", "alert");
  head.setAttribute("role", "rowgroup");
  body.setAttribute("role", "rowgroup");
  alert.setAttribute("role", "alert");
  const headRow = make("div", "head-row");
  headRow.setAttribute("role", "row");
  headRow.setAttribute("aria-rowindex", "1");
  head.append(headRow);
  const sheet = make("div", "sheet", head, body);
  const grid = make("div", "grid", sheet);
  grid.tabIndex = 0;
  withoutShortcuts(grid);
  grid.setAttribute("role", "grid");
  grid.setAttribute("aria-label", given.name || "table");
  grid.setAttribute("aria-multiselectable", "true");
  const rail = make("div", "rail", make("div", ""));
  rail.setAttribute("aria-hidden", "true");
  rail.tabIndex = -1;
  const frame = make("div", "frame", grid, rail, alert);
  const where = make("span", "where"), hint = make("span", "hint"), cost = make("span", "cost");
  const jump = make("input", "jump");
  jump.type = "text";
  jump.inputMode = "numeric";
  jump.placeholder = "row";
  jump.setAttribute("aria-label", "Go to row");
  const foot = make("div", "foot", where, make("label", "to", "go to ", jump), hint, cost);
  const below = make("div", "below");
  below.hidden = true;
  const spoken = make("div", "spoken");
  spoken.setAttribute("aria-live", "polite");
  const root = make("div", "aai-browse", bar, chips, frame, foot, below, spoken);
  el.append(root);

  const rows = makeRows(asker, (told) => {
    if (told.error) fail(told.error);
    for (const [n, texts] of told.columns ?? []) {
      if (!fitted.has(n)) widths[n] = fittedTo(texts, widths[n]);
      fitted.add(n);
    }
    if (told.cost) sayCost(told.cost);
    if (told.count !== undefined && total === null && told.count < BLOCK) total = told.start + told.count;
    draw();
  });

  // Looking.

  function changeLook(change, said) {
    const isFiltered = change.filters !== undefined || change.search !== undefined;
    look = { ...look, ...change };
    if (isFiltered) {
      total = null;
      summaries = new Map([...summaries].map(([n, summary]) => [n, { ...summary, isOld: true }]));
    }
    summing?.stop();
    summing = null;
    error = "";
    rows.reset(look);
    top = 0;
    active = { row: 0, place: active.place };
    anchor = null;
    drawChips();
    if (!below.hidden && below.dataset.shows === "query") showQuery();
    count("count");
    draw();
    if (said) spoken.textContent = said;
  }

  async function count(about) {
    counting?.stop();
    const asked = asker.ask(about, look, { columns: order });
    counting = asked;
    const answer = await asked.answer;
    if (counting !== asked) return;
    counting = null;
    if (!answer) return;
    if (answer.error) { fail(answer.error); return; }
    total = answer.total;
    isFrozen = answer.frozen;
    top = Math.min(top, mostTop());
    spoken.textContent = `${counted(total)} rows`;
    draw();
  }

  function refresh() {
    error = "";
    total = null;
    summaries = new Map();
    summing?.stop();
    summing = null;
    rows.reset(look);
    count("refresh");
    draw();
  }

  function fail(text) {
    error = text;
    draw();
  }

  function filterOf(column, kind) {
    return look.filters.find(([known, of]) => known === kind && of === column.number);
  }

  function setFilter(column, kind, rest) {
    const others = look.filters.filter(([known, of]) => known !== kind || of !== column.number);
    const filters = rest === null ? others : [...others, [kind, column.number, ...rest]];
    changeLook({ filters }, `filtered by ${column.name}`);
  }

  function sortBy(column, direction, isAdded = false) {
    if (!column.hasOrder) return;
    const others = isAdded || direction === null ? look.sorts.filter(([n]) => n !== column.number) : [];
    const sorts = direction === null ? others : [...others, [column.number, direction === "desc"]];
    const said = direction === null ? `not sorted by ${column.name}` : `sorted by ${column.name}, ${direction}ending`;
    changeLook({ sorts }, said);
  }

  function nextSort(column, isAdded) {
    const now = look.sorts.find(([n]) => n === column.number);
    const direction = !now ? "asc" : now[1] ? null : "desc";
    if (isAdded && now && direction) {
      const sorts = look.sorts.map((sort) => (sort === now ? [now[0], true] : sort));
      changeLook({ sorts }, `sorted by ${column.name}, descending`);
    } else sortBy(column, direction, isAdded);
  }

  function drawChips() {
    const chip = (text, remove) => {
      const element = make("span", "chip", make("span", "", text));
      const close = button("×", `Remove: ${text}`, remove);
      element.append(close);
      return element;
    };
    const found = look.filters.map((filter) => chip(saidOf(filter), () => {
      changeLook({ filters: look.filters.filter((other) => other !== filter) }, "filter removed");
    }));
    if (look.search) found.push(chip(`any text contains ${look.search}`, () => { search.value = ""; changeLook({ search: "" }); }));
    for (const sort of look.sorts) {
      found.push(chip(`${sort[1] ? "↓" : "↑"} ${columns[sort[0]].name}`, () => sortBy(columns[sort[0]], null)));
    }
    chips.replaceChildren(...found);
    chips.hidden = !found.length;
  }

  function saidOf([kind, of, ...rest]) {
    const name = columns[of].name;
    if (kind === "contains") return `${name} contains ${rest[0]}`;
    if (kind === "null") return `${name} is ${rest[0] ? "" : "not "}null`;
    if (kind === "one_of") return `${name}: ${rest[0].map((value) => (value === null ? "null" : value || "(empty)")).join(", ")}`;
    const [low, high, isBelow] = rest;
    if (low === null) return `${name} ${isBelow ? "<" : "≤"} ${high}`;
    return high === null ? `${name} ≥ ${low}` : `${low} ≤ ${name} ${isBelow ? "<" : "≤"} ${high}`;
  }

  // Where things are.

  const gutter = () => Math.max(44, 18 + 7.5 * counted(total ?? 1e6).length);
  const bodyHeight = () => Math.max(ROW, grid.clientHeight - HEAD);
  const inSight = () => Math.max(1, Math.floor(bodyHeight() / ROW));
  const known = () => total ?? Math.max(AHEAD, Math.ceil(top) + 2 * inSight());
  const mostTop = () => Math.max(0, known() - inSight());

  function edges() {
    let left = gutter();
    return order.map((n) => { const at = left; left += widths[n]; return at; });
  }

  function seenPlaces(lefts) {
    const from = grid.scrollLeft, to = from + grid.clientWidth;
    let first = 0, end = order.length;
    while (first < end && lefts[first] + widths[order[first]] < from + gutter()) first += 1;
    let last = first;
    while (last < end && lefts[last] < to) last += 1;
    return [Math.max(0, first - COLUMNS_AHEAD), Math.min(order.length, last + COLUMNS_AHEAD)];
  }

  function scrollTo(wanted) {
    const to = Math.max(0, Math.min(mostTop(), wanted));
    if (to === top) return false;
    top = to;
    draw();
    return true;
  }

  function goTo(row, place, { extends: isExtending = false } = {}) {
    const lastRow = Math.max(0, known() - 1);
    if (isExtending) anchor ??= { ...active };
    else anchor = null;
    active = { row: Math.max(-1, Math.min(lastRow, row)), place: Math.max(0, Math.min(order.length - 1, place)) };
    if (active.row >= 0) {
      if (active.row < top) top = active.row;
      else if (active.row > top + inSight() - 1) top = active.row - inSight() + 1;
    }
    const left = edges()[active.place] ?? 0, width = widths[order[active.place]] ?? 0;
    if (left - gutter() < grid.scrollLeft) grid.scrollLeft = left - gutter();
    else if (left + width > grid.scrollLeft + grid.clientWidth) grid.scrollLeft = left + width - grid.clientWidth;
    draw();
  }

  // Drawing.

  let isDrawing = false;
  function draw() {
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(() => { isDrawing = false; if (root.isConnected) drawNow(); });
  }

  function drawNow() {
    if (!grid.clientHeight || !grid.clientWidth) { // hidden, for a moment or longer
      setTimeout(draw, HIDDEN_MS);
      return;
    }
    const lefts = edges();
    const width = (lefts.at(-1) ?? gutter()) + (widths[order.at(-1)] ?? 0);
    sheet.style.width = `${Math.max(width, grid.clientWidth)}px`;
    const [first, end] = seenPlaces(lefts);
    const from = Math.max(0, Math.floor(top));
    const to = error ? from : Math.min(known(), Math.ceil(top + bodyHeight() / ROW) + 1);
    if (!error && !isLost) {
      rows.want(Math.max(0, from - AHEAD), Math.min(known(), to + AHEAD), order.slice(first, end));
    }
    drawHeads(lefts, first, end);
    drawBody(lefts, first, end, from, to);
    drawRail();
    grid.setAttribute("aria-rowcount", total === null ? -1 : total + 1);
    grid.setAttribute("aria-colcount", order.length);
    grid.setAttribute("aria-busy", String(rows.isBusy() || counting !== null));
    const cellId = active.row < 0 ? `${viewer}-h${order[active.place]}` : `${viewer}-${active.row}-${active.place}`;
    if (order.length) grid.setAttribute("aria-activedescendant", cellId);
    const said = isLost ? "The kernel was restarted or is gone; run the cell again." : error;
    if (alert.textContent !== said) alert.textContent = said;
    alert.hidden = !said;
    size.textContent = `${total !== null ? counted(total) : error ? "?" : "…"} row${total === 1 ? "" : "s"} × ` +
      `${counted(order.length)}${order.length < columns.length ? ` of ${counted(columns.length)}` : ""} column${order.length === 1 ? "" : "s"}` +
      (isFrozen ? " · as it was when it was opened" : "");
    const last = Math.min(known(), from + inSight());
    where.textContent = error ? "" : total === 0 ? "no rows" : total === null ? `rows from ${counted(from + 1)}` : `rows ${counted(from + 1)}–${counted(last)} of ${counted(total)}`;
    root.classList.toggle("is-empty", total === 0);
    clearTimeout(summaryTimer);
    summaryTimer = setTimeout(() => summarise(first, end), SUMMARY_AFTER_MS);
  }

  function drawHeads(lefts, first, end) {
    const corner = heads.get(-1) ?? make("div", "corner");
    heads.set(-1, corner);
    corner.style.width = `${gutter()}px`;
    const shown = [corner];
    for (let place = first; place < end; place += 1) {
      const n = order[place];
      const element = heads.get(n) ?? makeHead(columns[n]);
      heads.set(n, element);
      element.style.left = `${lefts[place]}px`;
      element.style.width = `${widths[n]}px`;
      element.setAttribute("aria-colindex", place + 1);
      const at = look.sorts.findIndex(([sorted]) => sorted === n);
      const mark = at < 0 ? "" : `${look.sorts[at][1] ? "↓" : "↑"}${look.sorts.length > 1 ? at + 1 : ""}`;
      element.querySelector(".mark").textContent = mark;
      if (columns[n].hasOrder) {
        element.setAttribute("aria-sort", at < 0 ? "none" : look.sorts[at][1] ? "descending" : "ascending");
      }
      element.classList.toggle("is-filtered", look.filters.some(([, of]) => of === n));
      element.classList.toggle("is-active", active.row < 0 && place === active.place);
      drawSummary(element, n);
      shown.push(element);
    }
    const now = [...headRow.children];
    if (now.length !== shown.length || shown.some((element, at) => element !== now[at])) headRow.replaceChildren(...shown);
  }

  function makeHead(column) {
    const name = make("span", "name", column.name), mark = make("span", "mark");
    const menu = button("⋮", "", (event) => { event.stopPropagation(); openMenu(column); });
    menu.className = "more";
    menu.tabIndex = -1;
    menu.setAttribute("aria-label", `Menu of ${column.name}`);
    const plot = make("div", "plot"), caption = make("div", "caption");
    const grip = make("div", "grip");
    const line = make("div", "name-line", name, mark, menu);
    const element = make("div", `column ${column.kind}`, line, make("div", "type", column.label), plot, caption, grip);
    element.id = `${viewer}-h${column.number}`;
    element.setAttribute("role", "columnheader");
    element.title = `${column.name}\n${column.type}`;
    line.addEventListener("click", (event) => nextSort(column, event.shiftKey));
    element.addEventListener("contextmenu", (event) => { event.preventDefault(); openMenu(column); });
    grip.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      event.stopPropagation();
      grip.setPointerCapture(event.pointerId);
      const start = event.clientX, before = widths[column.number];
      grip.onpointermove = (moved) => {
        widths[column.number] = Math.max(LEAST_WIDTH, Math.min(MOST_WIDTH, before + moved.clientX - start));
        fitted.add(column.number);
        draw();
      };
      grip.onpointerup = () => { grip.onpointermove = grip.onpointerup = null; };
    });
    return element;
  }

  function drawSummary(element, n) {
    const summary = summaries.get(n), plot = element.querySelector(".plot");
    const range = filterOf(columns[n], "between")?.slice(2), values = filterOf(columns[n], "one_of")?.[2];
    const key = summary ? JSON.stringify([summary.key, widths[n], range, values]) : "";
    plot.classList.toggle("is-old", Boolean(!summary || summary.isOld));
    if (!summary || element.dataset.drawn === key) return;
    element.dataset.drawn = key;
    drawPlot(plot, element.querySelector(".caption"), summary, widths[n] - 17, {
      range, values,
      onRange: (low, high, isBelow) => setFilter(columns[n], "between", [low, high, isBelow]),
      onValue: (value) => {
        const now = values ?? [];
        const others = now.filter((other) => other !== value);
        const chosen = others.length < now.length ? others : [...now, value];
        setFilter(columns[n], "one_of", chosen.length ? [chosen] : null);
      },
    });
  }

  let summaryKey = 0;
  async function summarise(first, end) {
    if (summing || isLost || error || total === null) return;
    const wanted = order.slice(first, end).filter((n) => !summaries.has(n) || summaries.get(n).isOld);
    if (!wanted.length) return;
    const asked = asker.ask("summaries", { ...look, sorts: [] }, { columns: wanted.slice(0, SUMMED_AT_ONCE) });
    summing = asked;
    const answer = await asked.answer;
    if (summing !== asked) return;
    summing = null;
    if (!answer) return;
    const found = answer.summaries ?? wanted.map((column) => ({ column, rows: 0, failed: answer.error }));
    for (const summary of found) {
      summaryKey += 1;
      summaries.set(summary.column, summary.failed
        ? { key: summaryKey, rows: 1, nulls: 0, odd: 0, distinct: null, bins: [], top: [] }
        : { ...summary, key: summaryKey });
    }
    draw();
  }

  function isSelected(row, place) {
    if (!anchor) return false;
    const [firstRow, lastRow] = [anchor.row, active.row].sort((a, b) => a - b);
    const [firstPlace, lastPlace] = [anchor.place, active.place].sort((a, b) => a - b);
    return row >= firstRow && row <= lastRow && place >= firstPlace && place <= lastPlace;
  }

  function drawBody(lefts, first, end, from, to) {
    const drawn = [];
    for (let row = from; row < to; row += 1) {
      const line = make("div", "row");
      line.setAttribute("role", "row");
      line.setAttribute("aria-rowindex", row + 2);
      line.style.top = `${(row - from) * ROW}px`;
      const number = make("div", "gutter", counted(row + 1));
      number.style.width = `${gutter()}px`;
      line.append(number);
      for (let place = first; place < end; place += 1) line.append(makeCell(row, place, lefts[place]));
      if (row % 2) line.classList.add("odd");
      drawn.push(line);
    }
    body.style.transform = `translateY(${-(top - from) * ROW}px)`;
    body.replaceChildren(...drawn);
  }

  function makeCell(row, place, left) {
    const n = order[place], value = rows.cell(row, n), column = columns[n];
    const cell = make("div", `cell ${column.kind}`);
    cell.id = `${viewer}-${row}-${place}`;
    cell.setAttribute("role", "gridcell");
    cell.setAttribute("aria-colindex", place + 1);
    cell.style.left = `${left}px`;
    cell.style.width = `${widths[n]}px`;
    cell.dataset.row = row;
    cell.dataset.place = place;
    if (value === undefined) cell.classList.add("is-coming");
    else if (value === null) { cell.classList.add("null"); cell.textContent = "NULL"; }
    else if (Array.isArray(value)) { cell.classList.add("is-cut"); cell.textContent = `${value[0]}…`; }
    else cell.textContent = value;
    const isActive = row === active.row && place === active.place;
    cell.classList.toggle("is-active", isActive);
    const selected = isSelected(row, place);
    cell.classList.toggle("is-selected", selected);
    cell.setAttribute("aria-selected", String(selected || isActive));
    return cell;
  }

  let railTo = null;
  function drawRail() {
    const height = grid.clientHeight, most = mostTop();
    const thumb = Math.min(RAIL_PIXELS, (known() - inSight()) * ROW) + height;
    rail.firstChild.style.height = `${Math.max(height, thumb)}px`;
    rail.hidden = most <= 0;
    const range = rail.scrollHeight - rail.clientHeight;
    railTo = most > 0 ? (top / most) * range : 0;
    if (Math.abs(rail.scrollTop - railTo) > 1) rail.scrollTop = railTo;
  }

  // Panels.

  let popover = null;
  function closePopover() {
    const had = popover !== null;
    popover?.remove();
    popover = null;
    return had;
  }

  function open(menu, left) {
    closePopover();
    popover = menu;
    root.append(menu);
    const room = root.clientWidth - menu.offsetWidth - 6;
    menu.style.left = `${Math.max(4, Math.min(room, left))}px`;
    menu.style.top = `${bar.offsetHeight + (chips.hidden ? 0 : chips.offsetHeight) + 34}px`;
    menu.style.maxHeight = `${root.clientHeight - menu.offsetTop - 8}px`;
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      closePopover();
      grid.focus({ preventScroll: true });
    });
    menu.querySelector("input, button")?.focus({ preventScroll: true });
  }

  function openMenu(column) {
    const place = order.indexOf(column.number);
    const close = () => { closePopover(); grid.focus({ preventScroll: true }); };
    open(columnMenu(column, {
      summary: summaries.get(column.number),
      filterOf: (kind) => filterOf(column, kind),
      setFilter: (kind, rest) => setFilter(column, kind, rest),
      sort: (direction, isAdded) => sortBy(column, direction, isAdded),
      hide: () => choose(order.filter((n) => n !== column.number)),
      move: (step) => {
        const others = order.filter((n) => n !== column.number);
        others.splice(Math.max(0, place + step), 0, column.number);
        choose(others);
      },
      close,
    }), (edges()[place] ?? 0) - grid.scrollLeft);
  }

  function openColumns() {
    const close = () => { closePopover(); columnsButton.focus({ preventScroll: true }); };
    open(columnList(columns, { order, choose, close }), columnsButton.offsetLeft - 160);
  }

  function choose(chosen) {
    order = [...chosen];
    active = { ...active, place: Math.max(0, Math.min(order.length - 1, active.place)) };
    anchor = null;
    if (!below.hidden && below.dataset.shows === "query") showQuery();
    count("count");
    draw();
  }

  function openBelow(shows, ...content) {
    below.dataset.shows = shows;
    below.hidden = false;
    below.replaceChildren(...content);
  }

  function closeBelow() {
    below.hidden = true;
    below.replaceChildren();
    grid.focus({ preventScroll: true });
  }

  function toggleQuery() {
    if (!below.hidden && below.dataset.shows === "query") closeBelow();
    else showQuery();
  }

  async function showQuery() {
    const code = make("code", "", "…"), said = make("span", "said");
    const bind = button("Make it a View", "Bind it to _view: a View with its lineage", async () => {
      const answer = await asker.ask("view", look, { columns: order }).answer;
      said.textContent = answer?.error ?? `It is the variable ${answer?.name} now.`;
      spoken.textContent = said.textContent;
    });
    const copied = button("Copy", "Copy the query", () => writeClipboard(code.textContent));
    const line = make("div", "head-line", make("b", "", "Query"), said, copied, button("Close", "", closeBelow));
    if (given.binds) line.insertBefore(bind, copied);
    openBelow("query", line, make("pre", "", code));
    const answer = await asker.ask("query", look, { columns: order }).answer;
    code.textContent = answer?.error ?? answer?.sql ?? "";
  }

  async function showCell() {
    if (active.row < 0 || !order.length) return;
    const { row } = active, column = columns[order[active.place]];
    const code = make("code", "", "…");
    const named = make("b", "", column.name);
    openBelow("cell", make("div", "head-line", named, make("span", "type", `${column.type}, row ${counted(row + 1)}`),
      button("Copy", "Copy the value", () => copy()), button("Close", "", closeBelow)), make("pre", "", code));
    const answer = await asker.ask("cell", look, { start: row, columns: [column.number] }).answer;
    code.textContent = answer?.error ?? answer?.text ?? "NULL";
    code.classList.toggle("null", answer?.text === null);
  }

  // Copying.

  async function copy() {
    if (active.row < 0 || !order.length) return;
    const from = anchor ?? active;
    const [first, last] = [from.row, active.row].sort((a, b) => a - b);
    const [left, right] = [from.place, active.place].sort((a, b) => a - b);
    const asked = asker.ask("copy", look, {
      start: Math.max(0, first), count: last - Math.max(0, first) + 1, columns: order.slice(left, right + 1),
    });
    const answer = await asked.answer;
    if (!answer || answer.error) { cost.textContent = answer?.error ?? ""; return; }
    await writeClipboard(answer.tsv);
    const cells = (last - first + 1) * (right - left + 1);
    cost.textContent = spoken.textContent = `copied ${counted(cells)} cell${cells === 1 ? "" : "s"}`;
  }

  async function writeClipboard(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // no permission, or no secure page
      const area = make("textarea", "spoken");
      area.value = text;
      root.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      grid.focus({ preventScroll: true });
    }
  }

  function sayCost({ read, ms, how }) {
    if (how !== "offset" && ms < LONG_MS) {
      cost.textContent = `${Math.round(ms)} ms`;
      return;
    }
    const what = { offset: "jump", keyset: "page", number: "page" }[how] ?? how;
    cost.textContent = `${what}: ${read === null ? "" : `${counted(read)} rows read, `}${Math.round(ms)} ms`;
  }

  // What the user does.

  function onKey(event) {
    if (event.target !== grid) return;
    const isMore = event.ctrlKey || event.metaKey;
    const page = Math.max(1, inSight() - 1);
    const extend = { extends: event.shiftKey };
    const column = columns[order[active.place]];
    const keys = {
      ArrowUp: () => goTo(active.row - 1, active.place, extend),
      ArrowDown: () => (event.altKey && column ? openMenu(column) : goTo(active.row + 1, active.place, extend)),
      ArrowLeft: () => goTo(active.row, active.place - 1, extend),
      ArrowRight: () => goTo(active.row, active.place + 1, extend),
      PageUp: () => goTo(Math.max(0, active.row - page), active.place, extend),
      PageDown: () => goTo(active.row + page, active.place, extend),
      Home: () => goTo(isMore ? 0 : active.row, 0, extend),
      End: () => goTo(isMore ? known() - 1 : active.row, order.length - 1, extend),
      Enter: () => (active.row < 0 ? column && nextSort(column, event.shiftKey) : showCell()),
      ContextMenu: () => column && openMenu(column),
      Escape: () => { if (!closePopover() && !below.hidden) closeBelow(); anchor = null; draw(); },
    };
    if (event.shiftKey && event.key === "F10") keys.F10 = keys.ContextMenu;
    if (isMore && event.key.toLowerCase() === "c") keys[event.key] = copy;
    if (isMore && event.key.toLowerCase() === "a") {
      keys[event.key] = () => {
        anchor = { row: 0, place: 0 };
        active = { row: Math.max(0, known() - 1), place: order.length - 1 };
        draw();
      };
    }
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  function cellAt(event) {
    const cell = event.target.closest?.(".cell");
    return cell ? { row: Number(cell.dataset.row), place: Number(cell.dataset.place) } : null;
  }

  grid.addEventListener("keydown", onKey);
  grid.addEventListener("scroll", () => { if (grid.scrollTop) grid.scrollTop = 0; draw(); });
  grid.addEventListener("wheel", (event) => {
    if (event.shiftKey || event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
    const step = event.deltaMode === 1 ? event.deltaY : event.deltaY / ROW;
    if (scrollTo(top + step)) event.preventDefault(); // at an end the page scrolls
  }, { passive: false });
  rail.addEventListener("scroll", () => {
    if (railTo !== null && Math.abs(rail.scrollTop - railTo) <= 1.5) return;
    const range = rail.scrollHeight - rail.clientHeight;
    if (range > 0) scrollTo((rail.scrollTop / range) * mostTop());
  });
  let isDragging = false, touchY = null;
  body.addEventListener("pointerdown", (event) => {
    const at = cellAt(event);
    if (!at || event.button !== 0 || event.pointerType === "touch") return;
    event.preventDefault();
    closePopover();
    grid.focus({ preventScroll: true });
    goTo(at.row, at.place, { extends: event.shiftKey });
    isDragging = true;
  });
  body.addEventListener("pointermove", (event) => {
    const at = isDragging && cellAt(event);
    if (at && (at.row !== active.row || at.place !== active.place)) goTo(at.row, at.place, { extends: true });
  });
  const onUp = () => { isDragging = false; };
  body.addEventListener("dblclick", showCell);
  grid.addEventListener("touchstart", (event) => { touchY = event.touches[0].clientY; }, { passive: true });
  grid.addEventListener("touchmove", (event) => {
    const y = event.touches[0].clientY;
    if (touchY !== null && scrollTo(top + (touchY - y) / ROW)) event.preventDefault();
    touchY = y;
  }, { passive: false });
  let typing = null;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => changeLook({ search: search.value }), 300);
  });
  jump.addEventListener("input", () => { hint.textContent = ""; });
  jump.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const row = Number(jump.value.replaceAll(/[,_\s]/g, ""));
    if (!Number.isInteger(row) || row < 1) {
      hint.textContent = spoken.textContent = "a row is a number, the first one is 1";
      return;
    }
    top = Math.min(mostTop(), Math.max(0, row - 1));
    goTo(row - 1, active.place);
    grid.focus({ preventScroll: true });
  });
  const onOutside = (event) => { if (popover && !popover.contains(event.target)) closePopover(); };

  // Living.

  function lose() {
    isLost = true;
    draw();
  }

  const sign = () => { if (!isLost) asker.send({ type: "look", viewer }); };
  const onVisible = () => { if (!document.hidden) sign(); };
  const sized = new ResizeObserver(draw);
  sized.observe(frame);
  sized.observe(grid);
  document.addEventListener("pointerup", onUp);
  document.addEventListener("pointerdown", onOutside);
  document.addEventListener("visibilitychange", onVisible);
  model.on("comm_live_update", lose);
  model.on("destroy", lose);
  const timer = setInterval(sign, SIGN_OF_LIFE_MS);
  sign();
  drawChips();
  rows.reset(look);
  count("count");
  draw();
  return () => {
    clearInterval(timer);
    clearTimeout(summaryTimer);
    clearTimeout(typing);
    sized.disconnect();
    document.removeEventListener("pointerup", onUp);
    document.removeEventListener("pointerdown", onOutside);
    document.removeEventListener("visibilitychange", onVisible);
    model.off("comm_live_update", lose);
    model.off("destroy", lose);
    if (!isLost) {
      asker.close();
      asker.send({ type: "look_away", viewer });
    }
    root.remove();
  };
}

export default { render };
