"""How a view is shown: types, nulls, numbers, long and hostile texts, in HTML and in text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from aaiclick_ext.objects.display import preview
from aaiclick_ext.objects.shown import as_text
from aaiclick_ext.objects.table_html import as_html, grouped

MARKUP = "<script>alert(1)</script>"


class _Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)


def cells(html):
    """Return the cells of each row, with their attributes."""
    body = html.partition("<tbody>")[2]
    return [re.findall(r"<td.*?</td>", row, re.DOTALL) for row in body.split("</tr>")[:-1]]


@pytest.fixture(scope="module")
def odd(ctx):
    return ctx.create_object_from_value(
        {
            "word": ["", "NULL", None, "  x ", MARKUP + "\x1b[31m\u202e"],
            "n": [1, 2013, -1234567, None, 12345],
            "f": [1.5, 2.123456789, float("nan"), None, 0.0],
            "long": ["a" * 79, "b" * 81, "c" * 3000, "d\ne" * 60, None],
        }
    )


def test_what_is_missing_is_told_from_what_is_empty(odd):
    shown = preview(odd)
    html = [row[0] for row in cells(as_html(shown))]
    assert '<span class="aaiclick-empty" title="empty text">""</span>' in html[0]
    assert html[1] == "<td>NULL</td>"
    assert '<span class="aaiclick-null">NULL</span>' in html[2]
    text = [line.split("  ")[0] for line in as_text(shown).splitlines()[3:]]
    assert text[:3] == ['""', '"NULL"', "NULL"]
    assert as_text(shown).splitlines()[6].startswith('"  x "')


def test_the_header_says_what_may_be_null(odd, ctx):
    head = as_html(preview(odd)).partition("<thead>")[2].partition("</thead>")[0]
    assert ">String?</span>" in head
    assert 'title="Nullable(Int64): may be null">Int64?</span>' in head
    sure = ctx.sql("SELECT 1 AS a, toLowCardinality(toNullable('x')) AS b")
    head = as_html(preview(sure)).partition("<thead>")[2].partition("</thead>")[0]
    assert 'title="UInt8">UInt8</span>' in head
    assert ">LowCardinality(String)?</span>" in head


def test_wide_integers_are_numbers_and_a_type_is_a_line(ctx):
    view = ctx.sql("SELECT toInt256(-7) AS i, (1, [2])::Tuple(a Int8, b Array(Int8)) AS t")
    shown = preview(view)
    assert cells(as_html(shown))[0][0] == '<td class="aaiclick-number">-7</td>'
    assert shown.types == ["Int256", "Tuple(a Int8, b Array(Int8))"]
    assert as_text(shown).splitlines()[2].startswith("──────  ")
    assert as_text(shown).splitlines()[3].startswith("    -7  ")


def test_numbers_stand_in_threes_and_floats_under_each_other(odd):
    rows = cells(as_html(preview(odd)))
    assert rows[1][1] == '<td class="aaiclick-number">2013</td>'
    assert re.sub("<.*?>", "", rows[2][1]) == "-1234567"  # copied as it is
    assert rows[2][1].count("aaiclick-digits") == 2
    assert grouped("1e+20") == "1e+20"
    assert rows[0][2] == '<td class="aaiclick-number">1.500000</td>'
    assert rows[1][2] == '<td class="aaiclick-number" title="2.123456789">2.123457</td>'
    assert ">nan<" in rows[2][2]
    assert rows[4][2] == '<td class="aaiclick-number">0.000000</td>'


def test_floats_of_very_different_sizes_keep_their_digits(ctx):
    view = ctx.create_object_from_value({"f": [1e-7, 1.5, 1e300]})
    assert [row[0] for row in cells(as_html(preview(view)))] == [
        '<td class="aaiclick-number">1e-07</td>',
        '<td class="aaiclick-number">1.5</td>',
        '<td class="aaiclick-number">1e+300</td>',
    ]


def test_long_text_unfolds_without_a_script(odd):
    html = as_html(preview(odd))
    rows = [row[3] for row in cells(html)]
    assert "<details" not in rows[0]
    assert rows[1].startswith('<td><details class="aaiclick-long"><summary>')
    assert f"<div>{'b' * 81}</div>" in rows[1]
    assert len(rows[2]) < 1_300  # bounded
    assert "d\ne" in rows[3].partition("<div>")[2]
    assert "script" not in _Tags(html).tags


def test_markup_and_control_characters_are_text(odd, ctx):
    html, text = as_html(preview(odd)), as_text(preview(odd))
    for form in (html, text):
        assert "\x1b" not in form
        assert "\u202e" not in form
    hostile = ctx.sql(f"SELECT 1 AS `{MARKUP}\"'`, '{MARKUP}' AS `b`").mutate(c=2)
    assert set(_Tags(as_html(preview(hostile))).tags) <= {
        "style", "div", "table", "thead", "tbody", "tr", "th", "td", "br", "span",
    }  # fmt: skip


def test_the_footer_says_how_much_there_is_and_what_it_is(ctx):
    table = ctx.create_object_from_value({"a": list(range(30))})
    view = table.filter(table.a > 1)
    assert re.search(
        r"30 rows, 1 column; 10 rows shown; [\d.]+ (bytes|kB) <span class=\"aaiclick-badge\"",
        as_html(preview(table)),
    )
    footer = as_html(preview(view)).rpartition("aaiclick-footer")[2]
    assert "first 10 rows, 1 column; rows not counted; len(x) counts them" in footer
    assert "view of 1 table</span>" in footer
    named = ctx.create_object_from_value({"a": [1]}, name="best", scope="session")
    assert "table best" in as_html(preview(named)).rpartition("aaiclick-footer")[2]


def test_a_view_without_rows_or_with_many_columns(ctx):
    empty = ctx.create_object_from_value({"a": [1], "f": [1.5]}).limit(0)
    assert "0 rows, 2 columns" in as_html(preview(empty))
    wide = ctx.sql(f"SELECT {', '.join(f'{n} AS c{n}' for n in range(60))}")
    html = as_html(preview(wide))
    assert "aaiclick-wide" in html
    assert "10 columns not shown" in html
