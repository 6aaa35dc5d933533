"""The methods of a `DataContext` that say how long tables live: sessions, pins, drops."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

from aaiclick_ext.errors import UnknownObjectError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ibis.expr.types as ir

    from aaiclick_ext.lifecycle import PreservationMode
    from aaiclick_ext.lifecycle.session import Session
    from aaiclick_ext.objects import DropPlan
    from aaiclick_ext.opening import Opened

T = TypeVar("T", bound="ir.Expr | str")


class Keeping(ABC):
    """What `DataContext` can do about the life of tables, besides holding them by variables."""

    @property
    @abstractmethod
    def _opened(self) -> Opened:
        """The parts of the context; waits until it is open."""

    @abstractmethod
    def tables_below(self, what: ir.Expr | str) -> tuple[str, ...]:
        """Return the tables of ours below an expression, or of an object's or a table's name."""

    def session(
        self,
        *,
        tags: Mapping[str, Any] | Iterable[str] = (),
        max_refs: int = 10_000,
        max_bytes: int | None = None,
        ttl_seconds: float = 3600,
        preservation: PreservationMode | str | None = None,
    ) -> Session:
        """Return a session, to be entered by ``with``: temp objects made inside go at its end.

        Their tables are dropped also where variables still reach them, except what ``keep(x)`` was
        called with; using such an object raises `ReleasedError`. Sessions nest. In place of
        ``with``, one cell may call ``open()`` and a later one ``close()``. Objects with a name are
        not the session's: ``scope="session"`` means the kernel's session, as it does outside.

        Parameters
        ----------
        tags
            Names, or names with values that JSON can hold, by which
            ``aai.context().sessions.list(tags)`` finds it.
        max_refs
            How many tables it may hold at a time; one more is refused before it is made.
        max_bytes
            How many bytes of data, before compression, it may hold. What is known to be too large
            is not begun, a statement that writes too much is killed, and nothing of it stays.
        ttl_seconds
            How long it is kept while it is not entered and owns no table.
        preservation
            ``"FULL"`` keeps what is made inside until the job expires; ``"NONE"`` drops it. By
            default as in the session around it.

        Raises
        ------
        SettingsError
            If a value cannot be used.

        Examples
        --------
        >>> from aaiclick_ext import DataContext
        >>> with DataContext() as ctx:
        ...     with ctx.session(tags=["scratch"]) as s:
        ...         big = ctx.create_object_from_value(range(1000))
        ...         top = s.keep(big.filter(big.value > 996).copy())
        ...     top.data()
        [997, 998, 999]
        """
        return self._opened.services.sessions.session(
            tags=tags,
            max_refs=max_refs,
            max_bytes=max_bytes,
            ttl_seconds=ttl_seconds,
            preservation=preservation,
        )

    def pin(self, what: T) -> T:
        """Keep the tables below something, also when nothing refers to them, until `unpin`.

        A pinned table outlives its variables, its session and its kernel, and no time to live
        removes it. Every kernel on the database and its registry sees that it is pinned: in
        ``%tables`` and ``%why``, and ``open_object(table_name)`` opens it. In a scratch database
        it ends with the kernel, and pinning warns. Writes to the registry, and in ``chdb:///path``
        to the table's comment: the directory may be moved, or opened with another registry. A
        small table that was in memory is written to disk, by three statements. Python objects in
        its columns end with the kernel all the same, and pinning warns of them.

        Parameters
        ----------
        what
            An Object, a View (all tables below it), a column; or the name of an object, or of a
            table that stays already.

        Returns
        -------
        What was given.

        Raises
        ------
        UnknownObjectError
            If nothing of that name is held here.
        UnsupportedTypeError
            If the value has no table of ours below it.

        Examples
        --------
        >>> import warnings
        >>> from aaiclick_ext import DataContext
        >>> with DataContext() as ctx, warnings.catch_warnings(action="ignore"):
        ...     best = ctx.pin(ctx.create_object_from_value([3, 1, 2]))
        ...     name = best.table_name
        ...     del best
        ...     ctx.open_object(name).data()
        [3, 1, 2]
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.pinning import pin_tables

        pin_tables(opened.backend, self.tables_below(what))
        return what

    def unpin(self, what: ir.Expr | str) -> None:
        """Let the tables below something go as others do: when nothing refers to them.

        What is not pinned stays as it is. Writes to the registry. A table that nothing refers to
        is dropped in the background; one that another kernel made, once that has died.

        Parameters
        ----------
        what
            As for `pin`; a variable that is gone can be named, too.

        Raises
        ------
        UnknownObjectError
            If there is no object, and no pinned table, of that name.
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.pinning import pinned_for_variable, unpin_tables

        services = opened.services
        try:
            tables = self.tables_below(what)
        except UnknownObjectError as error:
            former = pinned_for_variable(services, str(what))
            if former is None:
                there = ", ".join(n for n, kept in services.kept.all().items() if kept.is_pinned)
                raise UnknownObjectError(
                    f"nothing is named {what!r}; pinned tables: {there or 'none'}"
                ) from error
            tables = (former,)
        if unpin_tables(services, tables):
            opened.reaping.soon()

    def lineage_aware_drop(self, *what: ir.Expr | str, dry_run: bool = True) -> DropPlan:
        """Drop tables that nothing there was made of, results before the sources of them.

        By the operation log, at any distance. What a variable of a living kernel holds, what is
        pinned and what has a name stays as well, and the answer says so. Runs some queries.

        Parameters
        ----------
        what
            Objects, Views, or names of objects or tables. Without any: all preserved tables that
            nothing here holds and nobody pinned.
        dry_run
            Only say what would be dropped, what stays, and why.

        Raises
        ------
        UnknownObjectError
            If there is no object and no table of a name.

        Examples
        --------
        >>> from aaiclick_ext import DataContext
        >>> with DataContext(preservation="FULL") as ctx:
        ...     raw = ctx.create_object_from_value([3, 1, 2])
        ...     top = raw.filter(raw.value > 1).copy()
        ...     source = raw.table_name
        ...     del raw
        ...     ctx.lineage_aware_drop(source).kept == (source,)
        True
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.lineage_drop import lineage_aware_drop
        from aaiclick_ext.objects.owners import tables_in_reach

        services = opened.services
        services.worker.flush()
        services.oplog.flush()
        tables = [table for each in what for table in self.tables_below(each)]
        if not what:
            live = tables_in_reach(services)
            kept = services.kept.all().values()
            tables = [k.table_name for k in kept if k.is_preserved and k.table_name not in live]
        return lineage_aware_drop(opened.backend, tables, dry_run=dry_run)
