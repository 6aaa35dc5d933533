"""What the log says that a statement read, against what ClickHouse says of the same statement."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.oplog.columns import ALL, NONE, USES, backward_columns
from aaiclick_ext.oplog.graph import is_table_name
from aaiclick_ext.schema import POSITION
from tests.query_tree import tables_and_columns_read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aaiclick_ext.oplog import OperationEvent


@dataclass
class Measure:
    """Two sets that should be one."""

    recorded: set = field(default_factory=set)
    read: set = field(default_factory=set)

    @property
    def wrong(self) -> set:
        """What was recorded and not read."""
        return self.recorded - self.read

    @property
    def missing(self) -> set:
        """What was read and not recorded."""
        return self.read - self.recorded

    def __str__(self) -> str:
        correct = len(self.recorded & self.read)
        precision = correct / len(self.recorded) if self.recorded else 1.0
        recall = correct / len(self.read) if self.read else 1.0
        return f"{len(self.read)} read, precision {precision:.4f}, recall {recall:.4f}"


@dataclass
class Truth:
    """What a comparison found.

    Attributes
    ----------
    tables, columns
        By the lineage of columns; each with the id of the event first. The column of an array's
        hidden row numbers is in neither: who reads an array in its order reads it, and no user
        knows of it.
    steps
        Tables by the inputs of events. A view that computes something of a second table is a step
        of what is made of it also where that leaves the something out, and ClickHouse the table.
    strays
        Events with an edge from something that is none of their inputs.
    statements
        How many were compared.
    unread
        Events with SQL that ClickHouse would not explain, with its reason.
    """

    tables: Measure = field(default_factory=Measure)
    columns: Measure = field(default_factory=Measure)
    steps: Measure = field(default_factory=Measure)
    strays: dict[str, set[str]] = field(default_factory=dict)
    statements: int = 0
    unread: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Fail where anything is wrong, missing or was not compared."""
        assert not self.unread
        assert not self.strays
        assert (self.tables.wrong, self.tables.missing) == (set(), set())
        assert self.steps.missing == set()
        assert (self.columns.wrong, self.columns.missing) == (set(), set())

    def __str__(self) -> str:
        figures = f"tables {self.tables}; by steps {self.steps}; columns {self.columns}"
        return f"{self.statements} statements; {figures}"


def compare(engine, events: Sequence[OperationEvent], truth: Truth | None = None) -> Truth:
    """Compare the events of statements with what ClickHouse reads for them.

    Tables that are gone are made again, empty, as the log describes them: their columns are all
    that ``EXPLAIN QUERY TREE`` looks at.
    """
    truth = truth or Truth()
    made = {event.result_table: event for event in events if event.status == "ok"}
    schemas = {table: dict(event.result_schema) for table, event in made.items()}
    for name in {name for event in events for name in event.kwargs.values()} - schemas.keys():
        if is_table_name(name):
            schemas[name] = _schema_of_other(engine, name)
    with _tables(engine, schemas):
        for event in events:
            given = {*event.kwargs.values(), event.result_table}
            if stray := {edge.source for edge in event.columns} - given:
                truth.strays[f"{event.id} {event.operation}"] = stray
            if event.status == "ok" and event.sql_template is not None:
                _compare_one(engine, event, made, schemas, truth)
    return truth


def _compare_one(engine, event, made, schemas, truth: Truth) -> None:
    tables, columns = set(), set()
    for sql in _selects(event):
        try:
            found = tables_and_columns_read(engine, sql)
        except Exception as error:
            truth.unread[f"{event.id} {event.operation}"] = str(error)
            return
        tables |= found[0]
        columns |= found[1]
    truth.statements += 1
    used = list(_columns_recorded(event, made))
    recorded = {(table, column) for table, column in used if column not in (NONE, ALL, POSITION)}
    recorded |= {
        (table, name) for table, column in used if column == ALL for name in schemas[table]
    }
    whole = {(table, _whole(column, schemas.get(table, {}))) for table, column in columns}
    for measure, log, engine_says in (
        (truth.tables, {(table,) for table, _ in used}, {(table,) for table in tables}),
        (truth.steps, {(table,) for table in _inputs_read(event, made)}, {(t,) for t in tables}),
        (truth.columns, recorded, {pair for pair in whole if pair[1] != POSITION}),
    ):
        measure.recorded |= {(event.id, *item) for item in log}
        measure.read |= {(event.id, *item) for item in engine_says}


def _selects(event: OperationEvent) -> list[str]:
    """Return the SELECTs of an event; an insert has one for each view that was inserted."""
    assert event.sql_template is not None
    if event.operation != "insert":
        return [event.sql_template]
    statements = event.sql_template.split(";\n")
    return [statement[statement.index("SELECT") :] for statement in statements]


def _inputs(event: OperationEvent) -> list[str]:
    """Return what was read; an insert names its target among its inputs, too."""
    return [name for role, name in event.kwargs.items() if role != "target"]


def _inputs_read(event: OperationEvent, made: Mapping[str, OperationEvent]) -> set[str]:
    """Return the tables that an event read by the log, through lazy views."""
    found, seen, todo = set(), set(), _inputs(event)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if is_table_name(name):
            found.add(name)
        elif name in made:
            todo += _inputs(made[name])
    return found


def _columns_recorded(
    event: OperationEvent, made: Mapping[str, OperationEvent]
) -> Iterator[tuple[str, str]]:
    """Yield the columns of tables that an event read by the log, for whatever use."""
    edges = {name: view.columns for name, view in made.items() if not is_table_name(name)}
    edges["the result"] = event.columns
    for use in backward_columns(edges, "the result", ALL, uses=USES):
        if use.table != "the result":
            yield use.table, use.column


def _whole(column: str, schema: Mapping[str, str]) -> str:
    """Return the column that a subcolumn is of: ``b.null``, which `isNull(b)` reads, is of b."""
    while schema and column not in schema and "." in column:
        column = column.rpartition(".")[0]
    return column


def _schema_of_other(engine, table: str) -> dict[str, str]:
    sql = (
        "SELECT name, type FROM system.columns "
        "WHERE database = currentDatabase() AND table = {table:String} ORDER BY position"
    )
    return dict(engine.query_rows(sql, {"table": table}))


@contextlib.contextmanager
def _tables(engine, schemas: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
    made: list[str] = []
    there = {name for (name,) in engine.query_rows("SELECT name FROM system.tables")}
    try:
        for table, schema in schemas.items():
            if is_table_name(table) and schema and table not in there:
                engine.command(_definition(table, schema))
                made.append(table)
        yield
    finally:
        for table in made:
            engine.command(f"DROP TABLE {quote_identifier(table)} SYNC")


def _definition(table: str, schema: Mapping[str, str]) -> str:
    columns = [f"{quote_identifier(name)} {type_}" for name, type_ in schema.items()]
    if list(schema) == ["value"]:
        columns.append(f"{POSITION} UInt64 MATERIALIZED rowNumberInAllBlocks()")
    return f"CREATE TABLE {quote_identifier(table)} ({', '.join(columns)}) ENGINE = Memory"
