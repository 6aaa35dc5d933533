"""Columns of Python objects: the same objects come back, and they go with the last table."""

from __future__ import annotations

import enum
import gc
import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import polars as pl
import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import (
    AaiclickError,
    EngineError,
    SchemaError,
    SettingsError,
    StaleRefError,
    UnsupportedTypeError,
    ValueRangeError,
)
from aaiclick_ext.lifecycle import RefKind
from aaiclick_ext.settings import Settings


class Model:
    """Something that ClickHouse has no type for."""

    def __init__(self, name="m"):
        self.name = name

    def __repr__(self):
        return f"Model({self.name})"

    def __eq__(self, other):
        raise AssertionError("nobody may compare objects of others")

    __hash__ = None


class Color(enum.Enum):
    RED = 1


def same(found, wanted):
    return len(found) == len(wanted) and all(a is b for a, b in zip(found, wanted, strict=True))


def kept(ctx):
    """How many objects the context keeps, once everything queued is done."""
    gc.collect()
    ctx.flush()
    refs = ctx.backend.services.refs
    return len(refs.refs(RefKind.OBJECT)) + len(refs.refs(RefKind.SCALAR))


@pytest.fixture
def models():
    return [Model(n) for n in "abcd"]


@pytest.fixture
def table(ctx, models):
    a, b, c, _ = models
    return ctx.create_object_from_value({"k": [1, 2, 3, 4], "m": [a, b, None, a], "n": [c] * 4})


class TestMaking:
    @pytest.mark.parametrize(
        "values",
        [
            [{1, 2}, {3}],
            [frozenset(), {3}],
            [len, lambda x: x],
            [Model(), object()],
            [int, Model],
            [Model(), None],
            (Model(), pd.NA),
            np.array([Model(), {1}], dtype=object),
            pd.Series([Model(), np.nan], dtype=object),
            pl.Series([Model(), None], dtype=pl.Object),
        ],
        ids=lambda v: type(v).__name__,
    )
    def test_types_without_a_clickhouse_type_are_kept_unasked(self, ctx, values):
        wanted = list(values)
        wanted = [None if v is pd.NA or isinstance(v, float) else v for v in wanted]
        assert same(ctx.create_object_from_value(values).data(), wanted)
        assert same(ctx.create_object_from_value({"a": values}).data()["a"], wanted)

    @pytest.mark.parametrize("value", [Model(), {1}, len, Model().__repr__], ids=repr)
    def test_a_scalar(self, ctx, value):
        made = ctx.create_object_from_value(value)
        assert made.shape == ()
        assert made.data() is value
        assert len(ctx.backend.services.refs.refs(RefKind.SCALAR)) >= 1

    @pytest.mark.parametrize(
        ("value", "match"),
        [
            ([1, "a"], "int, str"),
            ([1, {2}], "set"),
            ([{1}, "a"], "set"),
            (1j, r"\.real"),
            ([Color.RED], r"v\.name"),
            ([Path()], "PosixPath"),
            ([deque()], "list"),
            ([{}.keys()], "list"),
            ([pd.DataFrame()], "list"),
            ((i for i in ()), r"list\(value\)"),
            (int, "class"),
            ([[1], None], "null list"),
            ([[Model()]], "Model"),
            ({"a": [1], "b": [[{1}]]}, "'b"),
        ],
    )
    def test_others_are_refused_and_the_argument_named(self, ctx, value, match):
        with pytest.raises(UnsupportedTypeError, match=f"(?s){match}.*objects=True"):
            ctx.create_object_from_value(value)

    @pytest.mark.parametrize(
        "values",
        [
            [1, "a", {2}, None],
            [1j],
            [Color.RED],
            [2**70, "x"],
            [[1], None],
            [[Model()], [None]],
            [{"a": 1}, 5][::-1],
            [pd.DataFrame({"a": [1]})],
            [int, 1],
        ],
        ids=str,
    )
    def test_or_kept_where_that_is_asked_for(self, ctx, values):
        assert same(ctx.create_object_from_value(values, objects=True).data(), values)

    def test_what_a_type_can_hold_is_held_all_the_same(self, ctx):
        frame = pd.DataFrame({"x": [1.5, 2.5], "s": ["a", "b"], "m": [{1}, "b"]})
        made = ctx.create_object_from_value(frame, objects=True)
        assert made.mutate(y=made.x * 2).y.sum().to_pandas() == 8
        assert same(made.to_pandas()["m"], frame["m"])

    def test_unless_its_columns_are_named(self, ctx):
        row = {"a": 1, "b": 1.5}
        made = ctx.create_object_from_value({"x": [1, 2], "r": [row, row]}, objects=["r"])
        assert same(made.data()["r"], [row, row])
        values = [[1], (2, 3)]
        assert same(ctx.create_object_from_value(values, objects=["value"]).data(), values)
        with pytest.raises(SchemaError, match=r"q.*the columns are x"):
            ctx.create_object_from_value({"x": [1]}, objects=["q"])
        with pytest.raises(SettingsError, match="names of columns"):
            ctx.create_object_from_value([1], objects="value")

    def test_rows_of_records(self, ctx, models):
        rows = [{"k": n, "m": m} for n, m in enumerate(models)]
        assert same(ctx.create_object_from_value(rows).data()["m"], models)

    def test_a_class_and_an_iterator_where_asked_for(self, ctx):
        iterator = iter([])
        assert ctx.create_object_from_value(int, objects=True).data() is int
        assert ctx.create_object_from_value(iterator, objects=True).data() is iterator

    def test_nothing_of_a_value_is_in_the_database(self, ctx, table):
        found = ctx.engine.query_rows(f"DESCRIBE TABLE {table.table_name}")
        types = {row[0]: (row[1], row[4].partition(" ")[0]) for row in found}
        assert types["m"] == ("Nullable(UInt64)", "aaiclick:object")
        assert types["n"] == ("UInt64", "aaiclick:object")
        ctx.flush()
        events = ctx.engine.query_rows("SELECT params FROM operation_log")
        assert not any("Model(" in str(event) for event in events)


