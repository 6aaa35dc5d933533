"""The SQL script of a result, run in a fresh database, gives the same rows; the Python script."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot.dialects import ClickHouse
from sqlglot.tokens import TokenType

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.ids import Snowflake
from aaiclick_ext.oplog import Task
from aaiclick_ext.oplog.sql_script import LOAD_HERE

FLIGHTS = {"carrier": ["UA", "AA", "UA", "DL"], "delay": [1, 70, 90, None], "miles": [1, 2, 3, 4]}
CARRIERS = {"carrier": ["UA", "AA"], "name": ["United", "American"]}


def statements(script: str) -> list[str]:
    """Return the statements of a script, each with the comments before it."""
    ends = [t.end for t in ClickHouse().tokenize(script) if t.token_type is TokenType.SEMICOLON]
    return [script[a:b] for a, b in itertools.pairwise([0, *(end + 1 for end in ends)])]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Return a function that runs a script where there is nothing yet, and then a query."""
    folder = tmp_path_factory.mktemp("elsewhere")
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("rebuilding.py")), str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip

    def run(script: str, name: str, loads: dict | None = None, order: str = "ORDER BY ALL"):
        paths = {}
        for table, values in (loads or {}).items():
            paths[table] = str(folder / f"{len(paths)}.parquet")
            pq.write_table(pa.table(values), paths[table])
        begun = len(statements(script.partition(LOAD_HERE)[0]))
        query = f"SELECT * FROM {quote_identifier(name)} {order}"
        job = {"statements": statements(script), "loads": paths, "after": begun, "query": query}
        child.stdin.write(json.dumps(job) + "\n")
        child.stdin.flush()
        answer = json.loads(child.stdout.readline())
        assert "error" not in answer, f"{answer['error']}\n{script}"
        return answer["rows"]

    with child:
        yield run
        child.stdin.close()


_numbers = itertools.count(1)
_tasks = Snowflake(7)


@pytest.fixture
def cell(ctx):
    """Return a block that is a cell; what it puts into its dict are variables."""

    @contextlib.contextmanager
    def run(source: str = ""):
        number, names = next(_numbers), {}
        oplog = ctx._opened.services.oplog
        oplog.begin_task(Task(_tasks.next(), f"cell-{number}", number, source))
        yield names
        held = {}
        for name, value in names.items():
            held.setdefault(ctx.node_name(value), []).append(name)
        oplog.end_task(held)

    return run


@pytest.fixture
def data(ctx, cell):
    with cell("flights, carriers = …") as names:
        names["flights"] = ctx.create_object_from_value(FLIGHTS)
        names["carriers"] = ctx.create_object_from_value(CARRIERS)
    return names["flights"], names["carriers"]


LOADS = {"flights": FLIGHTS, "carriers": CARRIERS}


def here(ctx, x, order: str = "ORDER BY ALL") -> list[str]:
    rows = ctx.engine.query_rows(f"SELECT * FROM {x.table_name} {order}")
    return [repr(row) for row in rows]


def test_a_chain_of_views_and_tables(ctx, cell, data, elsewhere):
    flights, carriers = data
    with cell() as names:
        names["late"] = late = flights.filter(flights.delay > 60).copy()
    with cell() as names:
        joined = late.join(carriers, "carrier").group_by("name").agg(n=late.miles.sum())
        names["worst"] = worst = joined.order_by("n").copy()
    script = ctx.lineage_sql(worst)
    assert elsewhere(script, "worst", LOADS) == here(ctx, worst) != []
    for words in ("-- In [", "late = copy", "CREATE TABLE `late`", "-- rows: 4", "-- type: dict"):
        assert words in script
    assert "FROM `aai_" not in script
    assert 'FROM "aai_' not in script


def test_a_restored_table_is_made_of_its_original(ctx, cell, data, elsewhere):
    flights, _ = data
    with cell() as names:
        names["late"] = made = flights.filter(flights.delay > 60).copy()
    table = made.table_name
    del made
    names.clear()
    gc.collect()
    with cell() as names:
        names["again"] = again = ctx.restore(table).object
    with cell() as names:
        names["more"] = more = again.mutate(far=again.miles * 2).copy()
    again_rows, more_rows = here(ctx, again), here(ctx, more)
    loads = {"flights": FLIGHTS}
    assert elsewhere(ctx.lineage_sql(again), "again", loads) == again_rows != []
    script = ctx.lineage_sql(more)
    assert elsewhere(script, "more", loads) == more_rows
    created = [script.index(f"CREATE TABLE `{name}`") for name in ("late", "again", "more")]
    assert [script.index(LOAD_HERE), *created] == sorted([script.index(LOAD_HERE), *created])


