"""Kernels, marimo's server and quak's page, driven without a person."""

from __future__ import annotations

import base64
import json
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any


class Kernel:
    """A kernel, and what its cells put out."""

    def __init__(self, setup: str) -> None:
        from jupyter_client.manager import KernelManager

        self._manager = KernelManager(kernel_name="python3")
        self._directory = tempfile.TemporaryDirectory()
        self._manager.start_kernel(cwd=self._directory.name)
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        self.run(setup)

    def run(self, code: str, *, interrupt_after_s: float | None = None, limit_s: float = 60) -> Run:
        """Run a cell; it ends when the kernel is idle, or at a limit."""
        wanted, run, sent = self._client.execute(code), Run(), None
        started = time.monotonic()
        while time.monotonic() - started < limit_s:
            if interrupt_after_s and not sent and time.monotonic() - started > interrupt_after_s:
                sent = time.monotonic()
                self._manager.interrupt_kernel()
            try:
                message = self._client.get_iopub_msg(timeout=0.05)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") == wanted and run.take(message):
                run.stopped_s = time.monotonic() - sent if sent else None
                return run
        run.ended = False
        return run

    def complete(self, code: str) -> list[str]:
        """Return the completions at the end of code."""
        wanted = self._client.complete(code, len(code))
        while True:
            message = self._client.get_shell_msg(timeout=60)
            if message["parent_header"].get("msg_id") == wanted:
                return list(message["content"]["matches"])

    def close(self) -> None:
        """End the kernel, whatever it does."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._directory.cleanup()


class Run:
    """What a cell put out."""

    def __init__(self) -> None:
        self.text, self.html, self.error = "", "", ""
        self.kinds: Counter[str] = Counter()
        self.types: set[str] = set()
        self.ended = True
        self.stopped_s: float | None = None

    def take(self, message: dict[str, Any]) -> bool:
        """Take a message; return whether it is the last."""
        kind, content = message["msg_type"], message["content"]
        self.kinds[kind] += 1
        if kind == "stream":
            self.text += content["text"]
        elif "data" in content and kind != "comm_msg" and kind != "comm_open":
            self.types |= set(content["data"])
            self.text += str(content["data"].get("text/plain", "")) + "\n"
            self.html += str(content["data"].get("text/html", ""))
        elif kind == "error":
            self.error = re.sub(r"\x1b\[[0-9;]*m", "", f"{content['ename']}: {content['evalue']}")
            self.text += re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(content["traceback"]))
        return kind == "status" and content["execution_state"] == "idle"


class Marimo:
    """marimo's editor without a browser: cells are run as its page runs them."""

    _BLANK = "import marimo\napp = marimo.App()\n@app.cell\ndef _():\n    return\n"

    def __init__(self) -> None:
        from websockets.sync.client import connect

        self._directory = tempfile.TemporaryDirectory()
        path = Path(self._directory.name) / "notebook.py"
        path.write_text(self._BLANK)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        command = [sys.executable, "-m", "marimo", "-q", "-y", "edit", "--headless", "--no-token"]
        command += ["--no-skew-protection", "--no-sandbox", "--port", str(self._port), str(path)]
        self._server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        address = f"ws://127.0.0.1:{self._port}/ws?session_id=s_check1&file={path}"
        for _ in range(300):
            try:
                self._manager = connect(address, max_size=None)
                self._socket = self._manager.__enter__()
                break
            except OSError:
                time.sleep(0.2)
        self._wait("kernel-ready")
        self._post("instantiate", objectIds=[], values=[], autoRun=False)
        self._wait("completed-run")

    def _post(self, path: str, **body: Any) -> None:
        headers = {"Marimo-Session-Id": "s_check1", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self._port}/api/kernel/{path}"
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers))

    def _wait(self, last: str, limit_s: float = 60) -> list[dict[str, Any]]:
        end, taken = time.monotonic() + limit_s, []
        while (left := end - time.monotonic()) > 0:
            try:
                message = json.loads(self._socket.recv(timeout=left))
            except TimeoutError:
                break
            taken.append({"op": message["op"], **(message.get("data") or {})})
            if message["op"] == last:
                return taken
        return [*taken, {"op": "late"}]

    def run(
        self, interrupt_after_s: float | None = None, limit_s: float = 60, /, **cells: str
    ) -> list[dict[str, Any]]:
        """Run cells by name; return the messages until all have run, or one of kind "late"."""
        self._post("run", cellIds=list(cells), codes=list(cells.values()))
        if interrupt_after_s:
            time.sleep(interrupt_after_s)
            self._post("interrupt")
        return self._wait("completed-run", limit_s)

    def text(self, **cells: str) -> str:
        """Run cells; return all that they put out."""
        return json.dumps([m for m in self.run(**cells) if m["op"] == "cell-op"])

    def delete(self, cell: str) -> None:
        """Delete a cell."""
        self._post("delete", cellId=cell)
        self._wait("completed-run", 10)

    def close(self) -> None:
        """End the server and its kernel."""
        self._server.send_signal(signal.SIGTERM)
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
        self._directory.cleanup()


def quak_page(query: str) -> str:
    """Show a query in quak, in Chromium without a network; return the text and the errors."""
    import duckdb
    import quak
    from playwright.sync_api import sync_playwright

    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE df AS {query}")
    widget, replies, seen = quak.Widget(connection), [], []
    widget.send = lambda content, buffers=None: replies.append(
        (content, base64.b64encode(bytes(buffers[0])).decode() if buffers else None)
    )

    def ask(message: str) -> str:
        widget._handle_custom_msg(json.loads(message), [])
        return json.dumps(replies.pop())

    module = (Path(quak.__file__).parent / "widget.js").read_text()
    state = {"_table_name": "df", "_columns": widget._columns, "sql": widget.sql}
    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))))
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("pageerror", lambda error: seen.append(f"error: {error}"))
        page.route("**/*", lambda route: route.abort())
        blank = "<!doctype html><body>"
        page.route(
            "http://quak.test/", lambda route: route.fulfill(body=blank, content_type="text/html")
        )
        page.route(
            "http://quak.test/widget.js",
            lambda route: route.fulfill(body=module, content_type="text/javascript"),
        )
        page.goto("http://quak.test/")
        page.expose_function("ask", ask)
        page.evaluate(_HOST, state)
        page.wait_for_timeout(5000)
        seen.append(page.evaluate(_TEXT))
        browser.close()
    return "\n".join(seen)


_HOST = """async (state) => {
  const listeners = {};
  const model = {
    get: (key) => state[key], set: (key, value) => { state[key] = value; },
    save_changes() {}, off() {}, on: (name, call) => (listeners[name] ??= []).push(call),
    send: async (message) => {
      const [reply, data] = JSON.parse(await window.ask(JSON.stringify(message)));
      const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
      const buffers = data === null ? [] : [new DataView(bytes(data).buffer)];
      for (const call of listeners["msg:custom"] ?? []) call(reply, buffers);
    },
  };
  const made = (await import("/widget.js")).default;
  const widget = typeof made === "function" ? await made() : made;
  await widget.initialize?.({ model });
  await widget.render({ model, el: document.body });
}"""
_TEXT = """() => {
  const texts = [];
  const walk = (node) => {
    if (node.nodeName === "STYLE") return;
    if (node.nodeType === 3) texts.push(node.textContent.trim());
    if (node.shadowRoot) walk(node.shadowRoot);
    node.childNodes.forEach(walk);
  };
  walk(document.body);
  return texts.filter(Boolean).join(" | ");
}"""
