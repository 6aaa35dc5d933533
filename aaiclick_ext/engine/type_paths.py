"""Places inside nested types: a column, and the steps into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Path = tuple[str, ...]
"""A column, then ``[]`` for the items of an Array, ``key`` and ``value`` for those of a Map, and
the name (or number, from 1) of a field of a Tuple. A path means all that is below it too."""


def paths_of(names: Collection[str | Path]) -> frozenset[Path]:
    """Return columns and paths as paths.

    Examples
    --------
    >>> sorted(paths_of({"a", ("b", "[]")}))
    [('a',), ('b', '[]')]
    """
    return frozenset((name,) if isinstance(name, str) else tuple(name) for name in names)


def below(paths: Iterable[Path], step: str) -> frozenset[Path]:
    """Return the paths as seen one step further in; the empty path is where one stands.

    Examples
    --------
    >>> sorted(below({("a",), ("a", "[]"), ("b",)}, "a"))
    [(), ('[]',)]
    >>> sorted(below({()}, "[]"))
    [()]
    """
    return frozenset(p[1:] if p else p for p in paths if not p or p[0] == step)
