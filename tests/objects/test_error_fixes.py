"""What an error says besides what failed: the likely fix, by what is there."""

from __future__ import annotations

import re

import pytest

from aaiclick_ext.errors import AaiclickError, EngineError, UnknownTableError


@pytest.fixture(scope="module")
def flights(ctx):
    return ctx.create_object_from_value({"delay": [1, 2], "carrier": ["a", "7"]})


def lines_of(error: BaseException) -> list[str]:
    return error._render_traceback_()


TEXTS = [
    ("SELECT dely FROM {f}", "Maybe you meant: ['delay']."),
    ("SELECT zzz FROM {f}", "The columns are delay, carrier."),
    ("SELECT avgg(delay) FROM {f}", "'avg'"),
    ("SELECT delay + carrier FROM {f}", 'x.carrier.cast("int64") in Ibis, CAST(carrier AS Int64)'),
    ("SELECT sum(carrier) FROM {f}", 'x.carrier.cast("float64") in Ibis'),
    ("SELECT 1 FROM {f} WHERE carrier > 1", 'x.carrier.cast("int64") in Ibis'),
    ("SELECT 1 FROM {f} WHERE delay = today()", 'x.delay.cast("date") in Ibis'),
    ("SELECT delay FORM {f}", "Did you mean FROM for FORM?"),
    ("SELECT 1 FROM nosuch", "A variable stands in braces: FROM {nosuch}."),
    ("SELECT 1 FROM systm.one", "Maybe you meant system?"),
    ("SELECT delay FROM {f} SETTINGS max_thread = 1", "Maybe you meant ['max_threads']"),
    ("SELECT 列 FROM {f}", "A name of other letters than A to Z goes in backticks"),
    ("SELECT 1 FORMAT JSON", 'A result has no FORMAT: x.export("x.json") writes a file'),
    ("SELECT delay FROM {f} WHERE delay > :n", "{n:Int64} a value"),
]


@pytest.mark.parametrize(("text", "fix"), TEXTS)
def test_the_fix_of_a_text(ctx, flights, text, fix):
    given = {"f": flights} if "{f}" in text else {}
    with pytest.raises(AaiclickError) as caught:
        ctx.sql(text, **given)
    shown = "\n".join(lines_of(caught.value))
    assert fix in shown
    assert "^" in shown
    assert shown.count("\n") < 7
    assert "\x1b" not in shown
    assert shown.endswith("%tb shows the whole traceback")


def test_a_value_that_stands_without_its_type(ctx, flights):
    with pytest.raises(EngineError) as caught:
        ctx.sql("SELECT delay FROM {f} WHERE delay > {least}", f=flights, least=1)
    assert lines_of(caught.value)[1:4] == [
        "    SELECT delay FROM {f} WHERE delay > {least}",
        f"{'^' * 7:>47}",
        "{least} stands for a table; a value has its type, as in {least:Int64}.",
    ]


def test_what_is_not_grouped_and_a_name_that_is_twice_there(ctx, flights):
    with pytest.raises(EngineError) as caught:
        ctx.sql("SELECT carrier, count() FROM {f}", f=flights)
    shown = "\n".join(lines_of(caught.value))
    assert "SELECT carrier, count() FROM {f}." in shown
    assert "Add the column to GROUP BY" in shown
    with pytest.raises(EngineError, match="already exists") as caught:
        ctx.sql("SELECT delay, delay FROM {f}", f=flights).data()
    assert "Give each column a name of its own, with AS." in lines_of(caught.value)


def test_a_table_that_sql_made_twice_and_dropped(ctx):
    ctx.raw_sql("CREATE TABLE again (a Int8) ENGINE = Memory")
    with pytest.raises(EngineError) as caught:
        ctx.raw_sql("CREATE TABLE again (a Int8) ENGINE = Memory")
    assert "CREATE OR REPLACE TABLE makes it anew" in "\n".join(lines_of(caught.value))
    ctx.raw_sql("DROP TABLE again")
    with pytest.raises(UnknownTableError) as caught:
        ctx.sql("SELECT * FROM again")
    assert "It was dropped at 2" in (shown := "\n".join(lines_of(caught.value)))
    assert "restore" not in shown


