// The chart of a live result, drawn by uPlot, which stands above this in the same module.

const CHART_HEIGHT = 240;
const DAY_S = 86400, NEW_DAY = "\n{YYYY}-{MM}-{DD}";

// Of each distance between ticks: a tick, and what is added where a year, month, day… begins.
const TIMES = [
  [365 * DAY_S, "{YYYY}", null, null, null, null, null, null, 1],
  [28 * DAY_S, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
  [DAY_S, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", NEW_DAY, null, NEW_DAY, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", NEW_DAY, null, NEW_DAY, null, null, null, 1],
  [0.001, "{ss}.{fff}", `${NEW_DAY} {HH}:{mm}`, null, `${NEW_DAY} {HH}:{mm}`, null, "\n{HH}:{mm}", null, 1],
];

function drawChart(place, root) {
  let plot = null, shape = null, chart = null;
  const summary = make("div", "summary");
  const paper = make("div", "paper");
  place.append(paper, summary);

  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const width = () => Math.max(240, paper.clientWidth || 640);

  /** Bars of several columns stand side by side in their slot. */
  function bars(number) {
    const count = chart.y.length;
    const gaps = chart.x.slice(1).map((x, at) => x - chart.x[at]).filter((gap) => gap > 0);
    const slot = gaps.length ? Math.min(...gaps) : 1;
    const wide = (0.8 * slot) / count;
    return uPlot.paths.bars({
      align: 1,
      disp: {
        x0: { unit: 1, values: () => chart.x.map((x) => x - 0.4 * slot + wide * number) },
        size: { unit: 1, values: () => [wide] },
      },
    });
  }

  function options() {
    const axis = {
      stroke: () => colour("--soft"),
      font: "12px system-ui, sans-serif",
      grid: { stroke: () => colour("--line"), width: 1 },
      ticks: { stroke: () => colour("--line"), width: 1 },
    };
    const labels = (_, splits) => splits.map((at) => chart.labels[at] ?? "");
    const short = (text) => (text.length > 16 ? `${text.slice(0, 15)}…` : text);
    const half = chart.x.length > 1 ? (chart.x.at(-1) - chart.x[0]) / (chart.x.length - 1) / 2 : 0.5;
    return {
      width: width(),
      height: CHART_HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: {
        x: {
          time: chart.time,
          range: chart.bars ? (_, low, high) => [low - half, high + half] : undefined,
        },
        y: chart.bars ? {
          range: (_, low, high) => uPlot.rangeNum(Math.min(low, 0), Math.max(high, 0), 0.1, true),
        } : {},
      },
      axes: [
        chart.labels
          ? { ...axis, values: (u, s) => labels(u, s).map(short), incrs: [1, 2, 5, 10, 20, 50, 100] }
          : { ...axis, space: 80, ...(chart.time ? { values: TIMES } : {}) },
        { ...axis, size: 64 },
      ],
      series: [
        chart.labels
          ? { label: chart.name, value: (_, at) => (at === null ? "" : chart.labels[at]) }
          : { label: chart.name, ...(chart.time ? { value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" } : {}) },
        ...chart.y.map(([name], number) => ({
          label: name,
          stroke: `${chart.colours[number % chart.colours.length]}`,
          width: chart.bars ? 0 : 1.5,
          ...(chart.bars
            ? { fill: chart.colours[number % chart.colours.length], paths: bars(number), points: { show: false } }
            : {}),
        })),
      ],
      cursor: { drag: { x: true, y: false } },
    };
  }

  const redraw = () => plot?.redraw(false);
  const resizing = new ResizeObserver(() => plot?.setSize({ width: width(), height: CHART_HEIGHT }));
  resizing.observe(paper);
  const themes = new MutationObserver(redraw);
  themes.observe(document.body, { attributes: true });

  return {
    update(state) {
      chart = state.chart;
      summary.textContent = chart.summary;
      paper.setAttribute("role", "img");
      paper.setAttribute("aria-label", `${chart.y.map(([name]) => name).join(", ")} over ${chart.name}: ${chart.summary}`);
      const data = [chart.x, ...chart.y.map(([, values]) => values)];
      const wanted = JSON.stringify([chart.name, chart.time, chart.bars, chart.y.map(([name]) => name)]);
      if (plot && wanted === shape) {
        plot.setData(data);
        return;
      }
      plot?.destroy();
      plot = new uPlot(options(), data, paper);
      shape = wanted;
    },
    remove() {
      resizing.disconnect();
      themes.disconnect();
      plot?.destroy();
    },
  };
}
