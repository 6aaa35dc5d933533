"""The walk from objects up to what holds them, without tables."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import Any

import pytest

from aaiclick_ext.lifecycle import roots, walk, why
from aaiclick_ext.lifecycle.roots import namespace_root, variable
from aaiclick_ext.lifecycle.walk import Walk


class Thing:
    """What is looked for."""


def things(namespace: dict[str, Any], code: str) -> list[Any]:
    """Run code that makes holders of ``x`` and deletes it; return a list of it alone."""
    exec("x = Thing()\n" + code, namespace)
    found = [value for value in gc.get_objects() if type(value) is Thing]
    assert len(found) == 1
    return found


@pytest.fixture
def namespace():
    """Names of a user; whatever is in there is let go of in the end."""
    names: dict[str, Any] = {"Thing": Thing, "__name__": "__main__"}
    yield names
    names.clear()
    gc.collect()
    assert not any(type(value) is Thing for value in gc.get_objects())


def chains(namespace: dict[str, Any], code: str) -> dict[str, str]:
    """Return the chains that hold the thing: text to command."""
    found = Walk(
        things(namespace, code),
        roots={id(namespace): namespace_root(namespace, variable)},
    )
    assert found.complete
    told = why.chains_of(found, lambda value: type(value).__name__, lambda _: ["thing"])
    assert all(chain.what in {"Thing", ""} for chain in told.get("thing", ()))
    return {chain.text: chain.command for chain in told.get("thing", ())}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", {"variable x": "del x"}),
        ("y = x", {"variable x": "del x", "variable y": "del y"}),
        ("y = [[0, x]]\ndel x", {"list y[0][1]": "y[0][1] = None"}),
        ("y = z = [x]\ndel x", {"list y[0]": "y[0] = None", "list z[0]": "z[0] = None"}),
        ("y = [x, x]\ndel x", {"list y[0]": "y[0] = None"}),
        ("y = {'a': {2: x}}\ndel x", {"dict y['a'][2]": "del y['a'][2]"}),
        ("y = {x: 1}\ndel x", {"key of y": "del y"}),
        ("y = {(1, 2): x}\ndel x", {"dict y[(1, 2)]": "del y"}),
        ("y = ([x],)\ndel x", {"list y[0][0]": "y[0][0] = None"}),
        ("y = [(x,)]\ndel x", {"tuple y[0][0]": "y[0] = None"}),
        ("y = iter([x])\ndel x", {"inside a list_iterator, variable y": "del y"}),
        ("y = {'k' * 99: x}\ndel x", {f"dict y['{'k' * 38}…]": "del y"}),
    ],
)
def test_containers(namespace, code, expected):
    assert chains(namespace, code) == expected


def test_nothing_is_changed_and_nothing_is_kept(namespace):
    code = """
class Watching:
    def __init__(self, value): self.value = value
    def __getattribute__(self, name):
        if name != '__dict__' and not name.startswith('__'): raise RuntimeError('looked at')
        return object.__getattribute__(self, name)
    def __eq__(self, other): raise RuntimeError('compared')
    __hash__ = None
y = Watching(x)
del x
"""
    assert set(chains(namespace, code)) == {"attribute y.value"}
    gone = weakref.ref(vars(namespace["y"])["value"])
    gc.disable()
    try:
        del namespace["y"]
        assert gone() is None  # at once: the walk has left no cycle
    finally:
        gc.enable()


def test_a_generators_frame_keeps_no_copy_of_its_locals(namespace):
    code = """
def rows(local):
    yield 1
    del local
    yield 2
g = rows(x)
next(g)
del x
"""
    assert chains(namespace, code) == {"generator g, local local": "g.close()"}
    gone = weakref.ref(next(v for v in gc.get_objects() if type(v) is Thing))
    next(namespace["g"])
    assert gone() is None


def test_a_local_of_a_running_function():
    def asks(local: Thing) -> dict[str, list[why.Chain]]:
        assert local is not None
        found = Walk([value for value in gc.get_objects() if type(value) is Thing])
        return why.chains_of(found, str, lambda _: ["thing"])

    (chain,) = asks(Thing())["thing"]
    assert chain.kind is roots.HolderKind.RUNNING
    assert "asks, which is running, local local" in chain.text


def test_a_running_thread(namespace):
    stop, ready = threading.Event(), threading.Event()

    def work(local: Thing) -> None:
        ready.set()
        stop.wait(60)
        assert local is not None

    namespace["work"] = work
    namespace["thread"] = None
    namespace["threading"] = threading
    exec("x = Thing()\nt = threading.Thread(target=work, args=(x,), name='w-9')\nt.start()\ndel x",
         namespace)  # fmt: skip
    try:
        ready.wait(60)
        found = Walk([value for value in gc.get_objects() if type(value) is Thing])
        texts = [c.text for c in why.chains_of(found, str, lambda _: ["thing"])["thing"]]
        assert any("running in thread 'w-9', local local" in text for text in texts)
        assert "arguments of thread 'w-9'" in texts
        del found
    finally:
        stop.set()
        namespace["t"].join()


def test_garbage_is_told_from_what_nobody_can_show(namespace):
    gc.disable()
    try:
        assert chains(namespace, "y = [x]\ny.append(y)\ndel x, y") == {
            "a cycle of garbage that Python has not collected yet": "import gc; gc.collect()"
        }
    finally:
        gc.enable()
        gc.collect()


def test_an_array_of_objects_which_gc_does_not_know(namespace):
    code = "import numpy\ny = {'a': numpy.array([None, x], dtype=object)}\ndel x"
    assert chains(namespace, code) == {"array y['a'].flat[1]": "y['a'].flat[1] = None"}


def test_what_c_holds(namespace):
    ctypes = pytest.importorskip("ctypes")
    found = things(namespace, "")
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(found[0]))
    try:
        del found, namespace["x"]
        (text,) = chains_of_all()
        assert "garbage collector does not show" in text
    finally:
        found = [value for value in gc.get_objects() if type(value) is Thing]
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(found[0]))
        del found


def chains_of_all() -> list[str]:
    found = Walk([value for value in gc.get_objects() if type(value) is Thing])
    return [c.text for c in why.chains_of(found, str, lambda _: ["thing"])["thing"]]


def test_many_objects_and_an_end_to_the_work(namespace, monkeypatch):
    exec("y = [[Thing()] for _ in range(500)]", namespace)
    walked = Walk(
        [value for value in gc.get_objects() if type(value) is Thing],
        roots={id(namespace): namespace_root(namespace, variable)},
    )
    told = why.chains_of(walked, str, lambda _: ["thing"])["thing"]
    assert len(told) == why.MAX_PER_HOLDER + 1
    rest = next(chain for chain in told if "more" in chain.text)
    assert (rest.text, rest.command) == ("in y, 480 more", "del y")
    del walked
    monkeypatch.setattr(walk, "MAX_OBJECTS", 100)
    walked = Walk([value for value in gc.get_objects() if type(value) is Thing])
    assert not walked.complete
    assert walked.garbage == walked.unseen == []


def test_locals_that_a_function_asked_for_itself_stay():
    def asks() -> tuple[dict[str, Any], dict[str, Any]]:
        value = 1
        kept = locals()
        assert kept["value"] == value
        return kept, roots.locals_of(sys._getframe())

    kept, found = asks()
    assert kept["value"] == found["value"] == 1
