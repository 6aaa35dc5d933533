"""Dropped tables made again: as they were, and where that cannot be, why."""

from __future__ import annotations

import dataclasses
import os

import pytest

from aaiclick_ext import RestoreStatus
from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import OplogError
from aaiclick_ext.oplog.log_table import insert_events
from aaiclick_ext.settings import Settings
from tests.objects.pipelines import Pipeline, tables_of

VALUES = {
    "numbers": {"a": [1, 2, None], "b": [0.5, float("nan"), -0.0]},
    "texts": {"s": ["x", "", "ü\n'\"", None], "n": [1, 2, 3, 4]},
    "bytes": {"b": [b"\xff\x00", None, b""]},
    "nested": {"l": [[1, 2], [], [None]], "d": [{"x": 1, "y": "a"}, {"x": 2, "y": None}, None]},
    "array": [3, 1, 2],
    "scalar": 7,
    "empty": {"a": []},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_comes_back_as_it_was(ctx, gone, value):
    objects = [ctx.create_object_from_value(value)]
    kind, schema, before = type(objects[0]), objects[0].schema(), str(objects[0].data())
    (table,) = gone(objects)
    found = ctx.restore(table)
    assert (found.status, found.reason, found.rebuilt) == (RestoreStatus.EXACT, None, ())
    assert found.object.table_name != table
    assert type(found.object) is kind
    assert found.object.schema() == schema
    assert str(found.object.data()) == before


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_copy_comes_back_with_what_it_was_made_of(ctx, gone, value):
    first = ctx.create_object_from_value(value)
    view = first * 1 if value == 7 else first
    objects = [first, view.copy()]
    del first, view
    schema, before = objects[1].schema(), str(objects[1].data())
    source, table = gone(objects)
    found = ctx.restore(table)
    assert found.status == RestoreStatus.EXACT
    assert found.rebuilt == (source,)
    assert found.object.schema() == schema
    assert str(found.object.data()) == before


def test_inserts_of_values_and_views_in_their_order(ctx, gone):
    other = ctx.create_object_from_value([10, 20])
    made = ctx.create_object_from_value([1])
    made.insert([2, 3], other * 2, [4], other.copy())
    made.insert(other)
    objects = [made]
    del made
    (table,) = gone(objects)
    found = ctx.restore(table)
    assert found.status == RestoreStatus.EXACT
    assert found.object.data() == [1, 2, 3, 20, 40, 4, 10, 20, 10, 20]


def test_an_object_made_empty(ctx, gone):
    made = ctx.create_object({"a": "Int64", "s": "LowCardinality(String)"})
    made.insert({"a": [1], "s": ["x"]})
    objects = [made]
    del made
    (table,) = gone(objects)
    found = ctx.restore(table)
    assert found.status == RestoreStatus.EXACT
    assert found.object.data() == {"a": [1], "s": ["x"]}


def test_a_source_is_made_as_it_was_when_it_was_read(ctx, gone):
    source = ctx.create_object_from_value({"a": [1, 2]})
    made = source.mutate(b=source.a * 2).copy()
    source.insert({"a": [3]})
    objects = [made]
    del made
    (table,) = gone(objects)
    found = ctx.restore(table)
    assert found.status == RestoreStatus.EXACT
    assert found.object.data() == {"a": [1, 2], "b": [2, 4]}
    assert found.rebuilt == (source.table_name,)
    assert source.order_by("a").data() == {"a": [1, 2, 3]}  # a table has no order of its own


def test_a_source_read_twice_and_changed_between(ctx, gone):
    source = ctx.create_object_from_value({"a": [1]})
    made = ctx.create_object({"a": "Int64"})
    made.insert(source)
    source.insert({"a": [2]})
    made.insert(source)
    objects = [made, source]
    del made, source
    table, read = gone(objects)
    found = ctx.restore(table)
    assert found.status in (RestoreStatus.EXACT, RestoreStatus.UNORDERED)
    assert sorted(found.object.data()["a"]) == [1, 1, 2]
    assert set(found.rebuilt) == {read}


def test_a_source_that_cannot_be_made_as_it_was_is_used_as_it_is(ctx, gone, monkeypatch):
    services = ctx._opened.services
    unkept = services.settings.replace(kept_value_bytes=0)
    monkeypatch.setattr(services.oplog, "_settings", unkept)
    monkeypatch.setattr(services, "settings", unkept)
    source = ctx.create_object_from_value({"a": [1, 2]})
    made = source.mutate(b=source.a * 2).copy()
    source.insert({"a": [3]})
    objects = [made]
    del made
    (table,) = gone(objects)
    found = ctx.restore(table)
    assert found.status == RestoreStatus.DIFFERS
    assert (found.expected_rows, found.rows) == (2, 3)
    assert found.changed == (f"{source.table_name} (rows were inserted)",)
    assert source.table_name in found.reason
    assert found.object.count().execute() == 3
    objects = [source]
    del source
    lost = gone(objects)
    found = ctx.restore(*lost)
    assert found.status == RestoreStatus.IMPOSSIBLE
    assert found.object is None
    assert "kept_value_bytes" in found.reason


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT rand() AS r FROM numbers(3)", "rand()"),
        ("SELECT now64(9) AS t", "now64()"),
        ("SELECT sipHash64(generateUUIDv4()) AS r FROM numbers(2)", "generateUUIDv4()"),
    ],
)
def test_what_gives_another_result_each_time(ctx, gone, tables, sql, word):
    (table,) = gone([ctx.sql(sql).copy()])
    before = tables()
    found = ctx.restore(table)
    assert found.status == RestoreStatus.IMPOSSIBLE
    assert found.reason == f"{word} gives another result each time"
    assert tables() == before


