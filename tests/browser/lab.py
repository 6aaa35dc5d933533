"""JupyterLab and Notebook 7 in headless Chromium, with a server of their own and no network.

Drives them by their commands, not by its menus: clicking Run > Run All fails on a fresh kernel.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import nbformat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "out"
START_TIMEOUT_S = 90
DARK, LIGHT = "JupyterLab Dark", "JupyterLab Light"
LAB, NOTEBOOK = "JupyterLab", "Notebook 7"
FRONT_ENDS = (LAB, NOTEBOOK)

# Lab reads these from <config>/labconfig, so that the environment's own overrides.json stays.
_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True,
    },
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}  # fmt: skip

_READY = """async () => {
  const app = window.jupyterapp;
  await app.restored;
  for (let i = 0; i < 600; i++) {
    const panel = app.shell.currentWidget;
    if (panel?.content?.widgets && panel.sessionContext) {
      await panel.context.ready;
      await panel.sessionContext.ready;
      const kernel = panel.sessionContext.session?.kernel;
      if (kernel?.status === 'idle' && kernel.connectionStatus === 'connected') return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}"""

_RUN_CELL = """async (number) => {
  const app = window.jupyterapp, panel = app.shell.currentWidget;
  panel.content.activeCellIndex = number;
  panel.content.deselectAll();
  await app.commands.execute('notebook:run-cell');
}"""

_OUTPUT = """(number) => {
  const outputs = window.jupyterapp.shell.currentWidget.content.widgets[number].model.outputs;
  return outputs.toJSON();
}"""


class LabServer:
    """One Jupyter server: its own home, configuration, data and notebooks; any free port."""

    def __init__(self, directory: Path) -> None:
        self.notebooks = directory / "notebooks"
        self.log = directory / "server.log"
        self._directory = directory
        self._token = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Start the server and wait until it says where it listens."""
        self.notebooks.mkdir(parents=True)
        labconfig = self._directory / "config" / "labconfig"
        labconfig.mkdir(parents=True)
        (labconfig / "default_setting_overrides.json").write_text(json.dumps(_SETTINGS))
        command = [
            sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root",
            "--ip=127.0.0.1", "--port=0", f"--ServerApp.root_dir={self.notebooks}",
            "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly",
            "--LabApp.news_url=None", "--JupyterNotebookApp.expose_app_in_browser=True",
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self._environment(), stdout=log, stderr=log, cwd=self._directory
            )
        self.url = self._wait()

    def address(self, notebook: str, front_end: str = LAB) -> str:
        """Return where a notebook opens, in a fresh workspace."""
        place = "lab/tree" if front_end == LAB else "notebooks"
        workspace = "reset&" if front_end == LAB else ""
        return f"{self.url}{place}/{quote(notebook)}?{workspace}token={self._token}"

    def end_kernels(self) -> None:
        """End every kernel: those of pages that are closed would stay until the server stops."""
        for session in json.loads(self._request("GET", "api/sessions")):
            self._request("DELETE", f"api/sessions/{session['id']}")

    def _request(self, method: str, path: str) -> bytes:
        headers = {"Authorization": f"token {self._token}"}
        request = urllib.request.Request(f"{self.url}{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def stop(self) -> None:
        """Stop the server, which stops its kernels."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "AAICLICK_", "IPYTHON", "PYTEST_", "COVERAGE_"))
        }
        nowhere = "http://127.0.0.1:9"  # discard: what the server or a kernel would load, fails
        homes = {
            "HOME": "home", "IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "XDG_CACHE_HOME": "cache", "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "xdg",
            "AAICLICK_STATE_DIR": "state", "AAICLICK_SCRATCH_DIR": "scratch",
        }  # fmt: skip
        directories = {name: str(self._directory / part) for name, part in homes.items()}
        for path in directories.values():
            Path(path).mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return {
            **kept, **directories, "JUPYTER_TOKEN": self._token, "PYTHONPATH": path,
            "http_proxy": nowhere, "https_proxy": nowhere, "no_proxy": "127.0.0.1,localhost",
        }  # fmt: skip

    def _wait(self) -> str:
        process = self._process
        assert process is not None
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until and process.poll() is None:
            for path in (self._directory / "runtime").glob(f"jpserver-{process.pid}.json"):
                try:
                    return str(json.loads(path.read_text())["url"])
                except (json.JSONDecodeError, KeyError):
                    pass  # half written
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"no JupyterLab after {START_TIMEOUT_S} s:\n{self.log.read_text()}")


class LabPage:
    """A notebook open in JupyterLab or Notebook 7.

    Attributes
    ----------
    page
        Playwright's page.
    errors
        What the page logged as an error, or threw.
    outside
        Addresses that it asked for outside the server; each was refused.
    """

    def __init__(self, context: BrowserContext, server: LabServer) -> None:
        self.errors: list[str] = []
        self.outside: list[str] = []
        self._server = server
        context.route("**/*", self._route)
        self.page: Page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, notebook: str, front_end: str = LAB) -> None:
        """Open a notebook of the server and wait for its kernel."""
        self.page.goto(self._server.address(notebook, front_end), wait_until="domcontentloaded")
        self.page.wait_for_function("() => !!window.jupyterapp", timeout=60_000)
        assert self.page.evaluate(_READY), "the kernel never became idle"
        self.page.evaluate(
            """() => {
              const app = window.jupyterapp;
              if (document.querySelector('#jp-left-stack')?.clientWidth)
                app.commands.execute('application:toggle-left-area');
            }"""
        )

    def run_all(self) -> None:
        """Run every cell and wait for the last."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def clear_output(self, number: int) -> None:
        """Delete the output of a cell, as the menu of JupyterLab does."""
        self.page.evaluate(
            """async (number) => {
              const app = window.jupyterapp, content = app.shell.currentWidget.content;
              content.activeCellIndex = number;
              content.deselectAll();
              await app.commands.execute('notebook:clear-cell-output');
            }""",
            number,
        )

    def run_cell(self, number: int) -> None:
        """Run one cell, counted from 0, and wait for it."""
        self.page.evaluate(_RUN_CELL, number)

    def outputs(self, number: int) -> list[dict[str, Any]]:
        """Return the outputs of a cell, as its file would have them."""
        found: list[dict[str, Any]] = self.page.evaluate(_OUTPUT, number)
        return found

    def text(self, number: int) -> str:
        """Return what a cell printed, and the errors it raised."""
        return "".join(
            "".join(output.get("text", "")) or output.get("evalue", "")
            for output in self.outputs(number)
        )

    def cell(self, number: int) -> Locator:
        """Return the output area of a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number).locator(".jp-OutputArea")

    def theme(self, name: str) -> None:
        """Switch to `DARK` or `LIGHT`."""
        self.page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name
        )
        light = str(name == LIGHT).lower()
        self.page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")
        self.page.wait_for_timeout(300)  # the theme's stylesheet, after its name

    def screenshot(self, name: str) -> Path:
        """Keep what the page shows as out/<name>.png."""
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def _route(self, route: Route) -> None:
        if route.request.url.startswith((self._server.url, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")


@contextmanager
def lab_page(browser: Browser, server: LabServer, **options: Any) -> Iterator[LabPage]:
    """Open a page of its own, closed at the end."""
    given = {"viewport": {"width": 1280, "height": 1000}, "reduced_motion": "reduce", **options}
    context = browser.new_context(**given)
    try:
        yield LabPage(context, server)
    finally:
        context.close()
        if not browser.contexts:
            server.end_kernels()


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """Write a notebook of code cells."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(cells)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, path)
