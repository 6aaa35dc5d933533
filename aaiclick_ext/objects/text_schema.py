"""Schemas of SQL given as text: ClickHouse's types, and which columns refer to Python objects.

ClickHouse's answer to DESCRIBE has no comments, so a reference in it is a number like any other.
Where the text names a table of ours with such columns, it is described a second time, with these
columns shadowed by ones of a type that no one else uses and nothing computes with: what has that
type in the answer refers to objects, and what computes with a reference is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.engine.type_tree import ChType, parse
from aaiclick_ext.errors import EngineError, UnsupportedTypeError
from aaiclick_ext.objects.sql_text import names_in
from aaiclick_ext.schema import POSITION, Shape
from aaiclick_ext.schema.ibis_types import ibis_schema
from aaiclick_ext.schema.python_objects import object_comment, object_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import ibis.expr.schema as sch
    from sqlglot.tokens import Token

    from aaiclick_ext.engine.type_paths import Path
    from aaiclick_ext.objects.services import Services
    from aaiclick_ext.schema import TableSchema

_MARK = "aaiclick_object_"


def schema_of_text(services: Services, query: str, tokens: list[Token]) -> sch.Schema:
    """Return the Ibis schema of a SELECT. Runs at most two DESCRIBEs, and not the query.

    Raises
    ------
    UnsupportedTypeError
        If it computes with a column of Python objects.
    """
    columns = services.schemas.of_query(query)
    named = [(table, services.schemas.get(table)) for table in _tables_in(services, tokens)]
    shadows = [_shadow(table, schema) for table, schema in named if _marked_types(schema)]
    if not shadows:
        return columns.ibis
    try:
        marked = services.schemas.of_query(f"WITH {', '.join(shadows)} SELECT * FROM (\n{query}\n)")
    except EngineError as error:
        listed = ", ".join(name for _, schema in named for name in _marked_types(schema))
        raise UnsupportedTypeError(
            f"the SQL may use columns of Python objects ({listed}) only as they are, and as keys "
            f"of groups and joins: {error}"
        ) from error
    comments = {}
    for name, text in marked.types.items():
        kernels = dict(_marks((name,), parse(text)))
        lines = [
            object_comment(kernel, [path for path in kernels if kernels[path] == kernel])
            for kernel in dict.fromkeys(kernels.values())
        ]
        if lines:
            comments[name] = "\n".join(lines)
    return ibis_schema(columns.types, comments)


def _tables_in(services: Services, tokens: list[Token]) -> list[str]:
    return names_in(tokens, services.worker.live_tables())


def _marked_types(schema: TableSchema) -> dict[str, ChType]:
    """Return the columns that refer to objects, with types that say so."""
    found = {}
    for name, comment in schema.comments.items():
        if paths := object_paths(name, comment):
            found[name] = _marked(parse(schema.types[name]), (name,), paths)
    return found


def _shadow(table: str, schema: TableSchema) -> str:
    columns = [
        f"defaultValueOfTypeName({quote_literal(str(type_))}) AS {quote_identifier(name)}"
        for name, type_ in _marked_types(schema).items()
    ]
    position = f"{POSITION}, " if schema.shape is Shape.ARRAY else ""
    name = quote_identifier(table)
    return f"{name} AS (SELECT {position}* REPLACE ({', '.join(columns)}) FROM {name})"


def _marked(type_: ChType, at: Path, kernels: Mapping[Path, str]) -> ChType:
    if at in kernels:
        return ChType("Tuple", (ChType("UUID"),), (_MARK + kernels[at].replace(".", "_"),))
    args = tuple(_marked(arg, place, kernels) for arg, place in _inside(type_, at))
    return type_.with_args(args) if args else type_


def _marks(at: Path, type_: ChType) -> Iterator[tuple[Path, str]]:
    if type_.name == "Tuple" and type_.names and type_.names[0].startswith(_MARK):
        yield at, type_.names[0].removeprefix(_MARK).replace("_", ".")
        return
    for arg, place in _inside(type_, at):
        yield from _marks(place, arg)


def _inside(type_: ChType, at: Path) -> Iterator[tuple[ChType, Path]]:
    """Yield the types inside a type, with their places."""
    if type_.name in ("Nullable", "LowCardinality"):
        yield type_.args[0], at
    elif type_.name == "Array":
        yield type_.args[0], (*at, "[]")
    elif type_.name == "Map":
        yield type_.args[0], (*at, "key")
        yield type_.args[1], (*at, "value")
    elif type_.name == "Tuple":
        names = type_.names or tuple(str(i + 1) for i in range(len(type_.args)))
        for name, arg in zip(names, type_.args, strict=True):
            yield arg, (*at, name)