def test_settings_that_there_are_and_a_column_of_that_name(ctx):
    assert ctx.sql("SELECT 1 AS a SETTINGS max_threads = 1, max_block_size = 9;").data() == {
        "a": [1]
    }
    view = ctx.sql("SELECT settings, a = 1 AS b FROM (SELECT 1 AS settings, 2 AS a)")
    assert view.data() == {"settings": [1], "b": [0]}


def test_a_column_of_a_view_that_is_given(ctx, flights):
    late = flights.mutate(hour=flights.delay // 60)
    with pytest.raises(AaiclickError) as caught:
        ctx.sql("SELECT max(zzzzz) FROM {late}", late=late)
    lines = lines_of(caught.value)
    assert lines[1] == "    SELECT max(zzzzz) FROM {late}"
    assert "The columns are delay, carrier, hour." in lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("SELECT * FORM {f}", ["    SELECT * FORM {f}", "                  ^^^"]),
        (
            "SELECT 1; SELECT '日' || 'x', delay + carrier FROM {f}; SELECT 3",
            ["    SELECT '日' || 'x', delay + carrier FROM {f}", f"{'^':>31}"],
        ),
        ("SELECT 1; SELECT dely FROM {f}", ["    SELECT dely FROM {f}", "           ^^^^"]),
        ("SELECT 1; SELECT dely FROM {late}", ["    SELECT dely FROM {late}", "           ^^^^"]),
        (
            "CREATE TABLE nothing ENGINE = Memory AS SELECT dely FROM {late}",
            [
                "    CREATE TABLE nothing ENGINE = Memory AS SELECT dely FROM {late}",
                f"{'^^^^':>55}",
            ],
        ),
    ],
)
def test_names_in_braces_are_shown_as_they_were_written(ctx, flights, text, lines):
    tables = {"f": flights, "late": flights.filter(flights.delay > 1)}
    given = {name: table for name, table in tables.items() if f"{{{name}}}" in text}
    with pytest.raises(EngineError) as caught:
        ctx.raw_sql(text, **given)
    shown = lines_of(caught.value)
    assert [line for line in shown if line.startswith("    ")] == lines
    assert "aai_" not in "\n".join(shown)


def test_values_that_cannot_be_read(ctx, flights):
    for use in (
        lambda: ctx.sql("SELECT toInt64(carrier) AS c FROM {f}", f=flights).data(),
        lambda: flights.carrier.cast("int64").sum().execute(),
    ):
        with pytest.raises(EngineError) as caught:
            use()
        assert (
            'Null where it is none: x.carrier.try_cast("int64") in Ibis, '
            "accurateCastOrNull(carrier, 'Int64') in SQL."
        ) in lines_of(caught.value)
    assert flights.carrier.try_cast("int64").sum().execute() == 7
    shown = flights.mutate(c=flights.carrier.cast("int64"))._repr_mimebundle_()
    for form in ("text/plain", "text/html"):
        assert "x.carrier.try_cast(" in shown[form]
        assert "ClickHouse error 6" in shown[form]
        assert "data() raises it" in shown[form]
    assert "%tb" not in shown["text/html"]


def test_a_table_that_nothing_referred_to(ctx):
    gone = ctx.create_object_from_value([1])
    name = gone.table_name
    del gone
    ctx.flush()
    for use in (lambda: ctx.table(name), lambda: ctx.sql(f"SELECT * FROM {name}")):
        with pytest.raises(AaiclickError) as caught:
            use()
        story = caught.value.__notes__[0]
        assert story.startswith("It was dropped at 2")
        assert "nothing referred to it any more" in story
        assert f'aai.restore("{name}") makes it again.' in story


