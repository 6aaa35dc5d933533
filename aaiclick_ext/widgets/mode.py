"""How a graph is to be drawn, and what of it then is: all, its nearest part, folded, by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

FOLD_FROM = 60
"""Steps of a graph that is folded unless it is asked for whole."""

NEAR_FROM = 250
"""Steps that are drawn of a larger graph unless it is asked for whole: the nearest to the root."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How a graph is drawn.

    Attributes
    ----------
    columns
        Whether edges go from column to column.
    cells
        Whether the steps of one run of a cell stand in a box.
    fold
        Whether unnamed steps in a row, and the middle of long chains, are drawn as one.
    near
        Whether of a large graph only the steps nearest to the root are drawn.
    opened
        Ids of steps that are not folded.
    """

    columns: bool = False
    cells: bool = False
    fold: bool = False
    near: bool = False
    opened: frozenset[str] = frozenset()

    @classmethod
    def of_size(cls, steps: int) -> Self:
        """Return how a graph of so many steps is drawn where nobody says."""
        return cls(fold=steps > FOLD_FROM, near=steps > NEAR_FROM)

    @classmethod
    def from_message(cls, given: Any, known: Any) -> Self | None:
        """Return the mode that a front end asks for, or None where it is none.

        Parameters
        ----------
        known
            The ids that `opened` may have.
        """
        flags = ("columns", "cells", "fold", "near")
        if not isinstance(given, dict) or set(given) != {*flags, "opened"}:
            return None
        opened = given["opened"]
        if not isinstance(opened, list) or not all(
            isinstance(id_, str) and id_ in known for id_ in opened
        ):
            return None
        if not all(isinstance(given[flag], bool) for flag in flags):
            return None
        return cls(**{flag: given[flag] for flag in flags}, opened=frozenset(opened))

    def told(self) -> dict[str, Any]:
        """Return the mode as `from_message` takes it."""
        return {
            "columns": self.columns,
            "cells": self.cells,
            "fold": self.fold,
            "near": self.near,
            "opened": sorted(self.opened),
        }
