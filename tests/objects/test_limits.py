"""Guard rails: what would fill the kernel, the disk or the afternoon is refused."""

from __future__ import annotations

import contextlib
import threading

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.interchange
import pytest

import aaiclick_ext as aai
from aaiclick_ext.errors import LimitError


@pytest.fixture
def limited(ctx):
    """Change settings of the context for a test."""
    before = ctx.settings

    def change(**settings):
        ctx.use_settings(ctx.settings.replace(**settings))

    yield change
    ctx.use_settings(before)


@pytest.fixture
def wide(ctx):
    return ctx.create_object_from_value(
        {"n": np.arange(50_000), "s": ["abcdefghijklmnop"] * 50_000}
    )


FETCHES = {
    "data": lambda x: len(x.data()["n"]),
    "to_pyarrow": lambda x: x.to_pyarrow().num_rows,
    "to_pandas": lambda x: len(x.to_pandas()),
    "to_polars": lambda x: x.to_polars().height,
    "arrow protocol": lambda x: pa.table(x).num_rows,
    "dataframe protocol": lambda x: pa.interchange.from_dataframe(x).num_rows,
    "array protocol": lambda x: len(np.asarray(x)),
    "column": lambda x: len(x.s.execute()),
}


@pytest.mark.parametrize("name", FETCHES)
def test_fetching_more_than_the_limit_is_refused_and_unlimited_lifts_it(limited, wide, name):
    limited(max_fetch_bytes=100_000)
    with pytest.raises(LimitError, match=r"max_fetch_bytes.*aai\.unlimited\(\)") as caught:
        FETCHES[name](wide)
    assert caught.value.code == 396
    assert wide.limit(3).data()["n"] == [0, 1, 2]  # nothing of the refused one comes back
    with aai.unlimited():
        assert FETCHES[name](wide) == 50_000
    with pytest.raises(LimitError):
        FETCHES[name](wide)


def test_what_holds_no_whole_result_is_not_limited(limited, wide, tmp_path):
    limited(max_fetch_bytes=100_000)
    assert sum(batch.num_rows for batch in wide.to_pyarrow_batches()) == 50_000
    wide.export(tmp_path / "wide.parquet")
    assert len(wide.copy()) == 50_000
    assert wide.n.sum().execute() == sum(range(50_000))


IN_ROWS = {
    "constant": "SELECT repeat('x', 1000) AS s FROM numbers(10000000)",
    "low cardinality": "SELECT toLowCardinality(repeat('x', 1000)) AS s FROM numbers(10000000)",
}


@pytest.mark.parametrize("kind", IN_ROWS)
def test_the_limit_counts_what_arrives(ctx, limited, kind):
    """ClickHouse counts a constant once a block, and a LowCardinality column by its numbers."""
    limited(max_fetch_bytes=100_000_000)
    with pytest.raises(LimitError, match="max_fetch_bytes") as caught:
        ctx.sql(IN_ROWS[kind]).to_pyarrow()
    assert "repeat" in caught.value.sql
    assert ctx.sql(IN_ROWS[kind]).limit(1000).to_pyarrow().num_rows == 1000


def test_no_limit(limited, wide):
    limited(max_fetch_bytes=None)
    assert wide.to_pyarrow().num_rows == 50_000


def test_a_limit_holds_in_other_threads_and_is_lifted_for_them(limited, wide):
    limited(max_fetch_bytes=100_000)
    ended = []

    def fetch():
        try:
            ended.append(wide.to_pyarrow().num_rows)
        except LimitError:
            ended.append("refused")

    for block in (contextlib.nullcontext(), aai.unlimited()):
        with block:
            thread = threading.Thread(target=fetch)
            thread.start()
            thread.join()
    assert ended == ["refused", 50_000]


