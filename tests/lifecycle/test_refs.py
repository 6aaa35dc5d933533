"""RefRegistry: zero at first, claims, cascades, stale refs, finalizers in the middle of a call."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import pytest

from aaiclick_ext.errors import RefCountError, StaleRefError, UnsupportedTypeError
from aaiclick_ext.lifecycle import ObjectRef, RefKind, RefRegistry
from aaiclick_ext.lifecycle.ref_counts import RefCounts
from tests.lifecycle.interrupting import code_of, interrupt_at

OBJECT, TABLE, VIEW = RefKind.OBJECT, RefKind.TABLE, RefKind.VIEW


@pytest.fixture
def refs():
    return RefRegistry(node=7, session=99)


def freed_payloads(refs):
    gone = []
    return gone, lambda payload, **kw: refs.register(OBJECT, payload, freed=gone.append, **kw)


def test_registering_gives_zero_and_the_owner_claims(refs):
    ref = refs.register(TABLE, "t")
    assert (ref.kind, ref.id, ref.generation, ref.node, ref.session) == ("table", 1, 1, 7, 99)
    assert refs.count(ref) == 0
    refs.claim(ref, "name best")
    refs.claim(ref, 5)
    refs.claim(ref, 5)
    assert refs.count(ref) == 3
    assert refs.holders(ref) == ("name best", 5)
    assert refs.payload(ref) == "t"
    assert refs.refs(TABLE) == (ref,)
    assert refs.refs(VIEW) == ()


def test_the_empty_ref_is_false_and_claiming_it_does_nothing(refs):
    empty = ObjectRef.empty()
    assert not empty
    refs.claim(empty, "x")
    refs.release(empty, "x")
    assert refs.holds(refs.register(VIEW, "v", holds=[empty])) == ()
    with pytest.raises(StaleRefError, match="empty"):
        refs.payload(empty)


def test_a_ref_at_zero_is_freed_by_the_next_sweep(refs):
    gone, make = freed_payloads(refs)
    ref = make("a")
    assert refs.sweep() == ()  # never claimed: its cell decides
    refs.claim(ref, "x")
    refs.release(ref, "x")
    assert refs.is_live(ref)
    assert refs.sweep() == (ref,)
    assert gone == ["a"]
    assert not refs.is_live(ref)


def test_a_claim_before_the_sweep_keeps(refs):
    gone, make = freed_payloads(refs)
    ref = make("a")
    refs.claim(ref, "old")
    refs.release(ref, "old")
    assert refs.falling(OBJECT) == {ref}
    refs.claim(ref, "new")
    assert refs.falling(OBJECT) == frozenset()
    assert refs.sweep() == ()
    assert refs.holders(ref) == ("new",)
    assert gone == []


@pytest.mark.parametrize("holder", ["nobody", 3])
def test_release_below_zero_raises(refs, holder):
    ref = refs.register(OBJECT, None)
    refs.claim(ref, "x")
    with pytest.raises(RefCountError, match=r"no claim on object 1\.1 to give back; it is x's"):
        refs.release(ref, holder)
    refs.release(ref, "x")
    with pytest.raises(RefCountError, match="nobody"):
        refs.release(ref, "x")
    assert refs.count(ref) == 0


def test_an_old_ref_is_an_error_and_never_another_object(refs):
    old = refs.register(OBJECT, "old")
    refs.end_cell(None)
    new = refs.register(TABLE, "new")
    assert (new.id, new.generation) == (old.id, 2)
    for call in (refs.payload, refs.count, refs.holders, refs.holds):
        with pytest.raises(StaleRefError, match=r"object 1\.1 has been freed.*table 1\.2's now"):
            call(old)
    for call in (refs.claim, refs.release):
        with pytest.raises(StaleRefError):
            call(old, "x")
    with pytest.raises(StaleRefError):
        refs.exchange(old, [])
    with pytest.raises(StaleRefError):
        refs.register(VIEW, "v", holds=[new, old])
    assert refs.refs() == (new,)
    assert refs.count(new) == 0
    assert refs.register(OBJECT, "third").id == 2


def test_a_ref_of_another_session_is_an_error(refs):
    refs.register(OBJECT, "mine")
    other = RefRegistry(node=8, session=1).register(OBJECT, "theirs")
    with pytest.raises(StaleRefError, match="belongs to session 1 of node 8"):
        refs.payload(other)


def test_what_a_cell_registered_and_nobody_claimed_goes_with_it(refs):
    gone, make = freed_payloads(refs)
    unclaimed, claimed, outside = make("u", cell=1), make("c", cell=1), make("o")
    refs.claim(claimed, "x")
    assert refs.end_cell(2) == ()
    assert refs.end_cell(1) == (unclaimed,)
    assert gone == ["u"]
    assert refs.end_cell(None) == (outside,)
    refs.release(claimed, "x")
    refs.sweep()
    assert gone == ["u", "o", "c"]
    assert refs.refs() == ()


def test_what_is_held_is_claimed_once_keys_like_values(refs):
    a, b, c, d = (refs.register(OBJECT, name) for name in "abcd")
    ref = refs.register(VIEW, "v", holds={a: [b, {c: "label"}], "name": (d, a, None, 1.5)})
    assert set(refs.holds(ref)) == {a, b, c, d}
    assert [refs.count(x) for x in (a, b, c, d)] == [1, 1, 1, 1]
    assert refs.holders(a) == (ref,)
    refs.end_cell(None)
    assert refs.refs() == ()


def test_holds_may_be_a_generator_and_nothing_that_would_look_held(refs):
    a, b = (refs.register(OBJECT, name) for name in "ab")
    ref = refs.register(VIEW, "v", holds=(x for x in (a, b)))
    assert refs.holds(ref) == (a, b)
    with pytest.raises(UnsupportedTypeError, match="object cannot be held"):
        refs.register(VIEW, "w", holds=[object()])
    assert len(refs.refs()) == 3


def test_nobody_else_can_give_back_what_a_ref_holds(refs):
    a = refs.register(OBJECT, "a")
    holder = refs.register(VIEW, "v", holds=[a])
    with pytest.raises(RefCountError):
        refs.release(a, holder)
    refs.claim(a, holder)  # on its own account
    assert refs.count(a) == 2
    refs.release(a, holder)
    assert refs.count(a) == 1


def test_a_chain_100000_deep_is_freed_in_cascade(refs):
    gone = []
    ref = ObjectRef.empty()
    for number in range(100_000):
        ref = refs.register(VIEW, number, holds=[ref], freed=gone.append)
    refs.claim(ref, "top")
    refs.end_cell(None)
    assert gone == []
    refs.release(ref, "top")
    assert len(refs.sweep()) == 100_000
    assert gone == list(range(99_999, -1, -1))
    assert refs.refs() == ()


def test_exchange_claims_the_new_before_it_releases_the_old(refs):
    gone, make = freed_payloads(refs)
    a, b, c = make("a"), make("b"), make("c")
    ref = refs.register(VIEW, "v", holds=[a, b])
    refs.claim(ref, "x")
    refs.exchange(ref, [b, c])
    refs.sweep()
    assert gone == ["a"]
    assert set(refs.holds(ref)) == {b, c}
    assert refs.holders(b) == (ref,)
    with pytest.raises(StaleRefError):
        refs.exchange(ref, [a])
    assert set(refs.holds(ref)) == {b, c}
    refs.exchange(ref, [])
    refs.sweep()
    assert sorted(gone) == ["a", "b", "c"]


def test_a_ref_cannot_hold_itself(refs):
    bottom = refs.register(VIEW, "bottom")
    top = refs.register(VIEW, "top", holds=[refs.register(VIEW, "middle", holds=[bottom])])
    for held in (top, bottom):
        with pytest.raises(RefCountError, match="hold itself"):
            refs.exchange(bottom, [held])
    assert refs.holds(bottom) == ()


def test_kinds_that_wait_go_when_they_are_ready():
    refs = RefRegistry(waiting={TABLE})
    gone = []
    table = refs.register(TABLE, "t", freed=gone.append)
    view = refs.register(VIEW, "v", holds=[table], freed=gone.append)
    refs.claim(view, "x")
    refs.release(view, "x")
    refs.sweep()
    assert gone == ["v"]
    assert refs.falling(TABLE) == {table}
    refs.sweep(ready=refs.falling(TABLE))
    assert gone == ["v", "t"]


def test_a_callback_may_do_anything_and_its_error_stops_nothing(refs, caplog):
    order = []

    def freed(payload):
        order.append(payload)
        if payload < 2000:  # a chain through callbacks, each of which sweeps
            refs.register(OBJECT, payload + 1, freed=freed)
            refs.end_cell(None)
        raise OSError("disk full")

    refs.register(OBJECT, 0, freed=freed)
    refs.end_cell(None)
    assert order == list(range(2001))
    assert "disk full" in caplog.text
    assert refs.refs() == ()


def test_what_is_freed_is_let_go_of_when_the_lock_is_free(refs):
    """A payload's own `__del__` waits for another thread that calls the registry."""
    done = []

    class Payload:
        def __del__(self):
            thread = threading.Thread(target=lambda: done.append(refs.register(OBJECT, "from it")))
            thread.start()
            thread.join(10)

    refs.register(OBJECT, Payload())
    refs.end_cell(None)
    gc.collect()
    assert len(done) == 1


