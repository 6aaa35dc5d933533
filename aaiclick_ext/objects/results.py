"""What an expression's execution gives, in the form that its kind asks for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from aaiclick_ext.engine.types import restore, restored_schema
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.object_columns import refuse_operation
from aaiclick_ext.oplog.columns import NONE, ColumnEdge

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    import ibis.expr.operations as ops

    from aaiclick_ext.objects.backend import Backend
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
    reader: pa.RecordBatchReader,
    plan: Plan,
    chunk_size: int,
    holds: tuple[Any, ...],
    failed: Callable[..., None] | None = None,
) -> tuple[pa.Schema, Generator[pa.RecordBatch, None, None]]:
    """Return a stream's batches with ClickHouse's types; it holds what it reads until its end."""

    def restored(table: pa.Table) -> pa.Table:
        return restore(table, plan.types, binary=plan.binary, booleans=plan.booleans)

    schema = restored_schema(reader.schema, plan.types, binary=plan.binary, booleans=plan.booleans)

    def batches(
        holds: tuple[Any, ...] = holds, failed: Callable[..., None] | None = failed
    ) -> Generator[pa.RecordBatch, None, None]:
        try:
            for batch in reader:
                yield from restored(pa.Table.from_batches([batch])).to_batches(chunk_size)
        except GeneratorExit:  # it was closed early
            raise
        except BaseException as error:
            if failed is not None:
                failed(plan, error=error)
            raise
        finally:
            reader.close()
            del holds, failed

    return schema, batches()


def count_rows(backend: Backend, op: ops.Relation) -> int:
    """Count the rows of a relation, which reads out one number. Runs one query."""
    source, started = backend.provenance.name_of(op), time.perf_counter()
    rows_alone = ColumnEdge(NONE, source, NONE, "value")
    known: dict[str, Any] = {"kwargs": {"source": source}, "columns": [rows_alone]}
    with attempted(backend, "len", **known):
        data, plan = backend.fetch(ir.Table(op).count(), None)
        count = int(data.column(0)[0].as_py())
    backend.services.oplog.record(
        "len",
        result_table=backend.provenance.sink_name(),
        sql_template=plan.sql,
        rows=1,
        elapsed_s=time.perf_counter() - started,
        **known,
    )
    return count
