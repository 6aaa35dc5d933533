"""Running SQL given as text: one SELECT as a lazy View, or statements in order, in one session."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import AaiclickError, SQLError, UnknownTableError
from aaiclick_ext.masking import mask_literals, secrets_of_sql
from aaiclick_ext.objects.adoption import TemporaryTable, reads_of_text, sql_view
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.creation import TableSpec
from aaiclick_ext.objects.error_fixes import as_written, written_names
from aaiclick_ext.objects.freshness import when
from aaiclick_ext.objects.leaf import is_owned, owned_tables, tables_below
from aaiclick_ext.objects.making import make_from_columnar, make_from_select, spec_of_plan
from aaiclick_ext.objects.named_views import note_sources
from aaiclick_ext.objects.ordering import shape_of
from aaiclick_ext.objects.owners import tables_in_reach
from aaiclick_ext.objects.pinning import write_to_disk
from aaiclick_ext.objects.provenance import numbered_roles
from aaiclick_ext.objects.query_text import QueryText
from aaiclick_ext.objects.sql_names import check_living, owning_text
from aaiclick_ext.objects.sql_protection import check_settings, check_targets
from aaiclick_ext.objects.sql_references import with_given
from aaiclick_ext.objects.sql_statements import statements_of
from aaiclick_ext.objects.sql_text import names_in
from aaiclick_ext.objects.values import to_columnar
from aaiclick_ext.oplog.graph import CREATE_VIEW, DROP_TABLE, VIEW_PREFIX
from aaiclick_ext.oplog.sql_operations import CHANGES, CREATE_TABLE, operation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import ibis.expr.operations as ops

    from aaiclick_ext.engine import QueryStats
    from aaiclick_ext.objects.adoption import Reference, TextReads
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.catalog import Catalog
    from aaiclick_ext.objects.sql_statements import Statement, Target
    from aaiclick_ext.objects.view import View

_AS_TEXT = ("EXPLAIN", "SHOW CREATE")
_MOST_SHOWN = 3
"""Statements that ran before one that failed, as far as its error lists them."""


def run_sql(
    backend: Backend,
    catalog: Catalog,
    text: str,
    given: Mapping[str, Any],
    show: Callable[[Any], None] = lambda _: None,
) -> View | QueryText | None:
    """Run a text, as `DataContext.raw_sql` says.

    Parameters
    ----------
    show
        Called with what SHOW, DESCRIBE, EXPLAIN and their kind give before the last statement.
    """
    with attempted(backend, "sql", sql_template=text):
        bound, references = with_given(backend, text, given)
        statements = statements_of(bound)
        if any(statement.verb == "USE" for statement in statements):  # names alone are elsewhere
            bound, references = with_given(backend, text, given, backend.current_database)
            statements = statements_of(bound)
        if not statements:
            raise SQLError("the SQL is empty; give at least one statement")
    if len(statements) == 1 and statements[0].kind == "select":
        with attempted(backend, "sql", sql_template=text), as_written(text, references):
            return sql_view(backend, catalog, statements[0].text, given=references)
    with attempted(backend, "sql", sql_template=text):
        backend.services.check_open()
        _check_all(backend, statements, references)
    run = _Run(backend, catalog, references, statements, show, backend.current_database)
    try:
        return run.all()
    finally:
        backend.services.live.look()


def _check_all(
    backend: Backend, statements: Sequence[Statement], references: Mapping[str, Reference]
) -> None:
    """Raise where a statement may not run; none has by then."""
    variables: dict[str, str] = {}
    for name, reference in references.items():
        for table in owned_tables(reference.relation):
            variables.setdefault(table, name)
    check_settings(statements)
    check_targets(backend, statements, variables)
    for statement in statements:
        check_living(backend.services, statement.tokens)


@dataclass(slots=True)
class _Run:
    """Statements that run one after the other in one session."""

    backend: Backend
    catalog: Catalog
    references: Mapping[str, Reference]
    statements: Sequence[Statement]
    show: Callable[[Any], None]
    home: str
    temporary: dict[str, TemporaryTable] = field(default_factory=dict)
    database: str | None = None
    """That USE has made the current one."""
    has_state: bool = False

    def all(self) -> View | QueryText | None:
        """Run them all; return what the last one gives."""
        last = self.statements[-1]
        result = None
        try:
            with self.backend.services.engine.session():
                for number, statement in enumerate(self.statements):
                    if statement is last and last.kind == "select" and not self.has_state:
                        break
                    with self._located(number):
                        result = self._one(statement, is_last=statement is last)
                    if result is not None and statement is not last:
                        with self._at_home():
                            self.show(result)
        finally:
            if self.has_state:  # tables were read under other names, or settings
                self.backend.services.schemas.clear()
        if last.kind != "select" or self.has_state:
            return result
        with self._located(len(self.statements) - 1):
            return self._view(last)

    def _one(self, statement: Statement, *, is_last: bool) -> View | QueryText | None:
        self.has_state = self.has_state or statement.keeps_state
        if statement.kind == "select":
            return self._select(statement, is_last=is_last)
        if statement.kind == "show":
            return self._shown(statement)
        if statement.kind == "session":
            self.backend.services.engine.command(statement.text)
            self.database = statement.used_database or self.database
            return None
        self._change(statement)
        return None

    # Each kind of statement.

    def _select(self, statement: Statement, *, is_last: bool) -> View | None:
        if is_last:  # only in this session is it what it says
            view = self._view(statement, in_session=True)
            return view.copy() if self.database is None else self._copied_home(view)
        owned = owning_text(self.backend, self.catalog, statement.text)
        self.backend.services.engine.command(f"{owned.text}\nFORMAT Null")
        return None

    def _copied_home(self, view: View) -> View:
        """Freeze a view as a table of the database that was the current one at first."""
        backend, engine = self.backend, self.backend.services.engine
        op = backend.relation_of(view)
        plan = backend.planner.plan(op)
        result = quote_identifier(backend.provenance.sink_name())
        engine.command(f"CREATE TEMPORARY TABLE {result} AS {plan.sql}")
        kwargs = {"source": backend.provenance.name_of(op)}
        spec = spec_of_plan(plan, shape_of(op))
        select = f"SELECT * FROM {result}"
        with self._at_home():
            return make_from_select(backend, select, spec, "copy", kwargs, made_of=[op])

    def _view(self, statement: Statement, *, in_session: bool = False) -> View:
        text = statement.text
        if in_session:  # the same text means something else outside, and in other sessions
            text += f"\n/* session {self.backend.services.snowflake.next()} */"
        with attempted(self.backend, "sql", sql_template=text):
            return sql_view(
                self.backend,
                self.catalog,
                text,
                given=self._given(text),
                temporary=self.temporary,
                database=self.database,
            )

    def _shown(self, statement: Statement) -> View | QueryText | None:
        services = self.backend.services
        held = self._held(statement)
        with attempted(self.backend, "sql", sql_template=statement.text):
            run = services.engine.kill if statement.verb == "KILL" else services.engine.query_arrow
            data = run(statement.text)
            del held
            if not data.num_columns:  # a KILL that found nothing
                return None
            words = " ".join(token.text.upper() for token in statement.tokens[:2])
            if words.startswith(_AS_TEXT) and data.num_columns == 1:
                told = "\n".join(map(str, data.column(0).to_pylist()))
                return QueryText(mask_literals(told, secrets_of_sql(statement.text)))
            columnar = to_columnar(data)
            spec = TableSpec(columnar.types, columnar.comments, columnar.shape)
            params = {"statement": statement.text}
            with self._at_home():
                return make_from_columnar(self.backend, columnar, spec, "sql", params)

    @contextlib.contextmanager
    def _at_home(self) -> Iterator[None]:
        """Run the block in the database that was the current one at first."""
        engine, database = self.backend.services.engine, self.database
        if database is not None:
            engine.command(f"USE {quote_identifier(self.home)}")
        yield
        if database is not None:
            engine.command(f"USE {quote_identifier(database)}")

    def _change(self, statement: Statement) -> None:
        services = self.backend.services
        operation = operation_of(statement.verb, statement.what)
        known: dict[str, Any] = {"sql_template": statement.text}
        self._begin_temporary(statement)
        names = list(dict.fromkeys(map(self._log_name, statement.targets)))
        if names:
            known["result_table"] = names[0]
        with attempted(self.backend, operation, **known) as event:
            text, reads, sources, held = self._reading(statement)
            event["kwargs"] = self._roles(statement, held) if reads is None else dict(reads.roles)
            event["params"] = {} if reads is None else dict(reads.paths)
            if operation == CREATE_VIEW and statement.select is not None:
                event["sql_template"] = text[statement.select :]  # as create_view has it
                if "MATERIALIZED" in text[: statement.select].upper():
                    event["params"]["materialized"] = "true"
            else:
                event["sql_template"] = text
            if statement.what == "VIEW":  # it keeps what it reads
                ours = [leaf.name for leaf in held if is_owned(leaf)]
                note_sources(services, ours)
                write_to_disk(self.backend, ours)
            stats = services.engine.command(text)
            del held
            event |= self._outcome(statement, operation, reads, stats)
        self._tell(statement, operation, names, sources, event)

    # What a change reads and leaves behind.

    def _reading(
        self, statement: Statement
    ) -> tuple[str, TextReads | None, list[str], Sequence[ops.Node]]:
        """Return the statement to run, what it reads, by name, and what holds that meanwhile."""
        if statement.select is None:
            return statement.text, None, [], self._held(statement)
        select = statement.text[statement.select :]
        owned = owning_text(self.backend, self.catalog, select)
        given = self._given(select)
        reads = reads_of_text(self.backend, owned, given, self.temporary, self.database)
        here = [leaf.name for leaf in owned.leaves.tables if leaf.namespace.database is None]
        return statement.text[: statement.select] + owned.text, reads, here, owned.leaves.tables

    def _roles(self, statement: Statement, held: Sequence[ops.Node]) -> dict[str, str]:
        """Return what a statement reads besides a SELECT that it takes rows from, by role."""
        name_of = self.backend.provenance.name_of
        given = self._given(statement.text)
        roles = {name: name_of(reference.relation) for name, reference in given.items()}
        below = {leaf.name for each in given.values() for leaf in tables_below(each.relation)}
        return roles | numbered_roles([name_of(leaf) for leaf in held if leaf.name not in below])

    def _outcome(
        self, statement: Statement, operation: str, reads: TextReads | None, stats: QueryStats
    ) -> dict[str, Any]:
        outcome: dict[str, Any] = {"stats": stats, "columns": None}
        if operation == DROP_TABLE or len(statement.targets) != 1:
            return outcome
        types = self._types(statement.targets[0])
        if types is not None:
            name = statement.targets[0].name or ""
            if name in self.temporary and statement.targets[0].database is None:
                self.temporary[name] = TemporaryTable(self.temporary[name].log_name, types)
            outcome["result_schema"] = types
            if reads is not None:
                outcome["columns"] = reads.columns(statement.columns or tuple(types))
        if statement.verb == "INSERT" and self._feeds_views(statement.targets[0]):
            outcome["stats"] = replace(stats, written_rows=None, written_bytes=None)
        elif statement.verb == "INSERT" or operation == CREATE_TABLE:
            outcome["rows"] = stats.written_rows
        return outcome

    def _feeds_views(self, target: Target) -> bool:
        """Say whether materialized views get an insert's rows, too: then they are counted twice."""
        rows = self.backend.services.engine.query_rows(
            "SELECT notEmpty(dependencies_table) FROM system.tables WHERE name = {name:String} "
            "AND database = if({database:String} = '', currentDatabase(), {database:String})",
            {"name": target.name, "database": target.database or ""},
        )
        return any(has_any for (has_any,) in rows)

    def _tell(
        self,
        statement: Statement,
        operation: str,
        names: Sequence[str],
        sources: Sequence[str],
        event: Mapping[str, Any],
    ) -> None:
        """Tell the log, and what knows of results that would be others now."""
        services = self.backend.services
        task = services.oplog.current_task
        moment = when(None if task is None else task.execution_count)
        for name in names or [self.backend.provenance.sink_name()]:
            services.oplog.record(operation, **{**event, "result_table": name})
            if operation in CHANGES and name.partition(".")[2] == "":
                if sources:
                    services.freshness.made(name, sources)
                services.freshness.changed(name, moment)
        if statement.verb in ("DROP", "RENAME") and self.temporary:
            for target in statement.targets:
                self.temporary.pop(target.name or "", None)
        if statement.verb == "DROP":
            services.kept.refresh()  # it may have been the last view over a table

    def _begin_temporary(self, statement: Statement) -> None:
        """Give the tables that a statement makes for this session alone names in the log."""
        if statement.is_temporary and statement.verb in ("CREATE", "REPLACE"):
            for target in statement.targets:
                log_name = self.backend.provenance.sink_name(VIEW_PREFIX)
                self.temporary[target.name or ""] = TemporaryTable(log_name, {})

    def _types(self, target: Target) -> dict[str, str] | None:
        if target.name is None:
            return None
        try:
            columns = self.backend.services.engine.columns_of_table(target.name, target.database)
        except AaiclickError:  # a view that takes parameters, a table in another place by now
            return None
        hidden = ("MATERIALIZED", "ALIAS", "EPHEMERAL")
        return {c.name: c.type for c in columns if c.default_kind not in hidden}

    def _log_name(self, target: Target) -> str:
        """Return what the log calls a table: those of the current database by their name alone."""
        if target.name is None:
            return target.database or ""
        if target.database is None:
            known = self.temporary.get(target.name)
            if known is not None:
                return known.log_name
        database = target.database or self.database
        if database is None or database == self.home:
            return target.name
        return f"{database}.{target.name}"

    def _given(self, text: str) -> dict[str, Reference]:
        return {name: ref for name, ref in self.references.items() if ref.text in text}

    def _held(self, statement: Statement) -> list[ops.Node]:
        """Return leaves of the tables of ours that a statement names, so that they stay."""
        tables = names_in(list(statement.tokens), tables_in_reach(self.backend.services))
        with contextlib.suppress(UnknownTableError):
            return [self.backend.leaf(table) for table in tables]
        return []

    @contextlib.contextmanager
    def _located(self, number: int) -> Iterator[None]:
        """Say in an error which statement failed, and what ran before it."""
        try:
            with as_written(self._written(self.statements[number]), self.references):
                yield
        except AaiclickError as error:
            if len(self.statements) > 1:
                error.args = (f"{error}\n{self._place(number)}", *error.args[1:])
            raise

    def _place(self, number: int) -> str:
        total = len(self.statements)
        place = f"This was statement {number + 1} of {total}: {self._shown_as(number)}"
        if number:
            shown = "; ".join(map(self._shown_as, range(max(0, number - _MOST_SHOWN), number)))
            more = "…; " if number > _MOST_SHOWN else ""
            place += f"\nBefore it ran: {more}{shown}"
        if number + 1 < total:
            place += f"\nNot run: the {total - number - 1} after it"
        return place

    def _shown_as(self, number: int) -> str:
        statement = self.statements[number]
        return str(replace(statement, text=self._written(statement)))

    def _written(self, statement: Statement) -> str:
        """Return a statement with the user's names in braces again."""
        text = statement.text
        for ours, theirs in written_names(self.references).items():
            text = text.replace(ours, theirs)
        return text
