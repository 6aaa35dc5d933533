"""The SQL that rebuilds a result: what the log knows of it, as one script."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.masking import MASK
from aaiclick_ext.oplog.ancestry import ancestry
from aaiclick_ext.oplog.comment import comment
from aaiclick_ext.oplog.graph import CREATE_VIEW, SINK_PREFIX, is_table_name, view_made
from aaiclick_ext.oplog.renaming import renamed, unique_names, words_of
from aaiclick_ext.oplog.sql_operations import CREATE_TABLE
from aaiclick_ext.oplog.states import RESTORE
from aaiclick_ext.schema import POSITION
from aaiclick_ext.untrusted import visible_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.oplog.graph import OplogGraph

LOAD_HERE = "-- The tables above are empty. Load their rows, then go on."
"""The line between the tables whose rows are not SQL and the statements that read them."""

_CREATE = "create_object"
_INSERT = "insert"


def sql_script(graph: OplogGraph, selects: Mapping[str, str] | None = None) -> str:
    """Return one script that rebuilds a graph's root.

    First stand the tables whose rows came from Python or from files: the log has their schema and
    what is known of their making, but no rows. After `LOAD_HERE` come the statements, in the order
    in which they ran. Tables are called as the variables were that held them.

    Parameters
    ----------
    graph
        Backward from its root, as far as the script is to go.
    selects
        View to SELECT, for views whose SQL the log does not have: a view is recorded as a call,
        and its SQL with the table that is made of it.
    """
    return _Script(graph, selects or {}).text()


@dataclass(slots=True)
class _Step:
    """One part of the script: comments, then a statement or none."""

    comments: list[str]
    statement: str = ""

    def lines(self, names: Mapping[str, str]) -> Iterator[str]:
        yield ""
        yield from (comment("--", text) for text in self.comments)
        if self.statement:
            yield _ended(renamed(self.statement, names))


@dataclass(slots=True)
class _Script:
    graph: OplogGraph
    selects: Mapping[str, str]
    made: dict[str, list[OperationEvent]] = field(default_factory=dict)
    """The events of each result, by id."""

    def text(self) -> str:
        events = ancestry(self.graph)
        restored = {e.result_table: e.id for e in events if e.operation == RESTORE}
        events = [e for e in events if e.id >= restored.get(e.result_table, 0)]
        for event in events:
            self.made.setdefault(event.result_table, []).append(event)
        texts = [*self.selects.values(), *(e.sql_template for e in events if e.sql_template)]
        words = [words_of(text) for text in texts]
        used = set().union(*(word for word in words if word is not None))
        empty = [self._empty(table) for table in self._tables() if self._begins_empty(table)]
        sources, steps = self._steps(events, has_positions=POSITION in used)
        names = {} if None in words else self._names(used)
        lines = [comment("--", text) for text in self._header(names)]
        texts = [text for step in (*sources, *steps) for text in (*step.comments, step.statement)]
        if any(MASK in text for text in texts):
            lines.append(f"-- '{MASK}' stands for a credential, which is not kept. Fill it in.")
        for step in (*empty, *sources):
            lines += step.lines(names)
        if sources:
            lines += ["", LOAD_HERE]
        for step in steps:
            lines += step.lines(names)
        return visible_sql("\n".join(lines) + "\n")

    def _header(self, names: Mapping[str, str]) -> Iterator[str]:
        root = self.graph.root
        name = names.get(root) or _wanted_name(root, self.made.get(root, ())) or root
        yield f"Rebuilds {name} ({root}), by the operation log."
        others = [table for table in self._tables() if TableName.parse(table) is None]
        foreign = [table for table in others if not self._is_made(table)]
        if foreign:
            yield f"Reads what is not made here: {', '.join(foreign)}"

    def _is_made(self, table: str) -> bool:
        made = self.made.get(table, ())
        return view_made(made) is not None or any(e.operation == CREATE_TABLE for e in made)

    def _tables(self) -> list[str]:
        """Return every table on the way to the root, itself included."""
        inputs = (name for made in self.made.values() for e in made for name in e.kwargs.values())
        return [name for name in dict.fromkeys([self.graph.root, *inputs]) if is_table_name(name)]

    def _names(self, used: Iterable[str]) -> dict[str, str]:
        """Return what tables of ours, and a view that is asked for, are called; the root first."""
        root = self.graph.root
        ours = [table for table in self._tables() if TableName.parse(table) is not None]
        results = [*ours, *([root] if root not in ours and root in self.made else [])]
        wanted = [(name, _wanted_name(name, self.made.get(name, ()))) for name in results]
        numbered = [(table, name or "result") for table, name in wanted]
        return unique_names(numbered, taken=set(used).difference(results))

    def _steps(
        self, events: Sequence[OperationEvent], *, has_positions: bool
    ) -> tuple[list[_Step], list[_Step]]:
        """Return the tables to be loaded, and what is done with them."""
        sources: list[_Step] = []
        steps: list[_Step] = []
        for event in events:
            name = event.result_table
            if _is_statement(event):
                steps.append(
                    _Step([_title(event), *_failure(event)], _bare(event.sql_template or ""))
                )
                continue
            if not is_table_name(name) or event.operation == _CREATE:
                continue
            if event.operation == _INSERT:
                steps += self._inserts(event)
            elif event.operation == CREATE_VIEW:
                steps.append(_named_view(event, is_new=self.made[name][0] is event))
            elif event.operation == RESTORE:
                steps.append(_again(event, has_positions=has_positions))
            elif event.sql_template is None:
                sources.append(_source(event, has_positions=has_positions))
            else:
                select = _bare(event.sql_template)
                steps.append(_filled(event, select, has_positions=has_positions))
        root = self.graph.root
        if not is_table_name(root) and root in self.made:
            steps.append(self._last(root))
        return sources, steps

    def _begins_empty(self, table: str) -> bool:
        """Say whether a table of ours had no rows at first; the first logs tell no such making."""
        made = self.made.get(table)
        is_empty = not made or made[0].operation in (_CREATE, _INSERT)
        return TableName.parse(table) is not None and is_empty

    def _empty(self, table: str) -> _Step:
        node = next((node for node in self.graph.nodes if node.table == table), None)
        if node is None:
            return _Step([f"{table}: the graph ends before it. Ask for one of more steps."])
        known = [*node.events, *([node.end] if node.end else [])]
        schema = next((event.result_schema for event in known if event.result_schema), {})
        if not schema:
            return _Step([f"{table}: nothing is recorded of it, its columns neither."])
        return _Step([f"Made empty: {table}"], _definition(table, schema))

    def _inserts(self, event: OperationEvent) -> Iterator[_Step]:
        """Yield the inserts of one call: its SQL, that of its views, and the rest in words."""
        title = [_title(event), *_failure(event)]
        table = event.result_table
        if event.sql_template is not None:
            yield _Step(title, _bare(event.sql_template))
            title = []
        else:
            for source in (name for role, name in event.kwargs.items() if role != "target"):
                select = self._select(source)
                if select is None:
                    yield _Step([*title, f"The SQL of {source} is not in the log."])
                else:
                    insert = f"INSERT INTO {quote_identifier(table)}\n{select}"
                    yield _Step(title, insert)
                title = []
        if event.params:
            rows = [f"{role}: {text}" for role, text in event.params.items()]
            yield _Step([*title, "Rows that are not SQL. Insert them here:", *rows])

    def _last(self, root: str) -> _Step:
        """Return the view that was asked for, or the query that was fetched."""
        event = self.made[root][-1]
        select = self._select(root)
        if select is None:
            return _Step([_title(event), "Its SQL is not in the log: only tables have theirs."])
        is_fetch = root.startswith(SINK_PREFIX)
        statement = select if is_fetch else f"CREATE VIEW {quote_identifier(root)}\nAS {select}"
        return _Step([_title(event)], statement)

    def _select(self, name: str) -> str | None:
        """Return a SELECT of a table's rows or of a view's, as far as there is one."""
        if is_table_name(name):
            return f"SELECT * FROM {quote_identifier(name)}"
        if name in self.selects:
            return _bare(self.selects[name])
        for copy in (event for node in self.graph.nodes for event in node.events):
            is_copy = copy.operation == "copy" and copy.kwargs.get("source") == name
            if is_copy and copy.sql_template is not None:
                return _bare(copy.sql_template)
        if name not in self.made:
            return None
        event = self.made[name][-1]
        inputs = list(event.kwargs.values())
        if event.operation in ("memtable", "alias"):
            return self._select(inputs[0])
        reads_tables = all(is_table_name(table) for table in inputs)
        return _bare(event.sql_template) if event.sql_template and reads_tables else None


def _filled(event: OperationEvent, select: str, *, has_positions: bool) -> _Step:
    """Return the table that a SELECT gives; of an array, in its order."""
    schema = event.result_schema
    definition = _definition(event.result_table, schema, has_positions=has_positions)
    is_array = has_positions and list(schema) == ["value"]
    ordered = "\nSETTINGS max_threads = 1" if is_array else ""
    return _Step([_title(event), *_failure(event)], f"{definition}\nAS {select}{ordered}")


def _is_statement(event: OperationEvent) -> bool:
    """Say whether an event is a statement that a user wrote, on a table that is not ours."""
    if event.operation in (CREATE_VIEW, RESTORE) or event.sql_template is None:
        return False
    of_session = event.operation == CREATE_TABLE and not is_table_name(event.result_table)
    is_other = is_table_name(event.result_table) and TableName.parse(event.result_table) is None
    return of_session or is_other


def _named_view(event: OperationEvent, *, is_new: bool) -> _Step:
    """Return a view that ClickHouse keeps, under its own name."""
    head = "CREATE VIEW" if is_new else "CREATE OR REPLACE VIEW"
    select = _bare(event.sql_template or "")
    statement = f"{head} {quote_identifier(event.result_table)}\nAS {select}"
    return _Step([_title(event), *_failure(event)], statement)


def _again(event: OperationEvent, *, has_positions: bool) -> _Step:
    """Return a restored table: the rows of its original, which the script has made before."""
    (original,) = event.kwargs.values()
    is_array = has_positions and list(event.result_schema) == ["value"]
    ordered = f" ORDER BY {POSITION}" if is_array else ""
    select = f"SELECT * FROM {quote_identifier(original)}{ordered}"
    return _filled(event, select, has_positions=has_positions)


def _source(event: OperationEvent, *, has_positions: bool) -> _Step:
    """Return the table of rows that the log does not have."""
    facts = dict(event.params) | ({} if event.rows is None else {"rows": str(event.rows)})
    comments = [_title(event), *(f"{name}: {text}" for name, text in facts.items())]
    comments += ["Its SQL is not in the log."] if event.kwargs else []
    comments += _failure(event)
    if not event.result_schema:
        return _Step([*comments, "Its columns are not in the log."])
    schema = event.result_schema
    return _Step(comments, _definition(event.result_table, schema, has_positions=has_positions))


def _definition(table: str, schema: Mapping[str, str], *, has_positions: bool = False) -> str:
    """Return a CREATE TABLE; of an array, with the hidden numbers of its rows."""
    is_array = has_positions and list(schema) == ["value"]
    columns = [f"    {quote_identifier(name)} {type_}" for name, type_ in schema.items()]
    if is_array:
        columns.append(f"    {POSITION} UInt64 MATERIALIZED rowNumberInAllBlocks()")
    listed = "\n(\n" + ",\n".join(columns) + "\n)" if columns else ""
    key = POSITION if is_array else "tuple()"
    return f"CREATE TABLE {quote_identifier(table)}{listed}\nENGINE = MergeTree ORDER BY {key}"


def _title(event: OperationEvent) -> str:
    cell = "" if event.execution_count is None else f"In [{event.execution_count}]: "
    names = ", ".join(event.variable_names)
    return f"{cell}{f'{names} = ' if names else ''}{event.operation} ({event.result_table})"


def _failure(event: OperationEvent) -> list[str]:
    return [] if event.status == "ok" else [f"This failed: {event.error or 'no message'}"]


def _wanted_name(table: str, made: Sequence[OperationEvent]) -> str:
    if view_made(made) is not None:
        return table
    for event in reversed(made):
        if event.variable_names:
            return event.variable_names[0]
    parsed = TableName.parse(table)
    if parsed is not None and parsed.name:
        return parsed.name
    return made[0].operation if made and made[0].operation != _INSERT else "table"


def _bare(sql: str) -> str:
    return sql.strip().rstrip(";").rstrip()


def _ended(sql: str) -> str:
    """Return a statement with its semicolon, out of reach of a comment in the last line."""
    last = sql.rpartition("\n")[2]
    return f"{sql}\n;" if "--" in last or "#" in last else f"{sql};"
