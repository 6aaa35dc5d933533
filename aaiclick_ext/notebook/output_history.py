"""Output history: IPython keeps every displayed result, and so every table; this lets go of them.

A displayed result is in ``Out``, in ``_N`` of the user's names and of IPython's hidden ones, and
the last three are in ``_``, ``__`` and ``___``, each in three places. IPython takes ``_`` for the
user's own as soon as those three differ, so they are always changed together.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

from aaiclick_ext.notebook.reach import reaches_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_UNDERSCORES = ("_", "__", "___")


class ReleasedResult:
    """Stands in output history where a displayed result was, so that its table could go.

    Examples
    --------
    >>> ReleasedResult(7)
    <Out[7] was released so that its table can go: run its cell again, or use a variable next time>
    """

    __slots__ = ("execution_count",)

    def __init__(self, execution_count: int | None) -> None:
        self.execution_count = execution_count

    def __repr__(self) -> str:
        what = "this output" if self.execution_count is None else f"Out[{self.execution_count}]"
        return (
            f"<{what} was released so that its table can go: "
            "run its cell again, or use a variable next time>"
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith(("__", "_repr_", "_ipython_")):
            raise AttributeError(name)
        raise AttributeError(f"no {name!r}: {self!r}", name=name)


class OutputHistory:
    """Keeps the newest displayed results of ours and releases older ones.

    Results that keep no table of ours are never touched.

    Parameters
    ----------
    ip
        The IPython shell.
    limit
        How many results may stay, asked each time: it is a setting.
    """

    def __init__(self, ip: Any, limit: Callable[[], int]) -> None:
        self._ip = ip
        self._limit = limit
        self._counts: deque[int] = deque()

    def note(self, result: Any) -> None:
        """Take note of what a cell displayed, and release what is one too many.

        Parameters
        ----------
        result
            IPython's `ExecutionResult` of the cell that has just run.
        """
        if result is None or result.result is None:
            return
        outputs = self._ip.user_ns.get("_oh", {})
        # A cell without history is filed under another cell's count, and IPython 9 has counted a
        # cell after it ran before it counted it first.
        counted = self._ip.execution_count
        for count in {result.execution_count, counted, counted - 1}:
            if outputs.get(count) is result.result and count not in self._counts:
                self._counts.append(count)
        self.release()

    def release(self) -> None:
        """Put a `ReleasedResult` in the place of every result beyond the limit."""
        held = list(self._held())
        for count, value in held[self._limit() :]:
            self._replace(value, ReleasedResult(count))
        outputs = self._ip.user_ns.get("_oh", {})
        self._counts = deque(
            count
            for count in self._counts
            if count in outputs and not isinstance(outputs[count], ReleasedResult)
        )

    def _held(self) -> Iterator[tuple[int | None, Any]]:
        """Yield results of ours that history holds, each once, the newest first."""
        outputs = self._ip.user_ns.get("_oh", {})
        latest = [(None, getattr(self._ip.displayhook, name, None)) for name in _UNDERSCORES]
        counted = [(count, outputs.get(count)) for count in reversed(self._counts)]
        numbers = {id(value): count for count, value in counted}
        seen: set[int] = set()
        for _, value in [*latest, *counted]:
            if id(value) in seen or isinstance(value, (str, ReleasedResult)):
                continue
            seen.add(id(value))
            if reaches_table(value):
                yield numbers.get(id(value)), value

    def _replace(self, value: Any, placeholder: ReleasedResult) -> None:
        spaces = (self._ip.user_ns, self._ip.user_ns_hidden)
        outputs = self._ip.user_ns.get("_oh", {})
        for count in [number for number in self._counts if outputs.get(number) is value]:
            outputs[count] = placeholder
            for space in spaces:
                if space.get(f"_{count}") is value:
                    space[f"_{count}"] = placeholder
        hook = self._ip.displayhook
        for name in _UNDERSCORES:
            for space in spaces:
                if space.get(name) is value and getattr(hook, name, None) is value:
                    space[name] = placeholder
            if getattr(hook, name, None) is value:
                setattr(hook, name, placeholder)
        last = self._ip.last_execution_result
        if last is not None and last.result is value:
            last.result = placeholder
