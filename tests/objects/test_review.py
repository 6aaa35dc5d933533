"""Corners of the core that nothing else would catch."""

from __future__ import annotations

import datetime as dt
import operator
import pickle
import threading
from decimal import Decimal

import ibis
import numpy as np
import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import ContextError, SchemaError, UnsupportedTypeError, ValueRangeError
from aaiclick_ext.settings import Settings


class TestClosing:
    def test_an_open_batch_reader_does_not_hold_it_up(self, tmp_path):
        with DataContext(settings=Settings(state_dir=tmp_path)) as ctx:
            rows = ctx.create_object_from_value({"i": range(3_000_000)})
            reader = rows.to_pyarrow_batches(chunk_size=1000)
            reader.read_next_batch()
            closer = threading.Thread(target=ctx.close, daemon=True)
            closer.start()
            closer.join(30)
            assert not closer.is_alive()
        with pytest.raises(ContextError, match="closed"):
            for _ in reader:
                pass


class TestNullsAndDigits:
    """What ClickHouse, or Ibis's way of asking it, would turn into 0 or round in silence."""

    def test_a_row_that_is_not_there_is_null(self, ctx):
        t = ctx.create_object_from_value({"k": [1, 1, 2], "v": [5, 6, 7]})
        w = ibis.window(group_by="k", order_by="v")
        result = t.select(
            v=t.v,
            before=t.v.lag().over(w),
            after=t.v.lead(1).over(w),
            given=t.v.lag(1, -1).over(w),
            second=t.v.nth(1).over(w),
        ).order_by("v")
        assert result.data() == {
            "v": [5, 6, 7],
            "before": [None, 5, None],
            "after": [6, None, None],
            "given": [-1, 5, -1],
            "second": [6, 6, None],
        }

    def test_an_element_that_is_not_there_is_null(self, ctx):
        t = ctx.create_object_from_value({"l": [[1, 2]], "n": [[[3]]]})
        elements = t.select(a=t.l[0], b=t.l[-1], c=t.l[2], d=t.l[-3], e=t.n[0])
        assert elements.data() == {"a": [1], "b": [2], "c": [None], "d": [None], "e": [[3]]}

    def test_the_most_frequent_of_nothing_is_null(self, ctx):
        t = ctx.create_object_from_value({"v": [1]})
        assert t.filter(t.v > 1).aggregate(m=t.v.mode()).data() == {"m": [None]}

    @pytest.mark.parametrize("right", [1, 2, -3])
    def test_integers_divide_exactly(self, ctx, right):
        values = [2**62 + 1, -(2**62) - 1, 7, -7, 0]
        quotients = ctx.create_object_from_value(values) // right
        assert quotients.data() == [value // right for value in values]

    def test_uint64_divides_exactly(self, ctx):
        a = ctx.create_object_from_value(np.array([2**64 - 1, 5], dtype="uint64"))
        assert (a // 2).data() == [2**63 - 1, 2]

    def test_days_between_dates(self, ctx):
        a = ctx.create_object_from_value([dt.date(2020, 1, 3), dt.date(1920, 1, 1)])
        t = ctx.create_object_from_value({"a": [dt.date(2020, 1, 3)], "b": [dt.date(1920, 1, 1)]})
        assert t.select(d=t.a - t.b).to_pyarrow().column(0).cast("int64").to_pylist() == [36527]
        assert len((a - dt.date(2020, 1, 1)).data()) == 2

    def test_decimal_literals(self, ctx):
        a = ctx.create_object_from_value([Decimal("1.10"), Decimal("2.25")])
        assert (a + Decimal("0.005")).data() == [Decimal("1.105"), Decimal("2.255")]


class TestScalars:
    def test_scalars_combine(self, ctx):
        five, six = ctx.create_object_from_value(5), ctx.create_object_from_value(6)
        a = ctx.create_object_from_value([1, 2])
        assert (five + 1).data() == 6
        assert (1 - five).data() == -4
        assert (five + six).data() == 11
        assert (five - a).data() == [4, 3]
        assert (a - five).data() == [-4, -3]
        assert (a + np.int64(3)).data() == [4, 5]
        assert (np.int64(3) - a).data() == [2, 1]


class TestOrder:
    def test_a_projection_of_paired_arrays_keeps_it(self, ctx):
        a = ctx.create_object_from_value([3, 1, 2])
        y = a.filter(a.value > 1) + np.array([10, 20])
        doubled = y.select(w=y.value * 2)
        assert doubled.data() == [26, 44]
        assert (doubled + y).data() == [39, 66]

    def test_windows_keep_it_and_follow_it(self, ctx):
        n = 300_000
        a = ctx.create_object_from_value(np.arange(n)[::-1])
        centred = a.select(d=a.value - a.value.mean())
        assert centred[:2].data() == [(n - 1) / 2, (n - 3) / 2]
        running = a.select(s=a.value.cumsum())
        assert running.data() == np.arange(n)[::-1].cumsum().tolist()
        steps = a.select(s=a.value - a.value.lag())
        assert steps[:3].data() == [None, -1, -1]
        assert steps.min().data() == steps.max().data() == -1

    def test_reductions_of_a_slice_are_of_its_elements(self, ctx):
        n = 2_000_000
        a = ctx.create_object_from_value(np.arange(n)).insert(np.arange(n, 2 * n))
        assert a[n - 1 : n + 2].sum().data() == 3 * n
        assert a[n:].min().data() == n
        assert (a[:3] - a[2:5].mean()).data() == [-3, -2, -1]
        assert a[:3].order_by(ibis.desc("value")).data() == {"value": [2, 1, 0]}

    def test_slices_from_the_end(self, ctx):
        a = ctx.create_object_from_value([3, 1, 2, 5, 4])
        assert a[-2:].data() == [5, 4]
        assert a[:-3].data() == [3, 1]
        assert (a[1:-1] + a[-3:]).data() == [3, 7, 9]


class TestOperands:
    def test_literals_beyond_int64(self, ctx):
        a = ctx.create_object_from_value(np.array([2**64 - 1, 0], dtype="uint64"))
        assert (a == 2**64 - 1).data() == [True, False]
        with pytest.raises(ValueRangeError, match="does not fit 64 bits"):
            operator.eq(a, 2**64)

    def test_a_comparison_that_nobody_knows_is_refused(self, ctx):
        a = ctx.create_object_from_value([1])
        with pytest.raises(UnsupportedTypeError, match="comparison with object"):
            operator.eq(a, object())

    def test_an_array_is_not_reversible(self, ctx):
        with pytest.raises(TypeError, match="not reversible"):
            reversed(ctx.create_object_from_value([1, 2]))

    def test_int_needs_a_whole_number(self, ctx):
        with pytest.raises(UnsupportedTypeError, match="not a whole number"):
            int(ctx.create_object_from_value(Decimal("1.5")))
        assert int(ctx.create_object_from_value(Decimal("2.0"))) == 2


class TestSQLText:
    @pytest.fixture(autouse=True)
    def _named(self, ctx):
        def make(value, name):
            return ctx.create_object_from_value(value, name=name, scope="session")

        make({"carrier": ["UA", "AA"], "n": [1, 2]}, "carrier")
        make([5, 6], "flights")
        make([7], "date")
        make([8], 'odd `"é name')
        yield
        for name in ("carrier", "flights", "date", 'odd `"é name'):
            ctx.delete_object(name)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("SELECT carrier FROM carrier WHERE n = 1", {"carrier": ["UA"]}),
            ("SELECT flights.value AS flights FROM flights", {"flights": [5, 6]}),
            (
                "SELECT f.value FROM flights f JOIN carrier c ON f.value = c.n + 4",
                {"value": [5, 6]},
            ),
            ("WITH flights AS (SELECT 9 AS z) SELECT z FROM flights", {"z": [9]}),
            ("SELECT 1 AS carrier, 'flights' AS f", {"carrier": [1], "f": ["flights"]}),
            ("SELECT 1 AS a WHERE 5 IN flights", {"a": [1]}),
            ("SELECT * FROM date", {"value": [7]}),
            ('SELECT * FROM `odd ``"é name`', {"value": [8]}),
            ("SELECT 0 AS a UNION ALL SELECT value FROM date; -- flights", {"a": [0, 7]}),
        ],
    )
    def test_names_mean_what_the_text_means(self, ctx, text, expected):
        found = ctx.sql(text).data()
        assert {name: sorted(values) for name, values in found.items()} == expected

    @pytest.mark.parametrize("aliased", [False, True])
    def test_over_a_view_keeps_the_other_tables_it_names(self, ctx, tables, aliased):
        t = ctx.create_object_from_value({"k": [1, 2]})
        u = ctx.create_object_from_value({"k": [2, 3]})
        names = {t.table_name, u.table_name}
        base = t.alias("mine") if aliased else t
        source = "mine" if aliased else t.table_name
        view = base.sql(f"SELECT k FROM {source} JOIN {u.table_name} USING k").filter(ibis._.k > 0)
        events = ctx.backward_oplog(view)
        assert u.table_name in {name for e in events for name in e.kwargs.values()}
        del t, u, base
        assert names <= tables()
        assert view.data() == {"k": [2]}
        assert pickle.loads(pickle.dumps(view)).copy().data() == {"k": [2]}
        del view, events
        assert not names & tables()


