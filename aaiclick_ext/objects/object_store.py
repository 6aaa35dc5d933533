"""The Python objects that columns refer to: kept in the kernel, for as long as a table needs them.

A cell of such a column is the number of an `ObjectRef`: its generation in the upper half, its id in
the lower. The ref of a table holds the refs of the objects in it, each once. An object is kept
once, however many tables refer to it, so that equal numbers mean the same object.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.errors import StaleRefError
from aaiclick_ext.ids import to_base36
from aaiclick_ext.lifecycle.refs import ObjectRef, RefKind
from aaiclick_ext.schema.python_objects import (
    PythonObject,
    object_columns,
    object_comment,
    objects_in,
)
from aaiclick_ext.schema.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import ibis.expr.datatypes as dt
    import ibis.expr.schema as sch

    from aaiclick_ext.objects.services import Services
    from aaiclick_ext.objects.values import Columnar


@dataclass(frozen=True, slots=True)
class Kept:
    """The columns of a value, with numbers in place of objects, and the comments that say so."""

    data: pa.Table
    comments: dict[str, str]


class ObjectStore:
    """Gives objects their numbers, and numbers their objects back. Thread-safe.

    Attributes
    ----------
    kernel
        Whose objects these are: the session and run of the context, as comments have it.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self.kernel = f"{to_base36(services.job_id)}.{to_base36(services.run_id)}"
        self._by_object: dict[int, ObjectRef] = {}  # id(object): it lives as long as its ref
        self._by_number: dict[int, ObjectRef] = {}
        self._lock = threading.RLock()  # a collection within it may run code of an object
        self._cells = itertools.count(1)

    # From objects to numbers.

    def keep(self, table: str, columnar: Columnar) -> Kept:
        """Let a table hold the objects of a value, which is about to be put into it.

        Runs no query. Where the table then fails to be made, they go with it.
        """
        if not columnar.objects:
            return Kept(columnar.data, columnar.comments)
        kind = RefKind.SCALAR if columnar.shape is Shape.SCALAR else RefKind.OBJECT
        values = {
            id(value): value
            for column in columnar.objects.values()
            for value in column
            if value is not None
        }
        refs = self._held(table, values, kind)
        data, comments = columnar.data, dict(columnar.comments)
        for name, column in columnar.objects.items():
            numbers = [None if value is None else number_of(refs[id(value)]) for value in column]
            place = data.column_names.index(name)
            data = data.set_column(place, name, pa.array(numbers, pa.uint64()))
            comments[name] = object_comment(self.kernel, [(name,)])
        return Kept(data, comments)

    def _held(self, table: str, values: Mapping[int, Any], kind: RefKind) -> dict[int, ObjectRef]:
        """Return the refs of values by their ids, once the table holds them."""
        cell = f"values of {table}, {next(self._cells)}"
        try:
            with self._lock:
                while True:
                    found = {key: self._ref_of(value, kind, cell) for key, value in values.items()}
                    try:
                        self.hold(table, list(found.values()))
                    except StaleRefError:  # one was freed by now: the next round makes it anew
                        if all(map(self._services.refs.is_live, found.values())):
                            raise
                    else:
                        return found
        finally:
            self._services.refs.end_cell(cell)  # what Ctrl-C left registered and not held

    def _ref_of(self, value: Any, kind: RefKind, cell: str) -> ObjectRef:
        known = self._by_object.get(id(value))
        if known is not None and self._services.refs.is_live(known):
            return known
        own: list[ObjectRef] = []

        def forget(payload: Any) -> None:
            for ref in own:
                self._by_number.pop(number_of(ref), None)
                if self._by_object.get(id(payload)) == ref:
                    del self._by_object[id(payload)]

        ref = self._services.refs.register(kind, value, cell=cell, freed=forget)
        own.append(ref)
        self._by_number[number_of(ref)] = ref
        self._by_object[id(value)] = ref
        return ref

    # What tables hold.

    def hold(self, table: str, refs: Sequence[ObjectRef]) -> None:
        """Let a table hold these objects besides those that it has. Runs no query."""
        owner = self._services.worker.ref_of(table)
        before = self._services.refs.holds(owner)
        self._services.refs.exchange(owner, [*before, *refs])

    def hold_found(self, table: str, schema: sch.Schema, source: str = "") -> None:
        """Let a table hold what its columns refer to. Runs one query where there are such columns.

        Parameters
        ----------
        schema
            Of the table.
        source
            The table to look into, where it is another, whose rows are about to be moved.
        """
        if columns := object_columns(schema):
            self.hold(table, self._refs_in(source or table, columns))

    def hold_only_found(self, table: str, schema: sch.Schema) -> None:
        """Let a table hold what its columns refer to now, and nothing else."""
        if columns := object_columns(schema):
            found = self._refs_in(table, columns)
            self._services.refs.exchange(self._services.worker.ref_of(table), found)

    def _refs_in(self, table: str, columns: Mapping[str, dt.DataType]) -> list[ObjectRef]:
        for name, dtype in columns.items():
            self.check_alive(name, dtype)
        selects = " UNION ALL ".join(
            f"SELECT DISTINCT assumeNotNull(ref) AS ref FROM (SELECT {reference} AS ref "
            f"FROM {quote_identifier(table)}) WHERE ref IS NOT NULL AND ref != 0"
            for name, dtype in columns.items()
            for reference in _references(quote_identifier(name), dtype)
        )
        found = self._services.engine.query_arrow(selects).column(0).to_pylist()
        return [self._ref(number) for number in dict.fromkeys(found)]

    # From numbers to objects.

    def resolved(
        self, columns: Mapping[str, list[Any]], objects: Mapping[str, dt.DataType]
    ) -> dict[str, list[Any]]:
        """Return fetched columns with the objects in place of their numbers.

        Parameters
        ----------
        objects
            Column to type, for those that refer to objects; others are left alone.

        Raises
        ------
        StaleRefError
            If an object lived in another kernel, or is not kept any more.
        """
        found = dict(columns)
        for name, dtype in objects.items():
            if name in found:
                self.check_alive(name, dtype, found[name])
                found[name] = _replaced(found[name], dtype, self._object)
        return found

    def check_alive(self, column: str, dtype: dt.DataType, values: Sequence[Any] = (1,)) -> None:
        """Refuse a column of objects of another kernel.

        Parameters
        ----------
        values
            Of the column, where they are known: nulls alone refer to nothing.

        Raises
        ------
        StaleRefError
            If it is.
        """
        for kernel in set(objects_in((), dtype).values()) - {self.kernel}:
            if all(value is None for value in values):
                continue
            session, own = kernel.split(".")[0], self.kernel.split(".")[0]
            where = (
                "another DataContext of this kernel session"
                if session == own
                else f"kernel session {session}, and this is session {own}"
            )
            raise StaleRefError(
                f"column {column!r}: its Python objects lived in {where}. They end with it, even "
                "where their table is kept; leave the column out, as in "
                f"x.drop({column!r}), or make the objects and the table again"
            )

    def _object(self, number: int) -> Any:
        return self._services.refs.payload(self._ref(number)) if number else None

    def _ref(self, number: int) -> ObjectRef:
        ref = self._by_number.get(number)
        if ref is None:
            raise StaleRefError(
                f"object {number & _ID}.{number >> 32} is not kept any more: no table refers to it"
            )
        return ref


