"""A JupyterLab server and a headless Chromium for the tests of this directory.

Without Chromium or Playwright they are skipped with a line that says so; in CI they fail.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

HERE = Path(__file__).parent
for directory in (HERE, HERE.parent / "widgets"):  # lab.py, front_end.py, lineage_graphs.py
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))

if TYPE_CHECKING:
    from collections.abc import Iterator

    from front_end import Draw
    from lab import LabPage, LabServer
    from playwright.sync_api import Browser

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str:
    """Return the path of a Chromium, or skip; in CI, fail."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    modules = ("playwright", "jupyterlab", "nbformat")
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if found is None:
        missing.insert(0, "chromium")
    if missing:
        line = f"the browser tests need {', '.join(missing)}; `make test` installs what it may"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(line, pytrace=False)
        pytest.skip(line)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium.

    Of one module only: Playwright keeps an event loop running in this thread, and asyncio of
    other tests refuses to run inside it.
    """
    path = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A JupyterLab server; put notebooks into its ``notebooks`` directory."""
    find_chromium()
    from lab import LabServer

    server = LabServer(tmp_path_factory.mktemp("lab"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def lab(browser: Browser, lab_server: LabServer) -> Iterator[LabPage]:
    """A page in which a notebook can be opened."""
    from lab import lab_page

    with lab_page(browser, lab_server) as page:
        yield page


@pytest.fixture
def draw(browser: Browser) -> Iterator[Draw]:
    """Draws lineage graphs in pages without Jupyter."""
    from front_end import Draw

    drawing = Draw(browser)
    yield drawing
    drawing.close()
