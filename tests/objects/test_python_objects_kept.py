"""Whatever is done to tables of Python objects, they hold exactly the objects that are in them."""

from __future__ import annotations

import gc
import weakref

import ibis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aaiclick_ext.lifecycle import RefKind


class Thing:
    """An object that nothing but identity tells from another."""


CELLS = st.lists(st.none() | st.integers(0, 5), min_size=1, max_size=5)


class Tables(RuleBasedStateMachine):
    """Tables of a key and an object beside a model of them: a list of keys and objects for each.

    The model refers to objects by weak references alone: only the database keeps them.
    """

    ctx = None

    @initialize()
    def begin(self):
        gc.collect()
        self.ctx.flush()
        self.others = len(self._kept())
        self.tables = []  # (view or object, is it a table, rows)
        self.born = []
        self.key = 0

    def _kept(self):
        refs = self.ctx.backend.services.refs
        return refs.refs(RefKind.OBJECT) + refs.refs(RefKind.SCALAR)

    def _value(self, cells):
        """Return columns with new objects, one for each number in the cells, and their model."""
        fresh = {number: Thing() for number in set(cells) - {None}}
        self.born += map(weakref.ref, fresh.values())
        keys = list(range(self.key, self.key + len(cells)))
        self.key += len(cells)
        objects = [None if number is None else fresh[number] for number in cells]
        refs = [None if o is None else weakref.ref(o) for o in objects]
        return {"k": keys, "o": objects}, dict(zip(keys, refs, strict=True))

    @rule(cells=CELLS)
    def create(self, cells):
        value, rows = self._value([*cells, None])
        self.tables.append((self.ctx.create_object_from_value(value, objects=["o"]), True, rows))

    @precondition(lambda self: self.tables)
    @rule(data=st.data())
    def create_of_old_objects(self, data):
        view, _, rows = self._one(data)
        found = view.data()
        if not found["k"]:
            return  # an empty list says nothing of its type, and the key would be text
        made = self.ctx.create_object_from_value(found, objects=["o"])
        self.tables.append((made, True, dict(rows)))

    def _one(self, data):
        return self.tables[data.draw(st.integers(0, len(self.tables) - 1))]

    @precondition(lambda self: self.tables)
    @rule(data=st.data(), below=st.integers(0, 30))
    def filter(self, data, below):
        view, _, rows = self._one(data)
        kept = {k: o for k, o in rows.items() if k < below}
        if view.op().find(ibis.expr.operations.DatabaseTable):
            self.tables.append((view.filter(view.k < below), False, kept))

    @precondition(lambda self: self.tables)
    @rule(data=st.data())
    def only_with_object(self, data):
        view, _, rows = self._one(data)
        kept = {k: o for k, o in rows.items() if o is not None}
        self.tables.append((view.filter(view.o.notnull()).order_by("k"), False, kept))

    @precondition(lambda self: self.tables)
    @rule(data=st.data())
    def copy(self, data):
        view, _, rows = self._one(data)
        self.tables.append((view.copy(), True, dict(rows)))

    @precondition(lambda self: self.tables)
    @rule(data=st.data())
    def join(self, data):
        left, _, rows = self._one(data)
        right, _, others = self._one(data)
        joined = left.left_join(right.select("k", p="o"), "k").select(k="k", o="p")
        if data.draw(st.booleans()):
            joined = joined.copy()
        self.tables.append((joined, False, {k: others.get(k) for k in rows}))

    @precondition(lambda self: self.tables)
    @rule(data=st.data())
    def concat(self, data):
        (left, _, rows), (right, _, others) = self._one(data), self._one(data)
        right = right.filter(~right.k.isin([-1, *rows]))
        self.tables.append((self.ctx.concat(left, right), True, others | rows))

    @precondition(lambda self: any(is_table for _, is_table, _ in self.tables))
    @rule(data=st.data(), cells=CELLS)
    def insert(self, data, cells):
        tables = [entry for entry in self.tables if entry[1]]
        target, _, rows = tables[data.draw(st.integers(0, len(tables) - 1))]
        lazy = [view.op() for view, is_table, _ in self.tables if not is_table]
        if any(op.find(lambda node: node == target.op()) for op in lazy):
            return  # lazy views see the new rows: the model does not follow them
        value, new = self._value(cells)
        if "Nullable" not in self.ctx.engine.columns_of(f"SELECT o FROM {target.table_name}")["o"]:
            more = {k: Thing() for k, o in zip(value["k"], value["o"], strict=True) if o is None}
            self.born += map(weakref.ref, more.values())
            value["o"] = [more.get(k, o) for k, o in zip(value["k"], value["o"], strict=True)]
            new = {k: weakref.ref(o) for k, o in zip(value["k"], value["o"], strict=True)}
            del more
        target.insert(value)
        rows.update(new)

    @precondition(lambda self: self.tables)
    @rule(data=st.data())
    def let_go(self, data):
        del self.tables[data.draw(st.integers(0, len(self.tables) - 1))]

    @invariant()
    def holds_exactly_what_is_in_them(self):
        if not hasattr(self, "tables"):
            return
        for view, _, rows in self.tables:
            found = view.data()
            assert dict(zip(found["k"], map(id, found["o"]), strict=True)) == {
                k: id(None) if o is None else id(o()) for k, o in rows.items()
            }
            del found
        gc.collect()
        self.ctx.flush()
        below = {id(o()) for _, _, rows in self.tables for o in rows.values() if o is not None}
        alive = {id(ref()) for ref in self.born if ref() is not None}
        assert below <= alive
        assert len(alive) == len(self._kept()) - self.others

    def teardown(self):
        if hasattr(self, "tables"):
            self.tables.clear()
            gc.collect()
            self.ctx.flush()
            assert len(self._kept()) == self.others
            assert not [ref for ref in self.born if ref() is not None]


@pytest.mark.parametrize(
    ("examples", "steps"), [(1, 10), pytest.param(100, 40, marks=pytest.mark.soak)]
)
def test_tables_hold_exactly_what_is_in_them(ctx, examples, steps):
    class WithContext(Tables):
        pass

    WithContext.ctx = ctx
    run_state_machine_as_test(
        WithContext,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
