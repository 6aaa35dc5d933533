"""Cancelled and failed work leaves nothing: no table, no rows, no bytes on disk."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
import warnings
from pathlib import Path

import pytest

from aaiclick_ext.errors import EngineError


def cancel_soon(ctx, work) -> BaseException | None:
    """Run work in a thread, kill its query once it runs, and return what it raised."""
    raised: list[BaseException] = []

    def run():
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.5)
    deadline = time.monotonic() + 20
    while thread.is_alive() and time.monotonic() < deadline:
        ctx.engine.cancel()
        thread.join(0.2)
    assert not thread.is_alive()
    return raised[0] if raised else None


@pytest.fixture
def slow(ctx):
    """Return a view that yields a few rows all along the minute or so that it takes."""
    return ctx.sql("SELECT number AS a FROM numbers(5000000000) WHERE sipHash64(number) % 5000 = 0")


def test_a_killed_copy_leaves_no_table(ctx, tables, slow):
    before = tables()
    error = cancel_soon(ctx, slow.copy)
    assert isinstance(error, EngineError)
    assert error.code == 394
    assert tables() == before


@pytest.mark.parametrize("name", [None, "kept for inserts"])
def test_a_killed_insert_leaves_no_rows(ctx, tables, slow, name):
    scope = None if name is None else "session"
    target = ctx.create_object({"a": "UInt64"}, name=name, scope=scope)
    target.insert({"a": [1, 2, 3]})
    before = tables()
    error = cancel_soon(ctx, lambda: target.insert({"a": [9]}, slow.select("a")))
    assert isinstance(error, EngineError)
    assert sorted(target.data()["a"]) == [1, 2, 3]
    assert target.shape == (3, 1)
    assert tables() == before
    if name is not None:
        ctx.delete_object(name)


def test_after_a_killed_fetch_the_next_result_is_right(ctx, slow):
    small = ctx.create_object_from_value({"a": [1, 2]})
    assert isinstance(cancel_soon(ctx, slow.to_pyarrow), EngineError)
    assert small.data() == {"a": [1, 2]}


def test_a_global_name_never_stands_for_a_half_made_table(ctx, tables, slow):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a scratch database
        ctx.create_object_from_value({"a": [1]}, name="whole")
    before = tables()
    seen = set()

    def replace_it():
        from aaiclick_ext.lifecycle import Scope
        from aaiclick_ext.objects.making import make_from_select, spec_of_plan
        from aaiclick_ext.schema import Shape

        plan = ctx.backend.planner.plan(slow.op())
        spec = dataclasses.replace(
            spec_of_plan(plan, Shape.TABLE), scope=Scope.GLOBAL, name="whole"
        )
        make_from_select(ctx.backend, plan.sql, spec, "copy", {}, made_of=())

    def look():
        while not done.is_set():
            with contextlib.suppress(EngineError):  # the cancel below hits every user's query
                seen.add(tuple(ctx.open_object("whole").data()["a"]))

    done = threading.Event()
    looker = threading.Thread(target=look)
    looker.start()
    try:
        assert isinstance(cancel_soon(ctx, replace_it), EngineError)
    finally:
        done.set()
        looker.join()
    assert seen == {(1,)}
    assert tables() == before
    ctx.delete_object("whole")


def test_a_dropped_table_leaves_no_bytes_on_disk(ctx, tables):
    x = ctx.create_object_from_value(range(1_000_000))
    paths = ctx.engine.query_rows(
        "SELECT arrayJoin(data_paths) FROM system.tables WHERE name = {name:String}",
        {"name": x.table_name},
    )
    folders = [Path(path) for (path,) in paths]
    assert sum(f.stat().st_size for root in folders for f in root.rglob("*.bin")) > 100_000
    del x
    tables()
    assert not any(root.exists() for root in folders)
