"""TableWorker against a plain model: who is dropped, when, and never twice."""

from __future__ import annotations

import gc
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aaiclick_ext.errors import DroppedTableError
from aaiclick_ext.lifecycle import Claim, RefKind, RefRegistry, TableWorker
from aaiclick_ext.lifecycle.ref_counts import RefCounts
from tests.lifecycle.interrupting import code_of, interrupt_at


class Dropped:
    """Collects what the worker drops; may be told to fail or to wait."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.rows: list = []
        self.hold = threading.Event()
        self.hold.set()
        self.batches: list[int] = []
        self.fail: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, names) -> None:
        self.gate.wait()
        if self.fail.intersection(names):
            raise RuntimeError("refused")
        self.names += names
        self.batches.append(len(names))

    def record(self, rows) -> None:
        self.hold.wait(10)
        if "bad row" in rows:
            raise OSError("disk full")
        self.rows += rows


class Owner:
    """Something that can own a claim."""


class Worker(TableWorker):
    """A worker whose claims are made and given back by the table's name."""

    def __init__(self, drop, record, **options) -> None:
        super().__init__(drop, record, **options)
        self.owners: dict[str, list] = {}

    def register(self, table, row=None) -> None:
        self.owners.setdefault(table, []).append(self.hold(table, row))

    def claim(self, table) -> None:
        owner = Owner()
        self.claim_for(owner, table)
        self.owners.setdefault(table, []).append(owner)

    def release(self, table) -> None:
        if self.owners.get(table):
            self.owners[table].pop()
        else:
            self._release(Claim(-1))


@pytest.fixture
def dropped():
    return Dropped()


@pytest.fixture
def worker(dropped):
    worker = Worker(dropped, dropped.record)
    yield worker
    dropped.gate.set()
    dropped.fail.clear()
    assert worker.close(5)


def test_last_release_drops(worker, dropped):
    worker.register("t")
    worker.claim("t")
    worker.release("t")
    worker.flush()
    assert dropped.names == []
    worker.release("t")
    worker.flush()
    assert dropped.names == ["t"]
    assert not worker.is_live("t")


def test_claim_before_the_drop_cancels_it(worker, dropped):
    dropped.hold.clear()
    worker.register("t")
    worker.register("other", "row")  # the worker thread waits while it records this
    time.sleep(0.05)
    worker.release("t")
    worker.claim("t")
    dropped.hold.set()
    worker.flush()
    assert dropped.names == []
    assert worker.is_live("t")


def test_claim_after_the_drop_raises(worker):
    worker.register("t")
    worker.release("t")
    worker.flush()
    with pytest.raises(DroppedTableError, match="t has been dropped"):
        worker.claim("t")


def test_claim_of_a_table_never_registered_raises(worker, dropped):
    with pytest.raises(DroppedTableError):
        worker.claim("orders")
    worker.flush()
    assert dropped.names == []


def test_release_of_a_table_never_registered_is_ignored(worker, dropped):
    worker.release("orders")
    worker.flush()
    assert dropped.names == []


def test_release_after_close_is_silent(dropped):
    worker = Worker(dropped, dropped.record)
    worker.register("t")
    worker.close()
    worker.release("t")
    assert dropped.names == []


def test_drops_come_in_batches(worker, dropped):
    dropped.gate.clear()
    for number in range(300):
        worker.register(f"t{number}")
        worker.release(f"t{number}")
    dropped.gate.set()
    worker.flush()
    assert sorted(dropped.names) == sorted(f"t{n}" for n in range(300))
    assert len(dropped.batches) < 50


def test_a_slow_drop_delays_no_claim_and_no_record(worker, dropped):
    dropped.gate.clear()
    worker.register("slow")
    worker.release("slow")
    worker.register("t", "row of t")
    worker.claim("t")
    assert worker.flush(timeout_s=0.5) is False
    assert dropped.rows == ["row of t"]
    dropped.gate.set()
    assert worker.flush()


def test_a_table_that_cannot_be_dropped_keeps_no_other(worker, dropped):
    dropped.fail.add("bad")
    for name in ("good", "bad", "fine"):
        worker.register(name)
    for name in ("good", "bad", "fine"):
        worker.release(name)
    worker.flush()
    assert sorted(dropped.names) == ["fine", "good"]
    assert worker.undropped == ("bad",)
    dropped.fail.clear()
    worker.flush()
    assert worker.undropped == ()
    assert "bad" in dropped.names


def test_a_record_that_fails_stops_nothing(worker, dropped, caplog):
    worker.register("t", "bad row")
    worker.release("t")
    worker.flush()
    assert dropped.names == ["t"]
    assert "could not be written" in caplog.text


