// A live result: a table, a number or a chart, how old it is, and a button that pauses it.
// Loads nothing. Sends a sign of life while it is shown: a closed tab sends no goodbye.
// Text is set as textContent; the table's HTML is made and escaped by the kernel, as every table is.

const SIGN_OF_LIFE_MS = 10_000;

function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

function drawTable(place) {
  place.classList.add("scroll");
  place.tabIndex = 0;
  place.setAttribute("role", "region");
  place.setAttribute("aria-label", "Live table");
  return { update: ({ html }) => { place.innerHTML = html; }, remove() {} };
}

function drawNumber(place) {
  const value = make("span", "value"), name = make("span", "name");
  place.append(value, name);
  return {
    update({ number }) {
      value.textContent = number.value;
      name.textContent = number.name;
    },
    remove() {},
  };
}

function render({ model, el }) {
  const viewer = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  const first = model.get("_state");
  const dot = make("span", "dot");
  const word = make("span", "word"), when = make("time", ""), how = make("span", "how");
  const button = make("button", "");
  button.type = "button";
  const bar = make("div", "bar", dot, word, when, how, button);
  const place = make("div", `body ${first.kind}`);
  const alert = make("div", "alert");
  alert.setAttribute("role", "alert");
  const root = make("div", "aai-live", bar, place, alert);
  el.append(root);
  const draw = { table: drawTable, number: drawNumber };
  const drawn = first.kind === "chart" ? drawChart(place, root) : draw[first.kind](place);
  let shown = null, isLost = false, lastSign = 0;

  function send(content) {
    try { model.send(content); } catch { /* the kernel is gone, and nobody waits */ }
  }

  function sign() {
    lastSign = Date.now();
    if (!isLost) send({ type: "look", viewer });
  }

  function update() {
    const state = model.get("_state");
    const word_ = isLost ? "no kernel" : state.state;
    root.dataset.state = isLost ? "lost" : state.error ? "error" : state.state;
    word.textContent = word_;
    const at = new Date(state.updated);
    when.dateTime = state.updated;
    when.textContent = `updated ${at.toLocaleTimeString()}`;
    when.title = at.toLocaleString();
    how.textContent = state.how;
    how.title = state.reason || "only what inserts add is read";
    if (state.reason) how.textContent = `${state.how}: ${state.reason}`;
    const isPaused = state.state === "paused";
    button.textContent = isPaused ? "Resume" : "Pause";
    button.setAttribute("aria-label", `${button.textContent} this live ${state.kind}`);
    button.disabled = isLost || state.state === "ended";
    const said = isLost
      ? "The kernel was restarted or is gone; this is what was shown last. Run the cell again."
      : state.error ? [state.error, state.advice].filter(Boolean).join(" ") : "";
    if (alert.textContent !== said) alert.textContent = said;
    alert.hidden = !said;
    const key = `${state.updates} ${state.updated}`;
    if (key !== shown) drawn.update(state);
    shown = key;
    // A tab in the background has its timers held back, but not its messages.
    if (Date.now() - lastSign > SIGN_OF_LIFE_MS) sign();
  }

  function lose() {
    isLost = true;
    update();
  }

  button.addEventListener("click", () => {
    send({ type: model.get("_state").state === "paused" ? "resume" : "pause" });
  });
  const onVisible = () => { if (!document.hidden) sign(); };
  document.addEventListener("visibilitychange", onVisible);
  model.on("change:_state", update);
  model.on("comm_live_update", lose);
  model.on("destroy", lose);
  const timer = setInterval(sign, SIGN_OF_LIFE_MS);
  sign();
  update();
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", onVisible);
    model.off("change:_state", update);
    model.off("comm_live_update", lose);
    model.off("destroy", lose);
    if (!isLost) send({ type: "look_away", viewer });
    drawn.remove();
    root.remove();
  };
}

export default { render };
