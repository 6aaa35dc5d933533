"""``%tables``: every table of this kernel, and what could be let go of."""

# IPython's argument decorators have no annotations.
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from aaiclick_ext.notebook.line_magic import LineMagic
from aaiclick_ext.notebook.releasing import LEFTOVERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.notebook.releasing import Released, Releaser
    from aaiclick_ext.objects import TableInfo

_MAX_BLOCKERS = 3


class TablesMagic(LineMagic):
    """``%tables``, as registered with a shell.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    name = "tables"
    functions: ClassVar[Mapping[str, str]] = {"": "aai.tables"}

    def __init__(self, ip: Any, context: DataContext, releaser: Releaser) -> None:
        self._context = context
        self._releaser = releaser
        super().__init__(ip)

    @magic_arguments()
    @argument("--frame", action="store_true", help="Return a pandas DataFrame, show nothing.")
    @argument(
        "--free",
        action="store_true",
        help="Say what could be freed: tables that only output history, the last error or garbage "
        "keeps; and what blocks the others. Nothing is freed.",
    )
    @argument("--yes", action="store_true", help="With --free: free them.")
    def tables(self, line: str) -> pd.DataFrame | None:
        """Show every table of this kernel, with what keeps it.

        Rows and bytes, the cell that made it, its age, its last use, its scope and how many claims
        it has. In a notebook, a click on a column sorts.

        Examples
        --------
        ::

            %tables
            large = %tables --frame
            %tables --free
            %tables --free --yes
        """
        arguments = parse_argstring(self.tables, line)
        if arguments.yes and not arguments.free:
            raise UsageError("%tables: --yes goes with --free")
        if arguments.frame and arguments.free:
            raise UsageError("%tables: give --frame or --free, not both of them")
        infos = self._context.tables()
        if arguments.frame:
            return _frame(infos)
        if arguments.free:
            self._free(infos, dry_run=not arguments.yes)
        else:
            self._show(infos)
        return None

    def _show(self, infos: Sequence[TableInfo]) -> None:
        if not hasattr(self._ip, "kernel"):  # a terminal
            from aaiclick_ext.widgets import tables_text

            print(tables_text(infos, dt.datetime.now(dt.UTC)))  # noqa: T201
            return
        from IPython.display import display

        from aaiclick_ext.widgets import tables_bundle

        data, metadata = tables_bundle(infos)
        display(data, metadata=metadata, raw=True)

    def _free(self, infos: Sequence[TableInfo], *, dry_run: bool) -> None:
        free = [info for info in infos if info.chains and not _blockers(info)]
        kept = [info for info in infos if info not in free]
        if dry_run:
            print("\n".join(_plan(free, kept)))  # noqa: T201
            return
        chains = dict.fromkeys(chain for info in free for chain in info.chains)
        released = self._releaser.let_go(chains)
        self._context.flush()
        live = self._context.live_tables()
        gone = [info for info in free if info.table_name not in live]
        stayed = [info for info in free if info.table_name in live]
        print("\n".join(_report(gone, stayed, released)))  # noqa: T201


def _blockers(info: TableInfo) -> list[str]:
    return [chain.text for chain in info.chains if chain.kind not in LEFTOVERS]


def _plan(free: Sequence[TableInfo], kept: Sequence[TableInfo]) -> Iterator[str]:
    """Yield the lines that say what would be freed, and what blocks the rest."""
    from aaiclick_ext.sizes import size_text

    yield f"can be freed: {_total(free)}"
    for info in free:
        yield f"  {info.table_name}  {size_text(info.bytes)}  kept only by {_listed(info.holders)}"
    if free:
        yield "  (nothing was freed; %tables --free --yes does it)"
    yield f"in use: {_total(kept)}"
    for info in kept:
        blockers = _blockers(info)
        what = _listed(blockers) if blockers else "something that Python does not show"
        yield f"  {info.table_name}  {size_text(info.bytes)}  blocked by {what}"


def _report(
    gone: Sequence[TableInfo], stayed: Sequence[TableInfo], released: Released
) -> Iterator[str]:
    """Yield the lines that say what was freed."""
    yield f"freed: {_total(gone)}"
    for chain in released.done if gone else ():
        yield f"  let go of {_safe(chain.text)}"
    for text, reason in released.failed.items():
        yield f"  failed: {_safe(text)}: {_safe(reason)}"
    for info in stayed:
        yield f"  {info.table_name} is still there: %why {info.table_name} says what keeps it"


def _total(infos: Sequence[TableInfo]) -> str:
    from aaiclick_ext.sizes import size_text

    count = "1 table" if len(infos) == 1 else f"{len(infos)} tables"
    return f"{count}, {size_text(sum(info.bytes or 0 for info in infos))}"


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _MAX_BLOCKERS
    shown = ", ".join(_safe(text) for text in texts[:_MAX_BLOCKERS])
    return shown + (f" and {more} more" if more > 0 else "")


def _safe(text: str) -> str:
    from aaiclick_ext.untrusted import visible

    return visible(text)


def _frame(infos: Sequence[TableInfo]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError as error:
        raise UsageError(
            "%tables --frame needs pandas (pip install pandas); aai.tables() returns the same "
            "as a list"
        ) from error
    from aaiclick_ext.objects import TableInfo

    names = [spec.name for spec in dataclasses.fields(TableInfo) if spec.name != "chains"]
    columns: dict[str, list[Any]] = {"holders": [list(info.holders) for info in infos]}
    columns |= {name: [getattr(info, name) for info in infos] for name in names}
    frame = pd.DataFrame(columns)
    whole = dict.fromkeys(("rows", "bytes", "cell", "claims"), "Int64")
    times = dict.fromkeys(("made_at", "last_used"), "datetime64[us, UTC]")
    return frame.astype({**whole, **times, "scope": str})