def test_after_clear_every_ref_is_stale_and_payloads_are_let_go_of(refs):
    class Payload:
        pass

    payload = Payload()
    alive = weakref.ref(payload)
    ref = refs.register(OBJECT, payload, freed=lambda _: pytest.fail("called back"))
    refs.claim(ref, "x")
    del payload
    refs.clear()
    assert alive() is None
    with pytest.raises(StaleRefError):
        refs.release(ref, "x")
    assert refs.end_cell(None) == ()


def test_a_thread_calls_back_what_it_has_freed_itself(refs):
    """So that whoever sweeps knows when all of it is done."""
    threads = []
    made = [
        refs.register(OBJECT, n, freed=lambda _: threads.append(threading.get_ident()))
        for n in range(2)
    ]
    for ref in made:
        refs.claim(ref, "x")
    refs.release(made[0], "x")
    refs.fall()
    refs.release(made[1], "x")
    other = threading.Thread(target=refs.sweep)
    other.start()
    ident = other.ident
    other.join()
    assert threads == [ident]
    refs.call_back()
    assert threads == [ident, threading.get_ident()]


@pytest.fixture
def eager_collection():
    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    yield
    gc.set_threshold(*before)


class Finalized:
    """Garbage in a cycle whose finalizer uses the registry, wherever the collector runs it."""

    def __init__(self, refs, ref):
        self.me = self
        self.refs, self.ref = refs, ref

    def __del__(self):
        refs = self.refs
        refs.claim(self.ref, "finalizer")
        made = refs.register(OBJECT, "made", holds=[self.ref])
        refs.claim(made, "finalizer")
        refs.refs()
        refs.release(made, "finalizer")
        refs.release(self.ref, "finalizer")
        refs.sweep()


