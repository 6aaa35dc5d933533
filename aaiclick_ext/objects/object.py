"""Object: a View that owns a ClickHouse table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.objects.arrays import ArrayView, ScalarView
from aaiclick_ext.objects.ordering import leaf_shape
from aaiclick_ext.objects.view import View
from aaiclick_ext.schema import Shape

if TYPE_CHECKING:
    from typing import Self

    import ibis.expr.operations as ops


class Object(View):
    """A View of a table that is ours: it lives as long as something can reach it.

    A temp object's table is dropped when the last variable, column, view or container that can
    reach it is gone. Session and global objects have a name and live until the kernel session
    ends, or until `delete_object`.
    """

    __hash__ = object.__hash__

    @property
    def table_name(self) -> str:
        """The table's name in ClickHouse."""
        return str(self.op().name)

    @property
    def name(self) -> str | None:
        """The name of a session or global object, else None."""
        return self._parts.name

    @property
    def scope(self) -> Scope:
        """Temp, session or global."""
        return self._parts.scope

    @property
    def shape(self) -> tuple[int, ...]:
        """``(rows, columns)``; ``(rows,)`` of an array, ``()`` of a scalar. Runs no query here."""
        self._backend.services.sessions.tables.check([self.table_name])
        rows = self._backend.services.schemas.get(self.table_name).rows
        rows = len(self) if rows is None else rows
        kind = leaf_shape(self.op())
        if kind is Shape.SCALAR:
            return ()
        return (rows,) if kind is Shape.ARRAY else (rows, len(self.op().schema))

    def insert(self, *sources: Any) -> Self:
        """Append rows, all or none of them.

        Every view of this object sees them; a `copy` made before does not.

        Parameters
        ----------
        *sources
            Views, frames, Arrow tables or any value that `create_object_from_value` takes.
            Columns are matched by name. A missing column gets its default: null where it can be
            null, else ClickHouse's for its type. A column of Python objects takes any value, and
            refers to it.

        Returns
        -------
        Object
            Itself.

        Raises
        ------
        SchemaError
            If a source has a column that this object does not.
        ValueRangeError
            If a value does not fit its column without loss.
        """
        from aaiclick_ext.objects.inserting import insert

        insert(self, sources)
        return self

    def share(self, *, expires_s: float = 3600.0) -> str:
        """Return a token with which one other kernel on this server can claim the table.

        There, ``aai.open_ref(token)`` gives the object. The table then lives until the last of
        the kernels has let go of it or has ended; until the token is redeemed or has expired it
        holds the table, too. Runs no query; writes to the SQL registry, which both kernels need
        to share.

        Parameters
        ----------
        expires_s
            For how long the token can be redeemed, up to 30 days.

        Raises
        ------
        ShareError
            If the engine is embedded, or the object global, which any kernel can open.
        """
        from aaiclick_ext.objects.shared import share_object

        return share_object(self, expires_s)

    @property
    def _parts(self) -> TableName:
        parts = TableName.parse(self.table_name)
        assert parts is not None
        return parts


class ArrayObject(ArrayView, Object):
    """An Object of one ordered column."""

    __hash__ = object.__hash__


class ScalarObject(ScalarView, Object):
    """An Object of one value."""

    __hash__ = object.__hash__


def make_object(leaf: ops.DatabaseTable) -> Object:
    """Return the Object of a leaf, of the class that its shape asks for."""
    shape = leaf_shape(leaf)
    if shape is Shape.ARRAY:
        return ArrayObject(leaf)
    return ScalarObject(leaf) if shape is Shape.SCALAR else Object(leaf)
