"""A View goes straight into plotting libraries, which fetch its rows and draw them."""

from __future__ import annotations

import warnings

import pytest


@pytest.fixture
def view(ctx):
    made = ctx.create_object_from_value(
        {"n": [1, 2, 3, None], "f": [1.5, None, 3.5, 4.5], "s": ["a", "b", None, "a"]}
    )
    return made.filter(made.f > 1)


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():  # of the libraries among themselves
        warnings.simplefilter("ignore")
        yield


def test_altair(view):
    import altair as alt
    import vl_convert

    spec = alt.Chart(view).mark_point().encode(x="n", y="f", color="s").to_dict()
    (rows,) = spec["datasets"].values()
    assert [row["f"] for row in rows] == [1.5, 3.5, 4.5]
    assert "<path" in vl_convert.vegalite_to_svg({**spec, "$schema": spec["$schema"]})


def test_plotly(view):
    px = pytest.importorskip("plotly.express")
    figure = px.scatter(view, x="n", y="f", color="s")
    drawn = sorted(float(y) for trace in figure.data for y in trace.y)
    assert drawn == [1.5, 4.5]  # of no colour is one without
    assert "plotly" in figure.to_html(include_plotlyjs=False)


def test_seaborn(view):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    seaborn = pytest.importorskip("seaborn")
    axes = seaborn.scatterplot(data=view, x="n", y="f")
    axes.figure.canvas.draw()
    assert len(axes.collections[0].get_offsets()) == 2  # of three, one has no n


@pytest.mark.soak
def test_hvplot(view):
    pytest.importorskip("hvplot")
    import holoviews as hv
    import hvplot.ibis  # noqa: F401  it is what users do

    hv.extension("bokeh")
    chart = view.hvplot.scatter(x="n", y="f")
    assert type(hv.render(chart)).__name__ == "figure"


def test_narwhals(view):
    narwhals = pytest.importorskip("narwhals")
    assert narwhals.from_native(view).collect().shape == (3, 3)