class TestFetching:
    def test_every_way_gives_the_same_objects(self, table, models):
        a, b, c, _ = models
        wanted = [a, b, None, a]
        assert same(table.data()["m"], wanted)
        assert same([row["m"] for row in table.data(orient="records")], wanted)
        assert same(table.to_pandas()["m"].tolist(), wanted)
        assert same(table.to_polars()["m"].to_list(), wanted)
        assert table.to_polars().schema["m"] == pl.Object
        assert same(table.m.to_pandas().tolist(), wanted)
        assert same(table.m.to_polars().to_list(), wanted)
        assert same(table.m.execute().tolist(), wanted)
        assert table.n.first().execute() is c
        assert table.n.first().to_polars() is c

    def test_columns_stay_in_place(self, table):
        for frame in (table.to_pandas(), table.to_polars()):
            assert list(frame.columns) == ["k", "m", "n"]

    def test_without_rows(self, table):
        empty = table.filter(table.k > 9)
        assert empty.data() == {"k": [], "m": [], "n": []}
        assert len(empty.to_pandas()) == 0
        assert empty.to_polars().height == 0
        assert len(empty.copy()) == 0

    @pytest.mark.parametrize(
        "leave",
        [
            lambda t: t.to_pyarrow(),
            lambda t: t.to_pyarrow_batches(),
            lambda t: t.export("never.parquet"),
            lambda t: t.to_csv("never.csv"),
            lambda t: t.m.to_pyarrow(),
            lambda t: t.m.to_list(),
            lambda t: pl.DataFrame(t),
            lambda t: t.__arrow_c_stream__(),
        ],
    )
    def test_they_cannot_leave(self, table, leave, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UnsupportedTypeError, match=r"column 'm'.*x\.drop\('m'\)"):
            leave(table)
        assert list(tmp_path.iterdir()) == []
        assert leave(table.drop("m", "n").rename(m="k")) is not NotImplemented