def test_finalizers_in_the_middle_of_a_call(refs, eager_collection):
    """With the collector run at every allocation, in several threads."""
    kept = refs.register(OBJECT, "kept")
    refs.claim(kept, "test")
    errors = []

    def work(name):
        try:
            for number in range(150):
                Finalized(refs, kept)
                ref = refs.register(OBJECT, number, holds=[kept])
                refs.claim(ref, name)
                refs.exchange(ref, [])
                refs.release(ref, name)
                refs.sweep()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert not errors
    gc.collect()
    refs.end_cell(None)
    assert refs.holders(kept) == ("test",)
    assert refs.refs() == (kept,)


def test_a_finalizer_at_every_line_of_a_call_waits_for_its_end(refs):
    """What a finalizer asks for is done before anything else is, wherever it runs."""
    ran = []

    def trace(frame, event, _):
        if frame.f_code not in CODE:
            return None
        if event == "line" and frame.f_lineno not in ran:  # once: what it asks for runs lines too
            sys.settrace(None)
            refs.claim(other, len(ran))
            ran.append(frame.f_lineno)
            sys.settrace(trace)
        return trace

    other = refs.register(OBJECT, "other")
    sys.settrace(trace)
    try:
        ref = refs.register(OBJECT, "a", holds=[other])
        refs.claim(ref, "x")
        refs.exchange(ref, [])
        refs.release(ref, "x")
        refs.sweep()
    finally:
        sys.settrace(None)
    assert len(ran) > 40
    assert refs.count(other) == len(ran)
    assert refs.holders(other) == tuple(range(len(ran)))
    assert not refs.is_live(ref)


def test_an_error_of_such_a_finalizer_is_logged(refs, caplog):
    ref = refs.register(OBJECT, "a")
    refs._run(refs.release, ref, "finalizer")
    assert "no claim on object 1.1" in caplog.text


CALLS = {
    "register": lambda refs, ref, a, b: refs.register(VIEW, "made", holds=[a, b], cell=1),
    "claim": lambda refs, ref, a, b: refs.claim(ref, "once more"),
    "release": lambda refs, ref, a, b: refs.release(ref, "test"),
    "exchange": lambda refs, ref, a, b: refs.exchange(ref, [b]),
    "sweep": lambda refs, ref, a, b: (refs.release(ref, "test"), refs.sweep()),
    "end_cell": lambda refs, ref, a, b: (refs.register(VIEW, "m", holds=[a]), refs.end_cell(None)),
}


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_anywhere_in_a_call_leaks_nothing_and_drops_nothing_early(call):
    """A KeyboardInterrupt wherever one can come, in turn; then everybody lets go."""
    stop_at = 0
    interrupted = True
    while interrupted:
        stop_at += 1
        refs = RefRegistry()
        gone = []
        a, b = (refs.register(OBJECT, name, freed=gone.append) for name in "ab")
        for ref in (a, b):
            refs.claim(ref, "test")
        ref = refs.register(VIEW, "v", holds=[a], freed=gone.append)
        refs.claim(ref, "test")
        interrupted = interrupt_at(stop_at, STEPS, lambda: CALLS[call](refs, ref, a, b))  # noqa: B023
        refs.end_cell(1)
        refs.end_cell(None)
        assert not {"a", "b"} & set(gone)
        for kept in (a, b, ref):
            for holder in ("test", "once more"):
                if refs.is_live(kept) and holder in refs.holders(kept):
                    refs.release(kept, holder)
        refs.sweep()
        assert refs.refs() == ()
        assert sorted(gone) == ["a", "b", "v"]
    assert stop_at > 7


CODE = code_of(RefRegistry, RefCounts)
# Callbacks run in the worker's thread, which no signal reaches.
STEPS = CODE - {RefRegistry.call_back.__code__}
