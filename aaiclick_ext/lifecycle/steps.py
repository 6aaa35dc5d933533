"""Steps: how each part on the way from a root down to an expression is written."""

from __future__ import annotations

import asyncio
import collections
import itertools
import queue
import sys
import sysconfig
import types
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aaiclick_ext.lifecycle.roots import HolderKind, Named, is_of, locals_of

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_KEY = 40
"""Characters of a key that are shown."""

_MAX_ITEMS = 1_000_000

_QUEUES = (queue.Queue, queue.SimpleQueue, asyncio.Queue)
_SUSPENDABLE = {
    types.GeneratorType: ("generator", "gi_frame", "gi_code"),
    types.CoroutineType: ("coroutine", "cr_frame", "cr_code"),
    types.AsyncGeneratorType: ("async generator", "ag_frame", "ag_code"),
}


@dataclass(slots=True)
class Way:
    """A chain while it is being followed."""

    kind: HolderKind
    heads: list[str]
    noun: str
    place: str
    code: str | None
    command: str
    automatic: bool
    ended: bool = False

    @property
    def text(self) -> str:
        """What has been followed so far."""
        return ", ".join([*self.heads, *filter(None, [f"{self.noun} {self.place}".strip()])])

    def into(self, noun: str, step: str, edit: Callable[[str], str] | None, kind: Any) -> None:
        """Go on to a part that can be written in Python after what came so far."""
        self.noun, self.place = noun, f"{self.place}{step}"
        if self.code is not None:
            before, self.code = self.code, f"{self.code}{step}"
            if edit is None:
                self.automatic = False
            else:
                self.command = edit(before)
        self.become(kind)

    def past(self, head: str, noun: str, place: str, kind: Any, command: str | None = None) -> None:
        """Go on to a part that has a name of its own, such as a local."""
        self.heads.append(head)
        self.noun, self.place, self.code = noun, place, None
        self.command = command or self.command
        self.become(kind, automatic=False)

    def become(self, kind: HolderKind, *, automatic: bool | None = None) -> None:
        """Be of another kind, unless what came before decides it."""
        if self.kind in {HolderKind.OUTPUT, HolderKind.ERROR}:
            return  # whatever is inside goes with it
        if self.kind not in _STAYING:
            self.kind = kind
        if automatic is not None:
            self.automatic = automatic


_STAYING = {
    HolderKind.FUNCTION, HolderKind.GENERATOR, HolderKind.QUEUE, HolderKind.READER,
    HolderKind.RUNNING, HolderKind.THREAD, HolderKind.TASK, HolderKind.MODULE,
}  # fmt: skip


_WHOLE = {HolderKind.THREAD, HolderKind.OBJECT_COLUMN, HolderKind.STORED, HolderKind.LIVE}
"""Kinds of roots of which no part can be let go of."""


def follow(named: Named, way: list[Any]) -> Way:
    """Return how a way down is written that starts at a root's entry."""
    so_far = Way(
        named.kind, list(named.heads), named.noun, named.place, named.code, named.command,
        named.automatic,
    )  # fmt: skip
    is_namespace = named.names_attributes
    steps = collections.deque(way)
    so_far.ended = named.kind in _WHOLE
    while len(steps) > 1 and not so_far.ended:
        is_namespace = _step(so_far, steps, is_namespace=is_namespace)
    return so_far