def test_rows_are_written_before_their_tables_are_dropped(dropped):
    order = []
    worker = Worker(lambda names: order.extend(("drop", n) for n in names), order.extend)
    for number in range(2000):
        worker.register(f"t{number}", ("row", f"t{number}"))
        worker.release(f"t{number}")
    worker.close()
    seen = set()
    for kind, name in order:
        if kind == "row":
            seen.add(name)
        else:
            assert name in seen
    assert len(order) == 4000


def test_a_hold_is_given_back_once(worker, dropped):
    hold = worker.hold("t")
    owner = Owner()
    worker.claim_for(owner, "t")
    hold.release()
    hold.release()
    del hold
    worker.flush()
    assert dropped.names == []
    del owner
    worker.flush()
    assert dropped.names == ["t"]


def test_ctrl_c_anywhere_in_a_claim_leaves_neither_a_leak_nor_an_early_drop(dropped):
    worker = Worker(dropped, dropped.record)
    worker.register("kept")
    names = ("hold", "claim_for", "_known", "_claim", "_release_at_end", "_release")
    code = {getattr(TableWorker, name).__code__ for name in names}
    code |= code_of(RefRegistry, RefCounts)

    def claim_twice():
        owner = Owner()
        worker.claim_for(owner, "kept")
        worker.hold(f"held{place}")

    place = 1
    while interrupt_at(place, code, claim_twice):
        place += 1
        worker.flush()
        assert worker.live_tables() == {"kept"}
        assert len(worker.claims_of("kept")) == 1
        assert len(worker.refs.refs()) == 1
    assert place > 30
    assert "kept" not in dropped.names
    worker.release("kept")
    worker.flush()
    assert "kept" in dropped.names
    assert worker.refs.refs() == ()
    worker.close()


def test_forgotten_tables_are_not_dropped(worker, dropped):
    worker.register("t")
    assert worker.forget("t")
    worker.release("t")
    worker.flush()
    assert dropped.names == []


def test_both_threads_end(dropped):
    worker = Worker(dropped, dropped.record)
    assert worker.close()
    assert not {t.name for t in threading.enumerate()} & {"aai-worker", "aai-drops"}


class Node:
    """Something that claims when made and releases when collected, as a leaf does."""

    def __init__(self, worker, name, other=None):
        worker.claim_for(self, name)
        self.other = other


def test_threads_making_cycles_under_forced_collections(worker, dropped):
    tables = [f"t{n}" for n in range(20)]
    for name in tables:
        worker.register(name)
    errors = []

    def churn():
        try:
            for round_ in range(300):
                a = Node(worker, tables[round_ % 20])
                b = Node(worker, tables[(round_ * 7) % 20], a)
                a.other = b
                del a, b
                if round_ % 10 == 0:
                    gc.collect()
        except BaseException as error:  # shown below
            errors.append(error)

    threads = [threading.Thread(target=churn) for _ in range(5)]
    gc.freeze()  # what is there already need not be looked at 150 times
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    gc.collect()
    gc.unfreeze()
    assert not errors
    worker.flush()
    assert dropped.names == []
    for name in tables:
        worker.release(name)
    worker.flush()
    assert sorted(dropped.names) == sorted(tables)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["+", "-", "flush"]))))
def test_counts_follow_a_plain_model(steps):
    dropped = Dropped()
    worker = Worker(dropped, dropped.record)
    counts = {"a": 1, "b": 1, "c": 1}
    for name in counts:
        worker.register(name)
    for name, step in steps:
        if step == "flush":
            worker.flush()
        elif step == "+" and counts[name]:
            worker.claim(name)
            counts[name] += 1
        elif step == "-" and counts[name]:
            worker.release(name)
            counts[name] -= 1
    worker.flush()
    assert sorted(dropped.names) == [name for name, count in counts.items() if not count]
    worker.close()


def test_flush_returns_after_what_was_queued_before(worker, dropped):
    for number in range(50):
        worker.register(f"t{number}")
        worker.release(f"t{number}")
    assert worker.flush()
    assert len(dropped.names) == 50
    started = time.monotonic()
    assert worker.flush()
    assert time.monotonic() - started < 5


