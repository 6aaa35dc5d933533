// The drawing of a lineage picture: cleaned, in a window that zooms and pans. Loads nothing.
// Everything shown is untrusted: text is set as textContent, the drawing is copied element by
// element through the allow-lists of svg.py.
// These files are joined to one module, in the order drawing, panel, lineage.

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
  ["fold", "folded steps", "M1 12v-9h5l1.5-2h5.5v11z"],
  ["alive", "alive", "M1.5 2h11v10h-11z"],
  ["stale", "stale", "M.5 1h13v12h-13zM3 3.5h8v7h-8z"],
  ["dropped", "dropped", "M1.5 2h11v10h-11z"],
  ["failed", "failed", "M4.5 1h5l3.5 3.5v5l-3.5 3.5h-5l-3.5-3.5v-5z"],
];
const MAX_ZOOM = 3, FIRST_ZOOM = 0.7, READABLE = 0.55, MARGIN = 14, MAX_HEIGHT = 640, MIN_HEIGHT = 120;

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
    this.moved = this.fitted = false;
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
    this.fitted = true;
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

  /** Be where another camera was, so that what it had at a point is in the same place. */
  follow(other, at, element) {
    const { zoom } = other, { x, y } = this.centre(element);
    Object.assign(this, { moved: other.moved, fitted: other.fitted });
    this.place(zoom, other.x + (at.x - x) * zoom, other.y + (at.y - y) * zoom, false);
  }

  /** Begin: the whole where it can be read, else the asked for node in a readable size. */
  begin(root) {
    this.fit(false);
    if (this.zoom >= READABLE || !root) return;
    this.fitted = false;
    const at = this.centre(root), { width, height } = this.room;
    const filled = (middle, length, room) => length + 2 * MARGIN <= room ? (room - length) / 2
      : Math.min(MARGIN, Math.max(room - length - MARGIN, room / 2 - middle));
    this.place(FIRST_ZOOM,
      filled(at.x * FIRST_ZOOM, this.size.width * FIRST_ZOOM, width),
      filled(at.y * FIRST_ZOOM, this.size.height * FIRST_ZOOM, height), false);
  }
}

function legend(keys) {
  const list = make("ul", "legend");
  for (const [key, word, path] of LEGEND) {
    if (!keys.has(key)) continue;
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
  if (text !== label) element.setAttribute("aria-label", label);
  element.addEventListener("click", act);
  return element;
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

/** One drawing: its groups by id, its edges, and what is above and below of what. */
class Picture {
  constructor(canvas, drawing, ids) {
    this.svg = parse(drawing.svg ?? "") ?? drawn("svg", {});
    this.camera = new Camera(canvas, this.svg);
    canvas.replaceChildren(this.svg);
    this.svg.setAttribute("role", "group");
    this.groups = [...this.svg.querySelectorAll("g.node")].filter((group) => ids.has(group.id));
    this.byId = new Map(this.groups.map((group) => [group.id, group]));
    this.root = this.groups.find((group) => group.classList.contains("root")) ?? this.groups[0];
    this.edges = drawing.edges ?? [];
    this.down = new Map();
    this.up = new Map();
    for (const [source, target] of this.edges) {
      this.down.set(source, [...(this.down.get(source) ?? []), target]);
      this.up.set(target, [...(this.up.get(target) ?? []), source]);
    }
    this.lines = new Map(); // an edge's number → its line, and its reference: e7, r7
    for (const group of this.svg.querySelectorAll("g.edge, g.far")) {
      const number = group.id.slice(1);
      this.lines.set(number, [...(this.lines.get(number) ?? []), group]);
    }
    for (const group of this.groups) group.setAttribute("role", "button");
    this.rove(this.root);
  }

  /** Let Tab reach one node; arrow keys reach the others. */
  rove(group) {
    for (const other of this.groups) other.setAttribute("tabindex", other === group ? "0" : "-1");
  }

  /** Show what a node was made of and what was made of it; of none, everything alike. */
  light(id) {
    const chosen = this.byId.has(id);
    const above = chosen ? reach(this.up, id) : new Set();
    const below = chosen ? reach(this.down, id) : new Set();
    const lit = (set, [source, target]) =>
      (set.has(source) || source === id) && (set.has(target) || target === id);
    this.svg.classList.toggle("chosen", chosen);
    for (const [key, group] of this.byId) {
      group.classList.toggle("selected", key === id);
      group.classList.toggle("ancestor", above.has(key));
      group.classList.toggle("descendant", below.has(key));
      group.setAttribute("aria-pressed", String(key === id));
    }
    this.edges.forEach((edge, number) => {
      for (const group of this.lines.get(String(number)) ?? []) {
        group.classList.toggle("ancestor", chosen && lit(above, edge));
        group.classList.toggle("descendant", chosen && lit(below, edge));
      }
    });
    if (chosen) this.rove(this.byId.get(id));
  }

  /** Mark the nodes that a search found. */
  mark(ids) {
    this.svg.classList.toggle("searching", ids !== null);
    for (const [key, group] of this.byId) {
      group.classList.toggle("match", Boolean(ids?.has(key)));
    }
  }
}
