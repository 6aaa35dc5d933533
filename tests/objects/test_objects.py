"""Objects: creation, names and scopes, insert, concat, copy."""

from __future__ import annotations

import uuid
import warnings

import ibis
import numpy as np
import pyarrow as pa
import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import (
    EngineError,
    LengthError,
    ObjectExistsError,
    SchemaError,
    SettingsError,
    UnknownObjectError,
    UnknownTableError,
    UnsupportedTypeError,
    ValueRangeError,
)
from aaiclick_ext.lifecycle import Scope
from aaiclick_ext.objects import ArrayObject, Object
from aaiclick_ext.objects.creation import TableSpec, create_table, new_table
from aaiclick_ext.settings import Settings

BIG = 200_000  # rows of Int64: beyond the threshold of Memory


def engine_of(ctx, x) -> str:
    return ctx.engine.query_rows(
        "SELECT engine FROM system.tables WHERE name = {name:String}", {"name": x.table_name}
    )[0][0]


class TestTableEngine:
    def test_small_temp_tables_are_in_memory(self, ctx):
        assert engine_of(ctx, ctx.create_object_from_value([1, 2])) == "Memory"

    def test_large_tables_are_on_disk(self, ctx):
        assert engine_of(ctx, ctx.create_object_from_value(range(BIG))) == "MergeTree"

    def test_named_tables_are_on_disk(self, ctx):
        x = ctx.create_object_from_value([1], name="small", scope="session")
        assert engine_of(ctx, x) == "MergeTree"

    def test_a_copy_of_small_tables_is_in_memory(self, ctx):
        x = ctx.create_object_from_value({"a": [1, 2]})
        assert engine_of(ctx, x.filter(x.a > 1).copy()) == "Memory"
        y = ctx.create_object_from_value(range(BIG))
        assert engine_of(ctx, y.filter(y.value > 1).copy()) == "MergeTree"

    def test_an_insert_that_crosses_the_threshold_rebuilds(self, ctx, tables):
        x = ctx.create_object_from_value([0, 1])
        view = x * 2
        x.insert(range(2, BIG))
        assert engine_of(ctx, x) == "MergeTree"
        assert np.array_equal(x.to_pyarrow().column(0).to_numpy(), np.arange(BIG))
        assert np.array_equal(view.to_pyarrow().column(0).to_numpy(), np.arange(BIG) * 2)
        x.insert([-1])
        assert x.data()[-1] == -1
        assert x.shape == (BIG + 1,)


