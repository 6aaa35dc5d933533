"""Tokens as ClickHouse finds them, statements, and what each changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aaiclick_ext.errors import SQLError
from aaiclick_ext.objects.sql_references import parameters_in, tables_in
from aaiclick_ext.objects.sql_statements import Target, statements_of
from aaiclick_ext.objects.sql_text import tokens_of

PYTHON = [
    "SELECT * FROM Python(df)",
    "select * from pYtHoN (df)",
    "SELECT * FROM python -- x\n (df)",
    "SELECT * FROM `python`(df)",
    'SELECT * FROM "Python"(df)',
    r"SELECT * FROM `\x50ython`(df)",
    r'SELECT * FROM "\x70\x79thon"(df)',
    "SELECT * FROM \u201cPython\u201d(df)",
    "SELECT * FROM t WHERE a IN (SELECT a FROM python(df))",
    "WITH x AS (SELECT * FROM python(df)) SELECT * FROM x",
    "EXPLAIN SELECT * FROM python(df)",
    "EXPLAIN PLAN actions = 1 SELECT * FROM `python`(df)",
    "DESCRIBE TABLE python(df)",
    "INSERT INTO t SELECT * FROM python(df)",
    "INSERT INTO FUNCTION python(df) SELECT 1",
    "CREATE VIEW v AS SELECT * FROM python(df)",
    "CREATE TABLE t ENGINE = Memory AS SELECT * FROM python(df)",
    "CREATE TABLE t AS python(df)",
    "CREATE TABLE t ENGINE = Python",
    "CREATE TABLE t (a Int8) ENGINE Python(df)",
    "ALTER TABLE t DELETE WHERE a IN (SELECT a FROM python(df))",
    "SELECT 1; SELECT ';'; SELECT * FROM python(df)",
    "/* /* */ SELECT * FROM Python(df) -- */",
    "SELECT 1 --\r' \n, * FROM python(df) --'",
    "SELECT * FROM view(SELECT * FROM python(df))",
    "SELECT * FROM remote('h', python(df))",
    "SELECT 'it''s', * FROM python(df)",
    "SELECT 'it\\'s', * FROM python(df)",
    "SELECT $x$ ' $x$, * FROM python(df) -- '",
    "RENAME TABLE a TO b; SELECT * FROM python(df)",
    # strings that ClickHouse reads as SQL
    "SET additional_result_filter = 'a IN (SELECT q FROM Python(df))'",
    r"SET additional_table_filters = {'t': 'a IN (SELECT q FROM \x50ython/**/(df))'}",
    r"SET `additional_table_filters` = '{\'t\':\'a IN (SELECT q FROM `python`(df))\'}'",
    "SELECT * FROM t SETTINGS additional_table_filters = {'t': 'a IN (SELECT 1 FROM python(df))'}",
    "CREATE DICTIONARY d (q Int8) SOURCE(CLICKHOUSE(QUERY 'SELECT * FROM Python(a)'))",
]


@pytest.mark.parametrize("text", PYTHON)
def test_python_is_refused_however_it_is_written(text):
    with pytest.raises(SQLError, match=r"Python\(\)|straight ones"):
        statements_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT python FROM t",
        "SELECT * FROM t WHERE language = 'python(df)' -- python(df)",
        'SELECT 1 AS "a b", `python` /* python(df) */',
        "SELECT language = python FROM t",
    ],
)
def test_the_word_alone_is_no_call(text):
    assert len(statements_of(text)) == 1


@pytest.mark.parametrize(
    "text", ["SELECT {# \n a #}", "SELECT a #b", "SELECT 1 /* a", "SELECT '\0'"]
)
def test_what_could_be_read_in_two_ways_is_refused(text):
    with pytest.raises(SQLError, match="cannot be read"):
        tokens_of(text)


@pytest.mark.parametrize(
    ("text", "verb", "changed", "select"),
    [
        ("INSERT INTO t VALUES (1)", "INSERT", [(None, "t")], None),
        ("insert into t (a, b) select 1, 2", "INSERT", [(None, "t")], "select 1, 2"),
        ("INSERT INTO db.t (SELECT 1)", "INSERT", [("db", "t")], "(SELECT 1)"),
        ("INSERT INTO FUNCTION remote('h:1', db.t, 'u') SELECT 1", "INSERT",
         [(None, "h:1"), ("db", "t"), (None, "u")], "SELECT 1"),
        ("WITH 1 AS x INSERT INTO t SELECT x", "INSERT", [(None, "t")], None),
        ("CREATE OR REPLACE TABLE a.b ENGINE=Memory AS WITH 1 AS x SELECT x", "CREATE",
         [("a", "b")], "WITH 1 AS x SELECT x"),
        ("CREATE MATERIALIZED VIEW v TO x.y AS SELECT a AS b FROM t", "CREATE",
         [(None, "v"), ("x", "y")], "SELECT a AS b FROM t"),
        ("CREATE TABLE t (a Int8 DEFAULT (SELECT 1)) ENGINE=MergeTree ORDER BY a TTL d TO DISK 'x'",
         "CREATE", [(None, "t")], None),
        ("DROP TABLE IF EXISTS a, `b c`.`d\\`e` SYNC", "DROP", [(None, "a"), ("b c", "d`e")], None),
        ("DROP DATABASE IF EXISTS d", "DROP", [("d", None)], None),
        ("TRUNCATE t", "TRUNCATE", [(None, "t")], None),
        ("TRUNCATE ALL TABLES FROM d", "TRUNCATE", [("d", None)], None),
        ("RENAME TABLE a TO b, c TO d.e", "RENAME",
         [(None, "a"), (None, "b"), (None, "c"), ("d", "e")], None),
        ("EXCHANGE TABLES a AND b", "EXCHANGE", [(None, "a"), (None, "b")], None),
        ("ALTER TABLE t DELETE WHERE a IN (SELECT a FROM u)", "ALTER", [(None, "t")], None),
        ("ALTER TABLE t (MOVE PARTITION 1 TO TABLE u)", "ALTER", [(None, "t"), (None, "u")], None),
        ("DELETE FROM t WHERE a IN (SELECT a FROM u)", "DELETE", [(None, "t")], None),
        ("DROP TABLE tables", "DROP", [(None, "tables")], None),
        ("ALTER TABLE IF EXISTS view DROP COLUMN a", "ALTER", [(None, "view")], None),
        ("OPTIMIZE TABLE t FINAL", "OPTIMIZE", [(None, "t")], None),
        ("DETACH TABLE t PERMANENTLY", "DETACH", [(None, "t")], None),
        ("CREATE INDEX i ON t (a)", "CREATE", [(None, "t")], None),
        ("DROP TABLE a PARALLEL WITH DROP TABLE b", "DROP", [(None, "a"), (None, "b")], None),
        ("RESTORE TABLE t AS u FROM Disk('a', 'b')", "RESTORE", None, None),
        ("CREATE FUNCTION f AS (x) -> x", "CREATE", [], None),
        ("DROP USER u", "DROP", [], None),
        ("FROBNICATE x.y", "FROBNICATE", [("x", "y")], None),
    ],
)  # fmt: skip
def test_what_a_statement_changes(text, verb, changed, select):
    (statement,) = statements_of(text)
    assert (statement.kind, statement.verb) == ("change", verb)
    if changed is not None:
        assert statement.targets == tuple(Target(*target) for target in changed)
    found = None if statement.select is None else statement.text[statement.select :]
    assert found == select


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SELECT 1", "select"), ("((SELECT 1) UNION ALL SELECT 2)", "select"),
        ("FROM t SELECT a", "select"), ("WITH 1 AS x SELECT x", "select"),
        ("SHOW TABLES", "show"), ("DESC t", "show"), ("EXPLAIN SELECT 1", "show"),
        ("EXISTS TABLE t", "show"), ("KILL QUERY WHERE 1", "show"),
        ("SET a = 1", "session"), ("USE `d b`", "session"),
    ],
)  # fmt: skip
def test_kinds(text, kind):
    (statement,) = statements_of(text)
    assert statement.kind == kind
    assert statement.targets == ()
    assert statement.used_database == ("d b" if "USE" in text else None)


QUOTED = st.sampled_from(["'{}'", '"{}"', "`{}`", "/* {} */", "-- {}\n", "$q${}$q$", "# {}\n"])
INSIDE = st.text(alphabet="ab;{}x: \t-#/", max_size=12).filter(lambda s: "*/" not in s)
OUTSIDE = st.sampled_from(
    [
        "a",
        "1",
        "t.a",
        "j.^b.:Int8",
        "x[1:2]",
        "{'k': 1}",
        "map('a', 1)['a']",
        "a::Int8",
        "b ? 1 : 2",
    ]
)


@given(st.lists(st.tuples(QUOTED, INSIDE, OUTSIDE), max_size=6), st.booleans())
@settings(max_examples=200, deadline=None)
def test_only_what_is_no_text_counts(parts, is_last):
    noise = " ".join(f"{quote.format(inside)} {outside}," for quote, inside, outside in parts)
    text = f"SELECT {noise} {{n:Int8}} FROM {{y}}; SELECT {noise} 2{';' if is_last else ''}"
    assert [statement.verb for statement in statements_of(text)] == ["SELECT", "SELECT"]
    assert tables_in(text) == ["y"]
    assert parameters_in(text) == {"n": "Int8"}
    assert "".join(text.split()).startswith("".join(statements_of(text)[0].text.split()))


def test_credentials_are_not_in_what_is_said_of_a_statement():
    (statement,) = statements_of("INSERT INTO FUNCTION s3('u', 'key', 's3cr3t') SELECT 1")
    assert "s3cr3t" not in str(statement)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM eval('SELECT 1')",
        "SELECT * FROM `Eval` (concat('SELECT', ' 1'))",
        "SET additional_result_filter = x'31'",
        "SET additional_result_filter = $$1$$",
    ],
)
def test_sql_that_nobody_can_read_before_it_runs_is_refused(text):
    with pytest.raises(SQLError, match=r"eval\(\)|plain quotes"):
        statements_of(text)


@pytest.mark.parametrize(
    "text",
    [
        r"SELECT * FROM t SETTINGS additional_table_filters = {'t': 'b != \'it\'\'s\''}",
        "SELECT 'Python(x)' AS source, eval FROM t",
    ],
)
def test_other_strings_are_left_alone(text):
    assert len(statements_of(text)) == 1


@pytest.mark.parametrize(
    "first",
    [
        "SELECT 1",
        "WITH 1 AS a SELECT a",
        "(SELECT 1)",
        "SHOW TABLES",
        "SET max_threads = 1",
        "USE a",
    ],
)
def test_what_parallel_with_joins_must_change_tables(first):
    with pytest.raises(SQLError, match="joins statements that change"):
        statements_of(f"{first} PARALLEL WITH TRUNCATE TABLE t")


def test_a_column_may_be_called_parallel():
    (one,) = statements_of("SELECT parallel FROM t GROUP BY parallel WITH TOTALS")
    assert one.kind == "select"


def test_the_settings_of_a_statement():
    (one,) = statements_of("SET max_threads = 1, `Limit` = 2, x = {'dialect': 'a'}")
    assert one.settings == ["max_threads", "limit", "x"]
    assert statements_of("SELECT a, b = 1 FROM t WHERE a = 1")[0].settings == []
    (one,) = statements_of("SELECT b, a = 1 FROM t WHERE a = 1 SETTINGS max_threads = 1, limit = 2")
    assert one.settings == ["max_threads", "limit"]
