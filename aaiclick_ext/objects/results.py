"""What an expression's execution gives, in the form that its kind asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from aaiclick_ext.engine.types import restore, restored_schema
from aaiclick_ext.objects.object_columns import refuse_operation

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from aaiclick_ext.objects.planning import Plan


def row_limit(limit: int | str | None) -> int | None:
    """Return Ibis's limit argument as a number; its "default" is the user's Ibis option."""
    if limit == "default":
        limit = ibis.options.sql.default_limit
    return None if limit is None else int(limit)


def unpack(expr: ir.Expr, data: pa.Table, objects: Mapping[str, list[Any]] | None = None) -> Any:
    """Return a table's rows, a column's values, or a scalar's one.

    Parameters
    ----------
    objects
        Values of the columns of Python objects. With them a scalar is a Python value, without an
        Arrow scalar.
    """
    if isinstance(expr, ir.Table):
        return data
    if not isinstance(expr, ir.Scalar):
        return data.column(0)
    value = data.column(0)[0]
    if objects is None:
        return value
    return next(iter(objects.values()))[0] if objects else value.as_py()


def refuse_objects(plan: Plan, operation: str | None) -> None:
    """Refuse columns of Python objects, for which Arrow and files have no place.

    Raises
    ------
    UnsupportedTypeError
        If the plan's result has one.
    """
    for name in plan.objects:
        remedy = (
            f"They cannot leave it: leave the column out, as in x.drop({name!r}), or fetch them "
            "with data(), to_pandas() or to_polars()"
        )
        refuse_operation(name, operation or "fetch", remedy)


def restored_batches(
    reader: pa.RecordBatchReader, plan: Plan, chunk_size: int, holds: tuple[Any, ...]
) -> tuple[pa.Schema, Generator[pa.RecordBatch, None, None]]:
    """Return a stream's batches with ClickHouse's types; it holds what it reads until its end."""

    def restored(table: pa.Table) -> pa.Table:
        return restore(table, plan.types, binary=plan.binary, booleans=plan.booleans)

    schema = restored_schema(reader.schema, plan.types, binary=plan.binary, booleans=plan.booleans)

    def batches(holds: tuple[Any, ...] = holds) -> Generator[pa.RecordBatch, None, None]:
        try:
            for batch in reader:
                yield from restored(pa.Table.from_batches([batch])).to_batches(chunk_size)
        finally:
            reader.close()
            del holds

    return schema, batches()
