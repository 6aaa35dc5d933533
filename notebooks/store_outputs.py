"""``make notebooks``: run the notebooks and store their outputs, as they are committed.

Without widget state, which GitHub refuses and which is found to be missing when a notebook is
reopened: a picture stays in its place.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

WIDGET = "application/vnd.jupyter.widget-view+json"


def store(path: Path) -> None:
    """Run one notebook and write it back."""
    notebook = nbformat.read(path, as_version=4)
    os.environ["AAICLICK_PROGRESS"] = "off"  # on a slow machine more is shown than on a fast one
    client = NotebookClient(
        notebook,
        timeout=300,
        store_widget_state=False,
        record_timing=False,
        extra_arguments=["--log-level=CRITICAL"],  # it warns of its own ports
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata = {
        "kernelspec": notebook.metadata["kernelspec"],
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
    nbformat.write(notebook, path)
    print(f"stored {path}")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        store(Path(argument))
