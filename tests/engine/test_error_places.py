"""Where in a statement an error is."""

from __future__ import annotations

import pytest

from aaiclick_ext.engine.error_places import marked_line, without_rest
from aaiclick_ext.errors import EngineError

WRAPPED = "DESCRIBE TABLE (\nSELECT a,\n  b FORM t WHERE\n)"
PLACES = [
    ("identifier `dely`", "SELECT avg(dely) FROM t", "dely"),
    ("Identifier 'f.carier' cannot be resolved", 'SELECT "f"."carier" FROM f', '"carier'),
    ("Function with name `avgg` does not exist", "SELECT 'avgg', avgg(x)", None),
    ("Unknown setting 'max_threds'", "SET max_threds = 1", "max_threds"),
    ("Illegal types of function plus: …", "SELECT a + 'x'", "+"),
    ("Illegal types of function plus: …", "SELECT a + b + 'x'", None),
    ("failed at position 8 (FORM): FORM t.", "SELECT FORM t", "FORM"),
    ("failed at position 32 (FORM) (line 3, col 5): FORM t.", WRAPPED, "FORM"),
    ("identifier `größe`", "SELECT '日本', größe, x", "größe"),
    ("identifier `dely`", "DESCRIBE TABLE view(SELECT dely\n)", "dely"),
    ("identifier `nosuch`", "SELECT 1", None),
    ("nothing is said", "SELECT 1", None),
]


@pytest.mark.parametrize(("text", "sql", "marked"), PLACES)
def test_the_place_is_marked(text, sql, marked):
    drawn = marked_line(text, sql, sql)
    if marked is None:
        assert drawn is None or "avgg" in sql
        return
    line, carets = drawn.splitlines()
    place = line.index(marked.strip('"'))
    wide = sum(c in "日本" for c in line[:place])
    assert carets == " " * (place + wide) + "^" * len(marked.strip('"'))
    assert line.strip() in sql
    assert "DESCRIBE" not in line


def test_an_error_at_the_end_is_marked_after_what_the_user_wrote():
    text = f"failed at position {len(WRAPPED)} ()) (line 4, col 1): )\n FORMAT Native."
    line, carets = marked_line(text, WRAPPED, WRAPPED).splitlines()
    assert line == "      b FORM t WHERE"
    assert carets == " " * len(line) + "^"
    assert without_rest(f"Syntax error: {text}", WRAPPED) == "Syntax error: at its end."


def test_a_place_after_something_masked_is_not_marked():
    sql = "SELECT * FROM url('http://u:secret@h') FORM t"
    shown = "SELECT * FROM url('http://u:***@h') FORM t"
    position = sql.index("FORM") + 1
    assert marked_line(f"failed at position {position} (FORM)", sql, shown) is None
    assert "secret" not in marked_line("identifier `t`", sql, shown)


def test_a_long_line_is_cut_around_the_place_and_moves_no_cursor():
    sql = f"SELECT {', '.join(f'c{n}' for n in range(500))}, dely\t\x1b[31m, {'x, ' * 200}1"
    line, carets = marked_line("identifier `dely`", sql, sql).splitlines()
    assert len(line) < 110
    assert line.isprintable()
    assert line[carets.index("^") :].startswith("dely")


@pytest.mark.parametrize(
    ("sql", "message", "marked"),
    [
        ("SELECT 1 +\nFORM x y z", "Syntax error: at y.", "y"),
        ("SELECT 'ö', 1 FORM one a", "Syntax error: at one.", "one"),
        ("SELECT (1", "Syntax error: at its end.", None),
    ],
)
def test_the_places_of_clickhouse_s_own_errors(engine, sql, message, marked):
    with pytest.raises(EngineError) as caught:
        engine.query_arrow(sql)
    error = caught.value
    assert str(error) == message
    line, carets = error.__notes__[0].splitlines()
    place = carets.index("^")
    assert line[place:].startswith(marked or "")
    assert error._render_traceback_()[-1] == "ClickHouse error 62; %tb shows the whole traceback"
