"""The part of the engine that holds what a thread writes to a budget."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

from aaiclick_ext.engine.handles import Role
from aaiclick_ext.engine.interrupt import WRITE_PATIENCE_S
from aaiclick_ext.engine.write_budget import Budgets, WriteBudget, WriteWatch
from aaiclick_ext.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aaiclick_ext.engine.handle import Handle
    from aaiclick_ext.engine.stats import QueryStats

T = TypeVar("T")

_SIZE_QUERY = (
    "SELECT coalesce(total_bytes_uncompressed, total_bytes, 0) FROM system.tables "
    "WHERE database = currentDatabase() AND name = {table:String}"
)


class LimitedWriting(ABC):
    """Runs statements that write, within the budget of the thread where it has one."""

    def __init__(self) -> None:
        self._budgets = Budgets()

    @contextlib.contextmanager
    def limited(self, budget: WriteBudget | None) -> Iterator[None]:
        """Hold what this thread writes in the block, as a user, to a table's budget.

        What is known to be too large is refused before it is sent, a statement that writes too
        much is killed, and the table's size is looked at after each. None: no budget.
        """
        outer = self._budgets.current
        self._budgets.current = budget
        try:
            yield
        finally:
            self._budgets.current = outer

    @property
    def is_limited(self) -> bool:
        """Whether what this thread writes has a budget."""
        return self._budgets.current is not None

    def check_estimate(self, size_bytes: int) -> None:
        """Raise what the budget of this thread says, if it has one, of a size known before."""
        if self._budgets.current is not None:
            self._budgets.current.check(size_bytes)

    def size_of(self, *tables: str) -> int:
        """Return the bytes of tables' data before compression, 0 where there is none.

        Runs one query for each.
        """
        sizes = [self.query_rows(_SIZE_QUERY, {"table": table}) for table in tables]
        return sum(int(rows[0][0]) for rows in sizes if rows)

    @abstractmethod
    def query_rows(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, role: Role = Role.USER
    ) -> list[tuple[Any, ...]]:
        """Run a small query and return its rows as Python values."""

    @abstractmethod
    def _run(
        self, role: Role, sql: str, work: Callable[[Handle], T], *, patience_s: float = ...
    ) -> T: ...

    @abstractmethod
    def _kill(self, condition: str) -> None: ...

    def _write(
        self, role: Role, sql: str, work: Callable[[Handle], QueryStats], *, size_bytes: int = 0
    ) -> QueryStats:
        """Run a statement that may write, within the budget of this thread if it has one."""
        budget = self._budgets.current
        if budget is None or role is not Role.USER:
            return self._run(role, sql, work, patience_s=WRITE_PATIENCE_S)
        before = self.size_of(budget.table)
        budget.check(before + size_bytes)
        watch = WriteWatch(self._ask_beside, self._kill, budget.limit_bytes - before)
        try:
            stats = self._run(
                role, sql, lambda handle: watch.run(handle, work), patience_s=WRITE_PATIENCE_S
            )
        except EngineError:
            budget.check(before + watch.seen_bytes)
            raise
        budget.check(max(self.size_of(budget.table), before + watch.seen_bytes))
        return stats

    def _ask_beside(self, sql: str) -> list[tuple[Any, ...]]:
        return self.query_rows(sql, role=Role.KILLER)
