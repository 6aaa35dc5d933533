"""Corners of the core that nothing else would catch."""

from __future__ import annotations

import datetime as dt
import threading
from decimal import Decimal

import ibis
import numpy as np
import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import ContextError
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
