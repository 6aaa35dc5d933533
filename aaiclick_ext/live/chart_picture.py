"""A live chart as an SVG that needs no kernel: what a saved notebook shows."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aaiclick_ext.live.showing import Chart

COLOURS = ("#1976d2", "#e8710a", "#2e9e5b", "#b04ac4", "#d33a4c", "#6b7785")
"""Of the columns, in order; each can be told from light and from dark paper."""

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 220, 64, 12, 26, 24


def chart_svg(chart: Chart) -> str:
    """Return a picture of lines or bars; its text has the colour of the page's text."""
    drawn = [value for values in chart.y.values() for value in values if value is not None]
    if not drawn:
        return "<div>no points</div>"
    low, high = min(drawn), max(drawn)
    if chart.bars:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        low, high = low - 1, high + 1
    first, last = chart.x[0], chart.x[-1]
    plot_width, plot_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    slot = plot_width / max(1, len(chart.x))

    def down(y: float) -> float:
        return _TOP + plot_height * (high - y) / (high - low)

    if chart.bars or first == last:
        places = [_LEFT + slot * (place + 0.5) for place in range(len(chart.x))]
    else:
        places = [_LEFT + plot_width * (x - first) / (last - first) for x in chart.x]
    start = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" role="img" aria-label="{html.escape(_description(chart))}" '
        'style="max-width: 100%; font: 11px sans-serif" fill="currentColor">'
    )
    parts = [start]
    for end in (low, high):
        y = down(end)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="currentColor" stroke-opacity=".25"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{end:.5g}</text>'
        )
    for at, anchor in ((0, "start"), (len(chart.x) - 1, "end")):
        label = html.escape(chart.label(at)[:40])
        edge = _LEFT if at == 0 else _WIDTH - _RIGHT
        parts.append(f'<text x="{edge}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{label}</text>')
    width = max(1.0, slot * 0.8 / len(chart.y))
    key = float(_LEFT)
    for number, (name, values) in enumerate(chart.y.items()):
        colour = COLOURS[number % len(COLOURS)]
        title = html.escape(name[:30])
        parts.append(
            f'<rect x="{key:.0f}" y="6" width="10" height="10" fill="{colour}"/>'
            f'<text x="{key + 14:.0f}" y="15">{title}</text>'
        )
        key += 30 + 7 * len(name[:30])
        if chart.bars:
            for place, value in zip(places, values, strict=True):
                if value is not None:
                    left = place - slot * 0.4 + width * number
                    top, bottom = sorted((down(value), down(0.0)))
                    parts.append(
                        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
                        f'height="{bottom - top:.1f}" fill="{colour}"/>'
                    )
            continue
        for line in _runs(zip(places, values, strict=True)):
            ends = line if len(line) > 1 else line * 2  # one point alone is a dot
            points = " ".join(f"{x:.1f},{down(y):.1f}" for x, y in ends)
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5" '
                'stroke-linecap="round"/>'
            )
    return "".join([*parts, "</svg>"])


def _runs(points: Iterable[tuple[float, float | None]]) -> Iterator[list[tuple[float, float]]]:
    """Yield what lies between gaps."""
    run: list[tuple[float, float]] = []
    for x, y in points:
        if y is not None:
            run.append((x, y))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _description(chart: Chart) -> str:
    return f"{', '.join(chart.y)} over {chart.x_name}: {chart.summary}"