class TestCarried:
    def test_by_filters_projections_and_sorts(self, table, models):
        a, b, _, _ = models
        assert same(table.filter(table.k > 1).order_by("k").data()["m"], [b, None, a])
        assert same(table.order_by(ibis.desc("k")).limit(2).data()["m"], [a, None])
        assert same(table.filter(table.m.notnull()).order_by("k").data()["m"], [a, b, a])
        assert same(table.mutate(z=ibis.ifelse(table.k > 3, table.m, None)).data()["z"],
                    [None, None, None, a])  # fmt: skip
        assert same(table.mutate(z=ibis.coalesce(table.m, table.n)).data()["z"], table_z(table))
        assert same(table.mutate(z=table.m.lag().over(order_by="k")).order_by("k").data()["z"],
                    [None, a, b, None])  # fmt: skip

    def test_by_joins(self, ctx, table, models):
        other = ctx.create_object_from_value({"k": [1, 9], "x": ["one", "nine"]})
        found = table.left_join(other, "k").order_by("k").data()
        assert same(found["m"], [models[0], models[1], None, models[0]])
        found = other.left_join(table, "k").order_by("k").data()
        assert same(found["m"], [models[0], None])
        assert same(found["n"], [models[2], None])

    def test_by_groups_and_collections(self, table, models):
        a, b, c, _ = models
        found = table.group_by("k").agg(l=table.n.collect(), f=table.m.first()).order_by("k")
        assert same([item for (item,) in found.data()["l"]], [c] * 4)
        again = found.copy().order_by("k").data()
        assert same([item for (item,) in again["l"]], [c] * 4)
        assert same(again["f"], [a, b, None, a])
        packed = table.select("k", s=ibis.struct({"i": table.n, "k": table.k})).copy()
        assert all(row[0] is c for row in packed.data()["s"])

    def test_identity_is_what_joins_groups_and_equals(self, ctx, table, models):
        a, b, _, _ = models
        counts = table.group_by("m").agg(n=table.count()).data()
        assert {id(m): n for m, n in zip(counts["m"], counts["n"], strict=True)} == {
            id(a): 2, id(b): 1, id(None): 1,
        }  # fmt: skip
        other = ctx.create_object_from_value({"m": [b, Model("b")], "x": ["yes", "no"]})
        assert table.join(other, "m").data()["x"] == ["yes"]
        assert table.filter(table.m == table.n).count().execute() == 0
        assert table.m.nunique().execute() == 2
        assert len(table.select("m").distinct().data()["m"]) == 3
        assert table.filter(table.m.isin(other.m)).k.execute().tolist() == [2]
        assert same(ctx.create_object_from_value([a, b, a]).unique().data(), [a, b])

    def test_one_object_is_found(self, ctx, table, models):
        a, b, _, d = models
        before = kept(ctx)
        assert table.filter(table.m == a).k.execute().tolist() == [1, 4]
        assert table.filter(table.m != a).k.execute().tolist() == [2]
        assert table.filter(ibis._.m == b).k.execute().tolist() == [2]
        late = table.filter(table.m == d)
        assert late.data()["k"] == []
        table.insert({"k": [5], "m": [d], "n": [d]})
        assert late.data()["k"] == [5]  # the filter, too, keeps the object that it asks for
        del late
        assert kept(ctx) == before + 1
        array = ctx.create_object_from_value([a, b, a])
        assert (array == a).data() == [True, False, True]
        assert (array != [a, a, a]).data() == [False, True, False]

    def test_by_copies_unions_and_concat(self, ctx, table, models):
        a, b, _, _ = models
        assert same(table.copy().order_by("k").data()["m"], [a, b, None, a])
        assert sorted(map(id, table.union(table).data()["m"])) == sorted(
            map(id, [a, b, None, a] * 2)
        )
        joined = ctx.concat(table, table.filter(table.k > 3))
        assert len(joined) == 5
        arrays = ctx.concat(ctx.create_object_from_value([a, b]), [b, a])
        assert same(arrays.data(), [a, b, b, a])

    def test_arrays_keep_their_order(self, ctx, models):
        array = ctx.create_object_from_value(models)
        assert same(array.data(), models)
        assert same(array[1:3].data(), models[1:3])
        assert (array == array).data() == [True] * 4
        assert array.count().data() == 4

    def test_by_sql_text(self, ctx, table, models):
        a, b, _, _ = models
        name = table.table_name
        view = ctx.sql(f"SELECT m AS x, k, [n] AS l FROM {name} WHERE k < 3 ORDER BY k")
        assert same(view.data()["x"], [a, b])
        frozen = view.copy()
        assert same(frozen.order_by("k").data()["x"], [a, b])
        assert ctx.sql(f"SELECT count(m) AS c FROM {name}").data() == {"c": [3]}
        assert same(table.alias("t").sql("SELECT m FROM t WHERE k = 2").data()["m"], [b])
        named = ctx.create_object_from_value([a], name="only_a", scope="session")
        assert same(ctx.sql("SELECT value FROM only_a").data()["value"], [a])
        assert same(named.data(), [a])
        ctx.delete_object("only_a")

    @pytest.mark.parametrize("expression", ["m + 1", "sum(m)", "n * 2"])
    def test_sql_text_cannot_compute_with_them(self, ctx, table, expression):
        with pytest.raises(UnsupportedTypeError, match=r"Python objects \(m, n\)"):
            ctx.sql(f"SELECT {expression} AS x FROM {table.table_name}")


