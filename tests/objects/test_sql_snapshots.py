"""The SQL that arrays and tables of ours become, held as files to read.

A changed snapshot is written beside the old one's name with `AAICLICK_UPDATE_SNAPSHOTS=1`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import sqlglot

from aaiclick_ext.lifecycle import Scope
from aaiclick_ext.objects.creation import TableSpec
from aaiclick_ext.schema import Shape

SNAPSHOTS = Path(__file__).parent / "snapshots"

EXPRESSIONS = {
    "array": lambda a, b: a,
    "plus_literal": lambda a, b: a + 1,
    "literal_minus": lambda a, b: 1 - a,
    "same_base": lambda a, b: (a + 1) * (a - 1),
    "two_bases": lambda a, b: a + b,
    "filtered": lambda a, b: a.filter(a.value > 2),
    "filtered_pair": lambda a, b: a.filter(a.value > 1) + b.filter(b.value > 10),
    "head": lambda a, b: a.head(2),
    "normalised": lambda a, b: a / a.sum(),
    "unique": lambda a, b: a.unique(),
    "mean": lambda a, b: a.mean(),
    "comparison": lambda a, b: a >= b,
}


def check(name: str, sql: str) -> None:
    path = SNAPSHOTS / f"{name}.sql"
    pretty = sqlglot.parse_one(sql, dialect="clickhouse").sql(dialect="clickhouse", pretty=True)
    if os.environ.get("AAICLICK_UPDATE_SNAPSHOTS"):
        path.write_text(pretty + "\n")
    assert pretty + "\n" == path.read_text()


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_arrays(ctx, name):
    a = ctx.create_object_from_value([3, 1, 2])
    b = ctx.create_object_from_value([30, 10, 20])
    view = EXPRESSIONS[name](a, b)
    sql = ctx.backend.planner.plan(view.op()).sql
    for table, shown in ((a.table_name, "array_a"), (b.table_name, "array_b")):
        sql = sql.replace(table, shown)
    assert not re.search(r"aai_t_", sql)
    check(name, sql)


@pytest.mark.parametrize(
    ("name", "spec", "engine"),
    [
        ("ddl_table", TableSpec({"a b": "Int64", "c`d": "Nullable(String)"}), "MergeTree"),
        ("ddl_array", TableSpec({"value": "Float64"}, shape=Shape.ARRAY), "MergeTree"),
        ("ddl_array_memory", TableSpec({"value": "Float64"}, shape=Shape.ARRAY), "Memory"),
        ("ddl_scalar", TableSpec({"value": "Int64"}, shape=Shape.SCALAR), "Memory"),
        (
            "ddl_bytes",
            TableSpec({"value": "String"}, {"value": "aaiclick:binary"}, scope=Scope.TEMP),
            "Memory",
        ),
    ],
)
def test_tables(name, spec, engine):
    check(name, spec.ddl("t", engine))
