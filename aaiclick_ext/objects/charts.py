"""Charts of what a plot fetched, drawn by Altair, and how they are shown without a network.

Altair writes Vega-Lite, which JupyterLab, Notebook and VS Code draw themselves; `vl-convert` makes
an SVG of it here, with an engine of its own, for what has none: saved pages, nbconvert, GitHub.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import AaiclickError, FileError, SettingsError
from aaiclick_ext.untrusted import shortened, visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import altair as alt

    from aaiclick_ext.objects.plot_axes import Axis

# The version that JupyterLab 4 draws; what is used of it later versions have, too.
_MIME_TYPE = "application/vnd.vegalite.v5+json"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.20.1.json"  # a name, which nothing loads
_WIDTH, _HEIGHT = 560, 300
_SUBTITLE = 95  # characters of a line
_TURNED = -40  # degrees of labels where there are many
_FORMATS = (".svg", ".png", ".json")


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a chart draws.

    Attributes
    ----------
    records
        One dict per mark, with the fields ``x``, ``x2``, ``y``, ``y2``, ``c`` (series), ``v``
        (value), ``low``, ``high``, ``q1``, ``q3``: no name of a column is a field.
    told
        What is to be said: how many rows, and how they were made fewer.
    """

    kind: str
    title: str | None
    records: list[dict[str, Any]]
    x: Axis | None
    y_title: str
    told: Sequence[str]
    y_axis: Axis | None = None
    color_title: str | None = None
    value_title: str = ""
    order: list[str] | None = None
    y_order: list[str] | None = None


class Plot:
    """A chart of a view, drawn when it is shown.

    It holds the points that were fetched, and no table.
    """

    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing

    def __repr__(self) -> str:
        drawn = self._drawing
        over = _over(drawn.x)
        title = f"{visible(shortened(drawn.title, 80))}: " if drawn.title else ""
        return f"{title}{drawn.kind} of {drawn.y_title}{over} ({'; '.join(drawn.told)})"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the chart says below its title: how many rows, and how they were made fewer."""
        return tuple(self._drawing.told)

    @property
    def records(self) -> list[dict[str, Any]]:
        """What was fetched: a dict for each mark."""
        return [dict(record) for record in self._drawing.records]

    @cached_property
    def chart(self) -> alt.TopLevelMixin:
        """The chart as Altair's own, to change and to combine."""
        chart: alt.TopLevelMixin = _chart(self._drawing)
        return chart

    def to_dict(self) -> dict[str, Any]:
        """Return the Vega-Lite specification."""
        return {**self.chart.to_dict(), "$schema": _SCHEMA}

    def save(self, path: str | PathLike[str]) -> None:
        """Write the chart to a file that ends in ``.svg``, ``.png`` or ``.json`` (Vega-Lite).

        Raises
        ------
        SettingsError
            If it ends in something else.
        FileError
            If it cannot be written.
        """
        import json

        target = Path(path)
        if target.suffix not in _FORMATS:
            raise SettingsError(
                f"{target.name} ends in {target.suffix!r}; a chart can be {', '.join(_FORMATS)}"
            )
        if target.suffix == ".json":
            data = json.dumps(self.to_dict()).encode()
        else:
            data = self._svg().encode() if target.suffix == ".svg" else self._png()
        try:
            target.write_bytes(data)
        except OSError as error:
            raise FileError(f"{target} cannot be written: {error.strerror}") from error

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            _MIME_TYPE: self.to_dict(),
            "image/svg+xml": self._svg(),
            "text/plain": repr(self),
        }

    def _svg(self) -> str:
        import vl_convert

        svg: str = vl_convert.vegalite_to_svg(self._on_paper(), allowed_base_urls=[])
        return svg

    def _png(self) -> bytes:
        import vl_convert

        png: bytes = vl_convert.vegalite_to_png(self._on_paper(), scale=2, allowed_base_urls=[])
        return png

    def _on_paper(self) -> dict[str, Any]:
        """Return the specification on a white ground, legible also on a dark page."""
        return {**self.to_dict(), "background": "white"}


def _altair() -> Any:
    try:
        import altair as alt
    except ImportError as error:
        raise AaiclickError("plots are drawn by Altair; pip install altair") from error
    return alt