def test_a_restored_array_and_a_restored_file(ctx, cell, elsewhere, tmp_path):
    (tmp_path / "a.csv").write_text("k\n3\n1\n")
    with cell() as names:
        names["a"] = ctx.create_object_from_value([3, 1, 2])
        names["b"] = (names["a"] * 2).copy()
        names["f"] = ctx.read_csv(tmp_path / "a.csv")
    array, file = names["b"].table_name, names["f"].table_name
    objects = {"a": names["a"]}
    names.clear()
    gc.collect()
    for name, table in (("again", array), ("read", file)):
        with cell() as names:
            names[name] = ctx.restore(table).object
        objects[name] = names[name]
    rows = elsewhere(
        ctx.lineage_sql(objects["again"]), "again", {"a": {"value": [3, 1, 2]}}, "ORDER BY _row"
    )
    assert rows == here(ctx, objects["again"], "ORDER BY _row")
    script = ctx.lineage_sql(objects["read"])
    assert elsewhere(script, "read", {"f": {"k": [3, 1]}}) == here(ctx, objects["read"])


def test_a_view_becomes_a_view(ctx, cell, data, elsewhere):
    flights, _ = data
    with cell() as names:
        names["late"] = late = flights.filter(flights.delay > 60)
    script = ctx.lineage_sql(late)
    assert "CREATE VIEW `late`" in script
    assert elsewhere(script, "late", {"flights": FLIGHTS}) == here(ctx, late.copy()) != []
    by_name = ctx.lineage_sql(ctx.node_name(late))
    assert "-- Its SQL is not in the log" in by_name or "CREATE VIEW `late`" in by_name


def test_inserts_come_when_they_came_and_not_after_what_was_read(ctx, cell, data, elsewhere):
    flights, _ = data
    with cell() as names:
        flights.insert(flights.filter(flights.delay > 60))
        names["before"] = before = flights.copy()
        flights.insert(flights.filter(flights.delay > 80).select("carrier", "miles"))
        names["after"] = after = flights.copy()
    loads = {"flights": FLIGHTS}
    assert elsewhere(ctx.lineage_sql(before), "before", loads) == here(ctx, before)
    assert elsewhere(ctx.lineage_sql(after), "after", loads) == here(ctx, after)
    assert elsewhere(ctx.lineage_sql(flights), "flights", loads) == here(ctx, flights)
    assert ctx.lineage_sql(before).count("INSERT INTO") == 1
    assert ctx.lineage_sql(after).count("INSERT INTO") == 2


def test_rows_that_are_not_sql_are_said_where_they_came(ctx, cell, data):
    flights, _ = data
    with cell():
        flights.insert({"carrier": ["ZZ"], "delay": [5], "miles": [6]})
    script = ctx.lineage_sql(flights.copy())
    assert "-- Rows that are not SQL. Insert them here:\n-- source_0: dict, 1 rows" in script


def test_an_empty_table_and_a_concat(ctx, cell, data, elsewhere):
    flights, _ = data
    with cell() as names:
        names["kept"] = kept = ctx.create_object({"carrier": "String", "miles": "Int64"})
        kept.insert(flights.select("carrier", "miles"))
        names["both"] = both = ctx.concat(kept, flights.select("carrier", "miles"))
    script = ctx.lineage_sql(both)
    assert elsewhere(script, "both", {"flights": FLIGHTS}) == here(ctx, both)
    assert len(here(ctx, both)) == 8
    assert "-- Made empty" in script


def test_arrays_keep_their_order(ctx, cell, elsewhere):
    with cell() as names:
        names["a"] = a = ctx.create_object_from_value([3, 1, 2])
        a.insert(a + 10)
        names["b"] = b = (a * 2 + a).copy()
    script = ctx.lineage_sql(b)
    expected = here(ctx, b, "ORDER BY _row")
    assert elsewhere(script, "b", {"a": {"value": [3, 1, 2]}}, "ORDER BY _row") == expected
    assert len(expected) == 6


