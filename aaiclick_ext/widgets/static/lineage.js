// A lineage picture to look around in: select, search, fold, zoom, pan; a panel tells the rest.
// The only messages sent are {type: "select", node}, {type: "draw", mode},
// {type: "ask", …} and {type: "stop", request}.

const HINT = "Click a step, or press Tab and Enter, to see how it was made. Ctrl and wheel zoom, dragging pans.";
const TOGGLES = [
  ["columns", "Columns", "Draw edges from column to column"],
  ["cells", "Cells", "Put the steps of a cell into a box"],
  ["fold", "Fold", "Draw unnamed steps and long chains as one"],
];

/** What a search looks through, of each node and item. */
function searchable(nodes, items) {
  const texts = new Map();
  for (const node of nodes.values()) {
    const columns = node.columns.map(([name]) => name);
    texts.set(node.id, [node.operation, node.name, node.cell, node.table, node.state, ...columns]);
  }
  for (const item of items.values()) {
    if (item.column) texts.set(item.id, [item.column]);
  }
  return new Map([...texts].map(([id, parts]) => [id, parts.join("\n").toLowerCase()]));
}

function render({ model, el }) {
  const nodes = new Map();
  const questions = new Questions(model);
  const canvas = make("div", "canvas"), level = make("span", "level"), keys = make("span", "keys");
  const said = make("p", "said"), hint = note(HINT), spoken = make("p", "spoken");
  spoken.setAttribute("role", "status");
  const zoom = make("span", "zoom",
    button("Zoom out (−)", "−", () => picture.camera.by(1 / 1.3)), level,
    button("Zoom in (+)", "+", () => picture.camera.by(1.3)),
    button("Fit (0)", "Fit", () => picture.camera.fit()));
  const toggles = TOGGLES.map(([key, text, label]) => {
    const element = button(label, text, () => draw({ [key]: !mode()[key], opened: [] }));
    return [key, element];
  });
  const search = make("input", "search"), count = make("span", "count");
  search.type = "search";
  search.placeholder = "Search";
  search.setAttribute("aria-label", "Search steps by variable, table, operation or column");
  count.setAttribute("role", "status");
  const tools = make("div", "tools", make("span", "title", model.get("_description")), keys,
    make("span", "find", search, count), make("span", "modes", ...toggles.map(([, e]) => e)), zoom);
  const panel = new Panel(questions, nodes, {
    close: () => leave(),
    open: (members) => draw({ opened: [...mode().opened, ...members] }),
    around: (id) => around(id),
  });
  const body = make("div", "body", canvas, panel.element);
  const view = make("div", "aai-lineage", tools, said, body, hint, spoken);
  view.setAttribute("data-lm-suppress-shortcuts", "true"); // Lab's, while the focus is here
  el.append(view);

  let picture, items, texts, found = [], at = -1, begun = false;
  const mode = () => model.get("_drawing").mode;
  const item = (id) => items.get(id);
  const node = (id) => nodes.get(item(id)?.members ? "" : item(id)?.of ?? id);

  function draw(change) {
    const next = { ...mode(), ...change };
    if (next.columns) next.cells = false;
    model.send({ type: "draw", mode: next });
  }

  /** Take over what is said of the nodes; one that is as it was stays the same object. */
  function hear() {
    for (const told of model.get("_nodes")) {
      if (JSON.stringify(nodes.get(told.id)) !== JSON.stringify(told)) nodes.set(told.id, told);
    }
  }

  function redraw() {
    const drawing = model.get("_drawing"), drawnAs = JSON.stringify(drawing.mode);
    const again = begun && picture.drawnAs === drawnAs; // only how a step is has changed
    const before = again && { camera: picture.camera, at: picture.camera.centre(fixed()) };
    hear();
    items = new Map((drawing.items ?? []).map((entry) => [entry.id, entry]));
    texts = searchable(nodes, items);
    picture = new Picture(canvas, drawing, new Set([...nodes.keys(), ...items.keys()]));
    picture.camera.changed = () => {
      level.textContent = `${Math.round(picture.camera.zoom * 100)} %`;
    };
    const shown = picture.groups.map((group) => nodes.get(group.id)).filter(Boolean);
    const present = new Set(shown.flatMap(({ kind, state }) => (state === "failed" ? [state] : [kind, state])));
    if (!present.has("stale") && !present.has("dropped")) present.delete("alive");
    if ([...items.values()].some((entry) => entry.members)) present.add("fold");
    keys.replaceChildren(legend(present));
    for (const [key, element] of toggles) {
      element.setAttribute("aria-pressed", String(Boolean(drawing.mode?.[key])));
      element.disabled = Boolean(drawing.mode?.columns) && key !== "columns";
    }
    said.replaceChildren(drawing.said ?? "");
    if (drawing.mode?.near && /farther/.test(drawing.said)) {
      said.append(" ", button("Draw all steps", "Draw all steps", () => draw({ near: false })));
    }
    view.classList.toggle("by-column", Boolean(drawing.mode?.columns));
    picture.drawnAs = drawnAs;
    if (again) picture.camera.follow(before.camera, before.at, fixed());
    else {
      begun = false;
      measure();
    }
    look(!again);
    show(!again || panel.node !== node(model.get("_chosen")));
  }

  /** What stays where it is when the picture is drawn again: the chosen node, or the root. */
  function fixed() {
    return picture.byId.get(model.get("_chosen")) ?? picture.root;
  }

  /** What a column is made of, comes from and goes into, as pairs of a label and texts. */
  function around(id) {
    const name = (end) => {
      const { column } = item(end) ?? {}, of = node(end) ?? {};
      const table = of.name || `${of.operation ?? ""} ${of.cell ?? ""}`.trim();
      return column ? `${column} of ${table}` : table;
    };
    const told = (end, use) => (use && use !== "value" ? `${name(end)} (${use})` : name(end));
    const { edges } = picture, values = new Map();
    for (const [source, target, use] of edges) {
      if (use === "value") values.set(target, [...(values.get(target) ?? []), source]);
    }
    const before = [...reach(values, id)].filter((end) => item(end)?.column && !values.has(end));
    return [
      ["made of", before.map(name)],
      ["from", edges.filter(([, target]) => target === id).map(([end, , use]) => told(end, use))],
      ["into", edges.filter(([source]) => source === id).map(([, end, use]) => told(end, use))],
    ];
  }

  function show(tells = true) {
    const id = model.get("_chosen"), chosen = node(id);
    const drawnId = picture.byId.has(id) || !id ? id
      : [...items.values()].find((entry) => entry.members?.includes(id))?.id ?? id;
    picture.light(drawnId);
    const open = Boolean(chosen || item(id)?.members);
    view.classList.toggle("open", open);
    hint.hidden = open;
    panel.element.hidden = !open;
    if (open && tells) panel.show(chosen, item(id));
    spoken.textContent = !open ? "" : `Details of ${picture.byId.get(drawnId)?.getAttribute("aria-label") ?? ""}`;
  }

  function select(id) {
    if (model.get("_chosen") === id) return;
    model.set("_chosen", id); // locally, for all views of this model, also without a kernel
    model.send({ type: "select", node: id || null });
  }

  /** Close the panel; a focus that was in it goes back to the node. */
  function leave() {
    const group = picture.byId.get(model.get("_chosen"));
    const inside = panel.element.contains(document.activeElement);
    select("");
    if (inside) (group ?? picture.root)?.focus({ preventScroll: true });
  }

  function look(reveals = true) {
    const asked = search.value.trim().toLowerCase();
    at = -1;
    if (!asked) {
      picture.mark(null);
      count.textContent = "";
      return;
    }
    const hits = [...texts].filter(([, text]) => text.includes(asked)).map(([id]) => id);
    const folds = [...items.values()].filter((entry) => entry.members?.some((id) => hits.includes(id)));
    const ids = new Set([...hits, ...folds.map((entry) => entry.id)]);
    picture.mark(ids);
    found = picture.groups.filter((group) => ids.has(group.id));
    const hidden = hits.filter((id) => !picture.byId.has(id)).length;
    if (found.length && reveals) picture.camera.reveal(found[0]);
    const aside = hidden ? `, ${hidden} not drawn` : "";
    count.textContent = hits.length ? `${hits.length} found${aside}` : "none found";
  }

  /** Go to the next node that was found. */
  function next() {
    if (!search.value.trim() || !found.length) return;
    at = (at + 1) % found.length;
    picture.camera.reveal(found[at]);
    select(found[at].id);
    count.textContent = `${at + 1} of ${found.length}`;
  }

  search.addEventListener("input", () => look());
  search.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") next();
    else if (event.key === "Escape" && search.value) { search.value = ""; look(); event.preventDefault(); }
    else if (event.key === "Escape") leave();
  });
  panel.element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { leave(); event.preventDefault(); }
    event.stopPropagation();
  });

  let drag = null;
  const listeners = {
    pointerdown(event) {
      if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false };
    },
    pointermove(event) {
      if (!drag) return;
      const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
      if (!drag.moved && Math.hypot(dx, dy) < 4) return;
      if (!drag.moved) canvas.setPointerCapture(event.pointerId);
      Object.assign(drag, { x: event.clientX, y: event.clientY, moved: true });
      canvas.classList.add("dragging");
      picture.camera.pan(dx, dy);
    },
    pointerup(event) {
      const moved = drag?.moved;
      drag = null;
      canvas.classList.remove("dragging");
      if (moved || event.button !== 0) return;
      const group = event.target.closest?.("g.node");
      const id = group ? meant(group) : "";
      select(id === model.get("_chosen") ? "" : id);
    },
    pointercancel() {
      drag = null;
      canvas.classList.remove("dragging");
    },
    wheel(event) {
      if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls the page
      event.preventDefault();
      const box = canvas.getBoundingClientRect();
      const factor = Math.exp(-event.deltaY / 300);
      picture.camera.by(factor, event.clientX - box.x, event.clientY - box.y, false);
    },
    focusin(event) {
      const group = event.target.closest?.("g.node");
      if (picture.byId.has(group?.id)) picture.rove(group);
    },
    keydown(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const group = event.target.closest?.("g.node"), { camera } = picture;
      const keys = {
        Escape: () => leave(), "+": () => camera.by(1.3), "=": () => camera.by(1.3),
        "-": () => camera.by(1 / 1.3), 0: () => camera.fit(), "/": () => search.focus(),
        Enter: () => group && select(group.id), " ": () => group && select(group.id),
      };
      if (event.key.startsWith("Arrow")) {
        const next = group && neighbour(camera, picture.groups, group, event.key);
        if (next) {
          picture.rove(next);
          next.focus({ preventScroll: true });
          camera.reveal(next);
        }
      } else if (keys[event.key]) keys[event.key]();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  };
  for (const [name, act] of Object.entries(listeners)) {
    canvas.addEventListener(name, act, { passive: false });
  }

  /** Give the canvas its height for a new drawing, and show it; keep to what the user did later. */
  function measure() {
    const { camera } = picture, { width } = camera.room;
    if (!width) return;
    if (!begun) {
      const scale = Math.min((width - 2 * MARGIN) / camera.size.width, 1);
      const height = camera.size.height * Math.max(scale, FIRST_ZOOM) + 2 * MARGIN;
      canvas.style.height = `${Math.min(Math.max(height, MIN_HEIGHT), MAX_HEIGHT)}px`;
      begun = true;
      camera.begin(picture.root);
    } else if (camera.fitted && !camera.moved) camera.fit(false);
    else if (!camera.moved) camera.begin(picture.root);
    const chosen = picture.byId.get(model.get("_chosen"));
    if (chosen) camera.reveal(chosen);
  }

  const refused = (message) => {
    if (message?.type === "refused") said.replaceChildren(String(message.error));
  };
  const choose = () => show();
  const watcher = new ResizeObserver(measure);
  redraw();
  watcher.observe(canvas);
  model.on("change:_chosen", choose);
  model.on("change:_drawing", redraw);
  model.on("msg:custom", refused);
  return () => {
    watcher.disconnect();
    questions.close();
    model.off("change:_chosen", choose);
    model.off("change:_drawing", redraw);
    model.off("msg:custom", refused);
  };
}

export default { render };
