"""Runs a notebook in a kernel and returns what it recorded, and the SQL of its views."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from aaiclick_ext.oplog.event import from_json

if TYPE_CHECKING:
    from pathlib import Path

    from aaiclick_ext.oplog import OperationEvent

# A view is recorded as a call, without SQL, and most are only displayed.
_NOTE_VIEWS = """
def _note_views(result, sql_of={}):
    context = __import__("aaiclick_ext").context()
    for value in [result.result, *get_ipython().user_ns.values()]:
        if type(value).__mro__[-1] is object and hasattr(type(value), "_as_ibis"):
            name = context.node_name(value)
            if name.startswith("view_") and name not in sql_of:
                sql_of[name] = context.backend.planner.plan(context.backend.relation_of(value)).sql
    return sql_of
get_ipython().events.register("post_run_cell", _note_views)
"""
_TELL = """
import json as _json
from aaiclick_ext.oplog.event import FIELD_NAMES as _names, to_json as _to_json
from aaiclick_ext.oplog.queries import events_of as _events_of
_context = __import__("aaiclick_ext").context()
_context.flush()
_sql = f"SELECT {{', '.join(_names)}} FROM operation_log ORDER BY id LIMIT 1 BY id"
with open({path!r}, "w") as _file:
    for _event in _events_of(_context.engine, _sql, {{}}):
        _file.write(_to_json(_event) + chr(10))
with open({path!r} + ".views", "w") as _file:
    _json.dump(_note_views.__defaults__[0], _file)
"""


def events_of_notebook(notebook: Path, folder: Path) -> list[OperationEvent]:
    """Run a notebook; return its events, those of views with the SQL that they would run."""
    book = nbformat.read(notebook, as_version=4)
    path = folder / f"{notebook.stem}.jsonl"
    first = next(cell for cell in book.cells if cell.cell_type == "code")
    first.source += _NOTE_VIEWS
    book.cells.append(new_code_cell(_TELL.format(path=str(path))))
    NotebookClient(
        book, timeout=120, resources={"metadata": {"path": str(notebook.parent)}}
    ).execute()
    events = [from_json(line) for line in path.read_text().splitlines()]
    sql_of = json.loads(path.with_name(f"{path.name}.views").read_text())
    return [
        dataclasses.replace(event, sql_template=sql_of.get(event.result_table, event.sql_template))
        for event in events
    ]
