"""The registry: asked once per version, told of every change, right under threads."""

from __future__ import annotations

import itertools
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaiclick_ext import DataContext
from aaiclick_ext.engine.types import restore, wrap_fetch
from aaiclick_ext.errors import UnknownTableError
from aaiclick_ext.oplog import Task
from aaiclick_ext.schema import ColumnDefault, SchemaRegistry
from aaiclick_ext.schema.registry import MAX_QUERIES
from aaiclick_ext.settings import Settings


class Cell:
    """The running cell, as a notebook would tell it."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self):
        return self.number


@pytest.fixture
def cell():
    return Cell()


@pytest.fixture
def registry(engine, cell):
    """A registry in a cell. Nobody tells it of statements: it sees what another kernel does."""
    return SchemaRegistry(engine, cell=cell)


@pytest.fixture
def name(engine):
    table = f"t_{uuid.uuid4().hex[:8]}"
    yield table
    engine.command(f"DROP TABLE IF EXISTS {table} SYNC")


@pytest.fixture(scope="module")
def ctx(tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    with DataContext(settings=Settings(state_dir=state)) as context:
        yield context


class TestWhatItKnows:
    def test_all_that_clickhouse_says_of_a_table(self, engine, registry, name):
        engine.command(
            f"CREATE TABLE {name} (a Int64 COMMENT 'the key', b Nullable(String) DEFAULT 'x', "
            "m UInt8 MATERIALIZED a % 7, l DateTime ALIAS now(), d Date DEFAULT today()) "
            "ENGINE = MergeTree PARTITION BY toYYYYMM(d) PRIMARY KEY a ORDER BY (a, d)"
        )
        engine.command(f"INSERT INTO {name} (a) VALUES (1), (2)")
        schema = registry.get(name)
        assert schema.types == {"a": "Int64", "b": "Nullable(String)", "d": "Date"}
        assert schema.comments == {"a": "the key"}
        assert schema.defaults == {
            "b": ColumnDefault("DEFAULT", "'x'"),
            "m": ColumnDefault("MATERIALIZED", "a % 7"),
            "l": ColumnDefault("ALIAS", "now()"),
            "d": ColumnDefault("DEFAULT", "today()"),
        }
        assert schema.nullable == {"b"}
        assert (schema.sorting_key, schema.primary_key) == ("a, d", "a")
        assert (schema.partition_key, schema.engine, schema.rows) == ("toYYYYMM(d)", "MergeTree", 2)
        assert schema.ibis == ibis.schema({"a": "!int64", "b": "string", "d": "!date"})
        types = {c.name: c.type for c in engine.columns_of_table(name) if c.name in schema.types}
        fetched = engine.query_arrow(wrap_fetch(f"SELECT * FROM {name} LIMIT 0", types))
        assert schema.arrow == restore(fetched, types).schema
        assert registry.get(name, "default").types == schema.types
        with pytest.raises(UnknownTableError, match="nosuch"):
            registry.get("nosuch")

    def test_what_we_made_is_known_as_it_would_be_read(self, ctx):
        made = [
            ctx.create_object_from_value([1, 2]),
            ctx.create_object_from_value(7),
            ctx.create_object_from_value({"a": [1, None], "b": [b"\xff", b""]}),
            ctx.create_object_from_value({"a": [1, 2]}, name="kept one", scope="session"),
            ctx.create_object_from_value({"a": range(10**6)}).filter(ibis._.a > 1).copy(),
        ]
        for x in made:
            known = ctx.schemas.get(x.table_name)
            ctx.schemas.invalidate(x.table_name)
            assert ctx.schemas.get(x.table_name) == known
            assert known.arrow == (x.to_pyarrow().schema if x.shape else known.arrow)
        ctx.delete_object("kept one")

    def test_schemas_are_built_once_and_shared(self, registry, engine, name):
        engine.command(f"CREATE TABLE {name} (a Int64) ENGINE = Memory")
        schema = registry.get(name)
        ibis_, arrow = schema.ibis, schema.arrow
        engine.command(f"INSERT INTO {name} VALUES (1)")
        with ThreadPoolExecutor(8) as pool:
            seen = list(pool.map(lambda _: registry.get(name), range(1000)))
        assert all(s.ibis is ibis_ and s.arrow is arrow for s in seen)
        assert (registry.stats.hits, registry.stats.misses) == (1000, 1)

    def test_queries_without_running_them(self, registry, engine, name):
        engine.command(f"CREATE TABLE {name} (a Int64) ENGINE = Memory")
        registry.get(name)
        sql = f"SELECT a, (SELECT throwIf(1)) AS s, toDateTime(a) AS t FROM {name}"
        found = registry.of_query(sql)
        assert found.types == {"a": "Int64", "s": "Nullable(UInt8)", "t": "DateTime"}
        assert found.arrow.field("t").type == pa.timestamp("s")
        assert registry.of_query(sql) is found
        assert (registry.stats.query_hits, registry.stats.query_misses) == (1, 1)

    @pytest.mark.parametrize(
        "sql", ["SELECT * FROM merge('default', 'm_.*')", "SELECT * FROM system.one, nosuch_yet"]
    )
    def test_queries_of_what_is_not_known_are_asked_anew(self, registry, engine, sql):
        engine.command("CREATE TABLE m_1 (a Int64) ENGINE = Memory")
        engine.command("CREATE TABLE nosuch_yet (a Int64) ENGINE = Memory")
        assert registry.of_query(sql).types["a"] == "Int64"
        engine.command("ALTER TABLE m_1 MODIFY COLUMN a String")
        engine.command("ALTER TABLE nosuch_yet MODIFY COLUMN a String")
        found = registry.of_query(sql).types["a"]
        engine.command("DROP TABLE m_1, nosuch_yet SYNC")
        assert found == "String"

    def test_it_remembers_a_limited_number_of_queries(self, registry):
        for number in range(3):
            registry.of_query(f"SELECT {number} AS a")
        assert registry.stats.query_misses == 3
        for number in range(MAX_QUERIES):
            registry.of_query(f"SELECT {number + 3} AS a")
            registry.of_query("SELECT 0 AS a")
        before = registry.stats.query_misses
        registry.of_query("SELECT 0 AS a")
        assert registry.stats.query_misses == before  # it was used all the time
        registry.of_query("SELECT 1 AS a")
        assert registry.stats.query_misses == before + 1


OUTSIDE = {
    "add": "ALTER TABLE {t} ADD COLUMN b String",
    "default": "ALTER TABLE {t} MODIFY COLUMN a DEFAULT 7",
    "comment": "ALTER TABLE {t} COMMENT COLUMN a 'the key'",
    "replace": "CREATE OR REPLACE TABLE {t} (b String) ENGINE = Memory",
    "exchange": "EXCHANGE TABLES {t} AND {t}_other",
    "drop and rename": "DROP TABLE {t} SYNC;RENAME TABLE {t}_other TO {t}",
    "drop and create": "DROP TABLE {t} SYNC;CREATE TABLE {t} (b Date) ENGINE = Memory",
}


class TestChangesByOthers:
    """Nobody tells the registry: it has to look, once per cell."""

    @pytest.mark.parametrize("change", OUTSIDE)
    @pytest.mark.parametrize("database", [None, "default", "atomic"])
    def test_are_seen_in_the_next_cell(self, engine, registry, cell, name, change, database):
        engine.command("CREATE DATABASE IF NOT EXISTS atomic ENGINE = Atomic")
        table = name if database is None else f"{database}.{name}"
        engine.command(f"CREATE TABLE {table} (a Int64) ENGINE = MergeTree ORDER BY a")
        engine.command(f"CREATE TABLE {table}_other (b String) ENGINE = Memory")
        before, sql = registry.get(name, database), f"SELECT * FROM {table}"
        registry.of_query(sql)
        for statement in OUTSIDE[change].format(t=table).split(";"):
            engine.command(statement)
        assert registry.get(name, database) is before  # in the same cell
        cell.number += 1
        after = registry.get(name, database)
        assert after != before
        assert after.types == {c.name: c.type for c in engine.columns_of_table(name, database)}
        assert registry.of_query(sql).types == after.types
        engine.command(f"DROP TABLE IF EXISTS {table} SYNC")
        engine.command(f"DROP TABLE IF EXISTS {table}_other SYNC")

    def test_cost_one_query_for_all_tables_in_each_cell_that_uses_one(self, engine, cell, name):
        sent = []
        engine.tell_of_statements(sent.append)
        registry = SchemaRegistry(engine, cell=cell)
        try:
            for number in range(3):
                engine.command(f"CREATE TABLE {name}_{number} (a Int64) ENGINE = Memory")
                registry.get(f"{name}_{number}")
            engine.command(f"INSERT INTO {name}_1 VALUES (1)")
            cell.number += 1
            del sent[:]
            cell.number += 1  # a cell that uses none
            found = [registry.get(f"{name}_{number % 3}") for number in range(30)]
        finally:
            engine.tell_of_statements(lambda _: None)
        assert len(sent) == 1
        assert [schema.rows for schema in found[:3]] == [0, 1, 0]
        engine.command(f"DROP TABLE {name}_0, {name}_1, {name}_2 SYNC")

    def test_are_seen_at_once_outside_of_cells(self, engine, name):
        registry = SchemaRegistry(engine)
        engine.command(f"CREATE TABLE {name} (a Int64) ENGINE = Memory")
        first = registry.get(name)
        assert registry.get(name) is first
        engine.command(f"ALTER TABLE {name} ADD COLUMN b Int8")
        assert list(registry.get(name).types) == ["a", "b"]
        engine.command(f"DROP TABLE {name} SYNC")
        with pytest.raises(UnknownTableError, match=name):
            registry.get(name)


DOOR = {
    "command": lambda ctx, sql: ctx.engine.command(sql),
    "query_rows": lambda ctx, sql: ctx.engine.query_rows(sql),
    "query_arrow": lambda ctx, sql: ctx.engine.query_arrow(sql),
}


class TestOurStatements:
    """What passes the engine is known at once, in the same cell."""

    @pytest.fixture(autouse=True)
    def _in_a_cell(self, ctx):
        ctx.begin_task(Task())
        yield
        ctx.begin_task(Task())

    @pytest.mark.parametrize("change", OUTSIDE)
    @pytest.mark.parametrize("database", [None, "default"])
    def test_are_known_at_once(self, ctx, name, change, database):
        table = name if database is None else f"{database}.{name}"
        ctx.engine.command(f"CREATE TABLE {table} (a Int64) ENGINE = MergeTree ORDER BY a")
        ctx.engine.command(f"CREATE TABLE {table}_other (b String) ENGINE = Memory")
        before = ctx.table(table)
        text = ctx.sql(f"SELECT * FROM {table}")
        for statement in OUTSIDE[change].format(t=table).split(";"):
            ctx.engine.command(statement)
        columns = [c.name for c in ctx.engine.columns_of_table(name, database)]
        assert list(ctx.table(table).columns) == columns
        assert list(ctx.sql(f"SELECT * FROM {table}").columns) == columns
        assert list(before.columns) == list(text.columns) == ["a"]
        ctx.engine.command(f"DROP TABLE IF EXISTS {name} SYNC")
        ctx.engine.command(f"DROP TABLE IF EXISTS {name}_other SYNC")

    @pytest.mark.parametrize("way", DOOR)
    def test_by_whichever_way(self, ctx, name, way):
        ctx.engine.command(f"CREATE TABLE {name} (a Int64) ENGINE = Memory")
        assert ctx.schemas.get(name).rows == 0
        DOOR[way](ctx, f"INSERT INTO {name} VALUES (1)")
        assert ctx.schemas.get(name).rows == 1
        DOOR[way](ctx, f"ALTER TABLE {name} ADD COLUMN b Int8")
        assert list(ctx.schemas.get(name).types) == ["a", "b"]

    def test_a_whole_database(self, ctx):
        ctx.engine.command("CREATE DATABASE gone")
        ctx.engine.command("CREATE TABLE gone.t (a Int64) ENGINE = Memory")
        assert ctx.schemas.get("t", "gone").rows == 0
        ctx.engine.command("DROP DATABASE gone SYNC")
        with pytest.raises(UnknownTableError, match=r"gone\.t"):
            ctx.schemas.get("t", "gone")

    def test_on_tables_of_ours(self, ctx):
        array, table = (
            ctx.create_object_from_value([1, 2]),
            ctx.create_object_from_value({"a": [1]}),
        )
        for x in (array, table):
            ctx.engine.command(f"ALTER TABLE {x.table_name} ADD COLUMN more Nullable(Int8)")
        assert array.shape == (2,)
        assert (array + 1).data() == [2, 3]
        assert list(ctx.schemas.get(table.table_name).types) == ["a", "more"]
        ctx.engine.command(f"INSERT INTO {table.table_name} VALUES (2, 3)")
        assert table.shape[0] == 2
        table.insert({"a": [3], "more": [4]})
        assert table.shape[0] == 3
        assert ctx.schemas.get(table.table_name).rows == 3

    def test_another_context_on_the_database_hears_of_them(self, ctx, name):
        with DataContext(settings=ctx.settings) as other:
            other.begin_task(Task())
            ctx.engine.command(f"CREATE TABLE {name} (a Int64) ENGINE = Memory")
            assert list(other.table(name).columns) == ["a"]
            ctx.engine.command(f"ALTER TABLE {name} ADD COLUMN b Int8")
            assert list(other.table(name).columns) == ["a", "b"]

    def test_a_type_that_ibis_does_not_know_changes_the_plan(self, ctx, name):
        ctx.engine.command(f"CREATE TABLE {name} (a Int256) ENGINE = Memory")
        ctx.engine.command(f"INSERT INTO {name} VALUES (7)")
        assert ctx.table(name).data() == {"a": [7]}
        ctx.engine.command(f"ALTER TABLE {name} MODIFY COLUMN a BFloat16")
        assert ctx.table(name).data() == {"a": [7.0]}
        assert isinstance(ctx.table(name).data()["a"][0], float)

    def test_tables_of_one_name_in_two_databases_are_two(self, ctx, name):
        ctx.engine.command("CREATE DATABASE IF NOT EXISTS second")
        ctx.engine.command(f"CREATE TABLE {name} (a Int256) ENGINE = Memory")
        ctx.engine.command(f"CREATE TABLE second.{name} (a UInt256) ENGINE = Memory")
        ctx.engine.command(f"INSERT INTO {name} SELECT number FROM numbers(1000)")
        ctx.engine.command(f"INSERT INTO second.{name} SELECT number FROM numbers(77)")
        ctx.table(name)
        view = ctx.table(f"second.{name}")
        assert "77 rows" in view._repr_mimebundle_()["text/html"]
        with pytest.raises(TypeError, match="UInt256"):
            view.a + 1
        ctx.engine.command("DROP DATABASE second SYNC")

    def test_invalidate_and_clear(self, ctx, name):
        ctx.engine.command(f"CREATE TABLE {name} (a Int64) ENGINE = Memory")
        x, before = ctx.create_object_from_value([1, 2]), ctx.schemas.get(name)
        ctx.schemas.of_query("SELECT 1 AS one")
        ctx.schemas.invalidate(name)
        again = ctx.schemas.get(name)
        assert again == before
        assert again is not before
        misses = ctx.schemas.stats.query_misses
        ctx.schemas.clear()
        assert ctx.schemas.get(name) is not again
        ctx.schemas.of_query("SELECT 1 AS one")
        assert ctx.schemas.stats.query_misses == misses + 1
        assert (x + 1).data() == [2, 3]  # what is an array stays one


class TestThreads:
    def test_who_miss_at_once_ask_once(self, engine, registry, name):
        engine.command(f"CREATE TABLE {name} (a Int64) ENGINE = Memory")
        described, barrier = [], threading.Barrier(16)
        engine.tell_of_statements(lambda sql: described.append(sql.startswith("DESCRIBE")))

        def ask(_):
            barrier.wait()
            return registry.get(name)

        try:
            with ThreadPoolExecutor(16) as pool:
                found = set(map(id, pool.map(ask, range(16))))
        finally:
            engine.tell_of_statements(lambda _: None)
        assert len(found) == 1
        assert sum(described) == 1

    def test_what_is_read_while_it_is_invalidated_is_not_kept(self, engine, cell, name):
        """The statement of another comes in the middle of a read, right after the columns."""
        registry = SchemaRegistry(engine, cell=cell)
        engine.command(f"CREATE TABLE {name} (a Int64) ENGINE = Memory")
        rounds = itertools.count()

        def change(sql):
            if sql.startswith("DESCRIBE") and next(rounds) == 0:
                registry.invalidate(name)

        engine.tell_of_statements(change)
        try:
            first = registry.get(name)
            second = registry.get(name)
        finally:
            engine.tell_of_statements(lambda _: None)
        assert first == second
        assert first is not second
        assert registry.stats.misses == 2

    def test_a_change_during_a_read_gives_no_half(self, engine, registry, name):
        engine.command(f"CREATE TABLE {name} (a Int64) ENGINE = MergeTree ORDER BY a")
        engine.command(f"CREATE TABLE {name}_new (b String) ENGINE = Memory")
        rounds = itertools.count()

        def change(sql):
            if sql.startswith("SELECT cityHash64") and next(rounds) == 0:
                engine.command(f"EXCHANGE TABLES {name} AND {name}_new")

        engine.tell_of_statements(change)
        try:
            schema = registry.get(name)
        finally:
            engine.tell_of_statements(lambda _: None)
        assert (schema.types, schema.engine) == ({"b": "String"}, "Memory")
        assert schema.sorting_key == ""
        engine.command(f"DROP TABLE {name}_new SYNC")

    @settings(
        max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        steps=st.lists(st.sampled_from(["add", "drop", "exchange", "clear", "cell"]), max_size=8)
    )
    def test_readers_see_whole_versions_and_never_an_older_one(self, ctx, steps):
        """A version of the table is `n` columns of type `n`, and its comment says n."""
        table, other = f"v_{uuid.uuid4().hex[:8]}", f"w_{uuid.uuid4().hex[:8]}"
        version, done, wrong = itertools.count(1), threading.Event(), []
        reached = [0]

        def ddl(name: str, n: int) -> str:
            columns = ", ".join(f"c{i} FixedString({n})" for i in range(1, n + 1))
            return f"CREATE OR REPLACE TABLE {name} ({columns}) ENGINE = Memory COMMENT '{n}'"

        def read() -> None:
            while not done.is_set():
                at_least = reached[0]
                schema = ctx.schemas.get(table)
                n = len(schema.types)
                text = f"FixedString({n})"
                if set(schema.types.values()) != {text} or len(schema.arrow) != len(schema.ibis):
                    wrong.append(dict(schema.types))
                if n < at_least:
                    wrong.append((n, at_least))

        ctx.begin_task(Task())
        ctx.engine.command(ddl(table, next(version)))
        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for step in steps:
            if step == "clear":
                ctx.schemas.clear()
                continue
            if step == "cell":
                ctx.begin_task(Task())
                continue
            n = next(version)
            if step == "add":
                ctx.engine.command(ddl(table, n))
            elif step == "drop":
                ctx.engine.command(ddl(other, n))
                ctx.engine.command(f"EXCHANGE TABLES {table} AND {other}")
            else:
                ctx.engine.command(ddl(other, n))
                ctx.engine.command(f"EXCHANGE TABLES {other} AND {table}")
            reached[0] = n
        done.set()
        for reader in readers:
            reader.join()
        ctx.engine.command(f"DROP TABLE IF EXISTS {table}, {other} SYNC")
        assert not wrong