def table_z(table):
    found = table.data()
    return [m if m is not None else n for m, n in zip(found["m"], found["n"], strict=True)]


REFUSED = {
    "add": lambda t: t.m + 1,
    "radd": lambda t: 1 + t.m,
    "equals a number": lambda t: t.m == t.k,
    "equals None": lambda t: t.m == None,  # noqa: E711
    "less": lambda t: t.m < t.n,
    "sum": lambda t: t.m.sum(),
    "upper": lambda t: t.m.upper(),
    "max": lambda t: t.m.max().execute(),
    "order_by": lambda t: t.order_by("m").data(),
    "order_by deferred": lambda t: t.order_by(ibis._.m.desc()).data(),
    "cast": lambda t: t.m.cast("int64").execute(),
    "hash": lambda t: t.m.hash().execute(),
    "argmin by": lambda t: t.k.argmin(t.m).execute(),
    "cast to": lambda t: t.mutate(z=t.k.cast(t.m.type())).data(),
    "first in order": lambda t: t.k.first(order_by=t.m).execute(),
    "array": lambda t: t.n.collect().sort().execute(),
    "rank": lambda t: t.mutate(z=ibis.rank().over(order_by=t.m)).data(),
    "deferred": lambda t: t.mutate(z=ibis._.m + 1),
}


@pytest.mark.parametrize("compute", REFUSED.values(), ids=REFUSED)
def test_nothing_computes_with_them(table, compute):
    with pytest.raises(UnsupportedTypeError, match="Python object"):
        compute(table)


@pytest.mark.parametrize("compute", [
    lambda a: a + 1, lambda a: a < 1, lambda a: a == None,  # noqa: E711
    lambda a: a.max().data(), lambda a: a.sum().data(),
])  # fmt: skip
def test_nor_with_arrays_of_them(ctx, models, compute):
    with pytest.raises(UnsupportedTypeError, match="Python object"):
        compute(ctx.create_object_from_value(models))


def test_they_are_not_put_beside_other_values(ctx, table):
    numbers = ctx.create_object_from_value({"k": [5], "m": [7], "n": [8]})
    with pytest.raises(UnsupportedTypeError, match="concat"):
        ctx.concat(table, numbers)
    for target, source in [(table, numbers), (numbers, table)]:
        with pytest.raises(UnsupportedTypeError, match=r"insert.*Both columns"):
            target.insert(source)
    with pytest.raises(ibis.common.exceptions.RelationError):
        table.union(numbers)


class TestInserting:
    def test_a_column_of_objects_takes_any_value(self, ctx, table, models):
        new = Model("new")
        table.insert({"k": [5, 6], "m": [new, "text"], "n": [7, [1]]}, table.filter(table.k == 2))
        found = table.order_by("k").data()
        assert same(found["m"][:5], [models[0], models[1], models[1], None, models[0]])
        assert found["m"][5] is new
        assert found["m"][6] == "text"
        assert found["n"][5:] == [7, [1]]

    def test_so_does_an_array_of_them(self, ctx, models):
        array = ctx.create_object_from_value(models[:1])
        rows = [{"a": 1}, [2]]
        array.insert(rows, (3,), Model)
        assert same(array.data(), [models[0], *rows, 3, Model])

    def test_a_column_of_values_takes_none(self, ctx):
        numbers = ctx.create_object_from_value({"k": [1]})
        with pytest.raises(UnsupportedTypeError, match="Model") as caught:
            numbers.insert({"k": [Model()]})
        assert "objects=True" not in str(caught.value)

    def test_null_needs_a_column_that_has_it(self, table):
        with pytest.raises(ValueRangeError, match="null"):
            table.insert({"k": [1], "m": [None], "n": [None]})

    def test_appended_to_a_name(self, ctx, models):
        ctx.create_object_from_value({"m": models[:2]}, name="log", scope="session")
        log = ctx.create_object_from_value(
            {"m": models[2:]}, name="log", scope="session", if_exists="append"
        )
        assert sorted(map(id, log.data()["m"])) == sorted(map(id, models))
        ctx.delete_object("log")