def test_claims_are_those_of_the_registry(worker, dropped):
    hold = worker.hold("t", who="name best")
    owner = Owner()
    worker.claim_for(owner, "t")
    worker.flush()
    ref = worker.ref_of("t")
    assert (ref.kind, worker.refs.payload(ref), worker.refs.count(ref)) == ("table", "t", 2)
    assert [str(claim) for claim in worker.claims_of("t")] == ["name best", "claim 2"]
    assert worker.refs.holders(ref) == worker.claims_of("t")
    del owner
    hold.release()
    worker.flush()
    assert dropped.names == ["t"]
    assert worker.claims_of("t") == ()
    with pytest.raises(DroppedTableError):
        worker.ref_of("t")
    assert worker.refs.refs() == ()


def test_what_holds_a_table_keeps_it_and_lets_it_go_in_cascade(worker, dropped):
    refs = worker.refs
    hold = worker.hold("t")
    view = refs.register(RefKind.VIEW, "v", holds=[worker.ref_of("t")], cell="cell 1")
    refs.claim(view, "test")
    hold.release()
    worker.flush()
    assert worker.claims_of("t") == (view,)
    refs.release(view, "test")
    refs.sweep()  # not the worker's: it leaves tables to the worker
    assert dropped.names == []
    worker.end_cell("another")
    worker.flush()
    assert dropped.names == ["t"]


def test_a_table_holds_other_refs_until_it_is_dropped(worker, dropped):
    refs, gone = worker.refs, []
    hold = worker.hold("t")
    inner = worker.hold("inner")
    held = [refs.register(RefKind.OBJECT, n, freed=gone.append) for n in range(3)]
    refs.exchange(worker.ref_of("t"), [*held, worker.ref_of("inner")])
    inner.release()
    worker.flush()
    assert (dropped.names, gone) == ([], [])
    hold.release()
    worker.flush()
    assert (dropped.names, gone) == (["t", "inner"], [0, 1, 2])


def test_a_claim_cancels_the_fall_of_a_table_that_something_else_held(worker, dropped):
    refs = worker.refs
    hold = worker.hold("t")
    view = refs.register(RefKind.VIEW, "v", holds=[worker.ref_of("t")])
    refs.claim(view, "test")
    hold.release()
    worker.flush()
    owner = Owner()
    dropped.hold.clear()
    worker.hold("other", "row")  # the worker thread waits while it records this
    time.sleep(0.05)
    refs.release(view, "test")
    worker.claim_for(owner, "t")
    dropped.hold.set()
    worker.flush()
    assert not refs.is_live(view)
    assert "t" not in dropped.names
    assert worker.is_live("t")


def test_the_end_of_a_cell_frees_what_nobody_claimed(worker):
    gone = []
    refs = worker.refs
    refs.register(RefKind.OBJECT, "mine", cell=1, freed=gone.append)
    refs.register(RefKind.OBJECT, "another's", cell=2, freed=gone.append)
    refs.register(RefKind.OBJECT, "outside", freed=gone.append)
    worker.end_cell(1)
    assert eventually(lambda: gone == ["mine"])
    worker.flush()
    assert gone == ["mine", "outside"]
    worker.close()
    assert gone == ["mine", "outside", "another's"]


def eventually(holds) -> bool:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.001)
    return holds()


def test_a_payload_that_waits_for_the_worker_in_its_finalizer_stops_nothing(worker, dropped):
    """It is let go of in the worker's thread, which cannot wait for itself."""
    flushed = []

    class Payload:
        def __del__(self):
            flushed.append(worker.flush())
            worker.hold("made in a finalizer").release()

    refs = worker.refs
    refs.register(RefKind.OBJECT, Payload(), cell=1)
    worker.end_cell(1)
    assert eventually(lambda: flushed)
    assert flushed == [False]
    assert worker.flush()
    assert worker.flush()
    assert dropped.names == ["made in a finalizer"]


def test_what_was_dropped_is_forgotten_at_once_and_before_a_flush_ends(dropped):
    forgotten = []
    worker = Worker(dropped, dropped.record, forget=lambda: forgotten.append(len(dropped.names)))
    dropped.gate.clear()
    for number in range(300):
        worker.register(f"t{number}")
        worker.release(f"t{number}")
    time.sleep(0.05)
    dropped.gate.set()
    assert worker.flush()
    assert forgotten[-1] == 300
    assert len(forgotten) < len(dropped.batches)
    worker.close()


def test_rows_that_cannot_be_forgotten_are_tried_again(dropped, caplog):
    tries = []

    def forget():
        tries.append(len(dropped.names))
        if len(tries) == 1:
            raise OSError("disk full")

    worker = Worker(dropped, dropped.record, forget=forget)
    worker.register("t")
    worker.release("t")
    worker.flush()
    worker.flush()
    worker.flush()
    assert tries == [1, 1]
    assert "could not be deleted" in caplog.text
    worker.close()