def test_a_table_that_something_else_dropped(ctx, flights):
    mine = flights.copy()
    late = mine.filter(mine.delay > 1)
    ctx.engine.command(f"DROP TABLE {mine.table_name}")
    with pytest.raises(UnknownTableError) as caught:
        late.data()
    assert "Maybe you meant" not in str(caught.value)
    assert "something other than aaiclick_ext dropped it" in lines_of(caught.value)[-2]
    assert "something other than aaiclick_ext dropped it" in late._repr_mimebundle_()["text/plain"]


def test_a_foreign_table_whose_name_is_near(ctx):
    ctx.engine.command("CREATE TABLE airports (a UInt8) ENGINE = Memory")
    try:
        with pytest.raises(UnknownTableError) as caught:
            ctx.table("airport")
        assert caught.value.__notes__ == ["Did you mean airports?"]
    finally:
        ctx.engine.command("DROP TABLE airports")


def test_a_table_that_never_was_has_no_story(ctx):
    for sql in ("INSERT INTO never_there VALUES (1)", "SELECT * FROM never_there"):
        with pytest.raises(UnknownTableError) as caught:
            ctx.raw_sql(sql)
        assert "A variable stands in braces: FROM {never_there}." in lines_of(caught.value)
        ctx.flush()


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO airports (citi, n) VALUES ('a', 1)",
        "INSERT INTO airports (citi) SELECT 'a'",
        "ALTER TABLE airports UPDATE citi = 'a' WHERE true",
        "ALTER TABLE airports RENAME COLUMN citi TO town",
    ],
)
def test_a_column_that_is_not_in_the_table_written_to(ctx, sql):
    ctx.engine.command(
        "CREATE TABLE airports (city String, n Int64) ENGINE = MergeTree ORDER BY tuple()"
    )
    try:
        with pytest.raises(EngineError) as caught:
            ctx.raw_sql(sql)
    finally:
        ctx.engine.command("DROP TABLE airports")
    said = "\n".join(lines_of(caught.value))
    assert "Did you mean city?" in said or "Maybe you meant: ['city']" in said
    assert "^^^^" in said
    assert re.search("[0-9a-f]{8}-", said) is None


@pytest.mark.parametrize(
    "use",
    [
        lambda f: f.dely,
        lambda f: f["dely"],
        lambda f: f.filter(f.dely > 1),
        lambda f: f.select("dely"),
        lambda f: f.order_by("dely"),
        lambda f: f.group_by("dely").count(),
        lambda f: f.mutate(a=1).select("dely"),
    ],
)
def test_ibis_s_errors_name_the_nearest_column(flights, use):
    with pytest.raises((AttributeError, TypeError, Exception)) as caught:
        use(flights)
    assert caught.value.__notes__ == ["Did you mean delay?"]


def test_a_method_is_near_too_and_probing_says_no(flights):
    with pytest.raises(AttributeError) as caught:
        flights.coutn()
    assert "count" in caught.value.__notes__[0]
    with pytest.raises(AttributeError) as caught:
        flights.qqqqqqqq  # noqa: B018
    assert caught.value.__notes__ == ["The columns are delay, carrier."]
    assert not hasattr(flights, "iloc")


def test_no_credentials_in_what_is_shown(ctx):
    with pytest.raises(AaiclickError) as caught:
        ctx.engine.query_rows(
            "SELECT dely FROM url('http://u:s3cretpw@127.0.0.1:1/x', CSV, 'delay Int64')"
        )
    assert "s3cretpw" not in "\n".join(lines_of(caught.value))
    with pytest.raises(AaiclickError) as written:
        ctx.sql("SELECT dely FROM url('http://u:s3cretpw@127.0.0.1:1/x', CSV, 'delay Int64')")
    assert "s3cretpw" not in "\n".join(lines_of(written.value))
    assert "\n".join(lines_of(caught.value)).count("^") == 4
