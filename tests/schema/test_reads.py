"""What a SELECT reads, by its text."""

from __future__ import annotations

import pytest

from aaiclick_ext.schema.reads import UNKNOWN, reads_of


@pytest.mark.parametrize(
    ("text", "tables", "is_all"),
    [
        ("SELECT 1", set(), True),
        ("SELECT * FROM t JOIN db.u USING k", {("t", None), ("u", "db")}, True),
        ("SELECT * FROM `a b` WHERE k IN (SELECT k FROM u)", {("a b", None), ("u", None)}, True),
        ("WITH x AS (SELECT * FROM t) SELECT * FROM x", {("t", None), ("x", None)}, True),
        ("SELECT * FROM numbers(3) JOIN t ON number = a", {("t", None)}, True),
        ("SELECT * FROM file('a.csv') JOIN t USING k", {("t", None)}, False),
        ("SELECT * FROM merge('db', '.*')", set(), False),
        ("SELECT * FROM parameterized(a = 1)", set(), False),
        ("SELECT * FROM s3Cluster('c', 'http://x')", set(), False),
        ("SELECT dictGet('d', 'name', k) FROM t", {("t", None)}, False),
        ("SELECT joinGet('j', 'name', k) FROM t", {("t", None)}, False),
    ],
)
def test_tables_and_whether_that_is_all(text, tables, is_all):
    reads = reads_of(text)
    assert set(reads.tables) == tables
    assert reads.is_all is is_all


def test_names_of_its_own_and_paths():
    reads = reads_of(
        "WITH a AS (SELECT 1) SELECT * FROM a JOIN url('http://x') u JOIN file(f) USING k"
    )
    assert reads.named == {"a"}
    assert reads.paths == ("http://x",)


def test_what_cannot_be_parsed_is_unknown():
    assert reads_of("SELECT FROM WHERE (") is UNKNOWN
