"""From a file to a table: rows go into a staging table first, then whole into the real one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.creation import (
    TableSpec,
    create_table_as,
    new_table,
)
from aaiclick_ext.objects.object import Object, make_object
from aaiclick_ext.objects.text_casts import check_values, checked_cast
from aaiclick_ext.objects.text_types import EVERY_KIND, TextType, text_types
from aaiclick_ext.schema import MEMORY, MERGE_TREE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from aaiclick_ext.lifecycle.names import Scope
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.file_sources import SourceFile


_STAGE_BYTES = 1 << 28


@dataclass(frozen=True)
class Reading:
    """One ``read_…`` call: what it reads, and what it is to make.

    Attributes
    ----------
    operation
        How the log calls it.
    schema
        The columns whose types the user gave, as ClickHouse writes types.
    params
        What the log says of the files.
    """

    backend: Backend
    operation: str
    files: Sequence[SourceFile]
    schema: Mapping[str, str]
    scope: Scope
    name: str | None
    params: dict[str, str] = field(default_factory=dict)

    @property
    def file_bytes(self) -> int:
        """Size of the files as they are, packed or not."""
        paths = {file.path for file in self.files}
        return sum(path.stat().st_size for path in paths)

    @property
    def stage_engine(self) -> str:
        """The engine of a staging table: in memory, at half the cost, if that is sure to do."""
        packed = any(file.is_packed for file in self.files)
        return MEMORY if self.file_bytes * (20 if packed else 1) <= _STAGE_BYTES else MERGE_TREE

    @property
    def size_bytes(self) -> int | None:
        """A bound on the size of the data, where it is surely small."""
        size = self.file_bytes * 20  # packed text rarely shrinks to less
        return size if size <= self.backend.services.settings.memory_table_bytes else None

    def check_schema(self, names: Sequence[str]) -> None:
        """Raise SchemaError where the user gave the type of a column that is not there."""
        unknown = [name for name in self.schema if name not in names]
        if unknown:
            raise SchemaError(
                f"schema: {self.files[0].label} has no column {', '.join(map(repr, unknown))}; "
                f"it has {', '.join(names)}"
            )


class Stage:
    """A table that rows are put into before they are looked at."""

    def __init__(self, backend: Backend, table: str) -> None:
        self.table = table
        self._backend = backend

    def insert(self, data: pa.Table) -> None:
        """Append rows. Runs one statement."""
        if data.num_rows:
            self._backend.services.engine.insert_arrow(self.table, data)


@contextlib.contextmanager
def staged(reading: Reading, types: Mapping[str, str]) -> Iterator[Stage]:
    """Give an empty staging table, which is dropped after the block."""
    spec = TableSpec(types)
    backend = reading.backend
    with new_table(backend, spec) as table:
        backend.services.notes.made_in_passing(table)
        backend.services.engine.command(spec.ddl(table, reading.stage_engine))
        yield Stage(backend, table)


def object_from_stage(
    reading: Reading,
    stage: Stage,
    typed: Mapping[str, str],
    texts: Sequence[str],
    *,
    order: Sequence[str],
    kinds: Sequence[str] = EVERY_KIND,
    comments: Mapping[str, str] | None = None,
) -> Object:
    """Make an Object of a staging table. Runs queries for the types and one statement.

    Parameters
    ----------
    typed
        Staged columns that keep their type.
    texts
        Staged columns of text, whose types the user gave or their values say.
    order
        The columns of the Object.
    kinds
        What text may stand for.
    comments
        Column to comment.
    """
    backend = reading.backend
    columns = _columns_of_text(reading, stage, texts, kinds)
    columns |= {name: TextType(type_, _as(name, type_)) for name, type_ in typed.items()}
    types = {name: columns[name].type for name in order}
    spec = TableSpec(types, comments or {}, scope=reading.scope, name=reading.name)
    selected = ", ".join(f"{columns[n].sql} AS {quote_identifier(n)}" for n in order)
    sql = f"SELECT {selected} FROM {quote_identifier(stage.table)}"
    with new_table(backend, spec) as table:
        leaf, stats = create_table_as(
            backend, spec, sql, table=table, size_bytes=reading.size_bytes
        )
        record(reading, table, spec, stats.elapsed_s)
        return make_object(leaf)


def _columns_of_text(
    reading: Reading, stage: Stage, texts: Sequence[str], kinds: Sequence[str]
) -> dict[str, TextType]:
    engine, schema = reading.backend.services.engine, reading.schema
    given = {name: checked_cast(name, schema[name]) for name in texts if name in schema}
    check_values(engine, stage.table, given)
    columns = text_types(engine, stage.table, [n for n in texts if n not in given], kinds)
    return columns | {name: cast.column for name, cast in given.items()}


def record(reading: Reading, table: str, spec: TableSpec, elapsed_s: float) -> None:
    """Record that a file was read into a table."""
    services = reading.backend.services
    services.oplog.record(
        reading.operation,
        result_table=table,
        params={**reading.params, **spec.noted()},
        rows=services.schemas.get(table).rows,
        elapsed_s=elapsed_s,
        result_schema=spec.types,
    )


def _as(name: str, type_: str) -> str:
    """Return the SQL of a staged column as its final type, which may lack the Nullable."""
    column = quote_identifier(name)
    return (
        column if type_.startswith(("Nullable(", "LowCardinality(")) else f"assumeNotNull({column})"
    )
