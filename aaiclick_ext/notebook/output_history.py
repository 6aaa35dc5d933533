"""Output history: IPython keeps every displayed result, and so every table; this lets go of them.

A displayed result is in ``Out``, in ``_N`` of the user's names and of IPython's hidden ones, and
the last three are in ``_``, ``__`` and ``___``, each in three places. IPython takes ``_`` for the
user's own as soon as those three differ, so they are always changed together.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

from aaiclick_ext.notebook.reach import is_instance, reaches_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_UNDERSCORES = ("_", "__", "___")


def is_history(name: object) -> bool:
    """Say whether a name is one under which IPython keeps results: ``_``, ``__``, ``_7``."""
    return isinstance(name, str) and (
        name in _UNDERSCORES or (name.startswith("_") and name[1:].isdigit())
    )


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
        self._forget_stale()
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
            if count in outputs and not is_instance(outputs[count], ReleasedResult)
        )

    def _forget_stale(self) -> None:
        """Release the hidden copies of ``_``, ``__`` and ``___`` that ``%reset out`` overlooks."""
        hidden = self._ip.user_ns_hidden
        for name in _UNDERSCORES:
            shown = getattr(self._ip.displayhook, name, None)
            if name in hidden and hidden[name] is not shown:
                hidden[name] = shown

    def let_go(self, ident: int) -> bool:
        """Put a `ReleasedResult` in the place of one result, told by its `id`; say if it was there.

        Also of results that IPython shows under no number any more, such as an old ``_``.
        """
        outputs = self._ip.user_ns.get("_oh", {})
        places = [outputs, vars(self._ip.displayhook), self._ip.user_ns_hidden, self._ip.user_ns]
        places.append(vars(self._ip.last_execution_result or object))
        found = [
            (key, value)
            for place in places
            for key, value in list(place.items())
            if id(value) == ident
        ]
        if not found:
            return False
        value = found[0][1]
        counts = [key for key, item in list(outputs.items()) if item is value]
        self._counts.extend(count for count in counts if count not in self._counts)
        placeholder = ReleasedResult(counts[0] if counts else None)
        self._replace(value, placeholder)
        for key, _ in found:  # a copy that is out of step with the others
            if self._ip.user_ns_hidden.get(key) is value:
                self._ip.user_ns_hidden[key] = placeholder
            if is_history(key) and self._ip.user_ns.get(key) is value:
                self._ip.user_ns[key] = placeholder
        return True

    def _held(self) -> Iterator[tuple[int | None, Any]]:
        """Yield results of ours that history holds, each once, the newest first."""
        outputs = self._ip.user_ns.get("_oh", {})
        latest = [(None, getattr(self._ip.displayhook, name, None)) for name in _UNDERSCORES]
        counted = [(count, outputs.get(count)) for count in reversed(self._counts)]
        numbers = {id(value): count for count, value in counted}
        seen: set[int] = set()
        for _, value in [*latest, *counted]:
            if id(value) in seen or is_instance(value, (str, ReleasedResult)):
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
