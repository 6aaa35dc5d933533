"""What an exception keeps: its arguments, its causes and the variables of the frames it left."""

from __future__ import annotations

import inspect
import sys
from itertools import chain
from typing import TYPE_CHECKING, Any

from aaiclick_ext.notebook.reach import reaches_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import FrameType

_SHELLS = ("IPython", "ipykernel", "asyncio")
"""Packages whose frames run the cell; they refer to the whole shell."""

_SUSPENDABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def error_reaches_table(
    error: BaseException, namespace: dict[str, Any], standing: Sequence[object] = ()
) -> bool:
    """Say whether an error keeps a table of ours; if in doubt, that it does.

    Parameters
    ----------
    namespace
        The user's variables. They are kept by being variables, so the frame of the cell, whose
        locals they are, does not count. Nor do the globals of a module that is imported; those of
        a script that ``%run`` ran, or of ``exec``, may have no other owner.
    standing
        What lives on without the error: what it refers to the error does not keep.
    """
    kept = [
        item
        for exception in exceptions_of(error)
        for item in chain(exception.args, vars(exception).values(), _attributes(exception))
    ]
    for frame in frames_of(error):
        if frame.f_locals is not frame.f_globals and frame.f_locals is not namespace:
            kept.extend(frame.f_locals.values())
        if frame.f_globals is not namespace and not _is_imported(frame.f_globals):
            kept.extend(frame.f_globals.values())
    return reaches_table(kept, budget=5_000, ignored=[namespace, *standing]) is not False


def exceptions_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what it came from."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        exception = todo.pop()
        if exception is None or id(exception) in seen:
            continue
        seen.add(id(exception))
        yield exception
        todo += [exception.__cause__, exception.__context__]
        if isinstance(exception, BaseExceptionGroup):
            todo += exception.exceptions


def frames_of(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames that an exception and its causes went through, without the shell's own."""
    return (frame for frame in _all_frames(error) if not _is_of_shell(frame))


def forget_result(error: BaseException) -> None:
    """Take an error out of IPython's results of the cells that it ended.

    The frame that ran such a cell still has its result, which has the error, which has the frame.
    """
    for frame in _all_frames(error):
        result: Any = frame.f_locals.get("result") if _is_of_shell(frame) else None
        if getattr(result, "error_in_exec", None) is error:
            result.error_in_exec = None


def forget_frames(errors: list[BaseException]) -> None:
    """Empty the variables of frames that only these exceptions keep, and the list itself.

    Formatting a traceback leaves cycles through its frames (stack_data's), which only a full
    collection would find. Frames of an exception that somebody else holds, a variable of the user's
    say, are left as they are.
    """
    while errors:
        if sys.getrefcount(errors[-1]) <= 2:  # the list and the call
            for frame in list(frames_of(errors[-1])):
                _clear(frame)
        errors.pop()


def _all_frames(error: BaseException) -> Iterator[FrameType]:
    for exception in exceptions_of(error):
        traceback = exception.__traceback__
        while traceback is not None:
            yield traceback.tb_frame
            traceback = traceback.tb_next


def _is_of_shell(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _SHELLS


def _is_imported(namespace: dict[str, Any]) -> bool:
    module = sys.modules.get(str(namespace.get("__name__")))
    return getattr(module, "__dict__", None) is namespace


def _clear(frame: FrameType) -> None:
    if frame.f_code.co_flags & _SUSPENDABLE:
        return  # a generator that can still go on would be closed by it
    try:
        frame.clear()
    except RuntimeError:  # still running
        return
    if frame.f_code.co_flags & inspect.CO_OPTIMIZED and isinstance(frame.f_locals, dict):
        frame.f_locals.clear()  # up to Python 3.12 a copy, which the frame keeps


def _attributes(exception: BaseException) -> Iterable[Any]:
    """Return what Python stores on its own exceptions, such as what lacked an attribute."""
    return [getattr(exception, name, None) for name in ("obj", "name", "value")]
