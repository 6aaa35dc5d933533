"""The last error: its traceback holds the variables of every function that was running.

IPython keeps it until the next error. This keeps it for as long as somebody may want to look at it,
which is until the next cell that is not about it (``%debug``, ``%tb``).
"""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

from aaiclick_ext.lifecycle.collection import collect_garbage
from aaiclick_ext.notebook.error_frames import (
    error_reaches_table,
    forget_frames,
    forget_result,
)
from aaiclick_ext.notebook.line_magic import magic_of

if TYPE_CHECKING:
    from aaiclick_ext.context import DataContext

_LOOKS_AT_ERROR = re.compile(
    r"^\s*%?(debug|tb|pdb|xmode)\b(?!\s*[=.,:(\[])|\bsys\.last_|\bpost_mortem\b|\bpdb\.pm\b",
    re.MULTILINE,
)


def looks_at_error(raw_cell: str) -> bool:
    """Say whether a cell is about the last error.

    Examples
    --------
    >>> looks_at_error("%debug"), looks_at_error("debug = True")
    (True, False)
    """
    return _LOOKS_AT_ERROR.search(raw_cell) is not None


class LastError:
    """Lets go of the last error when the next cell starts.

    An error that keeps no table of ours stays with IPython, which then behaves as it always does.
    """

    def __init__(self, ip: Any, context: DataContext) -> None:
        self._ip = ip
        self._context = context
        self._left_alone: int | None = None

    def before_cell(self, raw_cell: str) -> None:
        """Release the error of an earlier cell, unless this one is about to look at it."""
        errors = self._errors()
        if not errors:
            return
        if looks_at_error(raw_cell):
            self._show_stack_again(errors)
            return
        # An error that was left alone is still referred to by IPython, so its id is still its own.
        if id(errors[0]) == self._left_alone:
            return
        standing = self._standing()
        if any(error_reaches_table(error, self._ip.user_ns, standing) for error in errors):
            self._release(errors)
        else:
            self._left_alone = id(errors[0])

    def _standing(self) -> list[object]:
        """Return what an error of ours went through and does not keep: the context, the magics."""
        functions = [
            f for functions in self._ip.magics_manager.magics.values() for f in functions.values()
        ]
        found = [self._ip, self._context, *filter(None, map(magic_of, functions))]
        if self._context.is_open:
            opened = self._context._opened  # noqa: SLF001
            services = opened.services
            found += [opened, opened.backend, opened.catalog, services]
            found += [getattr(services, each.name) for each in fields(services)]
        return found

    def release(self) -> None:
        """Release the last error, whatever it keeps."""
        self._release(self._errors())

    def _release(self, errors: list[BaseException]) -> None:
        self._forget()
        for error in errors:
            forget_result(error)
        error = None  # type: ignore[assignment]
        forget_frames(errors)
        collect_garbage()  # a loop may have run long enough for its cycles to grow old

    def _forget(self) -> None:
        """Drop every reference to the last error that IPython and Python keep."""
        for name in ("last_exc", "last_value", "last_traceback", "last_type"):
            vars(sys).pop(name, None)
        formatter = self._ip.InteractiveTB
        for name in ("tb", "etype", "evalue"):
            if hasattr(formatter, name):
                setattr(formatter, name, None)
        if formatter.pdb is not None:  # the debugger keeps the frames that it last looked at
            formatter.pdb.reset()
            vars(formatter.pdb).pop("curframe_locals", None)
            formatter.pdb = None  # IPython makes a new one when asked
        last = self._ip.last_execution_result
        if last is not None:
            last.error_in_exec = last.error_before_exec = None

    def _errors(self) -> list[BaseException]:
        last = self._ip.last_execution_result
        found = [
            getattr(sys, "last_value", None),
            getattr(last, "error_in_exec", None),
            getattr(last, "error_before_exec", None),
        ]
        return list(
            {id(error): error for error in found if isinstance(error, BaseException)}.values()
        )

    def _show_stack_again(self, errors: list[BaseException]) -> None:
        """Let ``%tb`` show the stack of an error that showed itself without one."""
        for error in errors:
            if _shows_itself(error):
                vars(error)["_render_traceback_"] = partial(
                    self._ip.InteractiveTB.structured_traceback,
                    type(error),
                    error,
                    error.__traceback__,
                )


def _shows_itself(error: BaseException) -> bool:
    """Say whether an error is ours and is shown without its stack."""
    kind = type(error)
    return kind.__module__.startswith("aaiclick_ext.") and hasattr(kind, "_render_traceback_")
