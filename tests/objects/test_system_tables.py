"""System tables: what they show, that it is up to date, and what becomes of them over kernels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest

import aaiclick_ext as aai
from aaiclick_ext.errors import AaiclickError, EngineError, SystemTableError
from aaiclick_ext.objects.system_store import Column, SystemStore, SystemTable

NAMES = [
    "jobs", "live_queries", "nodes", "objects", "operations", "refs", "schemas", "sessions",
    "settings", "stats", "tables", "views",
]  # fmt: skip


def only(view, **values):
    """Return the one row that has these values."""
    table = view.to_pyarrow()
    rows = [row for row in table.to_pylist() if all(row[k] == v for k, v in values.items())]
    assert len(rows) == 1, rows
    return rows[0]


@pytest.fixture
def system(ctx):
    return ctx.system


def test_these_are_there_and_each_says_what_it_is(ctx, system):
    assert dir(system) == NAMES
    assert all(name in repr(system) for name in NAMES)
    for name in NAMES:
        view = getattr(system, name)
        assert isinstance(view, aai.View)
        assert len(view) == len(view.to_pyarrow())
    comments = dict(
        ctx.engine.query_rows("SELECT name, comment FROM system.tables WHERE database = 'aai'")
    )
    assert sorted(comments) == NAMES
    assert all("version 1" in comment for comment in comments.values())
    with pytest.raises(AttributeError, match="no system table 'nope'; there are: objects"):
        system.nope  # noqa: B018


def test_tables_of_every_kind(ctx, system):
    temp = ctx.create_object_from_value([1, 2])
    session = ctx.create_object_from_value([1], name="mine", scope="session")
    with pytest.warns(UserWarning, match="scratch"):
        everyones = ctx.create_object_from_value([1], name="everyone's", scope="global")
    ctx.engine.command("CREATE TABLE others (a Int8) ENGINE = Memory")
    ctx.create_view("small", temp.filter(temp.value < 2))
    try:
        row = only(system.tables, name=temp.table_name)
        assert (row["table_type"], row["rows"], row["job_id"]) == ("temp", 2, ctx.job_id)
        assert (row["node_id"], row["views"], row["pinned_at"]) == (ctx.node_id, ["small"], None)
        row = only(system.tables, object_name="mine")
        assert (row["table_type"], row["name"]) == ("session", session.table_name)
        assert only(system.tables, object_name="everyone's")["table_type"] == "global"
        row = only(system.tables, name="others")
        assert (row["table_type"], row["job_id"], row["created_at"]) == ("external", None, None)
        assert only(system.tables, name="small")["table_type"] == "view"
        assert only(system.objects, name="mine")["scope"] == "session"
        assert only(system.objects, name="everyone's")["table_name"] == everyones.table_name
        view = only(system.views, name="small")
        assert view["created_by"]
        assert dict(view["sources"]) == {temp.table_name: [("value", "Int64")]}
        column = only(system.schemas, table="others")
        assert (column["column"], column["type"], column["is_nullable"]) == ("a", "Int8", False)
    finally:
        ctx.drop_view("small")
        ctx.engine.command("DROP TABLE others")
        ctx.delete_object("mine")
        ctx.delete_object("everyone's")


def test_what_changes_is_there_at_the_next_query(ctx, system):
    tables, refs = system.tables, system.refs
    made = ctx.create_object_from_value([1])
    name = made.table_name
    assert only(tables, name=name)["rows"] == 1
    assert only(refs, what=name)["claims"] == 1
    again = made.filter(made.value > 0)
    made.insert([2, 3])
    assert only(tables, name=name)["rows"] == 3
    assert ctx.sql("SELECT rows FROM aai.tables WHERE name = '" + name + "'").data() == {
        "rows": [3]
    }
    del made, again
    ctx.flush()
    assert name not in tables.to_pyarrow()["name"].to_pylist()
    assert name not in ctx.sql("SELECT name FROM aai.tables").data()["name"]
    assert name not in refs.to_pyarrow()["what"].to_pylist()


def test_kernels_sessions_and_settings(ctx, system):
    assert only(system.jobs, job_id=ctx.job_id)["state"] == "alive"
    assert only(system.nodes, node_id=ctx.node_id)["job_id"] == ctx.job_id
    assert only(system.sessions, session_id=ctx.job_id)["parent_id"] is None
    with ctx.session(tags={"for": "a test"}) as session:
        row = only(system.sessions, session_id=session.session_id)
        assert row["parent_id"] == ctx.job_id
        assert dict(row["tags"]) == {"for": json.dumps("a test")}
    setting = only(system.settings, name="state_dir")
    assert setting["is_changed"]
    assert setting["environment"] == "AAICLICK_STATE_DIR"
    assert only(system.stats, name="tables")["value"] >= 0


def test_no_password_is_shown(tmp_path):
    from aaiclick_ext.settings import Settings, described_settings

    settings = Settings(ch_url="clickhouse://me:secret@host/db", state_dir=tmp_path)
    assert "secret" not in repr(described_settings(settings))


def test_events_of_the_running_cell_are_there(ctx, system):
    made = ctx.create_object_from_value([1, 2, 3])
    row = only(system.operations, result_table=made.table_name)
    assert (row["operation"], row["rows"]) == ("create_from_value", 3)


def test_they_join_with_data_and_have_all_methods(ctx, system):
    wanted = ctx.create_object_from_value({"table_type": ["temp"], "word": ["for a while"]})
    joined = system.tables.join(wanted, "table_type").select("name", "word")
    assert wanted.table_name in joined.data()["name"]
    counted = system.tables.group_by("table_type").agg(n=system.tables.count())
    assert "temp" in counted.data()["table_type"]
    assert "<table" in counted._repr_mimebundle_()["text/html"]


def test_the_log_leaves_them_out(ctx, system):
    data = ctx.create_object_from_value({"table_type": ["temp"], "word": ["a"]})
    ctx.flush()

    def events():
        ctx.flush()
        return ctx.engine.query_rows("SELECT count() FROM operation_log")[0][0]

    before = events()
    tables = system.tables
    tables.filter(tables.rows > 0).to_pyarrow()
    ctx.sql("SELECT count() FROM aai.tables").data()
    tables.count().execute()
    assert events() == before
    copied = tables.join(data, "table_type").copy()
    found = ctx.backward_oplog(copied)
    assert {name for event in found for name in event.kwargs.values()} >= {data.table_name}
    assert not any(
        name.startswith("aai.")
        for event in found
        for name in (event.result_table, *event.kwargs.values(), *(e.source for e in event.columns))
    )
    alone = tables.select("name").copy()
    (event,) = ctx.backward_oplog(alone)
    assert (event.operation, event.kwargs) == ("copy", {})


def test_nobody_writes_to_them(ctx, system):
    len(system.settings)
    with pytest.raises(EngineError, match="only_aaiclick_ext_writes_this"):
        ctx.engine.command("INSERT INTO aai.settings (name) VALUES ('x')")
    with pytest.raises(EngineError, match="not supported by storage View"):
        ctx.engine.command("INSERT INTO aai.operations (id) VALUES (1)")
    assert "x" not in ctx.sql("SELECT name FROM aai.settings").data()["name"]


def test_from_many_threads(ctx, system):
    errors = []

    def work():
        try:
            for _ in range(3):
                made = ctx.create_object_from_value([1])
                assert made.table_name in system.tables.to_pyarrow()["name"].to_pylist()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    left = ctx.engine.query_rows(
        "SELECT name FROM system.tables WHERE database = 'aai' AND startsWith(name, '_staging')"
    )
    assert left == []


# Versions.


ONE = {"name": Column("String", "a name"), "n": Column("UInt64", "a number")}
TWO = ONE | {"more": Column("Nullable(String)", "what came later")}


def store(ctx, columns, version=1, rows=(), *, living=(), part="kernel/1/1"):
    since = {2: ("more",)} if version > 1 else {}
    table = SystemTable(
        "probe", "a probe", columns, lambda: {part: list(rows)}, version=version,
        since=since,
    )  # fmt: skip
    return SystemStore(ctx.engine, [table], part, lambda: {1, *living}, lambda: None)


@pytest.fixture
def no_probe(ctx):
    def drop():
        ctx.engine.command("CREATE DATABASE IF NOT EXISTS aai")
        ctx.engine.command("DROP TABLE IF EXISTS aai.probe SYNC")

    drop()
    yield
    drop()


def probed(ctx):
    return ctx.engine.query_rows("SELECT * FROM aai.probe ORDER BY name")


def test_an_older_one_is_upgraded_and_keeps_its_rows(ctx, no_probe):
    store(ctx, ONE, rows=[("a", 1)]).refresh(["probe"])
    assert probed(ctx) == [("a", 1)]
    newer = store(ctx, TWO, 2, rows=[("a", 1, "x"), ("b", 2, None)])
    newer.ensure()
    assert probed(ctx) == [("a", 1, None)]
    newer.refresh(["probe"])
    assert probed(ctx) == [("a", 1, "x"), ("b", 2, None)]


@pytest.mark.parametrize("done", range(3))
def test_an_upgrade_that_was_killed_is_finished(ctx, no_probe, done):
    store(ctx, ONE, rows=[("a", 1)]).refresh(["probe"])
    newer = store(ctx, TWO, 2, rows=[("a", 1, "x")])
    for statement in newer.tables["probe"].mirror.upgrade_statements(1)[:done]:
        ctx.engine.command(statement)
    newer.refresh(["probe"])
    assert probed(ctx) == [("a", 1, "x")]
    ((comment,),) = ctx.engine.query_rows(
        "SELECT comment FROM system.tables WHERE database = 'aai' AND name = 'probe'"
    )
    assert comment.endswith("version 2")


def test_a_newer_one_is_refused_and_left(ctx, no_probe):
    store(ctx, TWO, 2, rows=[("a", 1, "x")]).refresh(["probe"])
    with pytest.raises(SystemTableError, match="made by a newer aaiclick-ext") as caught:
        store(ctx, ONE).ensure()
    assert "version 2" in str(caught.value)
    assert probed(ctx) == [("a", 1, "x")]


def test_what_is_not_ours_is_refused_and_left(ctx, no_probe):
    ctx.engine.command("CREATE TABLE aai.probe (a Int8) ENGINE = Memory")
    with pytest.raises(SystemTableError, match=r"RENAME TABLE `aai`.`probe` TO"):
        store(ctx, ONE).ensure()
    ctx.engine.command("INSERT INTO aai.probe VALUES (1)")


def test_parts_of_dead_kernels_go(ctx, no_probe):
    store(ctx, ONE, rows=[("a", 1)]).refresh(["probe"])
    for part, name in (("kernel/7/1", "dead"), ("kernel/8/1", "alive"), ("registry", "shared")):
        other = store(ctx, ONE, rows=[(name, 7)], part=part, living=[7, 8])
        other.refresh(["probe"])
    ctx.engine.command("CREATE TABLE aai._staging_7_1_3 AS aai.probe")
    store(ctx, ONE, rows=[("a", 1)], living=[8]).ensure()
    assert probed(ctx) == [("a", 1), ("alive", 7), ("shared", 7)]
    left = ctx.engine.query_rows("SELECT count() FROM system.tables WHERE name LIKE '_staging%'")
    assert left == [(0,)]


PROGRAM = """
import os, sys
from pathlib import Path
from aaiclick_ext.context import DataContext
from aaiclick_ext.engine import Engine
from aaiclick_ext.settings import Settings

