"""Named objects: session names of this kernel, global names of the database.

A name stands for one table at a time and owns a claim on it. Replacing a named object makes a new
table and moves the name over, so variables bound to the replaced one keep what they had. The newest
table of a global name is the one that counts; its id says which that is.
"""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aaiclick_ext.engine import quote_literal
from aaiclick_ext.errors import EngineError, ObjectExistsError, SettingsError, UnknownObjectError
from aaiclick_ext.lifecycle.comment_marks import DELETED, change_comment, with_deletion
from aaiclick_ext.lifecycle.names import Scope, TableName, check_name
from aaiclick_ext.objects.object import Object, make_object
from aaiclick_ext.objects.owners import contexts_of
from aaiclick_ext.objects.pinning import open_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aaiclick_ext.objects.backend import Backend

IfExists = Literal["replace", "append", "fail"]
IF_EXISTS = ("replace", "append", "fail")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One line of `list_objects`."""

    name: str
    scope: Scope
    table_name: str
    rows: int | None
    bytes: int | None


class Catalog:
    """The named objects that a context can reach."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._services = backend.services
        self._warned = False

    def resolve(self, name: str) -> str | None:
        """Return the table that a name stands for: a session name first, then a global one."""
        session = self._services.names.get(name)
        if session is not None:
            return session
        return self._global_tables().get(name)

    def names(self) -> dict[str, str]:
        """Return every name and its table. Runs one query."""
        return {**self._global_tables(), **self._services.names}

    def make(
        self,
        name: str | None,
        scope: Scope | str | None,
        if_exists: IfExists,
        build: Callable[[Scope, str | None], Object],
    ) -> Object:
        """Make an object under a name, as `if_exists` says where the name is taken.

        Parameters
        ----------
        value
            What to append where that is asked for; None: what `build` makes.
        """
        chosen = self._scope(name, scope)
        if if_exists not in IF_EXISTS:
            raise SettingsError(f"if_exists is {if_exists!r}; it can be {', '.join(IF_EXISTS)}")
        if chosen is Scope.TEMP or name is None:
            return build(Scope.TEMP, None)
        check_name(name)
        self._check_no_view(name)
        held = self._held(name, chosen)
        if held is not None and if_exists == "fail":
            raise ObjectExistsError(
                f"there is a {chosen} object named {name!r}; pass if_exists='replace' or 'append', "
                f"or delete_object({name!r})"
            )
        if held is not None and if_exists == "append":
            return self.open(name).insert(build(Scope.TEMP, None))
        made = build(chosen, name)
        if chosen is Scope.SESSION:
            self._services.names[name] = made.table_name
        if held is not None:
            self._let_go(held)
        return made

    def _check_no_view(self, name: str) -> None:
        """Raise where a view has the name: in SQL it would mean either. Runs one query."""
        found = self._services.engine.query_rows(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() "
            "AND name = {name:String} AND engine IN ('View', 'MaterializedView')",
            {"name": name},
        )
        if found[0][0]:
            raise ObjectExistsError(
                f"there is a view named {name!r}; give the object another name, or "
                f"drop_view({name!r})"
            )

    def open(self, name: str) -> Object:
        """Return a named object; it may have been made by another kernel.

        A table that stays, pinned or preserved, is there by the table's own name.

        Raises
        ------
        UnknownObjectError
            If there is none, with the names that there are.
        """
        self._services.check_open()
        table = self.resolve(name)
        if table is None:
            kept = open_kept(self._backend, name)
            if kept is not None:
                return kept
            there = ", ".join(sorted(self.names())) or "none"
            raise UnknownObjectError(f"no object is named {name!r}; there are: {there}")
        self._adopt(table)
        return make_object(self._backend.leaf(table))

    def list(self) -> list[ObjectInfo]:
        """Return every named object with its size. Runs two queries."""
        names = self.names()
        sizes = {
            table: (rows, size)
            for table, rows, size in self._services.engine.query_rows(
                "SELECT name, total_rows, total_bytes FROM system.tables "
                "WHERE database = currentDatabase() AND name IN {tables:Array(String)}",
                {"tables": list(names.values())},
            )
        }
        infos = []
        for name, table in sorted(names.items()):
            parts = TableName.parse(table)
            assert parts is not None
            infos.append(ObjectInfo(name, parts.scope, table, *sizes.get(table, (None, None))))
        return infos

    def delete(self, name: str) -> None:
        """Take a name away; its table goes as soon as no variable can reach it any more."""
        self._services.check_open()
        table = self.resolve(name)
        if table is None:
            there = ", ".join(sorted(self.names())) or "none"
            raise UnknownObjectError(f"no object is named {name!r}; there are: {there}")
        if self._services.names.pop(name, None) is not None:
            self._let_go(table)
            return
        for parts in self._global_names():
            if parts.name == name:  # a kernel that died may have left a replaced one, too
                self._mark_deleted(str(parts))
                self._let_go(str(parts))

    def _scope(self, name: str | None, scope: Scope | str | None) -> Scope:
        try:
            chosen = Scope(scope) if scope else (Scope.TEMP if name is None else Scope.GLOBAL)
        except ValueError as error:
            raise SettingsError(
                f"scope is {scope!r}; it can be {', '.join(s.value for s in Scope)}"
            ) from error
        if chosen is Scope.TEMP and name is not None:
            raise SettingsError("a temp object is owned by its variables and has no name")
        if chosen is not Scope.TEMP and name is None:
            raise SettingsError(f"a {chosen} object needs a name")
        if chosen is Scope.GLOBAL and self._services.engine.creds.is_scratch and not self._warned:
            self._warned = True
            warnings.warn(
                f"{name!r} is a global object in a scratch database, which ends with this kernel; "
                "open chdb:///path or a server to keep it",
                UserWarning,
                stacklevel=5,
            )
        return chosen

    def _held(self, name: str, scope: Scope) -> str | None:
        if scope is Scope.SESSION:
            return self._services.names.get(name)
        return self._global_tables().get(name)

    def _global_tables(self) -> dict[str, str]:
        newest: dict[str, TableName] = {}
        for parts in self._global_names():
            assert parts.name is not None
            known = newest.get(parts.name)
            if known is None or parts.id > known.id:
                newest[parts.name] = parts
        return {name: str(parts) for name, parts in newest.items()}

    def _global_names(self) -> Iterator[TableName]:
        """Yield every table of a global name that was not let go here. Runs one query."""
        rows = self._services.engine.query_rows(
            "SELECT name FROM system.tables "
            "WHERE database = currentDatabase() AND startsWith(name, 'aai_g_') "
            f"AND position(comment, {quote_literal(DELETED)}) = 0"
        )
        for (table,) in rows:
            parts = TableName.parse(table)
            if parts is not None and parts not in self._services.deleted:
                yield parts

    def _mark_deleted(self, table: str) -> None:
        """Let the table itself say that its name is gone, should this kernel be killed."""
        job_id = self._services.job_id
        with contextlib.suppress(EngineError):  # no right to do so, or dropped by another kernel
            change_comment(self._services.engine, table, lambda c: with_deletion(c, job_id))

    def _adopt(self, table: str) -> None:
        """Make a table of another kernel known; the name's claim stays with this context."""
        if not self._services.worker.is_live(table):
            self._services.schemas.get(table)
            self._services.holds[table] = self._services.worker.hold(table)

    def _let_go(self, table: str) -> None:
        """Release a name's claim; a replaced or deleted table lives on only for its variables.

        So it is in every context of this process: the last to let go drops it.
        """
        parts = TableName.parse(table)
        self._adopt(table)
        for services in contexts_of(self._services):
            if parts is not None:
                services.deleted.add(parts)
            hold = services.holds.pop(table, None)
            if hold is not None:
                hold.release()


def qualified(table: str) -> tuple[str | None, str]:
    """Return database and table of ``"db.table"`` or ``"table"``; backquotes may surround parts.

    Examples
    --------
    >>> qualified("sales.orders")
    ('sales', 'orders')
    >>> qualified("`a.b`.c")
    ('a.b', 'c')
    """
    import re

    parts = re.findall(r"`((?:[^`]|``)+)`|([^.`]+)", table)
    names = [quoted.replace("``", "`") or plain for quoted, plain in parts]
    if len(names) == 1:
        return None, names[0]
    if len(names) == 2:
        return names[0], names[1]
    raise SettingsError(f"{table!r} is not a table name; write table or database.table")