def test_doubts_that_the_hash_dispels(ctx, gone):
    source = ctx.create_object_from_value({"a": [1, 2, 3]})
    (table,) = gone([source.limit(2).copy()])
    found = ctx.restore(table)
    assert found.status == RestoreStatus.EXACT
    assert found.reason is None


def test_without_a_hash_a_doubt_is_enough(ctx, gone, monkeypatch):
    services = ctx._opened.services
    monkeypatch.setattr(services, "settings", services.settings.replace(content_hash_cells=0))
    source = ctx.create_object_from_value({"a": [1, 2, 3]})
    limited, all_of_it = gone([source.limit(2).copy(), source.filter(source.a > 0).copy()])
    found = ctx.restore(limited)
    assert found.status == RestoreStatus.IMPOSSIBLE
    assert "LIMIT without an order" in found.reason
    found = ctx.restore(all_of_it)
    assert found.status == RestoreStatus.UNCHECKED
    assert found.reason == "the log has no hash of what it held to compare with"
    assert found.rows == found.expected_rows == 3
    assert found.object.data() == {"a": [1, 2, 3]}


def test_equal_rows_in_another_order(ctx, gone):
    ctx.engine.command("CREATE TABLE IF NOT EXISTS turned (a Int64) ENGINE = MergeTree ORDER BY ()")
    ctx.engine.command("INSERT INTO turned VALUES (1), (2)")
    (table,) = gone([ctx.table("turned").copy()])
    ctx.engine.command("TRUNCATE TABLE turned")
    ctx.engine.command("INSERT INTO turned VALUES (2), (1)")
    found = ctx.restore(table)
    assert found.status == RestoreStatus.UNORDERED
    assert sorted(found.object.data()["a"]) == [1, 2]
    ctx.engine.command("INSERT INTO turned VALUES (3)")
    found = ctx.restore(table)
    assert found.status == RestoreStatus.DIFFERS
    assert found.reason == "the log does not know whether these changed: turned"
    ctx.engine.command("DROP TABLE turned")
    found = ctx.restore(table)
    assert found.status == RestoreStatus.IMPOSSIBLE
    assert "turned" in found.reason


