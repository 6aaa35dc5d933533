"""Letting go: runs the commands that `%why` and `%tables --free` show, where that is safe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aaiclick_ext.lifecycle.collection import collect_garbage
from aaiclick_ext.lifecycle.roots import HolderKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.lifecycle.why import Chain
    from aaiclick_ext.notebook.last_error import LastError
    from aaiclick_ext.notebook.output_history import OutputHistory
    from aaiclick_ext.objects.why import Why

LEFTOVERS = frozenset({HolderKind.OUTPUT, HolderKind.ERROR, HolderKind.GARBAGE})
"""What keeps a table although nobody has asked for it to be kept."""

_MAX_ROUNDS = 5


@dataclass
class Released:
    """What a release did.

    Attributes
    ----------
    done, failed
        The chains let go of, and those whose command failed, with the reason.
    left
        What keeps the tables after it.
    """

    done: list[Chain] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: Why | None = None


class Releaser:
    """Lets go of what keeps tables.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    def __init__(
        self, ip: Any, context: DataContext, outputs: OutputHistory, last_error: LastError
    ) -> None:
        self._ip = ip
        self._context = context
        self._outputs = outputs
        self._last_error = last_error

    def release(self, tables: Sequence[str]) -> Released:
        """Let go of everything that keeps some tables and can be let go of safely.

        What is under one holder may come to light only when another is gone, so this looks again
        until nothing is left to do.
        """
        result = Released()
        for _ in range(_MAX_ROUNDS):
            result.left = self._context.why_tables(tables)
            chains = [
                chain
                for chain in result.left.chains
                if chain.automatic and chain.text not in result.failed
            ]
            if not chains:
                break
            for chain in chains:
                self._let_go(chain, result)
        return result

    def let_go(self, chains: Iterable[Chain]) -> Released:
        """Let go of some chains."""
        result = Released()
        for chain in chains:
            self._let_go(chain, result)
        return result

    def _let_go(self, chain: Chain, result: Released) -> None:
        try:
            self._run(chain)
        except Exception as error:  # noqa: BLE001  the user's objects; what they raise is shown
            result.failed[chain.text] = f"{type(error).__name__}: {error}"
        else:
            result.done.append(chain)

    def _run(self, chain: Chain) -> None:
        if chain.kind is HolderKind.ERROR:
            self._last_error.release()
        elif chain.kind is HolderKind.GARBAGE:
            collect_garbage()
        elif chain.kind is HolderKind.OUTPUT:
            assert isinstance(chain.group, tuple)
            self._outputs.let_go(chain.group[1])
        else:
            exec(chain.command, self._ip.user_ns)  # noqa: S102  the command that was shown
