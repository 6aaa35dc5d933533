"""Tables as text and as HTML: aligned, cut, escaped."""

from __future__ import annotations

import datetime as dt
import html

import pytest

from aaiclick_ext.lifecycle import Scope
from aaiclick_ext.lifecycle.roots import HolderKind
from aaiclick_ext.lifecycle.why import Chain
from aaiclick_ext.objects import TableInfo
from aaiclick_ext.widgets.table_list import (
    MAX_HOLDERS,
    age_text,
    size_text,
    table_rows,
    tables_html,
    tables_text,
)
from aaiclick_ext.widgets.tables import TablesWidget

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def info(*holders: str, **changes: object) -> TableInfo:
    """Return a table that some things hold."""
    chains = tuple(Chain(HolderKind.VARIABLE, text, "Object", "") for text in holders)
    given = {
        "table_name": "aai_t_1_a_b", "chains": chains, "rows": 1234, "bytes": 5678, "cell": 7,
        "made_at": NOW - dt.timedelta(minutes=5), "last_used": None, "scope": Scope.TEMP,
        "name": None, "claims": 1,
    }  # fmt: skip
    return TableInfo(**{**given, **changes})


def test_text_is_aligned_whatever_is_in_it():
    lines = tables_text(
        [info("variable 漢字"), info("list frames[0]", rows=None)], NOW
    ).splitlines()
    assert lines[2].startswith("漢字 ")
    assert lines[2].index("1,234") < len(lines[2])
    assert "5 min" in lines[2]
    assert "[7]" in lines[2]
    assert lines[-1] == "(2 tables, 11.4 kB)"


def test_untrusted_text_is_shown_and_does_nothing():
    text = "dict d['<b>\x1b[31m\u202e']"
    shown = tables_html([info(text)], NOW)
    assert "<b>" not in shown
    assert html.escape("dict d['<b>\\x1b[31m\\u202e']") in shown
    assert "\x1b" not in tables_text([info(text)], NOW)


def test_many_holders_are_counted():
    names = [f"variable v{number}" for number in range(MAX_HOLDERS + 4)]
    (row,) = table_rows([info(*names)], NOW)
    assert row[0].text == "v0; v1; v2; 4 more"
    (row,) = table_rows([info()], NOW)
    assert row[0].text == "nothing that can be named"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (999_960, "1 MB"), (None, "")],
)
def test_sizes(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (59.9, "59 s"), (3599, "59 min"), (7200, "2 h")]
)
def test_ages(seconds, text):
    assert age_text(dt.timedelta(seconds=seconds)) == text


def test_the_front_end_sets_nothing():
    widget = TablesWidget([info("variable x")], NOW)
    widget.set_state({"_summary": "changed"})
    assert widget._summary == "1 table, 5.7 kB"
    widget.close()
