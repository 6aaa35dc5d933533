"""Tables of Arrow that come one after another, into one table whose types fit them all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from aaiclick_ext.errors import AaiclickError, SchemaError
from aaiclick_ext.objects.conforming import conform_columns
from aaiclick_ext.objects.schemas import types_from_schema

if TYPE_CHECKING:
    from aaiclick_ext.objects.file_sources import SourceFile

Pieces = Callable[[], Iterator[tuple["SourceFile", pa.Table]]]


@dataclass
class Columns:
    """What the columns of all pieces so far are.

    Attributes
    ----------
    given
        Column to ClickHouse type, where it is settled.
    may_be_null
        Whether a scalar that was never null can still be, and is made Nullable.
    fields
        Column to Arrow type.
    nulls
        Columns with a null in them, or missing from a piece.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    may_be_null: bool = True
    fields: dict[str, pa.DataType] = field(default_factory=dict)
    nulls: set[str] = field(default_factory=set)
    pieces: int = 0

    def add(self, file: SourceFile, table: pa.Table) -> bool:
        """Take a piece into account; say whether that changed anything but the nulls of scalars.

        Raises
        ------
        SchemaError
            If a column's type has nothing in common with what it was.
        """
        before = dict(self.fields)
        null_before = self._nullable_structs()
        for name, column in zip(table.column_names, table.columns, strict=True):
            known = self.fields.get(name)
            if known is None and self.pieces:
                self.nulls.add(name)  # the pieces before had none
            self.fields[name] = _common(file, name, known, column.type)
            if column.null_count:
                self.nulls.add(name)
        self.nulls |= self.fields.keys() - set(table.column_names)
        self.pieces += 1
        return before != self.fields or null_before != self._nullable_structs()

    def types(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return ClickHouse types and comments."""
        return self._types(nullable=self.fields.keys() if self.may_be_null else self.nulls)

    def narrow_types(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the same with Nullable only where a null was seen."""
        return self._types(nullable=self.nulls)

    def _types(self, nullable: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
        types, comments = types_from_schema(
            pa.schema([pa.field(n, t, nullable=n in nullable) for n, t in self.fields.items()])
        )
        for name in self._nullable_structs():
            if not types[name].startswith("Nullable("):
                types[name] = f"Nullable({types[name]})"
        return types | dict(self.given), comments

    def _nullable_structs(self) -> set[str]:
        return {n for n, type_ in self.fields.items() if n in self.nulls and _is_struct(type_)}


def load(
    pieces: Pieces,
    columns: Columns,
    *,
    create: Callable[[], None],
    insert: Callable[[pa.Table], None],
) -> None:
    """Put every piece into a table.

    The table is made of what the first piece says. Where a later one does not fit, the rest is
    only looked at, and everything is read once more into a table made anew.

    Parameters
    ----------
    pieces
        Begins to read, from the start each time.
    columns
        Is told of every piece.
    create
        Makes the table that `columns` asks for, in place of the one it made before.
    insert
        Appends rows.
    """
    fits = True
    for file, table in pieces():
        is_first = not columns.pieces
        changed = columns.add(file, table)
        if is_first:
            create()
        fits = fits and (is_first or not changed)
        if fits:
            insert(_conformed(file, columns, table))
    if not columns.pieces:
        create()
    if not fits:
        create()
        for file, table in pieces():
            insert(_conformed(file, columns, table))


def _conformed(file: SourceFile, columns: Columns, table: pa.Table) -> pa.Table:
    types, _ = columns.types()
    for name in types.keys() - set(table.column_names):
        table = table.append_column(name, pa.nulls(len(table)))  # or it would get a default
    try:
        return conform_columns(table, types)
    except AaiclickError as error:
        raise type(error)(f"{file.label}: {error}") from error


_is_struct = pa.types.is_struct


def _common(
    file: SourceFile, name: str, known: pa.DataType | None, new: pa.DataType
) -> pa.DataType:
    """Return the type that holds the values of both."""
    if known is None or known == new:
        return new
    if {known, new} == {pa.int64(), pa.uint64()}:
        return pa.uint64()
    schemas = [pa.schema([pa.field(name, type_)]) for type_ in (known, new)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SchemaError(
            f"{file.label}: column {name!r} is {new} here and {known} before; give its type in "
            "schema={…}, or bring the values into line"
        ) from error
