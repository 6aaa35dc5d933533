// The summary of a column in its header: a histogram, or its most frequent values; and a caption.
// Dragging over bins chooses a range, a click on a value chooses that. What is not chosen is pale.

const SVG = "http://www.w3.org/2000/svg";
const PLOT_HEIGHT = 36;

const counted = (number) => number.toLocaleString("en-US");

function percent(part, whole) {
  const share = (100 * part) / whole;
  return share > 0 && share < 1 ? "<1%" : `${Math.round(share)}%`;
}

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function captionOf(summary) {
  if (!summary.rows) return "no rows";
  const parts = [];
  if (summary.nulls === summary.rows) return "all null";
  if (summary.bins.length) parts.push(`${shortened(summary.min)} – ${shortened(summary.max)}`);
  else if (summary.lengths) parts.push(`lengths ${counted(summary.lengths[0])} – ${counted(summary.lengths[1])}`);
  else if (summary.distinct !== null) {
    const is = summary.exact ? "" : "~";
    parts.push(summary.exact && summary.distinct === summary.rows ? "all distinct" : `${is}${counted(summary.distinct)} distinct`);
  }
  if (summary.nulls) parts.push(`${percent(summary.nulls, summary.rows)} null`);
  if (summary.odd) parts.push(`${counted(summary.odd)} NaN or inf`);
  return parts.join(" · ");
}

function shortened(text) {
  if (text === null) return "";
  if (/^\d{4}-\d\d-\d\d/.test(text)) return text.slice(0, 10);
  const parts = /^(-?\d+)(\.\d+)?(e[+-]?\d+)?$/i.exec(text);
  if (!parts || (!parts[2] && !parts[3])) return text; // whole numbers as they are: a float has no 2^53 + 1
  if (!parts[3] && parts[1].length > 4) return parts[1];
  return text.length <= 7 ? text : String(Number(Number(text).toPrecision(5)));
}

// Bars as {height, title, filter parts}; the last ones may be what else there is.
function barsOf(summary) {
  if (summary.bins.length) {
    return summary.bins.map(([low, high, count], at) => ({
      count, low, high, isLast: at === summary.bins.length - 1,
      title: `${low} – ${high}: ${counted(count)}`,
    }));
  }
  const bars = summary.top.map(([text, count, value, isCut]) => ({
    count, value, isCut, isValue: true, title: `${text === "" ? "(empty)" : text}: ${counted(count)}`,
  }));
  const others = summary.rows - summary.nulls - summary.top.reduce((sum, [, count]) => sum + count, 0);
  if (bars.length && others > 0 && summary.distinct > bars.length) {
    bars.push({ count: others, isRest: true, title: `others: ${counted(others)}` });
  }
  return bars;
}

// A number or a time as a number.
const placeOf = (text) => (isNaN(text) ? Date.parse(text.replace(" ", "T") + (text.length > 10 ? "Z" : "")) : Number(text));

// Whether a bar, or most of it, is in the column's own filters, which its summary leaves out.
function isChosen(bar, range, values) {
  if (bar.isValue || bar.isRest) return !values || (bar.isValue && values.includes(bar.value));
  const [low, high] = range ?? [null, null], middle = (placeOf(bar.low) + placeOf(bar.high)) / 2;
  return !(low !== null && middle < placeOf(low)) && !(high !== null && middle > placeOf(high));
}

function drawPlot(place, caption, summary, width, { range, values, onRange, onValue }) {
  place.replaceChildren();
  const still = captionOf(summary);
  caption.textContent = still;
  caption.title = still;
  const bars = barsOf(summary);
  if (!bars.length || !summary.rows) return;
  const highest = Math.max(...bars.filter((bar) => !bar.isRest).map((bar) => bar.count), 1);
  const svg = shape("svg", { width, height: PLOT_HEIGHT, "aria-hidden": "true" });
  const slot = width / bars.length;
  const rects = bars.map((bar, at) => {
    const share = Math.min(1, bar.count / highest);
    const height = bar.count ? Math.max(2, share * (PLOT_HEIGHT - 2)) : 0;
    const rect = shape("rect", {
      x: (at * slot).toFixed(2), y: (PLOT_HEIGHT - height).toFixed(2),
      width: Math.max(1, slot - (slot > 4 ? 1 : 0)).toFixed(2), height: height.toFixed(2),
      class: `${bar.isRest ? "rest" : "bar-mark"}${isChosen(bar, range, values) ? "" : " is-out"}`,
    });
    svg.append(rect);
    return rect;
  });
  const brush = shape("rect", { y: 0, height: PLOT_HEIGHT, class: "brush", width: 0, x: 0 });
  svg.append(brush);
  let from = null;
  const at = (event) => {
    const x = event.clientX - svg.getBoundingClientRect().left;
    return Math.max(0, Math.min(bars.length - 1, Math.floor(x / slot)));
  };
  svg.addEventListener("pointermove", (event) => {
    const over = at(event);
    caption.textContent = bars[over].title;
    rects.forEach((rect, n) => rect.classList.toggle("over", n === over));
    if (from === null || bars[0].isValue) return;
    const [low, high] = [Math.min(from, over), Math.max(from, over)];
    brush.setAttribute("x", low * slot);
    brush.setAttribute("width", (high - low + 1) * slot);
  });
  svg.addEventListener("pointerleave", () => {
    if (from !== null) return;
    caption.textContent = still;
    rects.forEach((rect) => rect.classList.remove("over"));
  });
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    from = at(event);
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const [low, high] = [Math.min(from, at(event)), Math.max(from, at(event))];
    from = null;
    if (bars[low].isRest) return;
    if (bars[low].isValue) {
      if (!bars[low].isCut) onValue(bars[low].value);
    } else onRange(bars[low].low, bars[high].high, !bars[high].isLast);
  });
  place.append(svg);
}
