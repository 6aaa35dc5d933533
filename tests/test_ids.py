"""Ids are unique, increasing and name their node, whatever clocks, threads and finalizers do."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaiclick_ext.ids import EPOCH_MS, MAX_NODE, Snowflake, node_of, to_base36

NODES = st.integers(0, MAX_NODE)
CLOCKS_MS = st.lists(st.integers(EPOCH_MS, EPOCH_MS + (1 << 40)), min_size=1, max_size=50)


@given(NODES, CLOCKS_MS, st.integers(1, 300))
def test_ids_increase_whatever_the_clock_does(node: int, clocks_ms: list[int], ids_per_tick: int):
    source = Snowflake(node)
    made = []
    with pytest.MonkeyPatch.context() as patch:
        for clock_ms in clocks_ms:
            patch.setattr(time, "time_ns", lambda ms=clock_ms: ms * 1_000_000)
            made += [source.next() for _ in range(ids_per_tick)]
    assert made == sorted(set(made))
    assert {node_of(made_id) for made_id in made} == {node}
    assert 0 < made[-1] < 1 << 63


def test_a_full_millisecond_borrows_from_the_next(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time, "time_ns", lambda: (EPOCH_MS + 5) * 1_000_000)
    source = Snowflake(1)
    made = [source.next() for _ in range(4096 * 2 + 1)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)
    assert [made[i] >> 22 for i in (0, 4096, 8192)] == [5, 6, 7]


def test_threads_share_one_source():
    source = Snowflake(3)
    start = threading.Barrier(8)

    def take(_: int) -> list[int]:
        start.wait()
        return [source.next() for _ in range(5_000)]

    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(take, range(8)))
    assert len({made for part in parts for made in part}) == 8 * 5_000
    assert all(part == sorted(part) for part in parts)


def test_a_finalizer_may_ask_inside_next(monkeypatch: pytest.MonkeyPatch):
    source = Snowflake(3)
    clock = time.time_ns
    nested: list[int] = []

    def time_ns() -> int:
        if len(nested) < 10:
            depth = len(nested)
            nested.append(0)
            nested[depth] = source.next()
        return clock()

    monkeypatch.setattr(time, "time_ns", time_ns)
    made = [source.next() for _ in range(20)]
    assert len(set(made + nested)) == 30


@pytest.mark.parametrize("node", [-1, MAX_NODE + 1])
def test_a_node_outside_ten_bits_is_refused(node: int):
    with pytest.raises(ValueError, match="0 to 1023"):
        Snowflake(node)


@given(st.integers(0, (1 << 63) - 1))
def test_base36_reads_back(number: int):
    text = to_base36(number)
    assert int(text, 36) == number
    assert text == text.lower()
