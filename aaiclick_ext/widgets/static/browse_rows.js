// What is asked of the kernel for a browsed table, and the rows that it answered with.
// A request has an id; an answer that nobody waits for any more is dropped, its query was stopped.

const BLOCK = 100;
const BLOCKS_KEPT = 60;

const FOCUSABLE = ["button", "input", "textarea"];

// Lab's shortcuts ask the element that has the focus, and none around it.
function withoutShortcuts(element) {
  element.setAttribute("data-lm-suppress-shortcuts", "true");
}

function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (FOCUSABLE.includes(tag)) withoutShortcuts(element);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

function button(label, title, act) {
  const element = make("button", "", label);
  element.type = "button";
  if (title) element.title = title;
  element.addEventListener("click", act);
  return element;
}

function makeAsker(model, viewer) {
  const open = new Map();
  let last = 0;

  function send(content) {
    try { model.send(content); } catch { /* the kernel is gone, and nobody waits */ }
  }

  function hear(message) {
    const resolve = message?.type === "answer" ? open.get(message.request) : null;
    if (!resolve) return;
    open.delete(message.request);
    resolve(message);
  }

  function stop(request) {
    const resolve = open.get(request);
    if (!resolve) return;
    open.delete(request);
    send({ type: "stop", request });
    resolve(null);
  }

  model.on("msg:custom", hear);
  return {
    send,
    ask(about, look, { start = 0, count = 0, columns = [] } = {}) {
      const request = `${viewer}-${++last}`;
      const answer = new Promise((resolve) => open.set(request, resolve));
      send({ type: "ask", request, about, look, start, count, columns });
      return { answer, stop: () => stop(request) };
    },
    close() {
      [...open.keys()].forEach(stop);
      model.off("msg:custom", hear);
    },
  };
}

function makeRows(asker, told) {
  let look = null, blocks = new Map(), running = null, wanted = null, generation = 0;

  function missing(block, columns) {
    const known = blocks.get(block);
    return known ? columns.filter((column) => !known.has(column)) : columns;
  }

  function next() {
    if (!wanted) return null;
    for (const block of wanted.blocks) {
      const columns = missing(block, wanted.columns);
      if (columns.length || (!wanted.columns.length && !blocks.has(block))) return { block, columns };
    }
    return null;
  }

  async function pump() {
    const step = next();
    if (running) {
      if (!wanted || wanted.blocks.includes(running.block)) return;
      running.asked.stop();
      running = null;
    }
    if (!step) return;
    const mine = generation;
    const asked = asker.ask("rows", look, { start: step.block * BLOCK, count: BLOCK, columns: step.columns });
    running = { block: step.block, asked };
    const answer = await asked.answer;
    if (mine !== generation || running?.asked !== asked) return;
    running = null;
    if (answer?.error) {
      wanted = null;
      told({ error: answer.error });
      return;
    }
    if (answer) keep(step, answer.rows);
    if (!answer) return;
    told({
      cost: answer.cost, start: step.block * BLOCK, count: answer.rows.length,
      columns: step.columns.map((column, place) => [column, answer.rows.map((row) => row[place])]),
    });
    pump();
  }

  function keep({ block, columns }, rows) {
    const known = blocks.get(block) ?? new Map();
    blocks.delete(block);
    blocks.set(block, known);
    columns.forEach((column, place) => known.set(column, rows.map((row) => row[place])));
    for (const oldest of blocks.keys()) {
      if (blocks.size <= BLOCKS_KEPT) break;
      if (!wanted?.blocks.includes(oldest)) blocks.delete(oldest);
    }
  }

  return {
    reset(other) {
      generation += 1;
      running?.asked.stop();
      look = other;
      blocks = new Map();
      running = wanted = null;
    },
    want(first, end, columns) {
      const numbers = [];
      for (let block = Math.floor(first / BLOCK); block * BLOCK < end; block += 1) numbers.push(block);
      wanted = { blocks: numbers, columns };
      pump();
    },
    // The text, null, a list of one text that is cut, or undefined where it has not come yet.
    cell: (row, column) => blocks.get(Math.floor(row / BLOCK))?.get(column)?.[row % BLOCK],
    isBusy: () => running !== null,
  };
}
