"""Named views in a random order of making, replacing, renaming, dropping, losing and restoring.

``make soak`` runs the long form.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, field

import ibis
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
from ibis import _

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import BrokenViewError, ViewError
from aaiclick_ext.settings import Settings

NAMES = ("one", "two", "three", "four's", "fünf")
ANY = st.integers(0, 2**20)


@dataclass
class Table:
    """What the model knows of a table."""

    rows: list[int]
    variable: object = None
    alive: bool = True


@dataclass
class View:
    """What the model knows of a view: the rows of its sources above a bound."""

    sources: list[str]
    above: int


@dataclass
class Model:
    """All tables by their names, and all views."""

    tables: dict[str, Table] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)

    def is_there(self, source):
        return source in self.views or (source in self.tables and self.tables[source].alive)

    def below(self, name):
        found, todo = [], [name]
        while todo:
            view = self.views.get(todo.pop())
            for source in view.sources if view else ():
                if source not in found:
                    found.append(source)
                    todo.append(source)
        return found

    def missing(self, *names):
        """Return what these views lack, themselves and those below them."""
        asked = {n for name in names for n in (name, *self.below(name)) if n in self.views}
        return {(v, s) for v in asked for s in self.views[v].sources if not self.is_there(s)}

    def rows(self, source):
        if source in self.tables:
            return self.tables[source].rows
        view = self.views[source]
        return [row for each in view.sources for row in self.rows(each) if row > view.above]

    def kept(self):
        held = {name for name, table in self.tables.items() if table.variable is not None}
        under = {source for view in self.views.values() for source in view.sources}
        return {name for name in held | under if name in self.tables and self.tables[name].alive}


class Views(RuleBasedStateMachine):
    """Views over tables and over each other."""

    context: DataContext

    def __init__(self):
        super().__init__()
        self.model = Model()

    def held(self):
        return [n for n, t in self.model.tables.items() if t.variable is not None and t.alive]

    def run(self, sql, *names):
        quoted = [f"`{name.replace('`', '``')}`" for name in names]
        self.context.engine.command(sql.format(*quoted))

    @precondition(lambda self: len(self.held()) < 4)
    @rule(rows=st.lists(st.integers(0, 9), max_size=4))
    def make_table(self, rows):
        schema = ibis.schema({"a": "!int64"})
        made = self.context.create_object(schema).insert({"a": rows})
        self.model.tables[made.table_name] = Table(rows, made)

    def expression(self, source):
        if source in self.model.tables:
            return self.model.tables[source].variable
        return self.context.sql(f'SELECT * FROM "{source}"')

    @precondition(lambda self: self.held())
    @rule(name=st.sampled_from(NAMES), picks=st.lists(ANY, min_size=1, max_size=2), above=ANY)
    def make_view(self, name, picks, above):
        model = self.model
        whole = [view for view in model.views if not model.missing(view)]
        choice = [*self.held(), *whole]
        sources = list(dict.fromkeys(choice[pick % len(choice)] for pick in picks))
        parts = [self.expression(source).filter(_.a > above % 5) for source in sources]
        query = parts[0] if len(parts) == 1 else ibis.union(*parts)
        del parts
        if any(name == source or name in model.below(source) for source in sources):
            with pytest.raises(ViewError, match="it would read itself"):
                self.context.create_view(name, query, if_exists="replace")
            return
        self.context.create_view(name, query, if_exists="replace")
        model.views[name] = View(sources, above % 5)

    @precondition(lambda self: self.model.views)
    @rule(pick=ANY)
    def drop_view(self, pick):
        name = list(self.model.views)[pick % len(self.model.views)]
        over = sorted(v for v in self.model.views if v != name and name in self.model.below(v))
        if over:
            with pytest.raises(ViewError, match="read it; drop those first"):
                self.context.drop_view(name)
            return
        self.context.drop_view(name)
        del self.model.views[name]

    @precondition(lambda self: self.model.views)
    @rule(pick=ANY, new=st.sampled_from(NAMES))
    def rename_view(self, pick, new):
        views = self.model.views
        name = list(views)[pick % len(views)]
        if new in views or new in self.model.below(name):
            return
        if any(new in view.sources for view in views.values() if view is not views[name]):
            below = self.model.below(name)
            if any(new in views[v].sources for v in below if v in views):
                return
        self.run("RENAME TABLE {} TO {}", name, new)
        views[new] = views.pop(name)

    @precondition(lambda self: self.model.views)
    @rule(pick=ANY)
    def drop_view_by_sql(self, pick):
        name = list(self.model.views)[pick % len(self.model.views)]
        self.run("DROP VIEW {}", name)
        del self.model.views[name]

    @precondition(lambda self: self.held())
    @rule(pick=ANY, rows=st.lists(st.integers(0, 9), max_size=3))
    def insert(self, pick, rows):
        table = self.model.tables[self.held()[pick % len(self.held())]]
        table.variable.insert({"a": rows})
        table.rows = table.rows + rows

    @precondition(lambda self: any(t.variable is not None for t in self.model.tables.values()))
    @rule(pick=ANY)
    def delete_variable(self, pick):
        held = [table for table in self.model.tables.values() if table.variable is not None]
        held[pick % len(held)].variable = None

    @precondition(lambda self: self.model.kept())
    @rule(pick=ANY)
    def lose_table(self, pick):
        self.collect()
        kept = sorted(self.model.kept())
        name = kept[pick % len(kept)]
        self.run("DROP TABLE {} SYNC", name)
        self.model.tables[name].alive = False

    @precondition(lambda self: any(not t.alive for t in self.model.tables.values()))
    @rule(pick=ANY)
    def restore(self, pick):
        self.collect()
        model = self.model
        lost = [name for name, table in model.tables.items() if not table.alive]
        name = lost[pick % len(lost)]
        restored = self.context.restore(name)
        assert restored.object is not None, restored
        new = restored.object.table_name
        reading = sorted(view for view, known in model.views.items() if name in known.sources)
        assert sorted(restored.views) == reading
        model.tables[new] = Table(model.tables.pop(name).rows, restored.object)
        for view in reading:
            known = model.views[view]
            known.sources = [new if source == name else source for source in known.sources]

    @invariant()
    def each_view_gives_its_rows_or_says_what_is_missing(self):
        problems = self.context.validate_views()
        missing = self.model.missing(*self.model.views)
        assert {(problem.view, problem.source) for problem in problems} == missing
        assert {view.name for view in self.context.list_views()} == set(self.model.views)
        for name in self.model.views:
            lacking = self.model.missing(name)
            query = f'SELECT a FROM "{name}"'
            if not lacking:
                rows = self.context.engine.query_rows(query)
                assert sorted(row for (row,) in rows) == sorted(self.model.rows(name))
                continue
            with pytest.raises(BrokenViewError) as info:
                self.context.engine.query_rows(query)
            for view, source in lacking:
                assert f"view {view}: {source} is gone (" in str(info.value)
            assert str(info.value).count(" is gone (") == len(lacking)

    @invariant()
    def nothing_lives_that_nothing_holds(self):
        assert self.collect() == self.model.kept()

    def collect(self):
        """Return the tables of ours once everything queued is done."""
        gc.collect()
        self.context.backend.services.worker.flush()
        self.context.backend.services.kept.refresh()  # as after each heartbeat
        self.context.backend.services.worker.flush()
        rows = self.context.engine.query_rows(
            "SELECT name FROM system.tables "
            "WHERE database = currentDatabase() AND startsWith(name, 'aai_')"
        )
        for name in [n for n, t in self.model.tables.items() if t.alive]:
            if name not in self.model.kept():
                del self.model.tables[name]
        return {name for (name,) in rows}

    def teardown(self):
        for view in self.context.list_views():
            self.run("DROP VIEW {}", view.name)
        self.model.tables.clear()
        assert self.collect() == set()


def run(tmp_path, examples, steps):
    with DataContext(settings=Settings(state_dir=tmp_path)) as context:
        Views.context = context
        context.flush()
        gc.collect()
        gc.freeze()  # so that each of many collections is of what the test itself made
        run_state_machine_as_test(
            Views,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        gc.unfreeze()


def test_views_do_as_the_model_says(tmp_path):
    run(tmp_path, examples=6, steps=12)


@pytest.mark.soak
def test_views_do_as_the_model_says_for_long(tmp_path):
    run(tmp_path, examples=100, steps=60)