def _chart(drawn: Drawing) -> Any:
    alt = _altair()
    if not drawn.records:
        nothing = alt.Chart(alt.Data(values=[{"t": "no values to draw"}]))
        return (
            nothing.mark_text(color="gray")
            .encode(text="t:N")
            .properties(width=_WIDTH, height=_HEIGHT // 3, title=_heading(alt, drawn))
        )
    base = alt.Chart(alt.Data(values=drawn.records))
    layers = _LAYERS[drawn.kind](alt, base, drawn)
    chart = alt.layer(*layers) if len(layers) > 1 else layers[0]
    height = _HEIGHT
    if drawn.y_order is not None:
        height = max(_HEIGHT // 2, min(600, 22 * len(drawn.y_order)))
    return chart.properties(width=_WIDTH, height=height, title=_heading(alt, drawn))


def _over(axis: Axis | None) -> str:
    if axis is None:
        return ""
    return f" {'by' if axis.is_category else 'over'} {axis.title}"


def _heading(alt: Any, drawn: Drawing) -> Any:
    over = _over(drawn.x)
    given = drawn.title or f"{drawn.y_title}{over}"  # Vega-Lite draws no subtitle alone
    title = visible(shortened(given, 90))
    subtitle = textwrap.wrap("; ".join(drawn.told), _SUBTITLE)
    return alt.Title(title, subtitle=subtitle, anchor="start", subtitleColor="gray")


def _scale(alt: Any, axis: Axis | None, *, zero: bool = False) -> Any:
    if axis is not None and axis.type == "temporal":
        return alt.Scale(type="utc")
    return alt.Scale(zero=zero)


def _place(alt: Any, channel: str, axis: Axis | None, order: list[str] | None) -> dict[str, Any]:
    """Return the encoding of x or y, and of its end where there are bins."""
    make, ends = (alt.X, alt.X2) if channel == "x" else (alt.Y, alt.Y2)
    if axis is None or order is not None:
        title = "" if axis is None else axis.title
        many = channel == "x" and len(order or ()) > _MANY
        turned = alt.Axis(title=title, labelAngle=_TURNED if many else 0, labelLimit=160)
        return {channel: make(f"{channel}:N", axis=turned, sort=order or None)}
    type_ = {"temporal": "T", "quantitative": "Q"}[axis.type]
    place = make(f"{channel}:{type_}", title=axis.title, scale=_scale(alt, axis))
    if axis.bins is None:
        return {channel: place}
    return {channel: place, f"{channel}2": ends(f"{channel}2")}


_MANY = 8


def _color(alt: Any, drawn: Drawing) -> dict[str, Any]:
    if drawn.color_title is None:
        return {}
    title = drawn.color_title or None
    order = list(dict.fromkeys(record["c"] for record in drawn.records if "c" in record))
    return {"color": alt.Color("c:N", title=title, sort=order, legend=alt.Legend(labelLimit=200))}


def _line_layers(alt: Any, base: Any, drawn: Drawing) -> list[Any]:
    axis = drawn.x
    assert axis is not None
    type_ = "T" if axis.type == "temporal" else "Q"
    x = alt.X(f"x:{type_}", title=axis.title, scale=_scale(alt, axis))
    y = alt.Y("y:Q", title=drawn.y_title, scale=alt.Scale(zero=False))
    few = len(drawn.records) <= 60
    line = base.mark_line(point=few, strokeJoin="round").encode(x=x, y=y, **_color(alt, drawn))
    if not drawn.records or "low" not in drawn.records[0]:
        return [line]
    band = base.mark_area(opacity=0.2).encode(
        x=x, y=alt.Y("low:Q", title=drawn.y_title, scale=alt.Scale(zero=False)), y2=alt.Y2("high")
    )
    return [band, line]


def _bar_layers(alt: Any, base: Any, drawn: Drawing) -> list[Any]:
    y = alt.Y("y:Q", title=drawn.y_title, stack="zero" if drawn.color_title else None)
    if drawn.color_title and drawn.x is not None and drawn.x.bins is not None:
        return _stacked_bins(alt, base, drawn)
    place = _place(alt, "x", drawn.x, drawn.order)
    if "x2" in place:
        place["y2"] = alt.Y2Datum(0)  # or it would be a dash
    mark = base.mark_bar(binSpacing=0, stroke="white", strokeWidth=0.4)
    tooltip = [alt.Tooltip("x:N", title=""), alt.Tooltip("y:Q", title=drawn.y_title)]
    return [mark.encode(**place, y=y, tooltip=tooltip, **_color(alt, drawn))]


def _stacked_bins(alt: Any, base: Any, drawn: Drawing) -> list[Any]:
    """Draw bins of several series: a line each, since ends and stacks do not go together."""
    axis = drawn.x
    assert axis is not None
    type_ = "T" if axis.type == "temporal" else "Q"
    x = alt.X(f"x:{type_}", title=axis.title, scale=_scale(alt, axis))
    y = alt.Y("y:Q", title=drawn.y_title)
    return [base.mark_line(interpolate="step-after").encode(x=x, y=y, **_color(alt, drawn))]


def _grid_layers(alt: Any, base: Any, drawn: Drawing) -> list[Any]:
    places = {
        **_place(alt, "x", drawn.x, drawn.order),
        **_place(alt, "y", drawn.y_axis, drawn.y_order),
    }
    color = alt.Color("v:Q", title=drawn.value_title, scale=alt.Scale(scheme="viridis"))
    return [base.mark_rect().encode(**places, color=color, tooltip=alt.Tooltip("v:Q"))]


def _scatter_layers(alt: Any, base: Any, drawn: Drawing) -> list[Any]:
    if drawn.records and "v" in drawn.records[0]:
        return _grid_layers(alt, base, drawn)
    places = {**_place(alt, "x", drawn.x, None), **_place(alt, "y", drawn.y_axis, None)}
    mark = base.mark_circle(size=36, opacity=0.7)
    return [mark.encode(x=places["x"], y=places["y"], **_color(alt, drawn))]


def _box_layers(alt: Any, base: Any, drawn: Drawing) -> list[Any]:
    order = drawn.order if drawn.order is not None else [""]
    x = _place(alt, "x", drawn.x, order)["x"]
    y = alt.Y("low:Q", title=drawn.y_title, scale=alt.Scale(zero=False))
    size = max(4, min(40, int(_WIDTH * 0.6 / max(1, len(drawn.records)))))
    tips = [
        alt.Tooltip(f"{name}:Q", title=title)
        for name, title in (
            ("low", "least"), ("q1", "25 %"), ("y", "median"), ("q3", "75 %"), ("high", "greatest"),
        )
    ]  # fmt: skip
    return [
        base.mark_rule(color="gray").encode(x=x, y=y, y2=alt.Y2("high")),
        base.mark_bar(size=size).encode(x=x, y=alt.Y("q1:Q"), y2=alt.Y2("q3"), tooltip=tips),
        base.mark_tick(color="white", size=size, thickness=2).encode(x=x, y=alt.Y("y:Q")),
    ]


_LAYERS = {
    "line": _line_layers,
    "bar": _bar_layers,
    "histogram": _bar_layers,
    "scatter": _scatter_layers,
    "box": _box_layers,
    "heatmap": _grid_layers,
}