def _step(way: Way, steps: collections.deque[Any], *, is_namespace: bool) -> bool:
    """Take one step down; return whether what is reached is the namespace of an instance."""
    holder = steps.popleft()
    child = steps[0]
    if is_of(holder, dict):
        _into_dict(way, holder, child, is_namespace=is_namespace)
    elif is_of(holder, (list, collections.deque, tuple)):
        _into_sequence(way, holder, child)
    elif is_of(holder, (set, frozenset)):
        way.into(f"in the {type(holder).__name__}", "", None, HolderKind.ITEM)
        way.code = None
    elif is_of(holder, _QUEUES):
        way.past(
            f"queue {way.place}".strip(), "", "", HolderKind.QUEUE, _calls(way, "get_nowait", ";")
        )
        way.ended = True
    elif is_of(holder, types.FunctionType):
        return _into_function(way, holder, child, steps)
    elif is_of(holder, tuple(_SUSPENDABLE)):
        _into_suspended(way, holder, child)
    elif is_of(holder, types.FrameType):
        _into_frame(way, holder, child, steps)
    elif is_of(holder, BaseException) and is_of(child, types.TracebackType):
        if way.kind is not HolderKind.ERROR:
            way.past(f"traceback of {way.place}".strip(), "", "", HolderKind.VARIABLE)
    elif is_of(holder, (types.CellType, types.TracebackType)):
        pass  # what comes before or after says where
    elif type(holder).__name__ == "ndarray":
        _into_array(way, holder, child)
    elif type(holder).__name__ == "RecordBatchReader":
        way.past(f"batch reader {way.place}", "", "", HolderKind.READER)
        way.ended = True
    else:
        return _into_instance(way, holder, child)
    return False


def _calls(way: Way, method: str, end: str = "") -> str | None:
    return None if way.code is None else f"{way.code}.{method}(){end}"


def _into_dict(way: Way, holder: dict[Any, Any], child: object, *, is_namespace: bool) -> None:
    key: Any = next((key for key, value in list(holder.items()) if value is child), _NO_KEY)
    if key is _NO_KEY:
        way.into("key of", "", None, HolderKind.ITEM)
        way.code = None
    elif is_namespace:
        _into_attribute(way, str(key))
    else:
        text = repr(key)
        shown = text if len(text) <= MAX_KEY else text[: MAX_KEY - 1] + "…"
        code_is_exact = isinstance(key, (str, int, float, bool, type(None))) and shown == text
        if not code_is_exact:
            way.code = None
            way.automatic = False
        way.into("dict", f"[{shown}]", lambda code: f"del {code}[{shown}]", HolderKind.ITEM)


_NO_KEY = object()


def _into_sequence(way: Way, holder: Any, child: object) -> None:
    numbered = enumerate(itertools.islice(holder, _MAX_ITEMS))
    number = next((number for number, item in numbered if item is child), "…")
    edit = None
    if not is_of(holder, tuple):

        def edit(code: str) -> str:
            return f"{code}[{number}] = None"

    way.into(type(holder).__name__, f"[{number}]", edit, HolderKind.ITEM)


def _into_array(way: Way, holder: Any, child: object) -> None:
    numbers = (number for number, item in enumerate(holder.flat) if item is child)
    number = next(numbers, "…")
    way.into("array", f".flat[{number}]", lambda code: f"{code}.flat[{number}] = None",
             HolderKind.ITEM)  # fmt: skip


def _into_attribute(way: Way, name: str) -> None:
    way.into("attribute", f".{name}", lambda code: f"del {code}.{name}", HolderKind.ATTRIBUTE)


def _into_function(
    way: Way, holder: types.FunctionType, child: object, steps: collections.deque[Any]
) -> bool:
    head = f"function {way.place or holder.__qualname__}"
    if child is holder.__closure__ and len(steps) > 1:
        cell = steps[1]
        names = zip(holder.__code__.co_freevars, holder.__closure__ or (), strict=True)
        name = next((name for name, value in names if value is cell), "…")
        way.past(head, "closure variable", name, HolderKind.FUNCTION)
        steps.popleft()
        return False
    if child is holder.__defaults__ and len(steps) > 1:
        code = holder.__code__
        positional = code.co_varnames[: code.co_argcount]
        defaults = holder.__defaults__ or ()
        names = zip(positional[len(positional) - len(defaults) :], defaults, strict=True)
        name = next((name for name, value in names if value is steps[1]), "…")
        way.past(head, "default argument", name, HolderKind.FUNCTION)
        steps.popleft()
        return False
    if child is holder.__kwdefaults__ and len(steps) > 1:
        found = (holder.__kwdefaults__ or {}).items()
        name = next((name for name, value in found if value is steps[1]), "…")
        way.past(head, "default argument", name, HolderKind.FUNCTION)
        steps.popleft()
        return False
    return child is holder.__dict__


