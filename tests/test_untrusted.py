"""What would act is written out; what is cut says so; widths are a terminal's."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaiclick_ext.untrusted import display_width, shortened, visible

ANY_TEXT = st.text(st.characters())  # lone surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("flights", "flights"),
        ("größe Δ 漢字 🛩️", "größe Δ 漢字 🛩️"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x1b[31mred\x07\x00", r"\x1b[31mred\x07\x00"),
        ("pay\u202egpj.exe", r"pay\u202egpj.exe"),
        ("a\u2066b\u2069\u200b\ufeff", r"a\u2066b\u2069\u200b\ufeff"),
        ("\ud800", r"\ud800"),
        ("\uffff\U000e0041", r"\uffff\U000e0041"),
        ("\x85\u2028", r"\x85\u2028"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # noqa: RUF001
    ],
)
def test_what_would_act_is_written_out(text: str, shown: str):
    assert visible(text) == shown


def test_lines_stay_lines_where_they_are_wanted():
    assert visible("SELECT 1\r\n\tFROM t\x1b", lines=True) == "SELECT 1\n\tFROM t\\x1b"


@given(ANY_TEXT)
def test_nothing_hidden_is_left(text: str):
    shown = visible(text)
    shown.encode()
    assert not {unicodedata.category(c) for c in shown if c not in "\u200c\u200d"} & {
        "Cc", "Cf", "Cs", "Cn", "Zl", "Zp",
    }  # fmt: skip
    assert visible(shown) == shown


@given(ANY_TEXT, st.integers(1, 50))
def test_shortened_fits_and_is_a_beginning(text: str, columns: int):
    short = shortened(text, columns)
    assert display_width(short) <= columns
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


def test_combining_marks_cannot_go_on_for_ever():
    assert len(shortened("a" + "\u0301" * 10_000, 10)) <= 41