def test_files_are_read_again(ctx, gone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.csv"
    path.write_text("a;b\n1;NA\n2;x\n")
    read = ctx.read_csv("x.csv", delimiter=";", null_values=["NA"], schema={"a": "Int16"})
    schema, before = read.schema(), read.data()
    made = read.filter(read.a > 1).copy()
    objects = [read, made]
    del read, made
    file, table = gone(objects)
    monkeypatch.chdir("/")
    found = ctx.restore(file)
    assert found.status == RestoreStatus.EXACT
    assert found.object.schema() == schema
    assert found.object.data() == before
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    assert ctx.restore(file).status == RestoreStatus.EXACT
    path.write_text("a;b\n1;NA\n3;x\n")
    found = ctx.restore(table)
    assert found.status == RestoreStatus.DIFFERS
    assert found.changed == ("x.csv",)
    assert found.reason == "changed since: x.csv"
    assert found.object.data() == {"a": [3], "b": ["x"]}
    path.unlink()
    found = ctx.restore(table)
    assert found.status == RestoreStatus.IMPOSSIBLE
    assert "x.csv" in found.reason


def test_credentials_are_not_in_the_log_and_what_needs_them_is_not_restored(ctx, gone):
    secret = "hunter2-of-the-url"
    sql = f"SELECT length('https://alice:{secret}@example.com/x') AS n"
    (table,) = gone([ctx.sql(sql).copy()])
    found = ctx.restore(table)
    assert found.status == RestoreStatus.IMPOSSIBLE
    assert "credential" in found.reason
    assert secret not in str(found)
    (table,) = gone([ctx.create_object_from_value({"token": [secret]})])
    ctx.flush()
    kept = ctx.engine.query_rows("SELECT toString(groupArray(tuple(*))) FROM operation_log")
    assert secret not in kept[0][0]


def test_python_objects_cannot_be_restored(ctx, gone):
    made = ctx.create_object_from_value({"f": [print, len]}, objects=True)
    objects = [made]
    del made
    (table,) = gone(objects)
    found = ctx.restore(table)
    assert found.status == RestoreStatus.IMPOSSIBLE
    assert "Python objects" in found.reason


def test_what_was_restored_can_be_restored(ctx, gone):
    (table,) = gone([ctx.create_object_from_value({"a": [1, 2]})])
    again = ctx.restore(table).object
    again.insert({"a": [3]})
    objects = [again]
    del again
    (second,) = gone(objects)
    found = ctx.restore(second)
    assert found.status == RestoreStatus.EXACT
    assert sorted(found.object.data()["a"]) == [1, 2, 3]
    operations = [event.operation for event in ctx.backward_oplog(found.object)]
    assert operations == ["create_from_value", "restore", "insert", "restore"]


def test_what_is_made_on_the_way_goes_again(ctx, gone, tables):
    first = ctx.create_object_from_value({"a": range(3)})
    objects = [first]
    for _ in range(30):
        objects.append(objects[-1].mutate(a=objects[-1].a + 1).copy())
    del first
    names = gone(objects)
    before = tables()
    found = ctx.restore(names[-1])
    assert found.status == RestoreStatus.EXACT
    assert found.object.data() == {"a": [30, 31, 32]}
    assert len(found.rebuilt) == 30
    assert tables() == before | {found.object.table_name}


def test_names_that_can_be_given(ctx, gone):
    made = ctx.create_object_from_value({"a": [1]}, name="for a while", scope="session")
    del made
    with pytest.raises(OplogError, match="exists"):
        ctx.restore("for a while")
    ctx.delete_object("for a while")
    found = ctx.restore("for a while")
    assert found.status == RestoreStatus.EXACT
    assert found.object.data() == {"a": [1]}
    assert ctx.restore(ctx.oplog_subgraph(found.table).node(found.table)).status == "exact"
    with pytest.raises(OplogError, match="no table of the name 'never'"):
        ctx.restore("never")
    view = ctx.create_object_from_value({"a": [1]}).filter(True)
    with pytest.raises(OplogError, match="is no table"):
        ctx.restore(ctx.oplog_subgraph(view).nodes[-1])


def test_what_was_let_go_a_moment_ago(ctx):
    made = ctx.create_object_from_value({"a": [1]})
    table = made.table_name
    del made
    assert ctx.restore(table).object.data() == {"a": [1]}


def test_an_array_changed_after_it_was_given(ctx, gone):
    np = pytest.importorskip("numpy")
    values = np.arange(5)
    made = ctx.create_object_from_value({"a": values})
    values[:] = 99
    objects = [made]
    del made
    (table,) = gone(objects)
    assert ctx.restore(table).object.data() == {"a": [0, 1, 2, 3, 4]}


def test_a_log_of_values_larger_than_one_statement(tmp_path):
    """Values that wait are written in several statements, and those too large are not kept."""
    with DataContext(settings=Settings(state_dir=tmp_path, kept_value_bytes=1 << 20)) as context:
        objects = [context.create_object_from_value({"a": range(100_000)}) for _ in range(30)]
        large = context.create_object_from_value({"a": range(200_000)})
        table, lost = objects[-1].table_name, large.table_name
        objects.clear()
        del large
        context.flush()
        assert context.restore(table).status == RestoreStatus.EXACT
        assert "1,600,000 bytes" in context.restore(lost).reason


def test_only_inserts_are_run_of_what_the_log_calls_inserts(ctx, gone):
    ctx.engine.command(
        "CREATE TABLE IF NOT EXISTS precious (a Int64) ENGINE = MergeTree ORDER BY ()"
    )
    (table,) = gone([ctx.create_object_from_value({"a": [1]})])
    forged = ctx.backward_oplog(table)[-1]
    insert_events(
        ctx.engine,
        [
            dataclasses.replace(
                forged,
                id=ctx.snowflake.next(),
                operation="insert",
                kwargs={"source": "precious", "target": table},
                params={},
                sql_template=f"INSERT INTO {table}_ (`a`) SELECT 1; DROP TABLE precious",
            )
        ],
    )
    found = ctx.restore(table)
    assert found.status == RestoreStatus.IMPOSSIBLE
    assert "is no INSERT" in found.reason
    ctx.engine.command("DROP TABLE precious")


@pytest.mark.parametrize("part", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_generated_pipelines_come_back(ctx, gone, part):
    """Random chains of filters, joins, unions, windows and groups, each frozen and dropped."""
    made, sources = [], tables_of(ctx)
    for seed in range(10 * part, 10 * part + 10):
        view = Pipeline(seed, sources).view
        objects = [view.copy()]
        before = sorted(map(str, objects[0].to_pyarrow().to_pylist()))
        made.append((*gone(objects), before))
        if seed % 5 == 4:
            sources["t"].insert({"k": [seed], "a": [1], "b": [None], "c": [2], "l": [[seed]]})
    objects = list(sources.values())
    sources.clear()
    del view
    gone(objects)
    for table, before in made:
        found = ctx.restore(table)
        if found.object is not None:
            assert sorted(map(str, found.object.to_pyarrow().to_pylist())) == before
            assert found.status in (RestoreStatus.EXACT, RestoreStatus.UNORDERED), str(found)
        else:
            assert "LIMIT without an order" in found.reason
