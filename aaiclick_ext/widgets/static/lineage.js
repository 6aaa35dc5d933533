// A lineage picture to look around in: select, highlight, zoom, pan. Loads nothing.
// Everything shown is untrusted: text is set as textContent, the drawing is copied element by
// element through the allow-lists of svg.py. The only message sent is {type: "select", node}.

const SVG = "http://www.w3.org/2000/svg";
const ELEMENTS = new Set(["svg", "g", "title", "path", "polygon", "polyline", "ellipse", "text"]);
const ATTRIBUTES = new Set([
  "aria-label", "class", "cx", "cy", "d", "fill", "font-family", "font-size", "font-weight",
  "height", "id", "points", "role", "rx", "ry", "stroke", "stroke-dasharray", "stroke-width",
  "text-anchor", "transform", "viewBox", "width", "x", "y",
]);
const LEGEND = [
  ["source", "source", "M1 1h9l3 3v9h-12z"],
  ["table", "table", "M1 3c0-2.6 12-2.6 12 0v8c0 2.6-12 2.6-12 0zM1 3c0 2.4 12 2.4 12 0"],
  ["view", "view", "M4 2h6q3 0 3 3v4q0 3-3 3h-6q-3 0-3-3v-4q0-3 3-3z"],
  ["sink", "result", "M4 2h9.5l-3.5 10h-9.5z"],
  ["stale", "stale", "M.5 1h13v12h-13zM3 3.5h8v7h-8z"],
  ["dropped", "dropped", "M1.5 2h11v10h-11z"],
  ["failed", "failed", "M4.5 1h5l3.5 3.5v5l-3.5 3.5h-5l-3.5-3.5v-5z"],
];
const MAX_ZOOM = 3, FIRST_ZOOM = 0.7, MARGIN = 14, MAX_HEIGHT = 640, MIN_HEIGHT = 120;

/** Make an element of text and children; never of markup. */
function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