class TestLettingGo:
    def test_with_the_last_table(self, ctx):
        before = kept(ctx)
        a, b = Model(), Model()
        alive = weakref.ref(a), weakref.ref(b)
        table = ctx.create_object_from_value({"k": [1, 2, 3], "m": [a, b, a]})
        del a, b
        assert kept(ctx) == before + 2
        view = table.filter(table.k > 1)
        only_a = table.filter(table.k == 1).copy()
        del table
        assert kept(ctx) == before + 2
        del view
        assert kept(ctx) == before + 1
        assert (alive[0]() is None, alive[1]() is None) == (False, True)
        column = only_a.m
        del only_a
        assert kept(ctx) == before + 1
        del column
        assert kept(ctx) == before
        assert alive[0]() is None

    def test_one_object_in_two_tables_is_one(self, ctx):
        before, a = kept(ctx), Model()
        first, second = (ctx.create_object_from_value({"m": [a, a]}) for _ in range(2))
        assert kept(ctx) == before + 1
        del first
        assert kept(ctx) == before + 1
        assert second.data()["m"][1] is a
        del second
        assert kept(ctx) == before
        assert ctx.create_object_from_value([a]).data()[0] is a

    def test_threads_that_share_objects(self, ctx, models):
        before = kept(ctx)

        def churn(seed):
            for step in range(8):
                chosen = [models[(seed + step + n) % 4] for n in range(2)]
                made = ctx.create_object_from_value({"k": [0, 1], "m": chosen})
                frozen = made.filter(made.k == 1).copy()
                del made
                assert frozen.data()["m"][0] is chosen[1]

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(churn, range(4)))
        assert kept(ctx) == before

    def test_a_failed_creation_leaves_none(self, ctx):
        before, a = kept(ctx), Model()
        with pytest.raises(EngineError):  # parts of one Nested, of unequal lengths
            ctx.create_object_from_value({"m": [a], "x.a": [[1]], "x.b": [[1, 2]]})
        assert kept(ctx) == before
        with pytest.raises(AaiclickError):
            ctx.create_object_from_value({"m": [a], "x": [[1, "a"]]})
        assert kept(ctx) == before

    def test_nor_does_a_failed_insert(self, ctx, table):
        before, new = kept(ctx), Model()
        with pytest.raises(SchemaError):
            table.insert({"k": [5], "m": [new], "n": [new]}, {"k": ["x"], "m": [new], "n": [new]})
        assert kept(ctx) == before
        assert len(table) == 4

    def test_inserted_objects_stay_when_memory_is_outgrown(self, ctx):
        before = kept(ctx)
        small = ctx.create_object_from_value({"m": [Model()], "x": [b""]})
        ctx.use_settings(Settings(state_dir=ctx.settings.state_dir, memory_table_bytes=1000))
        small.insert({"m": [Model(), Model()], "x": [b"x" * 3000, b""]})
        assert kept(ctx) == before + 3
        assert len({id(m) for m in small.data()["m"]}) == 3
        small.insert({"m": [Model()], "x": [b""]})
        assert kept(ctx) == before + 4
        del small
        assert kept(ctx) == before

    def test_tables_inside_objects_go_with_them(self, ctx, tables):
        before, count = tables(), kept(ctx)
        inner = ctx.create_object_from_value([1, 2])
        holder = Model()
        holder.view = inner + 1
        outer = ctx.create_object_from_value([holder])
        del inner, holder
        assert len(tables() - before) == 2
        assert outer.data()[0].view.data() == [2, 3]
        del outer
        gc.collect()
        ctx.flush()  # the object; its view's table comes after it
        assert tables() == before
        assert kept(ctx) == count

    def test_a_view_that_is_an_object(self, ctx):
        views = [ctx.create_object_from_value([n]) for n in (1, 2)]
        made = ctx.create_object_from_value({"v": views}, objects=True)
        assert same(made.data()["v"], views)

    def test_at_the_latest_when_the_context_closes(self, tmp_path):
        a = Model()
        alive = weakref.ref(a)
        with DataContext(settings=Settings(state_dir=tmp_path)) as own:
            a.table = own.create_object_from_value([a])  # a cycle through the database
            table = own.create_object_from_value([a], name="kept", scope="session")
            del a
            gc.collect()
            own.flush()
            assert alive() is not None
        del table
        gc.collect()
        assert alive() is None