_ID = 2**32 - 1


def number_of(ref: ObjectRef) -> int:
    """Return what a cell holds of a ref.

    Examples
    --------
    >>> number_of(ObjectRef(RefKind.OBJECT, 5, 2, 0, 0)) == 2 * 2**32 + 5
    True
    """
    return ref.generation << 32 | ref.id


def _references(value: str, dtype: dt.DataType) -> Iterator[str]:
    """Yield the SQL of the references inside a value, which gives a row for each."""
    if isinstance(dtype, PythonObject):
        yield value
    elif dtype.is_array():
        yield from _references(f"arrayJoin({value})", dtype.value_type)
    elif dtype.is_map():
        yield from _references(f"arrayJoin(mapKeys({value}))", dtype.key_type)
        yield from _references(f"arrayJoin(mapValues({value}))", dtype.value_type)
    elif dtype.is_struct():
        for name, inner in dtype.items():
            yield from _references(f"tupleElement({value}, {quote_literal(name)})", inner)


def _replaced(values: list[Any], dtype: dt.DataType, replace: Callable[[int], Any]) -> list[Any]:
    """Return values with what stands at the references of a type replaced."""
    if isinstance(dtype, PythonObject):
        return [None if value is None else replace(value) for value in values]
    if not objects_in((), dtype):
        return values
    return [None if value is None else _inside(value, dtype, replace) for value in values]


def _inside(value: Any, dtype: dt.DataType, replace: Callable[[int], Any]) -> Any:
    if dtype.is_array():
        return _replaced(value, dtype.value_type, replace)
    if dtype.is_map():
        keys = _replaced(list(value), dtype.key_type, replace)
        return dict(
            zip(keys, _replaced(list(value.values()), dtype.value_type, replace), strict=True)
        )
    if isinstance(value, tuple):
        types = dtype.types
        return tuple(_replaced([v], t, replace)[0] for v, t in zip(value, types, strict=True))
    return {name: _replaced([v], dtype[name], replace)[0] for name, v in value.items()}
