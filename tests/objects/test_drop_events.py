"""The end of a table in the log: when, why, and what it was by then."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

ENDS = """SELECT params['reason'], rows, result_schema FROM operation_log
    WHERE operation = 'drop_table'"""


def ends_of(ctx, table):
    gc.collect()
    ctx.flush()
    return ctx.engine.query_rows(f"{ENDS} AND result_table = {{table:String}}", {"table": table})


def test_a_table_that_nothing_reaches(ctx):
    made = ctx.create_object_from_value({"a": [1, 2], "b": ["x", None]})
    made.insert({"a": [3], "b": ["y"]})
    table = made.table_name
    assert ends_of(ctx, table) == []
    del made
    assert ends_of(ctx, table) == [
        ("nothing referred to it any more", 3, {"a": "Int64", "b": "Nullable(String)"})
    ]


def test_a_session_that_ended(ctx):
    with ctx.session(tags=["what if"]):
        made = ctx.create_object_from_value([1, 2])
    ((reason, rows, _),) = ends_of(ctx, made.table_name)
    assert reason.endswith(" ended")
    assert "session" in reason
    assert rows == 2


def test_a_name_that_was_deleted(ctx):
    made = ctx.create_object_from_value([1], name="gone", scope="session")
    table = made.table_name
    ctx.delete_object("gone")
    del made
    ((reason, _, _),) = ends_of(ctx, table)
    assert reason == "its name was deleted or given to another table"


def test_what_is_made_in_passing_or_fails_has_no_end(ctx):
    before = ctx.snowflake.next()
    target = ctx.create_object_from_value({"a": [1]})
    target.insert({"a": [2]})  # through a table of its own
    with pytest.raises(Exception, match="a"):
        target.mutate(b=target.a.cast("string").cast("int8") + "x").copy()
    failing = ctx.sql("SELECT throwIf(number = 3) AS a FROM numbers(10)")
    with pytest.raises(Exception, match="throwIf"):
        failing.copy()
    table = target.table_name
    del target
    gc.collect()
    ctx.flush()
    rows = ctx.engine.query_rows(
        f"SELECT result_table FROM operation_log WHERE operation = 'drop_table' AND id > {before} "
        "AND result_table NOT IN "
        "(SELECT result_table FROM operation_log WHERE operation != 'drop_table' AND status = 'ok')"
    )
    assert rows == []
    assert len(ends_of(ctx, table)) == 1


def test_the_graph_tells_it(ctx):
    source = ctx.create_object_from_value({"a": [1, 2]})
    result = source.filter(source.a > 1).copy()
    table = source.table_name
    del source
    gc.collect()
    ctx.flush()
    node = ctx.oplog_subgraph(result).node(table)
    assert node.alive is False
    assert node.operation == "create_from_value"
    assert node.end is not None
    assert node.end.params == {"reason": "nothing referred to it any more"}
    assert (
        "dropped: nothing referred to it any more" in ctx.oplog_subgraph(result).to_prompt_context()
    )
    assert {event.operation for event in ctx.backward_oplog(result)} == {
        "create_from_value", "filter", "copy",
    }  # fmt: skip


KEPT = """
import sys
from pathlib import Path
from aaiclick_ext.context import DataContext
from aaiclick_ext.engine import ClickHouseCreds
from aaiclick_ext.settings import Settings

folder = Path(sys.argv[1])
settings = Settings(state_dir=folder / "state")
with DataContext(ClickHouseCreds(path=folder / "db"), settings=settings) as ctx:
    made = ctx.create_object_from_value([1, 2])
    print(made.table_name)
"""


def test_a_kernel_that_ended(tmp_path):
    """In a kept database the log says so; the next kernel reads it."""
    done = subprocess.run(
        [sys.executable, "-c", KEPT, str(tmp_path)], capture_output=True, text=True, check=True
    )
    script = KEPT.split("made =")[0] + f"print(ctx.engine.query_rows({ENDS!r}))"
    again = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert again.stdout == "[('its kernel ended', 2, {'value': 'Int64'})]\n"
    assert done.stdout.startswith("aai_t_")