folder, what = Path(sys.argv[1]), sys.argv[2]
settings = Settings(state_dir=folder / "state", scratch_dir=folder / "scratch")
context = DataContext(f"chdb://{folder / 'db'}", settings=settings)
system = context.system
if what == "make":
    with context:
        made = context.create_object_from_value([1, 2], name="kept", scope="global")
        print(len(system.objects), len(system.operations))
        print(context.job_id)
elif what == "kill":  # in the middle of making them
    command, done = Engine.command, []
    def killed(self, sql, *rest, **more):
        if sql.startswith(("CREATE TABLE IF NOT EXISTS `aai`", "CREATE OR REPLACE VIEW `aai`")):
            done.append(sql)
            if len(done) > int(sys.argv[3]):
                os.kill(os.getpid(), 9)
        return command(self, sql, *rest, **more)
    Engine.command = killed
    context.backend.services.system.ensure()
else:
    with context:
        jobs = system.jobs.to_pyarrow().to_pylist()
        print(system.objects.data()["name"], len(system.operations), [j["state"] for j in jobs])
        print(len(system.refs), sorted(set(system.settings.data()["job_id"])) == [context.job_id])
"""


def run(tmp_path, what, *more):
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            textwrap.dedent(PROGRAM),
            str(tmp_path),
            what,
            *more,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_they_survive_a_kernel_that_was_killed_while_it_made_them(tmp_path):
    for number in (0, 4):
        code, _, errors = run(tmp_path, "kill", str(number))
        assert code == -9, errors
    code, lines, errors = run(tmp_path, "make")
    assert code == 0, errors
    assert lines[0] == "1 1"
    code, lines, errors = run(tmp_path, "look")
    assert code == 0, errors
    assert lines[0].startswith("['kept'] 1 ")
    assert "alive" in lines[0]
    assert lines[1] == "0 True"


def test_a_failing_one_says_so_and_leaves_nothing(ctx, no_probe):
    def rows():
        raise AaiclickError("no")

    table = SystemTable("probe", "a probe", ONE, rows)
    failing = SystemStore(ctx.engine, [table], "kernel/1/1", lambda: {1}, lambda: None)
    with pytest.raises(AaiclickError, match="no"):
        failing.refresh(["probe"])
    wrong = store(ctx, ONE, rows=[("a", "not a number")])
    with pytest.raises(EngineError):
        wrong.refresh(["probe"])
    assert probed(ctx) == []
    left = ctx.engine.query_rows("SELECT count() FROM system.tables WHERE name LIKE '_staging%'")
    assert left == [(0,)]
