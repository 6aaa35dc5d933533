"""What the log says was read, against what ClickHouse says it reads: generated operations."""

from __future__ import annotations

import random

import ibis
import pytest

from aaiclick_ext.oplog.event import READ_FIELDS
from aaiclick_ext.oplog.queries import events_of
from tests.lineage_truth import compare
from tests.objects.pipelines import Pipeline, tables_of

SEEDS = range(80)


def run(ctx, view, folder, choose):
    """Let a view be run in one of the ways in which data is made or leaves."""
    how = choose.randrange(7)
    if how == 0:
        return view.copy()
    if how == 1:
        return view.limit(0).copy().insert(view)
    if how == 2:
        return ctx.concat(view, view.copy())
    if how == 3:
        view.export(folder / "x.parquet")
    elif how == 4:
        names = ", ".join(f"count({name}) AS {name}" for name in view.columns)
        ctx.sql(f"SELECT {names} FROM {{x}}", x=view).copy()
    elif how == 5:
        view._repr_mimebundle_()
    else:
        view.data()
    return view


def array(t, arrays, choose):
    """Return an array that is computed of others, of scalars and of a table's number."""
    pool = list(arrays)
    for _ in range(choose.randint(1, 6)):
        x, y = choose.choice(pool), choose.choice(pool)
        makers = [
            lambda x=x, y=y: x + y, lambda x=x, y=y: x * y, lambda x=x: 3 - x, lambda x=x: -x,
            lambda x=x: x / x.sum(), lambda x=x, y=y: x - y.mean(), lambda x=x: abs(x),
            lambda x=x: x * t.a.max(), lambda x=x: x - t.filter(t.b > 1).a.sum(),
        ]  # fmt: skip
        pool.append(choose.choice(makers)())
    last = pool[-1]
    return choose.choice([last, last.filter(last.value > 1), last.unique(), last.std(), last > 2])


OTHERS = (
    "CREATE TABLE prices (k Int64, x Int64) ENGINE = Memory",
    "INSERT INTO prices VALUES (1, 10), (2, 20)",
    """CREATE DICTIONARY names (k Int64, x Int64, y String) PRIMARY KEY k
    SOURCE(CLICKHOUSE(QUERY 'SELECT k, x, toString(x) AS y FROM prices'))
    LAYOUT(HASHED()) LIFETIME(0)""",
    "CREATE TABLE joined (k Int64, x Int64) ENGINE = Join(ANY, LEFT, k)",
    "INSERT INTO joined VALUES (1, 30)",
    "CREATE TABLE wanted (k Int64) ENGINE = Memory",
    "INSERT INTO wanted VALUES (2), (5)",
)
"""Tables of others that SQL text reads without naming them in FROM."""

LOOKUPS = (
    "SELECT k, a FROM {x} WHERE k IN wanted",
    "SELECT k, a NOT IN wanted AS other FROM {x} WHERE b > 1",
    "SELECT a, (a, b) IN prices AS is_there FROM {x}",
    "SELECT dictGet('names', 'x', assumeNotNull(k)) AS x, b FROM {x}",
    "SELECT dictGetOrDefault(names, 'y', assumeNotNull(k), ifNull(toString(a), '')) AS y FROM {x}",
    "SELECT sum(b) AS b FROM {x} WHERE dictHas('names', assumeNotNull(k)) GROUP BY c",
    "SELECT c, joinGet('joined', 'x', assumeNotNull(k)) AS x FROM {x}",
    "SELECT k, x FROM {x} AS q JOIN prices USING k WHERE a IN (SELECT k FROM wanted)",
    "SELECT wanted.1 AS one, k IN (1, 2) AS few FROM (SELECT (a, b) AS wanted, k FROM {x})",
)


@pytest.fixture
def others(ctx):
    """Make the tables of others, and drop them."""
    for statement in OTHERS:
        ctx.engine.command(statement)
    yield
    ctx.engine.command("DROP DICTIONARY names")
    for table in ("prices", "joined", "wanted"):
        ctx.engine.command(f"DROP TABLE {table} SYNC")


def events(ctx, after):
    ctx.flush()
    sql = (
        f"SELECT {', '.join(READ_FIELDS)} FROM operation_log "
        "WHERE id > {after:UInt64} ORDER BY id LIMIT 1 BY id"
    )
    return events_of(ctx.engine, sql, {"after": after})


@pytest.mark.usefixtures("others")
def test_the_log_tells_what_clickhouse_reads(ctx, tmp_path):
    start = ctx.snowflake.next()  # other tests use the same log
    tables = tables_of(ctx)
    arrays = [ctx.create_object_from_value([1, 2, 3]), ctx.create_object_from_value([4, 5, 6])]
    memtable = ibis.memtable({"k": [1, 2], "w": [3, 4]})
    kept = []  # what the SQL names must be there when ClickHouse is asked
    for seed in SEEDS:
        choose = random.Random(seed)
        view = Pipeline(seed, tables).view
        if seed % 10 == 0:
            view = tables["t"].join(memtable, "k").filter(ibis._.a > 1)
        if seed % 10 == 5:
            names = choose.sample(["k", "a", "b", "c"], 2)
            view = tables["t"].pivot_longer(names, values_to="v").drop("name")
            view = view.filter(view.v > 1)
        if seed % 4 == 3:
            query = LOOKUPS[seed // 4 % len(LOOKUPS)]
            view = ctx.sql(
                query, x=tables["t"] if seed % 8 == 3 else tables["t"].filter(ibis._.c > 1)
            )
        kept.append(run(ctx, view, tmp_path, choose))
        if seed % 3 == 0:
            kept.append(array(tables["t"], arrays, choose).copy())
    found = compare(ctx.engine, events(ctx, start))
    print(found)  # noqa: T201
    found.check()
    assert found.statements > len(SEEDS)