class TestInsert:
    def test_values_frames_and_views(self, ctx):
        x = ctx.create_object_from_value({"a": [1], "b": ["x"]})
        same = x.insert(
            {"a": [2], "b": ["y"]}, pa.table({"b": ["z"], "a": [3]}), x.filter(x.a == 1)
        )
        assert same is x
        assert sorted(x.data()["a"]) == [1, 1, 2, 3]
        assert x.shape == (4, 2)

    def test_missing_columns_get_their_default(self, ctx):
        x = ctx.create_object({"a": "Int64", "b": "Nullable(String)"})
        x.insert({"a": [1]})
        assert x.data() == {"a": [1], "b": [None]}

    @pytest.mark.parametrize("large", [False, True])
    def test_nothing_is_half_inserted(self, ctx, large):
        x = ctx.create_object({"a": "UInt8"})
        if large:
            x = ctx.create_object({"a": "UInt8"}, name="half", scope="session")
        x.insert({"a": [1, 2]})
        wide = ctx.create_object_from_value({"a": [3, 300]})
        for bad in ({"a": [300]}, {"a": [None]}, {"b": [1]}, {"a": ["text"]}, wide):
            with pytest.raises((SchemaError, ValueRangeError, EngineError)):
                x.insert({"a": [5]}, bad)
            assert x.data() == {"a": [1, 2]}
        assert x.shape == (2, 1)

    def test_views_that_do_not_fit_a_nullable_column(self, ctx):
        x = ctx.create_object({"a": "Nullable(UInt8)"})
        for bad in ([3, 300], [None, -1], [None, 256]):
            with pytest.raises(EngineError):
                x.insert(ctx.create_object_from_value({"a": bad}))
        x.insert(ctx.create_object_from_value({"a": [None, 255]}))
        assert x.data() == {"a": [None, 255]}

    def test_unknown_columns_name_what_there_is(self, ctx):
        x = ctx.create_object_from_value({"a": [1]})
        other = ctx.create_object_from_value({"zz": [1]})
        with pytest.raises(SchemaError, match="zz"):
            x.insert(other)
        with pytest.raises(SchemaError, match="zz"):
            x.insert({"zz": [1]})

    @pytest.mark.parametrize("rows", [3, BIG])
    def test_arrays_keep_their_order(self, ctx, rows):
        a = ctx.create_object_from_value(range(rows))
        b = ctx.create_object_from_value([30, 10, 20])
        a.insert(b, [5, 4]).insert(b.filter(b.value > 10))
        assert a.data()[rows:] == [30, 10, 20, 5, 4, 30, 20]
        assert (a + 1).data()[rows:] == [31, 11, 21, 6, 5, 31, 21]
        assert len(a) == rows + 7

    def test_arrays_have_a_new_length(self, ctx):
        a, b = ctx.create_object_from_value([1, 2]), ctx.create_object_from_value([1, 2])
        a.insert([3])
        with pytest.raises(LengthError):
            a + b

    def test_into_itself(self, ctx):
        x = ctx.create_object_from_value({"a": [1, 2]})
        x.insert(x, x)
        assert sorted(x.data()["a"]) == [1, 1, 1, 2, 2, 2]

    def test_a_view_sees_it_and_a_copy_does_not(self, ctx):
        x = ctx.create_object_from_value({"a": [1, 2]})
        view, frozen = x.filter(x.a > 1), x.filter(x.a > 1).copy()
        x.insert({"a": [3]})
        assert sorted(view.data()["a"]) == [2, 3]
        assert frozen.data() == {"a": [2]}

    def test_staging_tables_go(self, ctx, tables):
        x = ctx.create_object_from_value({"a": [1]})
        before = tables()
        x.insert({"a": [2]})
        with pytest.raises(SchemaError):
            x.insert({"b": [2]})
        assert tables() == before

    def test_scalars_take_no_rows(self, ctx):
        with pytest.raises(SchemaError, match="scalar"):
            ctx.create_object_from_value(1).insert([2])

    def test_nothing_inserted_is_fine(self, ctx):
        x = ctx.create_object_from_value({"a": [1]})
        x.insert()
        x.insert(x.filter(x.a > 9))
        assert len(x) == 1


class TestNames:
    def test_session_objects_outlive_their_variables(self, ctx, tables):
        x = ctx.create_object_from_value([1, 2], name="kept", scope="session")
        table = x.table_name
        assert (x.name, x.scope) == ("kept", Scope.SESSION)
        del x
        assert table in tables()
        assert ctx.open_object("kept").data() == [1, 2]
        ctx.delete_object("kept")
        assert table not in tables()
        with pytest.raises(UnknownObjectError, match="kept"):
            ctx.open_object("kept")

    def test_replacing_keeps_what_variables_have(self, ctx, tables):
        first = ctx.create_object_from_value([1], name="best", scope="session")
        again = ctx.create_object_from_value([2], name="best", scope="session")
        assert (first.data(), again.data()) == ([1], [2])
        assert ctx.open_object("best").data() == [2]
        table = first.table_name
        del first
        assert table not in tables()
        ctx.delete_object("best")

    def test_append_and_fail(self, ctx):
        ctx.create_object_from_value([1], name="grow", scope="session")
        x = ctx.create_object_from_value([2], name="grow", scope="session", if_exists="append")
        assert x.data() == [1, 2]
        with pytest.raises(ObjectExistsError, match="grow"):
            ctx.create_object_from_value([3], name="grow", scope="session", if_exists="fail")
        with pytest.raises(SettingsError, match="replace, append, fail"):
            ctx.create_object_from_value([3], name="grow", scope="session", if_exists="keep")
        ctx.delete_object("grow")

    def test_deleting_leaves_it_to_its_variables(self, ctx, tables):
        x = ctx.create_object_from_value([1], name="mine", scope="session")
        ctx.delete_object("mine")
        assert x.table_name in tables()
        assert x.data() == [1]

    def test_a_name_alone_is_global_and_scratch_warns_once(self, tmp_path):
        with DataContext(settings=Settings(state_dir=tmp_path)) as ctx:
            with pytest.warns(UserWarning, match="ends with this kernel"):
                x = ctx.create_object_from_value([1], name="g")
            assert x.scope is Scope.GLOBAL
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                ctx.create_object_from_value([2], name="g2")
            ctx.delete_object("g")
            ctx.delete_object("g2")

    def test_listing(self, ctx):
        ctx.create_object_from_value([1, 2], name="listed", scope="session")
        found = {info.name: info for info in ctx.list_objects()}
        assert found["listed"].rows == 2
        assert found["listed"].scope is Scope.SESSION
        ctx.delete_object("listed")

    @pytest.mark.parametrize("name", ["späte Flüge ✈", "a`b", "it's", "select", "x; DROP TABLE y"])
    def test_any_text_is_a_name(self, ctx, name):
        x = ctx.create_object_from_value({"a`c": [1]}, name=name, scope="session")
        assert x.data() == {"a`c": [1]}
        assert ctx.open_object(name).data() == {"a`c": [1]}
        x.insert({"a`c": [2]})
        assert len(x.filter(x["a`c"] > 1)) == 1
        ctx.delete_object(name)

    def test_scopes_and_names_that_do_not_fit(self, ctx):
        with pytest.raises(SettingsError, match="needs a name"):
            ctx.create_object_from_value([1], scope="session")
        with pytest.raises(SettingsError, match="no name"):
            ctx.create_object_from_value([1], name="x", scope="temp")
        with pytest.raises(SettingsError, match="temp, session, global"):
            ctx.create_object_from_value([1], name="x", scope="forever")

    def test_names_in_sql(self, ctx):
        ctx.create_object_from_value({"a": [1, 2]}, name="numbers in", scope="session")
        assert ctx.sql("SELECT sum(a) AS s FROM `numbers in`").data() == {"s": [3]}
        ctx.delete_object("numbers in")


