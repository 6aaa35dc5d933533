"""SQL given as text owns every table of ours that it names, whichever way it came in."""

from __future__ import annotations

import gc
import pickle

import ibis
import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import (
    DroppedTableError,
    EngineError,
    SQLError,
    UnknownTableError,
    UnsupportedTypeError,
)
from aaiclick_ext.settings import Settings


@pytest.fixture
def best(ctx):
    """A named object, which goes with the test."""
    ctx.create_object_from_value({"k": [2, 3]}, name="best one", scope="session")
    yield ctx.open_object("best one").table_name
    if "best one" in {info.name for info in ctx.list_objects()}:
        ctx.delete_object("best one")


@pytest.fixture
def make(ctx):
    """Make a table; a fixture that gave one would keep it."""
    return lambda: ctx.create_object_from_value({"k": [1, 2]})


def over_view(x, text):
    return x.alias("q").sql(text)


def through_backend(x, text):
    return x.get_backend().sql(text)


class TestOverAView:
    def test_names_named_objects(self, ctx, tables, best, make):
        x = make()
        view = x.alias("q").sql('SELECT q.k FROM q JOIN "best one" AS b USING k')
        assert view.data() == {"k": [2]}
        again = pickle.loads(pickle.dumps(view)).filter(ibis._.k > 0)
        ctx.delete_object("best one")
        del view
        assert best in tables()
        assert again.data() == {"k": [2]}
        assert again.copy().data() == {"k": [2]}
        assert best in {name for e in ctx.backward_oplog(again) for name in e.kwargs.values()}
        del again
        assert best not in tables()

    def test_its_own_name_is_the_view(self, ctx, best, make):
        x = make()
        assert x.alias("best one").sql("SELECT k FROM `best one`").data() == {"k": [1, 2]}

    def test_after_a_join(self, ctx, best, make):
        x = make()
        joined = x.join(x.view(), "k")
        assert joined.alias("q").sql("SELECT k FROM q, `best one` AS b").count().execute() == 4

    def test_text_of_two_levels(self, make, best):
        x = make()
        inner = x.alias("q").sql("WITH w AS (SELECT * FROM `best one`) SELECT * FROM w")
        outer = inner.alias("r").sql("SELECT r.k FROM r JOIN `best one` AS b USING k;  -- end")
        assert sorted(outer.data()["k"]) == [2, 3]

    def test_without_an_alias(self, ctx, tables, make):
        x = make()
        name = x.table_name
        view = x.filter(x.k > 1).sql(f"SELECT k + 1 AS k FROM {name}")
        del x
        assert name in tables()
        assert view.data() == {"k": [2, 3]}

    def test_in_another_dialect(self, make):
        x = make()
        view = x.alias("q").sql("SELECT CAST(k AS TEXT) AS t FROM q", dialect="duckdb")
        assert view.data() == {"t": ["1", "2"]}

    @pytest.mark.parametrize("use", [over_view, through_backend])
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "empty"),
            ("DROP TABLE q", "only a SELECT"),
            ("SELECT 1; SELECT 2", "several"),
            ("SELECT 'open", "cannot be read"),
            ("SELECT * FROM python(secret)", "Python"),
        ],
    )
    def test_refuses_what_is_no_select(self, make, use, text, reason):
        x = make()
        with pytest.raises(SQLError, match=reason):
            use(x, text)

    def test_says_what_it_cannot_read(self, make):
        x = make()
        with pytest.raises(SQLError, match="cannot be read"):
            over_view(x, "SELECT k FROM q WHERE WHERE")
        with pytest.raises(EngineError, match="nosuch"):
            over_view(x, "SELECT nosuch FROM q")

    def test_a_plain_ibis_table_says_how_to_name_ours(self, ctx, make):
        x = make()
        y = ctx.create_object_from_value({"k": [2, 9]})
        plain = ibis.Table(x.union(x).op())
        text = f"SELECT q.k FROM q JOIN {y.table_name} USING k"
        with pytest.raises(UnsupportedTypeError, match=r"aai\.view"):
            plain.alias("q").sql(text)
        assert ctx.view(plain).alias("q").sql(text).data() == {"k": [2, 2]}
        assert plain.alias("q").sql("SELECT k FROM q").count().execute() == 4


def test_what_the_log_has_of_python_makes_chdb_look_into_no_function(ctx, make):
    """Up to Python 3.12 a frame keeps the values that it had when somebody looked into it."""
    x = make()
    with pytest.raises(SQLError):
        over_view(x, "SELECT * FROM Python (secret)")
    ctx.flush()
    kept = [each for each in gc.get_referrers(x) if isinstance(each, dict)]
    assert kept == []


class TestThroughTheBackend:
    def test_sql_owns(self, ctx, tables, best, make):
        x = make()
        name = x.table_name
        view = through_backend(x, f"SELECT k FROM {name} JOIN `best one` USING k")
        del x
        assert name in tables()
        assert view.data() == {"k": [2]}
        del view
        assert name not in tables()

    @pytest.mark.parametrize("form", ["default.{}", "`default`.`{}`"])
    def test_a_table_named_with_its_database_is_owned(self, ctx, tables, make, form):
        x = make()
        name = x.table_name
        view = ctx.table(form.format(name))
        del x
        assert name in tables()
        assert view.data() == {"k": [1, 2]}
        del view
        assert name not in tables()


class TestTwoContexts:
    @pytest.fixture
    def other(self, ctx, tmp_path):
        context = DataContext(settings=Settings(state_dir=tmp_path))
        if context.engine.identity != ctx.engine.identity:
            context.close()
            pytest.skip("contexts of this database do not see each other's tables")
        yield context
        context.close()

    @pytest.mark.parametrize("use", ["sql", "table"])
    def test_text_of_one_owns_tables_of_the_other(self, ctx, tables, other, make, use):
        x = make()
        name = x.table_name
        view = other.sql(f"SELECT k FROM {name}") if use == "sql" else other.table(name)
        mine = other.create_object_from_value({"k": [2]})
        joined = view.join(mine, "k")
        again = pickle.loads(pickle.dumps(view))
        del x, view
        assert name in tables()
        assert joined.data() == {"k": [2]}
        assert again.data() == {"k": [1, 2]}
        del joined, again
        assert name not in tables()

    def test_what_is_gone_is_gone(self, ctx, tables, other, make):
        x = make()
        name = x.table_name
        del x
        assert name not in tables()
        with pytest.raises((DroppedTableError, UnknownTableError)):
            other.table(name)
        with pytest.raises((EngineError, UnknownTableError)):
            other.sql(f"SELECT * FROM {name}")
