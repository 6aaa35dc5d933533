"""How far a statement is, as a line of text and as HTML: pure functions."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from aaiclick_ext.engine.progress import State
from aaiclick_ext.sizes import short, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaiclick_ext.engine.progress import Progress

_COUNTS = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e4, "thousand"))
_LINES = 6
"""So many statements have a line of their own; those that ended before are summed up."""
_BAR = 20

_BOX = (
    "font-family: var(--jp-ui-font-family, sans-serif); font-size: var(--jp-ui-font-size1, 13px); "
    "padding-left: var(--jp-code-padding, 5px); "
    "line-height: 1.6; font-variant-numeric: tabular-nums; color: var(--jp-ui-font-color2, inherit)"
)
_NAME = "color: var(--jp-ui-font-color1, inherit)"
_PROGRESS = (
    "width: 14em; height: 0.8em; vertical-align: baseline; margin-right: 0.6em; "
    "accent-color: var(--jp-brand-color1, #1976d2)"
)
_COLOURS = {
    State.FAILED: "color: var(--jp-error-color1, #d32f2f)",
    State.CANCELLED: "color: var(--jp-warn-color0, #b26a00)",
}


def as_text(lines: Sequence[tuple[Progress, str]]) -> str:
    """Return statements and their names, one a line, with a bar for those that run."""
    shown, earlier = _split(lines)
    texts = [earlier] if earlier else []
    for progress, name in shown:
        bar = "" if progress.has_ended else f"{_bar(progress)} "
        texts.append(f"{bar}{name}: {figures(progress)}")
    return "\n".join(texts)


def as_html(lines: Sequence[tuple[Progress, str]]) -> str:
    """Return the same as HTML that needs no script and no style sheet."""
    shown, earlier = _split(lines)
    rows = [f"<div>{html.escape(earlier)}</div>"] if earlier else []
    for progress, name in shown:
        label = html.escape(name)
        bar = "" if progress.has_ended else _html_bar(progress, label)
        colour = _COLOURS.get(progress.state)
        told = html.escape(figures(progress))
        if colour is not None:
            told = f'<span style="{colour}">{told}</span>'
        rows.append(f'<div>{bar}<span style="{_NAME}">{label}</span>: {told}</div>')
    return f'<div class="aaiclick-progress" style="{_BOX}">{"".join(rows)}</div>'


def figures(progress: Progress) -> str:
    """Return all that is known of one statement, without its name.

    Examples
    --------
    ::

        42%, 4.2 of 10 million rows, 34 MB, 2.1 million rows/s, 3 s left, memory 12 MB
        done in 4.8 s, 10 million rows, 80 MB, 2.1 million rows/s, memory 12 MB
    """
    if progress.has_ended:
        before = "in" if progress.state is State.DONE else "after"
        parts = [f"{progress.state.value} {before} {seconds(progress.elapsed_s)}"]
    else:
        is_waiting = progress.state is State.WAITING
        parts = [progress.state.value if is_waiting else seconds(progress.elapsed_s)]
        if progress.fraction is not None:
            parts.insert(0, f"{progress.fraction:.0%}")
    parts += _amounts(progress)
    return ", ".join(parts)


def _amounts(progress: Progress) -> list[str]:
    parts = []
    # The last look was a little before the end: ClickHouse had read at least that.
    about = "" if progress.is_exact or not progress.has_ended else "at least "
    if progress.read_rows:
        whole = (
            ""
            if progress.has_ended or not progress.total_rows
            else f" of {count(progress.total_rows)}"
        )
        parts.append(f"{about}{count(progress.read_rows)}{whole} rows")
        if progress.read_bytes:
            parts.append(size_text(progress.read_bytes))
    elif progress.written_rows:
        parts.append(f"{about}{count(progress.written_rows)} rows written")
    if progress.rows_per_s:
        parts.append(f"{count(round(progress.rows_per_s))} rows/s")
    if not progress.has_ended and progress.remaining_s is not None:
        parts.append(f"{seconds(progress.remaining_s)} left")
    if progress.memory_bytes:
        parts.append(f"memory {size_text(progress.memory_bytes)}")
    return parts


def count(number: int) -> str:
    """Return a number of things, short.

    Examples
    --------
    >>> count(9_999), count(12_345), count(41_000_000)
    ('9,999', '12.3 thousand', '41 million')
    """
    for unit, name in _COUNTS:
        if number >= unit:
            scale = 1e3 if name == "thousand" else unit
            return f"{short(number / scale)} {name}"
    return f"{number:,}"


def seconds(number: float) -> str:
    """Return a time, short.

    Examples
    --------
    >>> seconds(0.84), seconds(42.3), seconds(200), seconds(7_300)
    ('0.8 s', '42 s', '3 min 20 s', '2 h 1 min')
    """
    if number < 10:
        return f"{number:.1f} s"
    whole = round(number)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _split(
    lines: Sequence[tuple[Progress, str]],
) -> tuple[Sequence[tuple[Progress, str]], str]:
    """Return what gets a line of its own, and the sum of the rest."""
    ended = [line for line in lines if line[0].has_ended]
    folded = {id(progress) for progress, _ in ended[: max(len(lines) - _LINES, 0)]}
    if not folded:
        return lines, ""
    earlier = [progress for progress, _ in ended if id(progress) in folded]
    spent_s = sum(progress.elapsed_s for progress in earlier)
    rows = sum(progress.read_rows or 0 for progress in earlier)
    counts = {
        state: sum(progress.state is state for progress in earlier)
        for state in (State.FAILED, State.CANCELLED)
    }
    others = "".join(f", {number} {state.value}" for state, number in counts.items() if number)
    told = f"{len(earlier)} before{others}: {seconds(spent_s)}, {count(rows)} rows"
    return [line for line in lines if id(line[0]) not in folded], told


def _bar(progress: Progress) -> str:
    done = 0 if progress.fraction is None else int(progress.fraction * _BAR)
    return f"[{'#' * done}{'.' * (_BAR - done)}]"


def _html_bar(progress: Progress, label: str) -> str:
    """Return a bar; one without a value says that something runs and nothing of how far."""
    value = ""
    if progress.fraction is not None and progress.fraction < 1:
        value = f' max="100" value="{progress.fraction * 100:.0f}"'
    return f'<progress aria-label="{label}"{value} style="{_PROGRESS}"></progress>'