class TestCreateObject:
    @pytest.mark.parametrize(
        "schema",
        [
            {"a": "Int64", "b": "Nullable(String)"},
            ibis.schema({"a": "!int64", "b": "string"}),
            pa.schema([pa.field("a", pa.int64(), nullable=False), ("b", pa.string())]),
        ],
    )
    def test_empty_with_a_schema(self, ctx, schema):
        x = ctx.create_object(schema)
        assert type(x) is Object
        assert x.schema() == ibis.schema({"a": "!int64", "b": "string"})
        assert x.shape == (0, 2)
        assert x.data() == {"a": [], "b": []}
        assert x.to_pandas().shape == (0, 2)

    def test_clickhouse_types_ibis_does_not_know_pass_through(self, ctx):
        x = ctx.create_object({"big": "Int256", "any": "Dynamic", "half": "BFloat16"})
        ctx.engine.command(f"INSERT INTO {x.table_name} VALUES ({-(2**255)}, 'text', 1.5)")
        y = x.copy()
        assert y.data()["big"] == [-(2**255)]
        assert y.data()["half"] == [1.5]
        assert y._backend.services.schemas.get(y.table_name).types["big"] == "Int256"

    def test_expressions_on_them_name_the_cast(self, ctx):
        x = ctx.create_object({"big": "Int256", "half": "BFloat16"})
        for refused in (
            lambda: x.big + 1,
            lambda: 1 + x.big,
            lambda: x["big"] > 1,
            lambda: x.big.sum(),
            lambda: x.filter(x.big == 1),
            lambda: -x.big,
        ):
            with pytest.raises(UnsupportedTypeError, match=r"Int256.*cast"):
                refused()
        assert x.half.cast("float64").sum().execute() is None
        assert not hasattr(x.big, "nothing_of_that_name")
        assert x.order_by("big").group_by("big").agg(n=ibis._.count()).data() == {
            "big": [],
            "n": [],
        }


class TestConcat:
    def test_tables(self, ctx):
        x = ctx.create_object_from_value({"a": [1], "b": ["x"]})
        y = ctx.create_object_from_value({"b": ["y"], "a": [2]})
        z = ctx.concat(x, y, {"a": [3], "b": ["z"]})
        assert isinstance(z, Object)
        assert sorted(zip(*z.data().values(), strict=True)) == [(1, "x"), (2, "y"), (3, "z")]

    def test_arrays_stay_in_order(self, ctx):
        a, b = ctx.create_object_from_value([3, 1]), ctx.create_object_from_value([2])
        c = ctx.concat([a, b, a * 10, [7]])
        assert isinstance(c, ArrayObject)
        assert c.data() == [3, 1, 2, 30, 10, 7]

    def test_unequal_columns(self, ctx):
        x = ctx.create_object_from_value({"a": [1]})
        y = ctx.create_object_from_value({"b": [1]})
        with pytest.raises(SchemaError, match="lacks a and has b besides"):
            ctx.concat(x, y)
        with pytest.raises(SchemaError, match="at least one"):
            ctx.concat()


