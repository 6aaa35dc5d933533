"""Columns of SQL text: by table, and against what ClickHouse says it reads."""

from __future__ import annotations

import time

import pytest

from aaiclick_ext.oplog.columns import ALL, NONE
from aaiclick_ext.oplog.sql_columns import sql_column_edges
from tests.query_tree import columns_read

TABLES = {
    "t": {"a": "Int64", "b": "Int64", "c": "Int64", "arr": "Array(Int64)", "s": "String"},
    "u": {"a": "Int64", "k": "Int64", "z": "Int64", "A": "Int64"},
    "odd name": {"x.y": "Int64", "größe m": "Int64", "p": "Tuple(q Int64, r Int64)"},
}


def edges(sql, **options):
    found = sql_column_edges(sql, TABLES, **options)
    return None if found is None else {(e.output, e.source, e.column, e.use) for e in found}


def value(output, source, column):
    return (output, source, column, "value")


def rows(source, column, use):
    return (NONE, source, column, use)


T, U = rows("t", NONE, "value"), rows("u", NONE, "value")

MEANINGS = {
    "SELECT a, b + c AS d FROM t": {
        value("a", "t", "a"), value("d", "t", "b"), value("d", "t", "c"), T,
    },
    "SELECT * FROM t": {value(ALL, "t", ALL)},
    "SELECT t.* FROM t FINAL PREWHERE a > 1 WHERE b > 1": {
        value(ALL, "t", ALL), rows("t", "a", "filter"), rows("t", "b", "filter"),
    },
    "SELECT * EXCEPT (arr, s) REPLACE (a + b AS c) FROM t": {
        value("a", "t", "a"), value("b", "t", "b"), value("c", "t", "a"), value("c", "t", "b"), T,
    },
    # An alias comes before the column of its name, but not in its own expression.
    "SELECT a + 1 AS b, b * 2 AS x FROM t": {value("b", "t", "a"), value("x", "t", "a"), T},
    "SELECT b AS a, c AS b, a AS x FROM t": {
        value("a", "t", "c"), value("b", "t", "c"), value("x", "t", "c"), T,
    },
    "SELECT b AS a FROM t WHERE a > 1": {value("a", "t", "b"), rows("t", "b", "filter")},
    "SELECT (a + 1 AS q) * 2 AS x, q FROM t": {value("x", "t", "a"), value("q", "t", "a"), T},
    "SELECT arrayMap(a -> a + b, arr) AS x FROM t": {
        value("x", "t", "arr"), value("x", "t", "b"), T,
    },
    "SELECT arrayMap(x -> arrayMap(y -> x + y + a, arr), arr) AS z FROM t": {
        value("z", "t", "arr"), value("z", "t", "a"), T,
    },
    "SELECT x, a FROM t ARRAY JOIN arr AS x": {
        value("x", "t", "arr"), value("a", "t", "a"), rows("t", "arr", "join"),
    },
    "SELECT arr FROM t LEFT ARRAY JOIN arr": {value("arr", "t", "arr"), rows("t", "arr", "join")},
    "SELECT arrayJoin(arr) AS x, a FROM t": {
        value("x", "t", "arr"), value("a", "t", "a"), rows("t", "arr", "join"),
    },
    "SELECT a, count() AS n, sumIf(b, c > 1) AS m FROM t GROUP BY a": {
        value("a", "t", "a"), value("m", "t", "b"), ("m", "t", "c", "filter"),
        rows("t", "a", "group"),
    },
    "SELECT count(*) AS n FROM t": {T},
    "SELECT countIf(a > 1) AS n FROM t": {("n", "t", "a", "filter"), T},
    "SELECT DISTINCT * FROM u": {value(ALL, "u", ALL), rows("u", ALL, "group")},
    "SELECT argMax(a, b) AS m FROM t": {value("m", "t", "a"), ("m", "t", "b", "order"), T},
    "SELECT a + b AS x, sum(c) AS y FROM t GROUP BY ALL HAVING y > 1 ORDER BY ALL": {
        value("x", "t", "a"), value("x", "t", "b"), value("y", "t", "c"),
        rows("t", "a", "group"), rows("t", "b", "group"), rows("t", "c", "filter"),
        rows("t", "a", "order"), rows("t", "b", "order"), rows("t", "c", "order"),
    },
    "SELECT b AS x, max(a) AS m FROM t GROUP BY 1 ORDER BY 2 LIMIT 3": {
        value("x", "t", "b"), value("m", "t", "a"), rows("t", "b", "group"),
        rows("t", "a", "order"),
    },
    "SELECT a FROM t LIMIT 1 BY b": {value("a", "t", "a"), rows("t", "b", "group")},
    "SELECT DISTINCT a, b FROM t": {
        value("a", "t", "a"), value("b", "t", "b"), rows("t", "a", "group"),
        rows("t", "b", "group"),
    },
    "SELECT DISTINCT ON (c) a FROM t": {value("a", "t", "a"), rows("t", "c", "group")},
    "SELECT sum(a) OVER (PARTITION BY b ORDER BY c) AS w FROM t": {
        value("w", "t", "a"), ("w", "t", "b", "group"), ("w", "t", "c", "order"), T,
    },
    "SELECT sum(a) OVER w AS x FROM t WINDOW w AS (PARTITION BY b)": {
        value("x", "t", "a"), ("x", "t", "b", "group"), T,
    },
    "SELECT t.b, k FROM t JOIN u USING a": {
        value("b", "t", "b"), value("k", "u", "k"), rows("t", "a", "join"), rows("u", "a", "join"),
    },
    "SELECT a FROM t RIGHT JOIN u USING (a)": {
        value("a", "u", "a"), rows("t", "a", "join"), rows("u", "a", "join"),
    },
    "SELECT x.b FROM t AS x SEMI LEFT JOIN u AS y ON x.a = y.k": {
        value("b", "t", "b"), rows("t", "a", "join"), rows("u", "k", "join"),
    },
    "SELECT l.a AS x, r.b AS y FROM t AS l, t AS r WHERE l.c = r.c": {
        value("x", "t", "a"), value("y", "t", "b"), rows("t", "c", "filter"),
    },
    "SELECT t.b FROM t CROSS JOIN u": {value("b", "t", "b"), T, U},
    "SELECT a FROM t WHERE b IN (SELECT k FROM u WHERE z = 1)": {
        value("a", "t", "a"), rows("t", "b", "filter"), rows("u", "k", "filter"),
        rows("u", "z", "filter"),
    },
    "SELECT a, (SELECT max(z) FROM u WHERE u.a = t.b) AS m FROM t": {
        value("a", "t", "a"), value("m", "u", "z"), ("m", "u", "a", "filter"),
        ("m", "t", "b", "filter"), T,
    },
    "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.b)": {
        value("a", "t", "a"), rows("t", "b", "filter"), rows("u", "k", "filter"),
    },
    "SELECT a FROM t UNION ALL SELECT z FROM u": {value("a", "t", "a"), value("a", "u", "z"), T, U},
    "SELECT a FROM t UNION DISTINCT SELECT z FROM u": {
        value("a", "t", "a"), value("a", "u", "z"), rows("t", "a", "group"),
        rows("u", "z", "group"),
    },
    "SELECT a FROM t EXCEPT SELECT k FROM u": {
        value("a", "t", "a"), rows("t", "a", "join"), rows("u", "k", "join"),
    },
    "WITH a + 1 AS q, w AS (SELECT q AS x, b FROM t WHERE c > 1) SELECT x, b FROM w": None,
    "WITH 5 AS q, w AS (SELECT a + q AS x FROM t WHERE c > 1) SELECT x FROM w": {
        value("x", "t", "a"), rows("t", "c", "filter"),
    },
    "WITH b + 1 AS q SELECT q, a FROM t": {value("q", "t", "b"), value("a", "t", "a"), T},
    "WITH (SELECT max(z) FROM u) AS q SELECT a FROM t WHERE b < q": {
        value("a", "t", "a"), rows("t", "b", "filter"), rows("u", "z", "filter"),
    },
    "SELECT x FROM (SELECT a AS x, b AS y FROM t ORDER BY c LIMIT 1) AS q WHERE y > 1": {
        value("x", "t", "a"), rows("t", "b", "filter"), rows("t", "c", "order"),
    },
    "SELECT A, a FROM u": {value("A", "u", "A"), value("a", "u", "a"), U},
    "SELECT `x.y`, `größe m` AS g, p.q AS e FROM `odd name`": {
        value("x.y", "odd name", "x.y"), value("g", "odd name", "größe m"),
        value("e", "odd name", "p"), rows("odd name", NONE, "value"),
    },
    'SELECT "o n"."x.y" AS v FROM `odd name` AS "o n"': {
        value("v", "odd name", "x.y"), rows("odd name", NONE, "value"),
    },
    "SELECT number + 1 AS n FROM numbers(3)": set(),
    "SELECT 1 AS x": set(),
    "SELECT (a, b).1 AS x, inf AS y FROM t": {value("x", "t", "a"), value("x", "t", "b"), T},
    "SELECT multiIf(a > 1, b, c) AS x, CAST(s AS Int64) AS y FROM t": {
        value("x", "t", "a"), value("x", "t", "b"), value("x", "t", "c"), value("y", "t", "s"), T,
    },
    "SELECT a FROM t ORDER BY b, c DESC LIMIT 2": {
        value("a", "t", "a"), rows("t", "b", "order"), rows("t", "c", "order"),
    },
    "SELECT arrayJoin([a, b]) AS x FROM t": {value("x", "t", "a"), value("x", "t", "b"), T},
    # A table whose schema is not known: its columns are what the text says, `*` is not known.
    "SELECT m.x, y AS z FROM other.m AS m": {
        value("x", "other.m", "x"), value("z", "other.m", "y"), rows("other.m", NONE, "value"),
    },
}  # fmt: skip