def test_a_server_keeps_the_limit_too(server_url, settings):
    with aai.DataContext(server_url, settings=settings.replace(max_fetch_bytes=100_000)) as ctx:
        x = ctx.create_object_from_value({"n": np.arange(50_000)})
        with pytest.raises(LimitError, match="max_fetch_bytes"):
            x.to_pyarrow()
        with aai.unlimited():
            assert x.to_pyarrow().num_rows == 50_000
        assert x.limit(1).data() == {"n": [0]}
        with pytest.raises(LimitError, match="max_fetch_bytes"):
            ctx.sql("SELECT 'twelve bytes' AS s FROM numbers(50000)").to_pyarrow()


def test_a_cross_join_past_the_bound_runs_nothing(ctx, limited, wide):
    limited(max_cross_join_rows=1_000_000)
    other = ctx.create_object_from_value({"k": list(range(100))})
    crossed = wide.cross_join(other)
    said = "50,000 x 100 rows would give 5,000,000, more than 1,000,000"
    for use in (
        lambda: crossed.count().execute(),
        lambda: crossed.copy(),
        lambda: crossed.mutate(m=crossed.n + crossed.k).m.sum().execute(),
        lambda: wide.join(other, ibis.literal(True)).data(),
        lambda: wide.order_by("n").cross_join(other.select("k")).to_pyarrow(),
        lambda: crossed.order_by("n").limit(3).data(),
        lambda: list(crossed.to_pyarrow_batches()),
        lambda: ctx.sql("SELECT count() AS n FROM {w}, {o}", w=wide, o=other).data(),
        lambda: ctx.sql("SELECT n, k FROM {w} CROSS JOIN {o}", w=wide, o=other).copy(),
    ):
        with pytest.raises(LimitError, match=said):
            use()
    with aai.unlimited():
        assert crossed.count().execute() == 5_000_000


def test_a_cross_join_whose_rows_are_few_or_not_known_runs(ctx, limited, wide):
    limited(max_cross_join_rows=1_000_000)
    other = ctx.create_object_from_value({"k": list(range(100))})
    assert wide.limit(10).cross_join(other).count().execute() == 1_000
    assert wide.filter(wide.n < 10).cross_join(other).count().execute() == 1_000
    assert wide.cross_join(other.agg(m=other.k.max())).count().execute() == 50_000
    assert len(wide.cross_join(other).limit(5).data()["n"]) == 5
    assert "k" in repr(wide.cross_join(other)._repr_mimebundle_())
    assert wide.join(other, wide.n == other.k).count().execute() == 100
    given = {"w": wide, "o": other}
    for text in (
        "SELECT count() AS rows FROM {w} PASTE JOIN {o}",
        "SELECT count() AS rows FROM {w}, {o} WHERE n = k",
        "SELECT count() AS rows FROM {w} JOIN {o} ON n = k",
        "SELECT count() AS rows FROM {o}, numbers(1) AS one, (SELECT 1 FROM {w} LIMIT 1) AS w",
    ):
        assert ctx.sql(text, **given).data() == {"rows": [100]}
    assert len(ctx.sql("SELECT n, k FROM {w}, {o}", **given).limit(3).data()["n"]) == 3
    named = "WITH {0} AS (SELECT 1 AS a) SELECT count() AS rows FROM {{w}}, {0}"
    assert ctx.sql(named.format(other.table_name), w=wide).data() == {"rows": [50_000]}


def test_a_full_disk_makes_no_table(ctx, limited, wide, tables):
    before = tables()
    limited(min_free_disk_bytes=1 << 60)
    for make in (
        lambda: ctx.create_object_from_value(pa.table({"n": np.arange(500_000)})),
        wide.copy,
        lambda: ctx.concat(wide, wide),
    ):
        with pytest.raises(LimitError, match=r"min_free_disk_bytes.*aai\.unlimited\(\)"):
            make()
    small = ctx.create_object_from_value([1, 2])  # kept in memory
    del small
    assert tables() == before
    with aai.unlimited():
        assert len(wide.copy()) == 50_000
