"""RefRegistry against a plain model, and tables in a real engine against what can be reached.

``make soak`` runs the long forms: tens of thousands of steps.
"""

from __future__ import annotations

import gc
import itertools
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import RefCountError, StaleRefError
from aaiclick_ext.lifecycle import ObjectRef, RefKind, RefRegistry
from aaiclick_ext.settings import Settings

ANY = st.integers(0, 2**20)
SOAK_STEPS = int(os.environ.get("AAICLICK_SOAK_STEPS", "20000"))


def run(machine, examples: int, steps: int) -> None:
    """Run a machine, and say how many steps it took and how long."""
    started = time.monotonic()
    machine.steps = 0
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    taken_s = time.monotonic() - started
    print(f"\n{machine.__name__}: {machine.steps} steps in {taken_s:.0f} s")  # noqa: T201  the long form's result


@dataclass
class Known:
    """What the model knows of a ref."""

    ref: ObjectRef
    cell: int
    claims: Counter = field(default_factory=Counter)
    holds: list[ObjectRef] = field(default_factory=list)
    fresh: bool = True


class RegistryMachine(RuleBasedStateMachine):
    """Every call of the registry, in any order, with refs that live and refs that do not."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.freed: list[int] = []
        self.expected: list[int] = []
        self.refs = RefRegistry(1, 2, waiting={RefKind.TABLE})
        self.model: dict[ObjectRef, Known] = {}
        self.zero: set[ObjectRef] = set()
        self.stale: list[ObjectRef] = []
        self.payloads: dict[ObjectRef, int] = {}
        self.numbers = itertools.count()

    def pick(self, number: int) -> ObjectRef:
        everything = [*self.model, ObjectRef.empty()]
        return everything[number % len(everything)]

    @rule(
        kind=st.sampled_from(list(RefKind)),
        held=st.lists(ANY, max_size=4),
        cell=st.integers(0, 2),
        form=st.sampled_from(
            [list, tuple, iter, lambda x: {"a": x}, lambda x: dict.fromkeys(x, "b")]
        ),
    )
    def register(self, kind, held, cell, form):
        type(self).steps += 1
        holds = [self.pick(n) for n in held]
        payload = next(self.numbers)
        ref = self.refs.register(
            kind, payload, holds=form(holds), cell=cell, freed=self.freed.append
        )
        assert ref not in self.model
        assert ref not in self.stale
        self.model[ref] = Known(ref, cell)
        self.payloads[ref] = payload
        self.model_holds(ref, holds)

    def model_holds(self, ref, holds):
        wanted = [h for h in dict.fromkeys(holds) if h]
        known = self.model[ref]
        for new in wanted:
            self.model[new].fresh = False
        self.zero |= {old for old in known.holds if old not in wanted}
        known.holds = wanted

    @rule(number=ANY, holder=st.sampled_from(["a", "b", 3]))
    def claim(self, number, holder):
        type(self).steps += 1
        ref = self.pick(number)
        self.refs.claim(ref, holder)
        if ref:
            self.model[ref].claims[holder] += 1
            self.model[ref].fresh = False

    @rule(number=ANY, holder=st.sampled_from(["a", "b", 3]))
    def release(self, number, holder):
        type(self).steps += 1
        ref = self.pick(number)
        if ref and not self.model[ref].claims[holder]:
            with pytest.raises(RefCountError):
                self.refs.release(ref, holder)
            return
        self.refs.release(ref, holder)
        if ref:
            self.model[ref].claims[holder] -= 1
            self.zero.add(ref)

    @precondition(lambda self: self.model)
    @rule(number=ANY, held=st.lists(ANY, max_size=3))
    def exchange(self, number, held):
        type(self).steps += 1
        ref = [*self.model][number % len(self.model)]
        holds = [self.pick(n) for n in held]
        if ref in self.below(holds):
            with pytest.raises(RefCountError, match="hold itself"):
                self.refs.exchange(ref, holds)
            return
        self.refs.exchange(ref, holds)
        self.model_holds(ref, holds)

    def below(self, refs):
        seen, todo = set(), [ref for ref in refs if ref]
        while todo:
            ref = todo.pop()
            if ref not in seen:
                seen.add(ref)
                todo += self.model[ref].holds
        return seen

    @rule(ready=st.lists(ANY, max_size=3))
    def sweep(self, ready):
        type(self).steps += 1
        ready = {self.pick(n) for n in ready}
        self.free(self.refs.sweep(ready), ready)

    @rule(cell=st.integers(0, 3))
    def end_cell(self, cell):
        type(self).steps += 1
        self.zero |= {
            ref for ref, known in self.model.items() if known.fresh and known.cell == cell
        }
        for ref in self.zero:
            if ref in self.model and self.model[ref].cell == cell:
                self.model[ref].fresh = False
        self.free(self.refs.end_cell(cell), set())

    def free(self, freed, ready):
        """Free in the model what the rules say, and compare with what the registry freed."""
        expected = set()
        while True:
            for ref in self.zero:
                if ref in self.model and not self.count(ref) and self.may_go(ref, ready):
                    break
            else:
                break
            self.zero |= set(self.model.pop(ref).holds)
            self.zero.discard(ref)
            self.stale.append(ref)
            expected.add(ref)
        self.zero = {ref for ref in self.zero if ref in self.model and not self.count(ref)}
        assert set(freed) == expected
        assert len(freed) == len(expected)
        assert sorted(self.freed) == sorted(self.payloads[ref] for ref in self.stale)

    def may_go(self, ref, ready):
        return ref.kind is not RefKind.TABLE or ref in ready

    def count(self, ref):
        within = sum(ref in known.holds for known in self.model.values())
        return within + self.model[ref].claims.total()

    @precondition(lambda self: self.stale)
    @rule(number=ANY)
    def use_a_stale_one(self, number):
        type(self).steps += 1
        ref = self.stale[number % len(self.stale)]
        assert not self.refs.is_live(ref)
        for call in (
            lambda: self.refs.claim(ref, "a"),
            lambda: self.refs.release(ref, "a"),
            lambda: self.refs.exchange(ref, []),
            lambda: self.refs.register(RefKind.VIEW, None, holds=[ref]),
            lambda: self.refs.payload(ref),
        ):
            with pytest.raises(StaleRefError):
                call()

    @invariant()
    def the_registry_is_the_model(self):
        assert set(self.refs.refs()) == set(self.model)
        for ref, known in self.model.items():
            assert self.refs.count(ref) == self.count(ref)
            assert set(self.refs.holds(ref)) == set(known.holds)
            assert self.refs.payload(ref) == self.payloads[ref]
            within = {r for r, other in self.model.items() if ref in other.holds}
            assert set(self.refs.holders(ref)) == within | set(+known.claims)

    def teardown(self):
        """Everyone lets go: nothing may be left."""
        for ref in [*self.model]:
            self.refs.exchange(ref, [])
            for holder in [*self.model[ref].claims.elements()]:
                self.refs.release(ref, holder)
        self.refs.expire_all()
        self.refs.sweep(ready=set(self.model))
        assert self.refs.refs() == ()
        assert sorted(self.freed) == sorted(self.payloads.values())


def test_the_registry_follows_the_model():
    run(RegistryMachine, 60, 40)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_registry_follows_the_model_for_long():
    run(RegistryMachine, SOAK_STEPS // 20, 100)
    assert RegistryMachine.steps >= SOAK_STEPS


DERIVATIONS = (
    lambda t: t.filter(t.k > 1),
    lambda t: t.k,
    lambda t: t.k.sum(),
    lambda t: t.mutate(w=t.k * 2).order_by("w"),
    lambda t: t.group_by("k").agg(n=t.count()),
    lambda t: [t.k + 1, {"deep": (t.view(),)}],
    lambda t: t.filter(t.k > t.k.mean()).limit(2),
)


def collect_all():
    """Collect everything: `gc.collect` does nothing while another thread collects."""
    before = gc.get_stats()[2]["collections"]
    while gc.get_stats()[2]["collections"] == before:
        if not gc.collect():
            time.sleep(0.001)


class Holder:
    """Something that reaches a table, and itself."""

    def __init__(self, held):
        self.held, self.me = held, self


class TablesMachine(RuleBasedStateMachine):
    """Objects made, derived, joined, copied and deleted; in cycles, threads and under names.

    `held` is what the model can reach: anything, with the tables below it. `tables` are those that
    something can be derived from. Pinned and preserved tables stay without anything that reaches
    them, and can be opened by their names.
    """

    steps = 0
    context: DataContext

    def __init__(self) -> None:
        super().__init__()
        self.numbers = itertools.count()
        self.held: dict[int, tuple[object, frozenset[str]]] = {}
        self.names: dict[str, str] = {}
        self.pinned: set[str] = set()
        self.preserved: set[str] = set()
        self.threads: list[threading.Thread] = []
        self.results: list[object] = []
        self.errors: list[BaseException] = []

    def keep(self, thing, tables):
        type(self).steps += 1
        self.held[next(self.numbers)] = thing, frozenset(tables)

    def pick(self, number):
        """Return a table that something can be derived from, with what it reaches."""
        usable = [pair for pair in self.held.values() if hasattr(pair[0], "group_by")]
        return usable[number % len(usable)] if usable else (None, frozenset())

    @rule(values=st.lists(st.integers(0, 9), min_size=1, max_size=3))
    def create(self, values):
        made = self.context.create_object_from_value({"k": values})
        self.keep(made, {made.table_name})

    @rule(number=ANY, derive=st.sampled_from(DERIVATIONS))
    def derive(self, number, derive):
        view, tables = self.pick(number)
        if view is not None and "k" in view.columns:
            self.keep(derive(view), tables)

    @rule(one=ANY, other=ANY)
    def join(self, one, other):
        (left, of_left), (right, of_right) = self.pick(one), self.pick(other)
        if left is not None and {"k"} <= {*left.columns} & {*right.columns}:
            self.keep(left.join(right.select("k").view(), "k"), of_left | of_right)

    @rule(number=ANY)
    def copy(self, number):
        view, _ = self.pick(number)
        if view is not None:
            made = view.copy()
            self.keep(made, {made.table_name})

    @rule(number=ANY, count=st.integers(1, 4))
    def delete(self, number, count):
        type(self).steps += 1
        for _ in range(min(count, len(self.held))):
            del self.held[[*self.held][number % len(self.held)]]

    @precondition(lambda self: self.held)
    @rule(number=ANY)
    def put_into_a_cycle(self, number):
        key = [*self.held][number % len(self.held)]
        thing, tables = self.held.pop(key)
        self.keep(Holder(thing), tables)

    @rule(generation=st.integers(0, 2))
    def collect(self, generation):
        type(self).steps += 1
        gc.collect(generation)

    @rule(name=st.sampled_from(["n1", "n2"]), values=st.lists(st.integers(0, 9), min_size=1))
    def name(self, name, values):
        type(self).steps += 1
        made = self.context.create_object_from_value(
            {"k": values}, name=name, scope="session", if_exists="replace"
        )
        self.names[name] = made.table_name

    @precondition(lambda self: self.names)
    @rule()
    def delete_a_name(self):
        type(self).steps += 1
        name, table = self.names.popitem()
        self.keep(self.context.open_object(name), {table})
        self.context.delete_object(name)

    @rule(number=ANY)
    def pin(self, number):
        view, tables = self.pick(number)
        if view is not None:
            type(self).steps += 1
            assert self.context.pin(view) is view
            self.pinned |= tables

    @precondition(lambda self: self.pinned)
    @rule(number=ANY)
    def unpin(self, number):
        type(self).steps += 1
        table = sorted(self.pinned)[number % len(self.pinned)]
        self.context.unpin(table)
        self.pinned.remove(table)

    @rule(values=st.lists(st.integers(0, 9), min_size=1, max_size=3), number=ANY)
    def preserve(self, values, number):
        view, _ = self.pick(number)
        with self.context.session(preservation="FULL"):
            made = self.context.create_object_from_value({"k": values}) if view is None else None
            made = view.copy() if made is None else made
        self.preserved.add(made.table_name)
        self.keep(made, {made.table_name})

    @precondition(lambda self: self.pinned | self.preserved)
    @rule(number=ANY)
    def open_what_stays(self, number):
        stays = sorted(self.pinned | self.preserved)
        table = stays[number % len(stays)]
        self.keep(self.context.open_object(table), {table})

    @precondition(lambda self: len(self.threads) < 3)
    @rule(number=ANY, derive=st.sampled_from(DERIVATIONS), keeps=st.booleans())
    def work_in_a_thread(self, number, derive, keeps):
        view, _ = self.pick(number)
        if view is None or "k" not in view.columns:
            return
        type(self).steps += 1
        self.threads.append(threading.Thread(target=self.work, args=(view, derive, keeps)))
        self.threads[-1].start()

    def work(self, view, derive, keeps):
        try:
            for _ in range(2):
                made = view.copy()
                Holder(derive(made))
                gc.collect(0)
            if keeps:
                self.results.append(made)
        except BaseException as error:
            self.errors.append(error)

    @rule()
    def quiet(self):
        type(self).steps += 1
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        self.threads.clear()
        assert not self.errors
        for made in self.results:
            self.keep(made, {made.table_name})
            del made
        self.results.clear()
        collect_all()
        self.context.flush(60)
        reachable = set(self.names.values()).union(*(tables for _, tables in self.held.values()))
        assert self.living() == reachable | self.pinned | self.preserved
        refs = self.context._opened.services.refs
        assert {refs.payload(r) for r in refs.refs(RefKind.TABLE)} == reachable | self.pinned

    def living(self):
        rows = self.context.engine.query_rows(
            "SELECT name FROM system.tables "
            "WHERE database = currentDatabase() AND startsWith(name, 'aai_')"
        )
        return {name for (name,) in rows}

    def teardown(self):
        self.quiet()
        self.held.clear()
        for name in self.names:
            self.context.delete_object(name)
        self.names.clear()
        for table in self.pinned:
            self.context.unpin(table)
        self.pinned.clear()
        self.quiet()
        dropped = self.context.lineage_aware_drop(*self.preserved, dry_run=False).dropped
        assert set(dropped) == self.preserved
        self.preserved.clear()
        self.quiet()


@pytest.fixture
def machine(tmp_path):
    with DataContext(settings=Settings(state_dir=tmp_path)) as context:
        context.create_object_from_value([1])
        gc.collect()
        gc.freeze()  # what is there already need not be looked at by every collection
        yield type("TablesMachine", (TablesMachine,), {"context": context})
        gc.unfreeze()


@pytest.mark.filterwarnings("ignore:a pinned table in a scratch database")
def test_tables_live_as_long_as_they_are_reachable(machine):
    run(machine, 8, 25)


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore:a pinned table in a scratch database")
@pytest.mark.timeout(3600)
def test_tables_live_as_long_as_they_are_reachable_for_long(machine):
    while machine.steps < SOAK_STEPS:
        before, machine.steps = machine.steps, 0
        run(machine, 50, 60)
        machine.steps += before
