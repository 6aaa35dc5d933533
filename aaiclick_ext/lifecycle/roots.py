"""Roots: where a walk over references ends, and how what is found there is called."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Hashable, Iterator, Mapping
    from types import FrameType

    Namer = Callable[[object], "list[Named]"]


class HolderKind(StrEnum):
    """What keeps a table."""

    VARIABLE = "variable"
    ITEM = "item"
    ATTRIBUTE = "attribute"
    INSIDE = "inside"
    FUNCTION = "function"
    GENERATOR = "generator"
    QUEUE = "queue"
    READER = "reader"
    RUNNING = "running"
    THREAD = "thread"
    TASK = "task"
    MODULE = "module"
    OUTPUT = "output"
    ERROR = "error"
    OBJECT_COLUMN = "object column"
    NAME = "name"
    PINNED = "pinned"
    PRESERVED = "preserved"
    VIEW = "view"
    LIVE = "live"
    WIDGET = "widget"
    STORED = "stored"
    KERNEL = "kernel"
    SHARED = "shared"
    GARBAGE = "garbage"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Named:
    """What a root calls something that it holds.

    Attributes
    ----------
    heads
        What comes before the place: ``("traceback of cell 12",)``.
    noun, place
        ``variable`` and ``best``.
    code
        Python that evaluates to it, or None.
    command
        What lets go of it.
    automatic
        Whether the command may be run without asking again.
    group
        Equal for names of one thing that are let go together; the first one's is shown.
    alias
        What it is called besides, where others of the group are shown.
    names_attributes
        Whether it is a namespace, whose items are attributes.
    """

    kind: HolderKind
    noun: str = ""
    place: str = ""
    code: str | None = None
    command: str = ""
    automatic: bool = False
    heads: tuple[str, ...] = ()
    group: Hashable = None
    alias: str = ""
    names_attributes: bool = False


@dataclass(frozen=True, slots=True)
class Local:
    """A local of a running function.

    Attributes
    ----------
    shown
        How it is called; None where it is not to be shown.
    is_reference
        Whether the frame itself refers to it, and not a cell of the frame.
    """

    shown: Named | None
    is_reference: bool


def is_of(value: object, kinds: type | tuple[type, ...]) -> bool:
    """Say whether an object is of a class, without asking the object.

    `isinstance` asks for ``__class__``, which a proxy answers by what it stands for, and one whose
    object is gone by raising.
    """
    return issubclass(type(value), kinds)


def variable(name: str) -> Named:
    """Return what a variable of the user is called."""
    return Named(HolderKind.VARIABLE, "variable", name, name, f"del {name}", automatic=True)


def keys_of(namespace: Mapping[Any, Any], value: object) -> list[Any]:
    """Return the keys under which a namespace has a value."""
    return [key for key, item in list(namespace.items()) if item is value]


def namespace_root(namespace: Mapping[Any, Any], name: Callable[[Any], Named | None]) -> Namer:
    """Return what names the entries of a namespace; `name` may leave some out."""

    def named(value: object) -> list[Named]:
        return [found for key in keys_of(namespace, value) if (found := name(key)) is not None]

    return named


def module_roots() -> dict[int, Namer]:
    """Return a root for each module's names; those of ``__main__`` are the user's variables."""
    found: dict[int, Namer] = {}
    for name, module in list(sys.modules.items()):
        namespace = getattr(module, "__dict__", None)  # anything may have been put there
        if not isinstance(namespace, dict):
            continue
        if name == "__main__":
            found[id(namespace)] = namespace_root(namespace, variable)
        else:
            found.setdefault(id(namespace), _module_root(name, namespace))
    return found


def _module_root(module: str, namespace: Mapping[str, Any]) -> Namer:
    def name(key: str) -> Named | None:
        if module.partition(".")[0] == "aaiclick_ext":
            return None
        return Named(
            HolderKind.MODULE,
            "name",
            str(key),
            f"{module}.{key}",
            f"import {module}; del {module}.{key}",
            heads=(f"module {module}",),
        )

    return namespace_root(namespace, name)


def implied_root(holder: Any) -> Namer | None:
    """Return what names what a class, a live thread or a pending task holds; else None."""
    if is_of(holder, type):
        return lambda _: [_class_named(holder)]
    if is_of(holder, threading.Thread) and (holder.is_alive() or holder.ident is None):
        return lambda _: [_thread_named(holder)]
    if is_of(holder, asyncio.Task) and not holder.done():
        return lambda _: [_task_named(holder)]
    return None


def _class_named(holder: type) -> Named:
    name = holder.__qualname__
    code = name if holder.__module__ == "__main__" and "<locals>" not in name else None
    where = name if code is not None else f"{holder.__module__}.{name}"
    return Named(
        HolderKind.ATTRIBUTE,
        "class",
        where,
        code,
        f"del an attribute of {where}",
        automatic=code is not None,
        names_attributes=True,
    )


def _thread_named(thread: threading.Thread) -> Named:
    started = thread.ident is not None
    name = repr(thread.name)
    found = f"next(t for t in threading.enumerate() if t.name == {name}).join()"
    return Named(
        HolderKind.THREAD,
        "arguments of" if started else "arguments, not started, of",
        f"thread {name}",
        None,
        found if started else f"start thread {name}, or let go of it",
    )


def _task_named(task: asyncio.Task[Any]) -> Named:
    name = repr(task.get_name())
    command = f"next(t for t in asyncio.all_tasks() if t.get_name() == {name}).cancel()"
    return Named(HolderKind.TASK, heads=(f"asyncio task {name}",), command=command)


# Running functions.

_SHELLS = frozenset({"IPython", "ipykernel", "asyncio", "traitlets", "tornado", "aaiclick_ext"})
"""Packages whose frames run what the user asked for, and this walk."""


def running_locals() -> dict[int, list[Local]]:
    """Return the locals of all running functions, by the id of their value.

    Python tracks no frame that is running, so that referrers do not show them.
    """
    found: defaultdict[int, list[Local]] = defaultdict(list)
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    own = threading.get_ident()
    frames = sys._current_frames()  # noqa: SLF001
    try:
        for ident, top in frames.items():
            thread = "" if ident == own else names.get(ident, str(ident))
            for value, local in _locals_of_stack(top, thread):
                found[value].append(local)
    finally:
        del frames, top  # or this frame would be in a cycle
    return dict(found)


def _locals_of_stack(top: FrameType, thread: str) -> Iterator[tuple[int, Local]]:
    frame: FrameType | None = top
    while frame is not None:
        code = frame.f_code
        if code.co_flags & inspect.CO_OPTIMIZED:  # else its locals are a namespace of somebody
            hidden = str(frame.f_globals.get("__name__")).partition(".")[0] in _SHELLS
            for name, value in locals_of(frame).items():
                shown = None if hidden and not thread else _running_named(code, name, thread)
                yield id(value), Local(shown, name in code.co_varnames)
        frame = frame.f_back


def _running_named(code: types.CodeType, name: str, thread: str) -> Named:
    where = f"function {code.co_qualname}, which is running"
    if thread:
        where += f" in thread {thread!r}"
    command = f"let {code.co_qualname} return"
    return Named(HolderKind.RUNNING, "local", name, None, command, heads=(where,))


def locals_of(frame: FrameType) -> dict[str, Any]:
    """Return the locals of a frame, and leave no copy of them with it.

    Up to Python 3.12 a frame keeps the copy that it gives, and with it every value, also when the
    function has long deleted the variable. A copy that the function itself has asked for, with
    `locals`, is left alone.
    """
    kept = frame.f_locals
    found = dict(kept)
    is_copy = frame.f_code.co_flags & inspect.CO_OPTIMIZED and type(kept) is dict
    if is_copy and sys.getrefcount(kept) <= _FRAME_AND_US:
        kept.clear()
    return found


_FRAME_AND_US = 3
"""References to a frame's copy of its locals: the frame's, our variable's, the call's."""
