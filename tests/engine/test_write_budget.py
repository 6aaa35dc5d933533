"""A table that outgrows its budget is refused, or stopped while it is made."""

from __future__ import annotations

import threading
import uuid

import pyarrow as pa
import pytest

from aaiclick_ext.engine import ClickHouseCreds, Engine
from aaiclick_ext.engine.write_budget import WriteBudget
from aaiclick_ext.errors import SessionLimitError, UnknownTableError

ROWS = "SELECT number, cityHash64(number) AS h FROM numbers({n})"
ENGINES = ("Memory", "MergeTree ORDER BY tuple()")


@pytest.fixture(scope="module", params=["embedded", "server"])
def limited(request, settings):
    """An engine of each kind."""
    if request.param == "embedded":
        yield request.getfixturevalue("engine")
        return
    engine = Engine(ClickHouseCreds.from_url(request.getfixturevalue("server_url")), settings)
    yield engine
    engine.close()


@pytest.fixture
def table(limited):
    name = f"budget_{uuid.uuid4().hex}"
    yield name
    limited.command(f"DROP TABLE IF EXISTS {name} SYNC")


def budget(table, limit_bytes):
    return WriteBudget(table, limit_bytes, lambda size: SessionLimitError(f"{size} bytes"))


def exists(engine, table):
    return bool(engine.query_rows(f"EXISTS TABLE {table}")[0][0])


@pytest.mark.parametrize("kind", ENGINES)
def test_what_fits_is_made_and_its_size_is_known(limited, table, kind):
    with limited.limited(budget(table, 17_000)):
        limited.command(f"CREATE TABLE {table} ENGINE = {kind} AS {ROWS.format(n=1000)}")
        assert limited.size_of(table) == pytest.approx(16_000, rel=0.05)
        with pytest.raises(SessionLimitError):
            limited.command(f"INSERT INTO {table} {ROWS.format(n=200)}")
    limited.command(f"INSERT INTO {table} {ROWS.format(n=200)}")  # no budget any more


@pytest.mark.parametrize("kind", ENGINES)
def test_a_statement_that_writes_too_much_is_killed(limited, table, kind):
    rows = 2_000_000_000  # 32 GB
    with limited.limited(budget(table, 50_000_000)), pytest.raises(SessionLimitError):
        limited.command(f"CREATE TABLE {table} ENGINE = {kind} AS {ROWS.format(n=rows)}")
    assert not exists(limited, table)
    assert limited.query_rows("SELECT 1") == [(1,)]
    names = [thread.name for thread in threading.enumerate()]
    assert "aai-bytes" not in names


def test_one_that_is_over_before_anyone_looks_is_refused_too(limited, table):
    with limited.limited(budget(table, 100)), pytest.raises(SessionLimitError):
        limited.command(f"CREATE TABLE {table} ENGINE = Memory AS {ROWS.format(n=1000)}")


def test_data_of_known_size_is_refused_before_it_is_sent(limited, table):
    limited.command(f"CREATE TABLE {table} (a UInt64) ENGINE = MergeTree ORDER BY a")
    data = pa.table({"a": pa.array(range(1000), pa.uint64())})
    with limited.limited(budget(table, data.nbytes - 1)):
        with pytest.raises(SessionLimitError, match="8000 bytes"):
            limited.insert_arrow(table, data)
        assert limited.query_rows(f"SELECT count() FROM {table}") == [(0,)]
        limited.insert_arrow(table, data.slice(0, 500))
        with pytest.raises(SessionLimitError):
            limited.insert_arrow(table, data.slice(0, 600))
    assert limited.query_rows(f"SELECT count() FROM {table}") == [(500,)]


def test_other_errors_stay_what_they_are(limited, table):
    with limited.limited(budget(table, 100)), pytest.raises(UnknownTableError):
        limited.command(f"CREATE TABLE {table} ENGINE = Memory AS SELECT * FROM no_such_table")


def test_an_estimate_counts_where_there_is_a_budget(limited, table):
    limited.check_estimate(10**12)
    assert not limited.is_limited
    with limited.limited(budget(table, 100)):
        assert limited.is_limited
        limited.check_estimate(100)
        with pytest.raises(SessionLimitError, match="101"):
            limited.check_estimate(101)
        with limited.limited(None):
            limited.check_estimate(101)
        other = threading.Thread(target=lambda: seen.append(limited.is_limited))
        seen = []
        other.start()
        other.join()
        assert seen == [False]
