"""One-column objects: order, elementwise arithmetic, reductions."""

from __future__ import annotations

import math
import operator
import statistics

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaiclick_ext.errors import LengthError, UnsupportedTypeError
from aaiclick_ext.objects import ArrayObject, ArrayView, Object, ScalarView, View


def make(ctx, values):
    return ctx.create_object_from_value(values)


@pytest.mark.parametrize(
    "value", [[3, 1, 2], (3, 1, 2), range(3, 0, -1), np.array([3, 1, 2]), pd.Series([3, 1, 2])]
)
def test_what_becomes_an_array(ctx, value):
    a = make(ctx, value)
    assert isinstance(a, ArrayObject)
    assert a.columns == ("value",)
    assert a.data() == list(value)
    assert a.shape == (3,)


def test_a_scalar_gives_its_value(ctx):
    x = make(ctx, 42)
    assert x.data() == 42
    assert x.shape == ()
    assert int(x) == 42
    assert float(x) == 42.0
    assert (x * 2 + 1).data() == 85


def test_order_is_kept_at_a_million_rows(ctx):
    values = np.random.default_rng(1).permutation(1_000_000)
    a = make(ctx, values)
    assert np.array_equal(a.to_pyarrow().column("value").to_numpy(), values)
    assert np.array_equal((a + 1).to_pyarrow().column("value").to_numpy(), values + 1)
    b = a.filter(a.value % 2 == 0)
    assert np.array_equal(b.to_pyarrow().column("value").to_numpy(), values[values % 2 == 0])
    c = b.copy()
    assert np.array_equal(c.to_pyarrow().column("value").to_numpy(), values[values % 2 == 0])


def test_the_row_number_is_hidden(ctx, tmp_path):
    a = make(ctx, [5, 6])
    assert a.columns == ("value",)
    assert ctx.sql(f"SELECT * FROM {a.table_name}").columns == ("value",)
    assert a.to_pyarrow().column_names == ["value"]
    a.export(tmp_path / "a.csv")
    assert "_row" not in (tmp_path / "a.csv").read_text()


PAIRS = [
    ("add", operator.add),
    ("sub", operator.sub),
    ("mul", operator.mul),
    ("truediv", operator.truediv),
    ("lt", operator.lt),
    ("le", operator.le),
    ("gt", operator.gt),
    ("ge", operator.ge),
    ("eq", operator.eq),
    ("ne", operator.ne),
]


@pytest.mark.parametrize(("name", "function"), PAIRS)
def test_arithmetic_agrees_with_python(ctx, name, function):
    left, right = [7, -3, 12, 5], [2, 4, 3, 5]
    a, b = make(ctx, left), make(ctx, right)
    assert function(a, b).data() == [function(x, y) for x, y in zip(left, right, strict=True)]
    assert function(a, 3).data() == [function(x, 3) for x in left]
    assert function(3, b).data() == [function(3, y) for y in right]
    assert isinstance(function(a, b), ArrayView)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda a, b: a & b, [1, 0, 4]),
        (lambda a, b: a | b, [3, 6, 12]),
        (lambda a, b: a ^ b, [2, 6, 8]),
        (lambda a, b: a % b, [0, 2, 0]),
        (lambda a, b: -a, [-3, -2, -12]),
        (lambda a, b: abs(-a), [3, 2, 12]),
        (lambda a, b: a**2, [9, 4, 144]),
        (lambda a, b: a // 2, [1, 1, 6]),
    ],
)
def test_bitwise_modulo_and_unary(ctx, function, expected):
    a, b = make(ctx, [3, 2, 12]), make(ctx, [1, 4, 4])
    assert function(a, b).data() == expected


def test_booleans_combine(ctx):
    a = make(ctx, [1, 5, 9])
    both = (a > 2) & (a < 8)
    assert both.data() == [False, True, False]
    assert (~both).data() == [True, False, True]


def test_shared_bases_need_no_join(ctx):
    a = make(ctx, list(range(10)))
    squares = (a + 1) * (a - 1)
    assert squares.data() == [x * x - 1 for x in range(10)]
    assert "JOIN" not in ctx.backend.compile(squares).upper()


def test_filtered_arrays_combine_by_position(ctx):
    a = make(ctx, [1, 2, 3, 4, 5, 6])
    even, odd = a.filter(a.value % 2 == 0), a.filter(a.value % 2 == 1)
    assert (even * 10 + odd).data() == [21, 43, 65]
    assert (even + odd + make(ctx, [100, 200, 300])).data() == [103, 207, 311]


def test_different_lengths_are_refused(ctx):
    with pytest.raises(LengthError, match="3 and 2"):
        make(ctx, [1, 2, 3]) + make(ctx, [1, 2])