def test_sql_text_and_memtables(ctx, cell, data, elsewhere):
    flights, _ = data
    with cell() as names:
        text = f"SELECT carrier, delay FROM default.{flights.table_name} -- where it is"
        names["t0"] = ctx.sql(text).alias("q").sql("SELECT carrier FROM q WHERE delay > 60").copy()
        extra = ibis.memtable({"carrier": ["QQ"]})
        names["all"] = both = ctx.concat(names["t0"], ctx.view(extra))
    script = ctx.lineage_sql(both)
    loads = {"flights": FLIGHTS, "create_from_value": {"carrier": ["QQ"]}}
    assert elsewhere(script, "all", loads) == here(ctx, both)
    assert len(here(ctx, both)) == 3


@pytest.mark.parametrize("name", ["it's", 'a "b" `c`', "select", "x;--\ny", "漢字", "back\\slash"])
def test_any_name_of_a_table(ctx, cell, elsewhere, name):
    with cell():
        loaded = f"{name} {next(_numbers)}"
        x = ctx.create_object_from_value({"a": [1]}, name=loaded, scope="session")
        copied = x.mutate(b=x.a + 1).copy()
    script = ctx.lineage_sql(copied)
    assert elsewhere(script, "copy", {loaded: {"a": [1]}}) == ["(1, 2)"]
    ctx.delete_object(loaded)


def test_a_graph_that_ends_too_early_says_so(ctx, cell, data):
    flights, _ = data
    copied = flights.copy().copy()
    script = ctx.oplog_subgraph(copied, max_depth=1).to_sql()
    assert f"{flights.table_name}: the graph ends before it. Ask for one of more steps." in script
    assert "the graph ends" not in ctx.oplog_subgraph(copied).to_sql()


def test_files_say_where_they_were(ctx, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,a\n2,b\n")
    script = ctx.lineage_sql(ctx.read_csv(path))
    assert f"-- path: {path}\n" in script
    assert "-- rows: 2\n" in script
    assert "    `x` Nullable(Int64)" in script or "    `x` Int64" in script


def test_a_foreign_table_is_named(ctx):
    ctx.engine.command("CREATE TABLE IF NOT EXISTS shop (a Int8) ENGINE = Memory")
    script = ctx.lineage_sql(ctx.table("shop").copy())
    assert "-- Reads what is not made here: shop" in script
    ctx.engine.command("DROP TABLE shop SYNC")


def test_credentials_stay_masked(ctx, cell):
    with cell("password = 'hunter2hunter2h'\nx = 1") as names:
        names["x"] = x = ctx.create_object_from_value({"a": ["hunter2hunter2h", "b"]})
        names["y"] = y = x.filter(x.a != "hunter2hunter2h").copy()
    script = ctx.lineage_sql(y)
    assert "hunter2" not in script
    assert "'***'" in script
    assert "stands for a credential" in script
    python = ctx.oplog_subgraph(y).to_python()
    assert "hunter2" not in python
    assert "stands for a credential" in python
    with cell("password = 'hunter2hunter2h'"):
        assert "hunter2" not in ctx.lineage_sql(x.filter(x.a != "hunter2hunter2h"))


def test_the_cells_that_matter(ctx, cell):
    with cell("a = aai.create_object_from_value({'x': [1]})\n%time") as names:
        names["a"] = a = ctx.create_object_from_value({"x": [1]})
    with cell("other = …") as names:
        names["other"] = ctx.create_object_from_value({"x": [2]})
    with cell("b = a.filter(a.x > limit)\nc = b.copy()") as names:
        names["b"] = b = a.filter(a.x > 0)
        names["c"] = c = b.copy()
    with cell("a.insert({'x': [9]})"):
        a.insert({"x": [9]})
    script = ctx.oplog_subgraph(c).to_python()
    first, second = [part.split("\n")[0] for part in script.split("# In [")[1:]]
    assert int(second[:-1]) == int(first[:-1]) + 2
    assert script.startswith(f"# What made c ({c.table_name}), by the operation log.\n")
    assert "# Set by cells that are not in the log: aai, limit\n" in script
    assert "\n# %time\n" in script
    assert script.count("b = a.filter") == 1
    assert "a.insert" not in script
    assert "a.insert" in ctx.oplog_subgraph(b).to_python()
    compile(script, "script", "exec")