class TestAnotherKernel:
    @pytest.fixture
    def reopened(self, tmp_path):
        """A context on a database in which another, now closed, has named objects."""
        settings = Settings(state_dir=tmp_path)
        with DataContext(settings=settings) as first, pytest.warns(UserWarning, match="scratch"):
            first.create_object_from_value({"k": [1, 2], "m": [Model("gone"), None]}, name="models")
        with DataContext(settings=settings) as second:
            yield second
            second.delete_object("models")

    @pytest.mark.parametrize("fetch", [
        lambda t: t.data(), lambda t: t.to_pandas(), lambda t: t.to_polars(),
        lambda t: t.copy(), lambda t: t.insert({"k": [3], "m": [{1}]}),
    ])  # fmt: skip
    def test_says_where_the_objects_were(self, reopened, fetch):
        # Numbers of this context that would be taken for those of the other.
        own = reopened.create_object_from_value([Model("own")])
        with pytest.raises(
            StaleRefError, match=r"column 'm'.*lived in kernel session.*x\.drop\('m'\)"
        ):
            fetch(reopened.open_object("models"))
        assert repr(own.data()) == "[Model(own)]"

    def test_everything_else_is_there(self, reopened):
        table = reopened.open_object("models")
        assert table.drop("m").data() == {"k": [1, 2]}
        assert table.filter(table.m.isnull()).drop("m").data() == {"k": [2]}
        assert table.filter(table.k == 2).data() == {"k": [2], "m": [None]}
        text = table._repr_mimebundle_()["text/plain"]
        assert "<object of a kernel that ended>" in text

    def test_objects_of_two_kernels_are_never_compared(self, reopened):
        table = reopened.open_object("models")
        own = reopened.create_object_from_value({"m": [Model()], "x": [1]})
        with pytest.raises((UnsupportedTypeError, ibis.common.exceptions.IbisError)):
            table.join(own, "m").drop("m").data()


def test_on_a_server_others_have_everything_but_the_objects(server_url, tmp_path, models):
    url, settings = server_url, Settings(state_dir=tmp_path)
    with DataContext(url, settings=settings) as ours, DataContext(url, settings=settings) as theirs:
        table = ours.create_object_from_value({"k": [1, 2], "m": models[:2]}, name="shared_models")
        table.insert({"k": [3], "m": ["text"]})
        assert same(table.order_by("k").copy().order_by("k").data()["m"], [*models[:2], "text"])
        text = f"SELECT m FROM {table.table_name} WHERE k = 2"
        assert same(ours.sql(text).data()["m"], [models[1]])
        opened = theirs.open_object("shared_models")
        assert opened.drop("m").order_by("k").data() == {"k": [1, 2, 3]}
        with pytest.raises(StaleRefError, match="kernel session"):
            opened.data()
        with pytest.raises(StaleRefError, match="kernel session"):
            theirs.sql(text).data()
        ours.delete_object("shared_models")
        del table, opened


class TestDisplay:
    def test_shows_a_repr_cut_and_escaped(self, ctx):
        class Loud:
            def __repr__(self):
                return "<script>\x1b[31m\n" + "x" * 500

        class Broken:
            def __repr__(self):
                raise RuntimeError("no")

        made = ctx.create_object_from_value({"m": [Loud(), Broken(), None]})
        bundle = made._repr_mimebundle_()
        assert "Python object" in bundle["text/plain"]
        assert "&lt;script&gt;\\x1b[31m\\nxxx" in bundle["text/html"]
        assert "x" * 90 not in bundle["text/plain"]
        assert "<Broken: its repr raised RuntimeError>" in bundle["text/plain"]
        assert "NULL" in bundle["text/plain"]
