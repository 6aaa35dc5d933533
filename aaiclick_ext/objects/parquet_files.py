"""Parquet files into a table, row group by row group, with the types that the files have."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pyarrow as pa

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import AaiclickError, FileContentError, SchemaError
from aaiclick_ext.objects.arrow_columns import declare
from aaiclick_ext.objects.creation import TableSpec, count_rows, engine_for, new_table
from aaiclick_ext.objects.object import Object, make_object
from aaiclick_ext.objects.staging import Reading, record
from aaiclick_ext.objects.typed_stream import Columns, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyarrow import parquet as pq

    from aaiclick_ext.objects.file_sources import SourceFile

_GROUP_BYTES = 1 << 28
"""A row group that is larger once decoded is read in parts."""
_ROWS_AT_ONCE = 1 << 17


def object_from_parquet(reading: Reading) -> Object:
    """Make an Object of Parquet files. Every file needs the same columns, in any order."""
    backend = reading.backend
    services = backend.services
    columns = Columns(given=reading.schema, may_be_null=False)
    columns.nulls |= _may_be_null(reading)
    spec = TableSpec({})
    started = time.perf_counter()
    with new_table(backend, TableSpec({}, scope=reading.scope, name=reading.name)) as table:

        def create() -> None:
            nonlocal spec
            types, comments = columns.types()
            spec = TableSpec(types, comments, scope=reading.scope, name=reading.name)
            services.engine.command(f"DROP TABLE IF EXISTS {quote_identifier(table)} SYNC")
            services.engine.command(spec.ddl(table, engine_for(backend, spec, reading.size_bytes)))

        def insert(data: pa.Table) -> None:
            if data.num_rows:
                services.engine.insert_arrow(table, data)

        load(lambda: _pieces(reading), columns, create=create, insert=insert)
        engine = engine_for(backend, spec, reading.size_bytes)
        rows = count_rows(backend, table)
        services.schemas.put(table, spec.schema(engine, rows))
        record(reading, table, spec, time.perf_counter() - started)
        return make_object(backend.leaf(table))


@contextlib.contextmanager
def _opened(file: SourceFile) -> Iterator[pq.ParquetFile]:
    from pyarrow import parquet as pq

    try:
        # Spark and Impala write INT96, of which nanoseconds would only hold the years 1677 to 2262.
        with (
            file.open_seekable() as raw,
            pq.ParquetFile(raw, coerce_int96_timestamp_unit="us") as f,
        ):
            yield f
    except (pa.ArrowException, OSError, EOFError) as error:
        if isinstance(error, AaiclickError):
            raise
        raise FileContentError(
            f"{file.label} cannot be read as Parquet: {str(error)[:300]}"
        ) from error


def _may_be_null(reading: Reading) -> set[str]:
    """Return the columns that the files' statistics do not show to be free of nulls."""
    found: set[str] = set()
    first: pa.Schema | None = None
    for file in reading.files:
        with _opened(file) as opened:
            schema = opened.schema_arrow
            if first is None:
                first = schema
                reading.check_schema(first.names)
            _check_same(reading.files[0], first, file, schema)
            found |= _unproven(opened.metadata, schema)
    return found


def _unproven(metadata: pq.FileMetaData, schema: pa.Schema) -> set[str]:
    proven = {field.name for field in schema if not field.nullable}
    leaves = [metadata.schema.column(i) for i in range(metadata.num_columns)]
    for index, leaf in enumerate(leaves):
        if leaf.path != leaf.path.split(".")[0] or leaf.path not in schema.names:
            continue  # nested
        groups = (metadata.row_group(i).column(index) for i in range(metadata.num_row_groups))
        statistics = [g.statistics if g.is_stats_set else None for g in groups]
        if all(s is not None and s.has_null_count and s.null_count == 0 for s in statistics):
            proven.add(leaf.path)
    return {field.name for field in schema if not pa.types.is_nested(field.type)} - proven


def _check_same(
    first_file: SourceFile, first: pa.Schema, file: SourceFile, other: pa.Schema
) -> None:
    twice = sorted({name for name in other.names if other.names.count(name) > 1})
    if twice:
        raise SchemaError(f"{file.label} has several columns named {', '.join(map(repr, twice))}")
    if not other.names:
        raise SchemaError(f"{file.label} has no columns")
    missing = [name for name in first.names if name not in other.names]
    extra = [name for name in other.names if name not in first.names]
    if missing or extra:
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"has {', '.join(extra)} besides"] if extra else []
        raise SchemaError(
            f"the files have different columns: {file.label} {' and '.join(parts)} (beside "
            f"{first_file.label}); read them one by one and bring them into line before concat"
        )


def _pieces(reading: Reading) -> Iterator[tuple[SourceFile, pa.Table]]:
    for file in reading.files:
        with _opened(file) as opened:
            if not opened.metadata.num_rows:
                yield _checked(file, opened.schema_arrow.empty_table())
            for group in range(opened.num_row_groups):
                if opened.metadata.row_group(group).total_byte_size <= _GROUP_BYTES:
                    yield _checked(file, opened.read_row_group(group))
                    continue
                for batch in opened.iter_batches(_ROWS_AT_ONCE, row_groups=[group]):
                    yield _checked(file, pa.Table.from_batches([batch]))


def _checked(file: SourceFile, table: pa.Table) -> tuple[SourceFile, pa.Table]:
    """Return a table that ClickHouse can hold, JSON in it as text: with its nulls and order."""
    for index, field in enumerate(table.schema):
        if getattr(field.type, "extension_name", "") == "arrow.json":
            column = table.column(index)
            chunks = [chunk.storage for chunk in column.chunks]
            text = pa.chunked_array(chunks, field.type.storage_type)
            table = table.set_column(index, field.with_type(text.type), text)
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            declare(name, column)
        except AaiclickError as error:
            raise type(error)(f"{file.label}: {error}") from error
    return file, table
