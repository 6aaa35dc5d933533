"""``make demo``: run a notebook without a browser, say what it does, write it as a page.

``python notebooks/demo.py NOTEBOOK PAGE``
"""

from __future__ import annotations

import ast
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

if TYPE_CHECKING:
    from nbformat import NotebookNode

TABLES = (
    "(lambda context: (context.flush(), [name for (name,) in context.engine.query_rows("
    "\"SELECT name FROM system.tables WHERE startsWith(name, 'aai_')\")])[1])"
    "(__import__('aaiclick_ext').context())"
)
"""What the kernel is asked after every cell: the tables there are, once all drops are done."""

WIDTH = 96
SHOWN = "show"
"""The tag of a cell whose whole text output is printed."""


@dataclass
class Narrator:
    """Says, cell by cell, what a running notebook does."""

    client: NotebookClient
    tables: set[str] = field(default_factory=set)
    made: int = 0
    dropped: int = 0
    heading: str = ""
    started: float = 0.0

    def before(self, cell: NotebookNode, **_: Any) -> None:
        """Remember what a cell's markdown says, and when its code started."""
        if cell.cell_type == "markdown":
            self.heading = cell.source.splitlines()[0] if cell.source.startswith("#") else ""
        self.started = time.perf_counter()

    async def after(self, cell: NotebookNode, **_: Any) -> None:
        """Print what the cell did."""
        elapsed_s = time.perf_counter() - self.started
        if self.heading:
            print("\n" + self.heading.strip("# "))
            self.heading = ""
        print(f"  [{cell.execution_count}] {_last_statement(cell.source)}")
        done = [f"{elapsed_s:.2f} s", *await self._tables(), *_outcome(cell)]
        print(f"      {'; '.join(done)}")
        if SHOWN in cell.metadata.get("tags", []):
            print("\n".join(f"      {line}" for line in _text(cell).splitlines()))

    async def _tables(self) -> list[str]:
        """Return what became of the tables since the last cell."""
        now = await self._ask(TABLES)
        if now is None:
            return []
        made, dropped = len(now - self.tables), len(self.tables - now)
        self.made, self.dropped, self.tables = self.made + made, self.dropped + dropped, now
        told = []
        if made:
            told.append(f"{made} made")
        if dropped:
            told.append(f"{dropped} dropped")
        return [f"tables: {', '.join(told)}, {len(now)} now"] if told else []

    async def _ask(self, expression: str) -> set[str] | None:
        """Return the value of an expression in the kernel, None before the extension is loaded."""
        kernel = self.client.kc
        assert kernel is not None
        asked = kernel.execute("", silent=True, user_expressions={"it": expression})
        while True:
            reply = await kernel.get_shell_msg(timeout=60)
            if reply["parent_header"]["msg_id"] == asked:
                break
        it = reply["content"]["user_expressions"]["it"]
        return set(ast.literal_eval(it["data"]["text/plain"])) if it["status"] == "ok" else None


def _last_statement(source: str) -> str:
    """Return the last statement of a cell on one line; of a magic, the magic."""
    try:
        text = ast.unparse(ast.parse(source).body[-1])
    except SyntaxError:
        text = source.strip()
    return textwrap.shorten(text, WIDTH, placeholder=" …")


def _outcome(cell: NotebookNode) -> list[str]:
    """Return a line for each of a cell's outputs."""
    told = []
    for output in cell.outputs:
        if output.output_type == "error":
            told.append(f"{output.ename}: {output.evalue.splitlines()[0]}")
        elif "image/svg+xml" in output.get("data", {}):
            told.append("a picture, and as text:")
        elif text := _plain(output):
            lines = text.strip().splitlines()
            told.append(lines[0] if len(lines) == 1 else f"{len(lines)} lines shown")
    return told


def _plain(output: NotebookNode) -> str:
    if output.output_type == "stream":
        return str(output.text)
    return str(output.get("data", {}).get("text/plain", ""))


def _text(cell: NotebookNode) -> str:
    return "\n".join(_plain(output).rstrip() for output in cell.outputs)


def write_page(notebook: NotebookNode, page: Path) -> None:
    """Write an executed notebook as HTML that asks no network for anything: widgets as pictures."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="")
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": page.stem}})
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(html)


def main(source: Path, page: Path) -> int:
    """Run, narrate, write; return the exit status."""
    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        store_widget_state=False,
        extra_arguments=["--log-level=CRITICAL"],  # it warns of its own ports
        resources={"metadata": {"path": str(source.parent)}},
    )
    narrator = Narrator(client)
    client.on_cell_start = narrator.before
    client.on_cell_executed = narrator.after
    print(f"running {source} on an embedded ClickHouse")
    started = time.perf_counter()
    try:
        client.execute()
    except CellExecutionError as error:
        print(f"\n{source} failed: {error}", file=sys.stderr)
        return 1
    finally:
        write_page(notebook, page)
    elapsed_s = time.perf_counter() - started
    print(
        f"\n{elapsed_s:.1f} s; {narrator.made} tables made, {narrator.dropped} dropped as soon as "
        f"nothing could reach them.\nLook at it: {page.resolve()}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
