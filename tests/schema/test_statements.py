"""What a statement may have changed, by its text."""

from __future__ import annotations

import pytest

from aaiclick_ext.schema.statements import EVERYTHING, NOTHING, changes_of


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1", "  \n(SELECT 1) UNION ALL (SELECT 2)", "-- DROP TABLE t\nSELECT 1", "", " \n",
     "/* a */ # b\n WITH x AS (SELECT 1) SELECT * FROM x", "FROM t SELECT a", "SHOW TABLES",
     "DESCRIBE TABLE view(SELECT 1)", "EXPLAIN SELECT 1", "SYSTEM FLUSH LOGS",
     "KILL QUERY WHERE 1 ASYNC", "CREATE DATABASE d", "CREATE USER u", "DROP ROW POLICY p ON t",
     "INSERT INTO FUNCTION file('a.csv') SELECT 1", "GRANT SELECT ON t TO u"],
)  # fmt: skip
def test_nothing(sql):
    assert changes_of(sql) is NOTHING


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("CREATE TABLE t (a Int8) ENGINE = Memory AS SELECT * FROM u", {"t"}),
        ("create or replace table db.t(a Int8) engine = Memory", {"t"}),
        ("CREATE TABLE IF NOT EXISTS `db`.`a b` AS t", {"a b"}),
        ("CREATE TEMPORARY TABLE t (a Int8)", {"t"}),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", {"v"}),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS v TO t AS SELECT 1", {"v"}),
        ("CREATE DICTIONARY d (k UInt64) PRIMARY KEY k", {"d"}),
        ("/* x */ ALTER TABLE db . t ON CLUSTER c ADD COLUMN b Int8", {"t"}),
        ("ALTER\nTABLE -- x\n `t` MODIFY COMMENT 'c'", {"t"}),
        ("ALTER TABLE t MODIFY QUERY SELECT 1", {"t"}),
        ("ALTER TABLE t UPDATE a = 1 WHERE 1, ADD COLUMN b Int8", {"t"}),
        ('ALTER TABLE "t" ATTACH PARTITION 1, RENAME COLUMN a TO b', {"t"}),
        ("ALTER TABLE t MOVE PARTITION 1 TO TABLE db.u", {"t", "u"}),
        ("DROP TABLE IF EXISTS db.t, `u` SYNC", {"t", "u"}),
        ("DROP VIEW v", {"v"}),
        ("DROP TABLE sync", {"sync"}),
        ("DETACH TABLE t PERMANENTLY", {"t"}),
        ("ATTACH TABLE t", {"t"}),
        ("UNDROP TABLE t", {"t"}),
        ("RENAME TABLE db.a TO b, c TO `d e`", {"a", "b", "c", "d e"}),
        ("EXCHANGE TABLES a AND db.b", {"a", "b"}),
        ("RENAME DICTIONARY a TO b", {"a", "b"}),
        ("REPLACE TABLE t (a Int8) ENGINE = Memory", {"t"}),
    ],
)
def test_columns_of_tables(sql, tables):
    changes = changes_of(sql)
    assert changes.tables >= tables
    assert not changes.rows
    assert not changes.everything
    assert not {"u", "x", "d", "c"} - tables & changes.tables


@pytest.mark.parametrize(
    "sql",
    ["INSERT INTO t VALUES (1)", "insert into table db.t (a) SELECT * FROM u", "INSERT INTO `t`",
     "INSERT INTO `db`.`t` FORMAT Parquet", "TRUNCATE TABLE IF EXISTS t", "TRUNCATE t",
     "DELETE FROM t WHERE a = 1", "OPTIMIZE TABLE t FINAL", "UPDATE t SET a = 1 WHERE 1",
     "ALTER TABLE t ATTACH PARTITION tuple() FROM u", "ALTER TABLE t DELETE WHERE a = 'ADD'",
     "ALTER TABLE t DROP PARTITION 1", "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x"],
)  # fmt: skip
def test_rows_of_tables(sql):
    changes = changes_of(sql)
    assert changes.rows == {"t"}
    assert not changes.tables
    assert not changes.everything


@pytest.mark.parametrize(
    "sql",
    ["DROP DATABASE d", "RENAME DATABASE a TO b", "USE db", "SET join_use_nulls = 0",
     "CREATE OR REPLACE FUNCTION f AS x -> 1", "DROP FUNCTION f", "ATTACH DATABASE d",
     "TRUNCATE DATABASE d", "TRUNCATE ALL TABLES FROM d", "RESTORE TABLE t FROM Disk('d', 'x')",
     "CREATE TABLE t (a Int8) ENGINE = Memory PARALLEL WITH DROP TABLE u", "NOVELTY TABLE t",
     r"DROP TABLE `a\`b`", "ALTER TABLE `a``b` ADD COLUMN x Int8", "§"],
)  # fmt: skip
def test_everything_where_it_is_not_known(sql):
    assert changes_of(sql) == EVERYTHING
