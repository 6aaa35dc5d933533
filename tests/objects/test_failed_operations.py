"""What fails leaves an event that says what was tried, and why it failed."""

from __future__ import annotations

import ibis
import pytest

from aaiclick_ext.oplog.event import FIELD_NAMES
from aaiclick_ext.oplog.queries import events_of


def failed(ctx):
    ctx.flush()
    sql = f"SELECT {', '.join(FIELD_NAMES)} FROM operation_log WHERE status = 'error' ORDER BY id"
    return events_of(ctx.engine, sql, {})


@pytest.fixture
def x(ctx):
    return ctx.create_object_from_value({"a": [1, 2], "c": ["u", "v"]})


@pytest.fixture
def bad(ctx):
    return ctx.sql("SELECT throwIf(number = 2) AS q FROM numbers(3)")


FAILURES = {
    "create_from_value": lambda ctx, x, bad, tmp: ctx.create_object_from_value([2**70]),
    "create_object": lambda ctx, x, bad, tmp: ctx.create_object({"a": "Nope"}),
    "read_csv": lambda ctx, x, bad, tmp: ctx.read_csv(tmp / "none.csv"),
    "copy": lambda ctx, x, bad, tmp: bad.copy(),
    "copy that cannot be planned": lambda ctx, x, bad, tmp: x.select(
        q=x.a.cast("array<int>")
    ).copy(),
    "concat": lambda ctx, x, bad, tmp: ctx.concat(x, bad),
    "insert": lambda ctx, x, bad, tmp: x.insert({"other": [1]}),
    "insert of no value": lambda ctx, x, bad, tmp: x.insert(object()),
    "data": lambda ctx, x, bad, tmp: bad.data(),
    "len": lambda ctx, x, bad, tmp: len(bad.filter(bad.q > 0)),
    "to_pyarrow_batches": lambda ctx, x, bad, tmp: list(bad.to_pyarrow_batches()),
    "export": lambda ctx, x, bad, tmp: x.export(tmp / "none" / "x.csv"),
    "export to no format": lambda ctx, x, bad, tmp: x.export(tmp / "x.none"),
    "sql": lambda ctx, x, bad, tmp: ctx.sql("SELEC 1"),
    "sql over a view": lambda ctx, x, bad, tmp: x.alias("v").sql("SELECT nope FROM v"),
    "sql over what is not there": lambda ctx, x, bad, tmp: ctx.sql("SELECT a FROM nowhere"),
    "filter": lambda ctx, x, bad, tmp: x.filter(ibis._.nope > 3),
    "select": lambda ctx, x, bad, tmp: x.select("a", "nope"),
    "join": lambda ctx, x, bad, tmp: x.join(x, "nope"),
    "group_by": lambda ctx, x, bad, tmp: x.group_by("nope"),
    "agg": lambda ctx, x, bad, tmp: x.group_by("a").agg(n=lambda t: t.nope.sum()),
    "add": lambda ctx, x, bad, tmp: ctx.create_object_from_value([1]).__add__([1, 2]),
}


@pytest.mark.parametrize("what", FAILURES)
def test_it_leaves_one_event(ctx, x, bad, tmp_path, what):
    before = len(failed(ctx))
    with pytest.raises(Exception) as raised:
        FAILURES[what](ctx, x, bad, tmp_path)
    (event,) = failed(ctx)[before:]
    assert event.operation == what.split(" ")[0]
    assert event.error == str(raised.value)
    assert event.rows is None
    if event.operation in ("filter", "select", "join", "group_by"):
        assert event.kwargs == {"source": x.table_name}
        assert "nope" in str(event.params)
    if event.operation in ("copy", "data", "len", "to_pyarrow_batches", "export"):
        assert list(event.kwargs) == ["source"]
    if event.operation in ("data", "to_pyarrow_batches", "sql"):
        assert event.sql_template
    if event.operation == "insert":
        assert event.result_table == event.kwargs["target"] == x.table_name


def test_counting_rows_reads_one_number(ctx, x):
    assert len(x) == 2
    event = ctx.forward_oplog(x)[-1]
    assert (event.operation, event.rows) == ("len", 1)
    assert ctx.forward_columns(x, "a") == []


def test_a_reader_that_is_left_early_has_not_failed(ctx, x):
    before = len(failed(ctx))
    reader = x.to_pyarrow_batches(chunk_size=1)
    next(reader)
    del reader
    assert len(failed(ctx)) == before
