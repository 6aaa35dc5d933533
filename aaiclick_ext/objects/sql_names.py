"""From a SELECT given as text to what it owns: a leaf of every table of ours that it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.engine import Role, quote_identifier
from aaiclick_ext.errors import DroppedTableError, EngineError
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.error_fixes import note_missing_table
from aaiclick_ext.objects.foreign import foreign_reads
from aaiclick_ext.objects.leaf import Leaves
from aaiclick_ext.objects.owners import tables_in_reach
from aaiclick_ext.objects.sql_text import check_select, names_in, without_semicolon

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlglot.tokens import Token

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.catalog import Catalog
    from aaiclick_ext.objects.services import Services

_UNKNOWN_SETTING = 115


@dataclass(frozen=True, slots=True)
class OwningText:
    """A SELECT and the leaves of the tables that it names.

    Attributes
    ----------
    text
        With named objects as common table expressions.
    leaves
        Those of foreign tables, too.
    paths
        Of files and URLs that it reads.
    names
        Every name in it, and every keyword.
    """

    text: str
    leaves: Leaves
    paths: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()


def owning_text(
    backend: Backend, catalog: Catalog, query: str, *, meant: Collection[str] = ()
) -> OwningText:
    """Claim what a text names. Runs one query, for the names of objects.

    Parameters
    ----------
    meant
        Names that the text has for something else.

    Raises
    ------
    SQLError
        If the text is not one SELECT, or calls the table function ``Python``.
    DroppedTableError
        If it names a table of this kernel that is gone.
    """
    services = backend.services
    services.check_open()
    tokens = check_select(query)
    names = frozenset(token.text for token in tokens)
    text = without_semicolon(query, tokens)
    objects = [name for name in names_in(tokens, catalog.names()) if name not in meant]
    named = {name: catalog.open(name).op() for name in objects}
    if named:
        text = _with_objects(text, {name: leaf.name for name, leaf in named.items()})
    check_living(services, tokens)
    _check_settings(services, query, tokens)
    claimed = {leaf.name: leaf for leaf in named.values()}
    for table in names_in(tokens, tables_in_reach(services)):
        if table not in claimed and TableName.parse(table) is not None:
            claimed[table] = backend.leaf(table)
    foreign = foreign_reads(backend, text, meant={*meant, *named})
    return OwningText(text, Leaves((*claimed.values(), *foreign.leaves)), foreign.paths, names)


def check_living(services: Services, tokens: Sequence[Token]) -> None:
    """Raise DroppedTableError where a text names a table of this kernel that is gone."""
    living = tables_in_reach(services)
    for token in tokens:
        name = TableName.parse(token.text)
        if name and name.job_id == services.job_id and token.text not in living:
            error = DroppedTableError(
                f"table {token.text} was dropped: nothing referred to it any more. A name in a "
                'text keeps no table: pass the object, as in sql("SELECT … FROM {x}", x=x).'
            )
            note_missing_table(services, error, token.text)
            raise error


def _check_settings(services: Services, query: str, tokens: list[Token]) -> None:
    """Let ClickHouse say which setting at the end of a SELECT it does not know.

    A view is read as a subquery, and in one ClickHouse passes over them without a word.
    """
    words = [token.text.upper() for token in tokens if token.text != ";"]
    if "SETTINGS" not in words:
        return
    at = len(words) - words[::-1].index("SETTINGS")
    if len(words[at:]) % 4 != 3 or {*words[at + 1 :: 4]} != {"="} or {*words[at + 3 :: 4]} - {","}:
        return
    text = without_semicolon(query, tokens)[tokens[at - 1].start :]
    try:
        services.engine.query_rows(f"SELECT 1 {text}", role=Role.WORKER)
    except EngineError as error:
        if error.code == _UNKNOWN_SETTING:
            raise


def names_tables_of_ours(backend: Backend, query: str, *, meant: Collection[str]) -> list[str]:
    """Return the tables of ours that a SELECT names besides what it is `meant` to."""
    found = names_in(check_select(query), tables_in_reach(backend.services))
    return [table for table in found if table not in meant]


def _with_objects(text: str, tables: Mapping[str, str]) -> str:
    """Return the text with named objects as tables that it can name.

    As common table expressions, so that ClickHouse decides where a name means the table: a column,
    an alias or a table of the text's own may have the same one. Inside a subquery, because Ibis
    moves those of the outermost query to where others of the same name may be.
    """
    expressions = ", ".join(
        f"{quote_identifier(name)} AS (SELECT * FROM {quote_identifier(table)})"
        for name, table in tables.items()
    )
    return f"SELECT * FROM (WITH {expressions} SELECT * FROM (\n{text}\n))"