class TestErrors:
    def test_missing_table(self, ctx):
        with pytest.raises(UnknownTableError, match="nowhere"):
            ctx.table("nowhere")

    def test_an_error_is_one_line_in_a_notebook(self, ctx):
        with pytest.raises(EngineError) as caught:
            ctx.sql("SELECT nope FROM numbers(3)")
        lines = caught.value._render_traceback_()
        assert len(lines) < 5
        assert "nope" in lines[0]
        assert caught.value.code == 47

    def test_after_a_failure_the_next_result_is_right(self, ctx):
        x = ctx.create_object_from_value({"a": list(range(100_000))})
        bad = ctx.sql(
            f"SELECT a, throwIf(a = 99999, 'stop') AS t FROM {x.table_name} "
            "SETTINGS max_block_size = 1000"
        )
        for _ in range(3):
            with pytest.raises(EngineError, match="stop"):
                bad.to_pyarrow()
            assert x.filter(x.a < 3).data() == {"a": [0, 1, 2]}


class CheckedSpec(TableSpec):
    """A table that refuses some rows, of which chdb says that they were written."""

    def ddl(self, table, engine):
        return super().ddl(table, engine).replace(") ENGINE", ", CONSTRAINT c CHECK a < 3) ENGINE")


class TestRowsThatTheTableRefuses:
    @pytest.mark.parametrize("scope", [Scope.TEMP, Scope.SESSION])
    def test_of_a_new_table(self, ctx, tables, scope):
        backend = ctx.create_object_from_value([1])._backend
        spec, before = CheckedSpec({"a": "Int64"}, scope=scope, name="checked"), tables()
        with pytest.raises(EngineError) as raised, new_table(backend, spec) as table:
            create_table(backend, spec, pa.table({"a": [1, 2, 3]}), table=table)
        for said in (table, "3 rows", "0 found"):
            assert said in str(raised.value)
        assert tables() == before

    def test_of_an_insert(self, ctx, tables):
        x = ctx.create_object_from_value({"a": [1, 2]}, scope="session", name="checked_target")
        ctx.engine.command(f"ALTER TABLE {x.table_name} ADD CONSTRAINT c CHECK a < 3")
        before = tables()
        with pytest.raises(EngineError) as raised:
            x.insert({"a": [2]}, {"a": [1, 2, 3]})
        for said in (x.table_name, "4 rows", "1 found"):
            assert said in str(raised.value)
        assert sorted(x.data()["a"]) == [1, 2]
        x.insert({"a": [2]}, {"a": [0]})
        assert sorted(x.data()["a"]) == [0, 1, 2, 2]
        assert tables() == before


def test_null_lists_stay_refused_and_nothing_is_left(ctx, tables):
    before = tables()
    with pytest.raises(Exception, match="list"):
        ctx.create_object_from_value({"a": [[1], None]})
    assert tables() == before


NESTED = {
    "deep": [[b"\xff", b""], []],
    "ids": [[uuid.UUID(int=1)], [uuid.UUID(int=2)]],
    "flag": [{"a": True}, {"a": False}],
}


class TestNestedTypesInEveryPath:
    def test_fetch_copy_stream_and_frames(self, ctx):
        x = ctx.create_object_from_value(NESTED)
        assert x.data() == NESTED
        assert x.copy().data() == NESTED
        assert ctx.concat(x, x).data()["deep"] == NESTED["deep"] * 2
        assert x.to_pyarrow_batches().read_all().to_pydict()["deep"] == NESTED["deep"]
        assert x.to_pandas()["ids"].tolist() == NESTED["ids"]
        assert x.to_polars()["deep"].to_list() == NESTED["deep"]
        x.insert(NESTED)
        assert x.data()["deep"] == NESTED["deep"] * 2

    def test_comparisons_are_stored_as_bool(self, ctx):
        x = ctx.create_object_from_value({"a": [1, 2, None]})
        copied = x.select(big=x.a > 1, a="a").copy()
        assert copied.data() == {"big": [False, True, None], "a": [1, 2, None]}
        assert str(copied.schema()["big"]) == "boolean"