UNKNOWN = (
    "SELECT a FROM",
    "DROP TABLE t",
    "SELECT nope FROM t",
    "SELECT a + 1 FROM t",
    "SELECT COLUMNS('a|b') FROM t",
    "SELECT * APPLY(sum) FROM t",
    "SELECT * FROM other",
    "SELECT x FROM other, another",
    "SELECT c1 FROM file('x.csv')",
    "SELECT dictGet('d', 'v', a) AS x FROM t",
    "SELECT untuple(p) FROM `odd name`",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
    "SELECT sum(a) OVER nope AS x FROM t",
)


@pytest.mark.parametrize("sql", MEANINGS)
def test_edges_of_text(sql):
    assert edges(sql) == MEANINGS[sql]


@pytest.mark.parametrize("sql", UNKNOWN)
def test_what_is_not_known_is_none(sql):
    assert edges(sql) is None


def test_the_names_of_the_result_stand_in_for_what_the_text_does_not_name():
    assert edges("SELECT a + 1, b FROM t", names=["plus(a, 1)", "b"]) == {
        value("plus(a, 1)", "t", "a"), value("b", "t", "b"), T,
    }  # fmt: skip
    assert edges("SELECT a, b FROM t", names=["a"]) is None


def test_long_chains_of_aliases_take_no_exponential_time():
    chain = ", ".join(f"x{i} + x{i} AS x{i + 1}" for i in range(60))
    started = time.process_time()
    found = edges(f"SELECT a AS x0, {chain} FROM t")
    assert ("x60", "t", "a", "value") in found
    assert time.process_time() - started < 5