function drawn(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Copy what is allowed of an SVG element, or return null. */
function allowed(element) {
  if (element.namespaceURI !== SVG || !ELEMENTS.has(element.localName)) return null;
  const copy = document.createElementNS(SVG, element.localName);
  for (const { name, value } of element.attributes) {
    const safe = name === "aria-label" || !/:|url\(/i.test(value);
    if (ATTRIBUTES.has(name) && safe) copy.setAttribute(name, value);
  }
  if (element.localName === "text" || element.localName === "title") {
    copy.textContent = element.textContent;
  } else {
    for (const child of element.children) {
      const inner = allowed(child);
      if (inner) copy.append(inner);
    }
  }
  return copy;
}

function parse(text) {
  const parsed = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  return parsed.localName === "svg" ? allowed(parsed) : null;
}

/** Everything that can be reached from a node along links. */
function reach(links, start) {
  const seen = new Set(), waiting = [start];
  while (waiting.length) {
    for (const next of links.get(waiting.pop()) ?? []) {
      if (next !== start && !seen.has(next)) { seen.add(next); waiting.push(next); }
    }
  }
  return seen;
}

/** The drawing in its window: where it is and how large. */
class Camera {
  constructor(canvas, svg) {
    const box = (svg.getAttribute("viewBox") ?? "").split(/\s+/).map(Number);
    this.size = { width: box[2] || 100, height: box[3] || 100 };
    this.canvas = canvas;
    this.scene = drawn("g", { class: "scene" });
    this.scene.append(...svg.childNodes);
    svg.append(this.scene);
    for (const name of ["viewBox", "width", "height"]) svg.removeAttribute(name);
    this.moved = false;
    this.x = this.y = 0;
    this.zoom = 1;
  }

  get room() {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  get whole() {
    const { width, height } = this.room;
    return Math.min(
      (width - 2 * MARGIN) / this.size.width, (height - 2 * MARGIN) / this.size.height, 1);
  }

  place(zoom, x, y, smooth = true) {
    Object.assign(this, { zoom, x, y });
    this.scene.classList.toggle("smooth", smooth);
    this.scene.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    this.changed?.();
  }

  fit(smooth = true) {
    this.moved = false;
    const zoom = Math.max(this.whole, 0.02), { width, height } = this.room;
    this.place(zoom, (width - zoom * this.size.width) / 2,
      (height - zoom * this.size.height) / 2, smooth);
  }

  by(factor, x = this.room.width / 2, y = this.room.height / 2, smooth = true) {
    const zoom = Math.min(Math.max(this.zoom * factor, Math.min(this.whole, 0.2)), MAX_ZOOM);
    const ratio = zoom / this.zoom;
    this.moved = true;
    this.place(zoom, x - (x - this.x) * ratio, y - (y - this.y) * ratio, smooth);
  }

  pan(dx, dy, smooth = false) {
    this.moved = true;
    this.place(this.zoom, this.x + dx, this.y + dy, smooth);
  }

  /** Centre of an element, in the drawing's own units. */
  centre(element) {
    const box = element.getBBox(), [, dx, dy] =
      /translate\(([-\d.]+)[ ,]+([-\d.]+)\)/.exec(element.parentNode.getAttribute("transform")) ?? [0, 0, 0];
    return { x: box.x + box.width / 2 + Number(dx), y: box.y + box.height / 2 + Number(dy) };
  }

  /** Show an element: move as little as is needed. */
  reveal(element) {
    const at = this.centre(element), box = element.getBBox(), { width, height } = this.room;
    const into = (middle, half, length) =>
      middle - half < MARGIN ? MARGIN - (middle - half)
        : middle + half > length - MARGIN ? length - MARGIN - (middle + half) : 0;
    const dx = into(this.x + at.x * this.zoom, (box.width / 2) * this.zoom, width);
    const dy = into(this.y + at.y * this.zoom, (box.height / 2) * this.zoom, height);
    if (dx || dy) this.pan(dx, dy, true);
  }

  /** Begin: the whole where it can be read, else the asked for node in a readable size. */
  begin(root) {
    this.fit(false);
    if (this.zoom >= FIRST_ZOOM || !root) return;
    const at = this.centre(root), { width, height } = this.room;
    const filled = (middle, length, room) => length + 2 * MARGIN <= room ? (room - length) / 2
      : Math.min(MARGIN, Math.max(room - length - MARGIN, room / 2 - middle));
    this.place(FIRST_ZOOM,
      filled(at.x * FIRST_ZOOM, this.size.width * FIRST_ZOOM, width),
      filled(at.y * FIRST_ZOOM, this.size.height * FIRST_ZOOM, height), false);
  }
}

function legend(nodes) {
  const present = new Set(nodes.flatMap((node) => [node.kind, node.state]));
  const list = make("ul", "legend");
  for (const [key, word, path] of LEGEND) {
    if (!present.has(key)) continue;
    const icon = drawn("svg", { viewBox: "0 0 14 14", "aria-hidden": "true", class: `key-${key}` });
    icon.append(drawn("path", { d: path }));
    list.append(make("li", "", icon, word));
  }
  return list;
}

function button(label, text, act) {
  const element = make("button", "", text);
  element.type = "button";
  element.title = label;
  element.setAttribute("aria-label", label);
  element.addEventListener("click", act);
  return element;
}

function details(node, hint) {
  const box = make("section", "details");
  box.setAttribute("aria-label", "Details");
  if (!node) {
    box.append(make("p", "hint", hint));
    return box;
  }
  const head = make("p", "head", make("strong", "", node.operation));
  for (const part of ["name", "cell", "rows", "state"]) {
    if (node[part]) head.append(make("span", `${part} is-${node.state}`, node[part]));
  }
  box.append(head);
  if (node.error) box.append(make("pre", "error", node.error));
  const facts = make("dl", "");
  for (const [label, text] of node.facts) facts.append(make("dt", "", label), make("dd", "", text));
  box.append(facts);
  for (const [part, label] of [["sql", "SQL"], ["source", "Cell"]]) {
    if (node[part]) box.append(make("h4", "", label), make("pre", part, node[part]));
  }
  return box;
}

/** The id of a node, or of the one that a reference stands for: a class of-n3. */
function meant(group) {
  return [...group.classList].find((name) => name.startsWith("of-"))?.slice(3) ?? group.id;
}

/** The nearest node in the direction of an arrow key, sideways distance counting double. */
function neighbour(camera, groups, from, key) {
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  const start = camera.centre(from);
  let best = null, least = Infinity;
  for (const group of groups) {
    const at = camera.centre(group);
    const x = at.x - start.x, y = at.y - start.y, ahead = x * dx + y * dy;
    const distance = ahead + 2 * Math.abs(x * dy + y * dx);
    if (group !== from && ahead > 4 && distance < least) [best, least] = [group, distance];
  }
  return best;
}

function render({ model, el }) {
  const nodes = new Map(model.get("_nodes").map((node) => [node.id, node]));
  const edges = model.get("_edges"), down = new Map(), up = new Map();
  for (const [source, target] of edges) {
    down.set(source, [...(down.get(source) ?? []), target]);
    up.set(target, [...(up.get(target) ?? []), source]);
  }
  const svg = parse(model.get("_svg")) ?? drawn("svg", {});
  const canvas = make("div", "canvas"), camera = new Camera(canvas, svg);
  canvas.append(svg);
  canvas.setAttribute("data-lm-suppress-shortcuts", "true"); // Lab's, while the focus is here
  svg.setAttribute("role", "group");
  const groups = [...svg.querySelectorAll("g.node")].filter((group) => nodes.has(group.id));
  const byId = new Map(groups.map((group) => [group.id, group]));
  const root = groups.find((group) => nodes.get(group.id).root) ?? groups[0];
  const lines = new Map(); // an edge's number → its line, and its reference: e7, r7
  for (const group of svg.querySelectorAll("g.edge, g.far")) {
    const number = group.id.slice(1);
    lines.set(number, [...(lines.get(number) ?? []), group]);
  }
  for (const group of groups) {
    group.setAttribute("role", "button");
    group.setAttribute("tabindex", group === root ? "0" : "-1");
  }

  const level = make("span", "level");
  camera.changed = () => { level.textContent = `${Math.round(camera.zoom * 100)} %`; };
  const tools = make("div", "tools", make("span", "title", model.get("_description")),
    legend([...nodes.values()]), make("span", "zoom",
      button("Zoom out (−)", "−", () => camera.by(1 / 1.3)), level,
      button("Zoom in (+)", "+", () => camera.by(1.3)),
      button("Fit (0)", "Fit", () => camera.fit())));
  const strip = make("div", "strip");
  strip.setAttribute("aria-live", "polite");
  const tall = camera.size.height > camera.size.width ? " tall" : "";
  const view = make("div", "aai-lineage", tools, make("div", `body${tall}`, canvas, strip));
  el.append(view);

  function show() {
    const id = model.get("_chosen"), node = nodes.get(id);
    const above = node ? reach(up, id) : new Set(), below = node ? reach(down, id) : new Set();
    const lit = (set, [source, target]) =>
      (set.has(source) || source === id) && (set.has(target) || target === id);
    svg.classList.toggle("chosen", Boolean(node));
    for (const [key, group] of byId) {
      group.classList.toggle("selected", key === id);
      group.classList.toggle("ancestor", above.has(key));
      group.classList.toggle("descendant", below.has(key));
      group.setAttribute("aria-pressed", String(key === id));
    }
    edges.forEach((edge, number) => {
      for (const group of lines.get(String(number)) ?? []) {
        group.classList.toggle("ancestor", Boolean(node) && lit(above, edge));
        group.classList.toggle("descendant", Boolean(node) && lit(below, edge));
      }
    });
    strip.replaceChildren(details(node, "Click a step, or press Tab and Enter, to see how it was made. Ctrl and wheel zoom, dragging pans."));
    if (node) rove(byId.get(id));
  }

  function rove(group) {
    for (const other of groups) other.setAttribute("tabindex", other === group ? "0" : "-1");
  }

  function select(id) {
    if (model.get("_chosen") === id) return;
    model.set("_chosen", id); // locally, for all views of this model, also without a kernel
    model.send({ type: "select", node: id || null });
  }

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
      camera.pan(dx, dy);
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
      camera.by(Math.exp(-event.deltaY / 300), event.clientX - box.x, event.clientY - box.y, false);
    },
    focusin(event) {
      const group = event.target.closest?.("g.node");
      if (group) rove(group);
    },
    keydown(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const group = event.target.closest?.("g.node");
      const keys = {
        Escape: () => select(""), "+": () => camera.by(1.3), "=": () => camera.by(1.3),
        "-": () => camera.by(1 / 1.3), 0: () => camera.fit(),
        Enter: () => group && select(group.id), " ": () => group && select(group.id),
      };
      if (event.key.startsWith("Arrow")) {
        const next = group && neighbour(camera, groups, group, event.key);
        if (next) {
          rove(next);
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

  let begun = false;
  const watcher = new ResizeObserver(() => {
    const { width } = camera.room;
    if (!width) return;
    if (!begun) {
      const zoom = Math.min((width - 2 * MARGIN) / camera.size.width, 1);
      const height = camera.size.height * Math.max(zoom, FIRST_ZOOM) + 2 * MARGIN;
      canvas.style.height = `${Math.min(Math.max(height, MIN_HEIGHT), MAX_HEIGHT)}px`;
      begun = true;
      camera.begin(root);
    } else if (!camera.moved) camera.begin(root);
  });
  watcher.observe(canvas);
  model.on("change:_chosen", show);
  show();
  return () => {
    watcher.disconnect();
    model.off("change:_chosen", show);
  };
}

export default { render };