class TestInsert:
    @pytest.mark.parametrize("start", [1, 150_000])
    def test_threads_append_to_one_array(self, ctx, start):
        a = ctx.create_object_from_value(np.zeros(start, dtype="int64"))
        failures = []

        def append(number):
            try:
                for _ in range(4):
                    a.insert([number] * 3)
            except BaseException as error:  # shown by the assertion
                failures.append(error)

        threads = [threading.Thread(target=append, args=(n,)) for n in (1, 2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not failures
        assert a.shape == (start + 36,)
        assert len((a + a.copy()).data()) == start + 36
        positions = f"SELECT uniqExact(_row), max(_row) + 1 FROM {a.table_name}"
        assert ctx.engine.query_rows(positions) == [(start + 36, start + 36)]

    def test_comparisons_go_into_booleans(self, ctx):
        t = ctx.create_object_from_value({"b": [True], "n": [True]})
        t.insert(ctx.create_object_from_value({"x": [0, 2]}).select(b=ibis._.x > 1, n=ibis._.x > 0))
        rows = t.to_pyarrow().to_pylist()  # of two parts, which may come in any order
        assert sorted(row["b"] for row in rows) == [False, True, True]
        assert all(row["b"] == row["n"] for row in rows)
        a = ctx.create_object_from_value([True, None])
        assert a.insert(ctx.create_object_from_value([1, None]) > 0).data() == [
            True,
            None,
            True,
            None,
        ]

    def test_numbers_do_not(self, ctx):
        numbers = ctx.create_object_from_value(np.array([0, 2], dtype="uint8"))
        with pytest.raises(SchemaError, match="target's is Bool"):
            ctx.create_object_from_value([True]).insert(numbers)

    def test_a_failure_is_in_the_log(self, ctx):
        t = ctx.create_object_from_value({"k": [1]})
        with pytest.raises(SchemaError):
            t.insert({"k": ["x"]})
        failed = [e for e in ctx.backward_oplog(t) if e.status == "error"]
        assert [(e.operation, dict(e.kwargs)) for e in failed] == [
            ("insert", {"target": t.table_name})
        ]


class TestForeignTables:
    @pytest.mark.parametrize(
        ("before", "after", "row", "expected"),
        [
            ("a Int32", "a Int64, b String", "(5000000000, 'x')", {"a": [5000000000], "b": ["x"]}),
            ("a LowCardinality(String)", "a Enum8('x' = 1)", "('x')", {"a": ["x"]}),
        ],
    )
    def test_their_columns_are_what_they_are_now(self, ctx, before, after, row, expected):
        run = ctx.engine.command
        run(f"CREATE TABLE changing ({before}) ENGINE = Memory")
        assert set(ctx.table("changing").data()) == {"a"}
        run("DROP TABLE changing")
        run(f"CREATE TABLE changing ({after}) ENGINE = Memory")
        run(f"INSERT INTO changing VALUES {row}")
        try:
            assert ctx.table("changing").data() == expected
        finally:
            run("DROP TABLE changing")


@pytest.mark.filterwarnings("ignore:.*scratch:UserWarning")
def test_a_deleted_name_does_not_come_back_as_what_it_replaced(tmp_path):
    settings = Settings(state_dir=tmp_path)
    with DataContext(settings=settings) as first, DataContext(settings=settings) as second:
        kept = [first.create_object_from_value([n], name="again") for n in (1, 2)]
        second.delete_object("again")  # as after a crash of the first, which let nothing go
        assert "again" not in {info.name for info in second.list_objects()}
        assert len(kept) == 2
        engine = second.engine
        assert [found.data() for found in kept] == [[1], [2]]
        kept.clear()
        first.flush()
        second.flush()
        rows = engine.query_rows("SELECT name FROM system.tables WHERE endsWith(name, '_again')")
        assert rows == []