def _into_suspended(way: Way, holder: Any, child: object) -> None:
    kind = next(kind for kind in _SUSPENDABLE if is_of(holder, kind))
    noun, frame_name, _ = _SUSPENDABLE[kind]
    frame = getattr(holder, frame_name)
    name = holder.__qualname__
    if way.place and way.place != name:
        name = way.place
    command = _calls(way, "close")
    if kind is types.AsyncGeneratorType and way.code is not None:
        command = f"await {way.code}.aclose()"
    local = None if frame is None else _local_name(frame, child)
    way.past(f"{noun} {name}", "local" if local else "", local or "", HolderKind.GENERATOR, command)


def _into_frame(
    way: Way, holder: types.FrameType, child: Any, steps: collections.deque[Any]
) -> None:
    if is_of(child, types.FrameType):
        return  # what called it
    name = holder.f_code.co_qualname
    local: str | None
    if is_of(child, dict) and len(steps) > 1:  # the copy of its locals that it keeps
        local = next((str(key) for key, value in child.items() if value is steps[1]), None)
        steps.popleft()
    else:
        local = _local_name(holder, child)
    way.past(f"frame {name}", "local" if local else "", local or "", HolderKind.VARIABLE)


def _local_name(frame: types.FrameType, child: Any) -> str | None:
    contents = child
    if is_of(child, types.CellType):
        try:
            contents = child.cell_contents
        except ValueError:
            return None
    found = locals_of(frame)
    try:
        return next((name for name, value in found.items() if value is contents), None)
    finally:
        found.clear()


def _into_instance(way: Way, holder: Any, child: object) -> bool:
    """Go into an attribute, without calling anything of its class."""
    namespace = _namespace_of(holder)
    if child is namespace:
        if not _is_ours_to_change(holder):
            _inside(way, holder)
        return not way.ended
    found = list((namespace or {}).items())  # a namespace that Python has not made a dict of yet
    name = next((name for name, value in found if value is child), None) or _slot(holder, child)
    if name is None or not _is_ours_to_change(holder):
        _inside(way, holder)
    else:
        _into_attribute(way, name)
    return False


def _inside(way: Way, holder: Any) -> None:
    noun = f"inside a {type(holder).__name__}"
    way.noun = f"{noun}, {way.noun}" if way.place else noun
    way.code = None
    way.become(HolderKind.INSIDE, automatic=False)
    way.ended = True


def _is_ours_to_change(holder: Any) -> bool:
    """Say whether the attributes of an object are the user's, and not a library's."""
    kind = type(holder)
    module = sys.modules.get(str(kind.__module__))
    if is_of(holder, types.SimpleNamespace) or kind.__module__ == "__main__":
        return True
    path = str(getattr(module, "__file__", None) or "")
    return bool(path) and not path.startswith(_LIBRARIES)


_LIBRARIES = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {str(Path(__file__).parents[1])}
)
"""Where modules live that are not the user's."""


def _namespace_of(holder: Any) -> dict[str, Any] | None:
    try:
        found = object.__getattribute__(holder, "__dict__")
    except AttributeError:
        return None
    return found if type(found) is dict else None


def _slot(holder: Any, child: object) -> str | None:
    """Return the slot of an instance that has a value."""
    for kind in type(holder).__mro__:
        if "__slots__" not in vars(kind):
            continue
        for name, slot in list(vars(kind).items()):
            if isinstance(slot, types.MemberDescriptorType):
                try:
                    if slot.__get__(holder) is child:
                        return str(name)
                except AttributeError:  # empty
                    continue
    return None