@pytest.fixture
def real_tables(engine):
    for table, schema in TABLES.items():
        columns = ", ".join(f"`{name}` {kind}" for name, kind in schema.items())
        engine.command(f"CREATE TABLE `{table}` ({columns}) ENGINE = MergeTree ORDER BY tuple()")
    yield
    for table in TABLES:
        engine.command(f"DROP TABLE `{table}`")


def sources(found):
    """Return the table columns of edges, ``*`` spelled out."""
    return {
        (source, name)
        for _, source, column, _ in found
        for name in (TABLES[source] if column == ALL else [column])
        if name != NONE
    }


def test_clickhouse_reads_what_the_edges_say(engine, real_tables):
    recorded, read = set(), set()
    for number, (sql, meaning) in enumerate(MEANINGS.items()):
        if meaning is None or "other" in sql:
            continue
        sql = sql.replace(" FINAL", "")  # plain MergeTree has none
        recorded |= {(number, *column) for column in sources(edges(sql))}
        for table, column in columns_read(engine, sql):
            # An element of a tuple, p.q, is a column of its own to ClickHouse; of p to us.
            whole = column if column in TABLES[table] else column.split(".")[0]
            read.add((number, table, whole))
    correct = len(recorded & read)
    precision, recall = correct / len(recorded), correct / len(read)
    print(f"{len(read)} columns read: precision {precision:.4f}, recall {recall:.4f}")  # noqa: T201
    assert (recorded - read, read - recorded) == (set(), set())
    assert precision == recall == 1.0
