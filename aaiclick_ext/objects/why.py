"""Why: what keeps a table, as a value that shows itself."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.expr.types.groupby import GroupedTable

from aaiclick_ext.errors import UnknownObjectError, UnsupportedTypeError
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.objects.holders import find_chains
from aaiclick_ext.objects.leaf import owned_tables
from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.lifecycle.roots import Namer
    from aaiclick_ext.lifecycle.why import Chain
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.catalog import Catalog

_PATIENCE_S = 5.0
"""How long what was let go of before is waited for."""

_STYLE = """<style>
.aaiclick-why {font-size: 13px; color: var(--jp-ui-font-color1, inherit);
  overflow-x: auto; max-width: 100%;}
.aaiclick-why h4 {margin: 4px 0; font-size: 13px; font-weight: 600;}
.aaiclick-why table.aaiclick-held {border-collapse: collapse;}
.aaiclick-why table.aaiclick-held th,
.aaiclick-why table.aaiclick-held td {padding: 2px 12px 2px 0; text-align: left;
  vertical-align: top; border: 0; max-width: 40em; overflow-wrap: anywhere;
  border-bottom: 1px solid var(--jp-border-color2, rgba(128, 128, 128, .35));}
.aaiclick-why code {font-family: var(--jp-code-font-family, monospace);}
.aaiclick-why p, .aaiclick-why .aaiclick-soft {color: var(--jp-ui-font-color2, gray);
  font-weight: 400;}
</style>"""


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A table and what keeps it.

    Attributes
    ----------
    is_live
        False where the table has been dropped.
    claims
        Claims that the table worker counts.
    """

    table_name: str
    scope: Scope
    chains: tuple[Chain, ...]
    claims: int = 0
    is_live: bool = True
    ended: str = ""

    @property
    def headline(self) -> str:
        """One line: what it is and how many things keep it."""
        name = visible(self.table_name)
        if self.ended:
            return f"{name}: dropped with {visible(self.ended)}, which has ended"
        if not self.is_live:
            return f"{name}: dropped; nothing keeps it"
        if not self.chains and self.claims:
            claims = f"{self.claims} claim{'' if self.claims == 1 else 's'}"
            return (
                f"{name} ({self.scope}): {claims}, by something that Python's garbage collector "
                "does not show"
            )
        if not self.chains:
            return f"{name} ({self.scope}): nothing keeps it; it is about to be dropped"
        things = "1 thing" if len(self.chains) == 1 else f"{len(self.chains)} things"
        return f"{name} ({self.scope}): kept by {things}"


@dataclass(frozen=True, slots=True)
class Why:
    """What keeps some tables: the answer of `why`. Shows itself as text and as HTML.

    Attributes
    ----------
    tables
        One entry per table below what was asked for.
    complete
        False where so much had to be looked at that the search was given up.
    """

    tables: tuple[KeptTable, ...]
    complete: bool = True

    @property
    def chains(self) -> tuple[Chain, ...]:
        """The chains of all tables, each once."""
        return tuple(dict.fromkeys(chain for kept in self.tables for chain in kept.chains))

    def __repr__(self) -> str:
        blocks = ["\n".join([kept.headline, *_lines(kept.chains)]) for kept in self.tables]
        return "\n".join([*blocks, *self._notes()])

    def _repr_html_(self) -> str:
        blocks = "".join(map(_table_html, self.tables))
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self._notes())
        return f'{_STYLE}<div class="aaiclick-why">{blocks}{notes}</div>'

    def _notes(self) -> list[str]:
        if self.complete:
            return []
        return ["(the search was given up: more may keep it; too many objects lead to it)"]


_TITLES = ("kept by", "what", "let go with")


def _cells(chain: Chain) -> tuple[str, str, str]:
    return visible(chain.text), visible(chain.what), visible(chain.command)


def _lines(chains: Sequence[Chain]) -> list[str]:
    if not chains:
        return []
    rows = [_TITLES, *map(_cells, chains)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return [
        f"  {holder:{widths[0]}}  {what:{widths[1]}}  {command}".rstrip()
        for holder, what, command in rows
    ]


def _table_html(kept: KeptTable) -> str:
    head = f"<h4>{html.escape(kept.headline)}</h4>"
    if not kept.chains:
        return head
    titles = "".join(f'<th scope="col" class="aaiclick-soft">{title}</th>' for title in _TITLES)
    rows = "".join(
        f"<tr><td>{html.escape(holder)}</td><td>{html.escape(what)}</td>"
        f"<td><code>{html.escape(command)}</code></td></tr>"
        for holder, what, command in map(_cells, kept.chains)
    )
    return (
        f'{head}<table class="aaiclick-held"><thead><tr>{titles}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def tables_of(backend: Backend, catalog: Catalog, value: Any) -> tuple[str, ...]:
    """Return the tables that an expression, an object's name or a table's name stands for.

    Raises
    ------
    UnknownObjectError
        If there is no object and no table of that name.
    UnsupportedTypeError
        If the value has no table of ours below it.
    """
    if isinstance(value, str):
        table = value if TableName.parse(value) is not None else catalog.resolve(value)
        if table is None:
            there = ", ".join(sorted(catalog.names())) or "none"
            raise UnknownObjectError(
                f"no object and no table is named {value!r}; objects with a name: {there}. "
                "%tables lists the tables of this kernel"
            )
        return (table,)
    if isinstance(value, GroupedTable):
        value = value.table
    if isinstance(value, ir.Expr):
        value = backend.relation_of(value) if isinstance(value, ir.Table) else value.op()
    tables = tuple(owned_tables(value)) if isinstance(value, ops.Node) else ()
    if not tables:
        raise UnsupportedTypeError(
            f"a {type(value).__name__} has no table of ours below it; give an Object, a View, a "
            "column, or a name"
        )
    return tables


def why(backend: Backend, tables: Sequence[str], roots: Mapping[int, Namer]) -> Why:
    """Return what keeps some tables. Runs no query; see `find_chains` for what it costs."""
    worker = backend.services.worker
    worker.flush(_PATIENCE_S)
    ended = backend.services.sessions.tables.released_by
    stay = backend.services.kept.kept(tables)
    live = [t for t in tables if (worker.is_live(t) or t in stay) and ended(t) is None]
    chains, complete = find_chains(backend, live, roots) if live else ({}, True)
    kept = [
        KeptTable(
            table,
            _scope(table),
            tuple(chains.get(table, ())),
            claims_on(backend, table),
            table in chains,
            str(ended(table) or ""),
        )
        for table in tables
    ]
    return Why(tuple(kept), complete)


def claims_on(backend: Backend, table: str) -> int:
    """Return how many claims on a table are counted now."""
    return len(backend.services.worker.claims_of(table))


def _scope(table: str) -> Scope:
    parts = TableName.parse(table)
    return Scope.TEMP if parts is None else parts.scope