def test_a_length_that_changed_later_is_refused_when_run(ctx):
    a, b = make(ctx, [1, 2]), make(ctx, [10, 20])
    total = a + b
    assert total.data() == [11, 22]
    a.insert([3])
    for run in (total.data, total.copy, lambda: list(total.to_pyarrow_batches())):
        with pytest.raises(LengthError, match="3 and 2"):
            run()
    b.insert([30])
    assert total.data() == [11, 22, 33]
    filtered = a.filter(a.value > 1) + b.filter(b.value > 10)
    assert filtered.data() == [22, 33]
    a.insert([4])
    with pytest.raises(LengthError, match="3 and 2"):
        filtered.data()


def test_lists_and_numpy_arrays_are_operands(ctx):
    a = make(ctx, [1, 2, 3])
    assert (a + [10, 20, 30]).data() == [11, 22, 33]  # noqa: RUF005
    assert (np.array([10, 20, 30]) - a).data() == [9, 18, 27]


def test_tables_have_no_elementwise_arithmetic(ctx):
    t = make(ctx, {"x": [1, 2]})
    a = make(ctx, [1, 2])
    with pytest.raises(TypeError):
        t + 1
    with pytest.raises(UnsupportedTypeError, match="no row order"):
        a + t
    with pytest.raises(UnsupportedTypeError, match="mutate"):
        a + t.x


def test_reductions_agree_with_python(ctx):
    values = [4, 8, 15, 16, 23, 42]
    a = make(ctx, values)
    assert a.sum().data() == sum(values)
    assert a.mean().data() == statistics.mean(values)
    assert (a.min().data(), a.max().data()) == (4, 42)
    assert math.isclose(a.std().data(), statistics.stdev(values))
    assert math.isclose(a.var().data(), statistics.variance(values))
    assert a.count().data() == 6
    assert a.quantile(0.5).data() == statistics.median(values)
    assert make(ctx, [3, 1, 3, 2, 1]).unique().data() == [3, 1, 2]
    assert make(ctx, [3, 1, 3, None]).nunique().data() == 2
    assert isinstance(a.sum(), ScalarView)


def test_normalising(ctx):
    a = make(ctx, [1, 3])
    assert (a / a.sum()).data() == [0.25, 0.75]
    assert (a - a.mean()).data() == [-1.0, 1.0]
    assert ((a - a.min()) / (a.max() - a.min())).data() == [0.0, 1.0]


def test_reductions_of_nothing_are_null(ctx):
    a = make(ctx, [1, 2])
    empty = a.filter(a.value > 5)
    assert empty.data() == []
    assert empty.sum().data() is None
    assert empty.max().data() is None
    assert empty.count().data() == 0


def test_nulls_stay_null(ctx):
    a = make(ctx, [1, None, 3])
    assert (a + 1).data() == [2, None, 4]
    assert (a + a).data() == [2, None, 6]
    assert a.sum().data() == 4


def test_identity_and_equality(ctx):
    a, t = make(ctx, [1, 2]), make(ctx, {"x": [1]})
    assert (a == a).data() == [True, True]
    assert t == t
    assert t != make(ctx, {"x": [1]})
    assert len({a, a, t}) == 2
    assert hash(a) == object.__hash__(a)


def test_protocols(ctx):
    a, t = make(ctx, [1, 2]), make(ctx, {"x": [1, 2], "data": [3, 4]})
    assert len(a) == 2
    assert "x" in t
    assert "y" not in t
    assert 1 not in t
    with pytest.raises(TypeError, match="len"):
        bool(t)
    with pytest.raises(TypeError, match="data"):
        iter(t)
    with pytest.raises(TypeError, match="more than one row"):
        float(a)
    with pytest.raises(TypeError, match="2 columns"):
        int(t)
    assert t["data"].execute().tolist() == [3, 4]


def test_views_are_not_objects(ctx):
    a = make(ctx, [1, 2])
    view = a + 1
    assert isinstance(view, View)
    assert not isinstance(view, Object)
    assert not hasattr(view, "shape")
    frozen = view.copy()
    assert isinstance(frozen, ArrayObject)
    a.insert([3])
    assert view.data() == [2, 3, 4]
    assert frozen.data() == [2, 3]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=20),
    st.sampled_from(["filter", "add", "double", "square"]),
    st.sampled_from(["filter", "add", "double", "square"]),
)
def test_pipelines_agree_with_python(ctx, values, first, second):
    view, model = make(ctx, values), list(values)
    for step in (first, second):
        if step == "filter":
            view, model = view.filter(view.value > 0), [v for v in model if v > 0]
        elif step == "add":
            view, model = view + 7, [v + 7 for v in model]
        elif step == "double":
            view, model = view + view, [v + v for v in model]
        else:
            view, model = view * view, [v * v for v in model]
    assert view.data() == model
    assert view.copy().data() == model
    assert view.count().data() == len(model)
