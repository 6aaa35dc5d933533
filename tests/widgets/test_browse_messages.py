"""What the front end of a browsed table may say: these messages and no others."""

from __future__ import annotations

import pytest

from aaiclick_ext.objects.browsing import Between, Contains, IsNull, Look, OneOf, Sort
from aaiclick_ext.widgets.browse_messages import Request, Stop, Viewer, understood

NAMES = ("a", "b")
LOOK = {"filters": [], "search": "", "sorts": []}
ASK = {
    "type": "ask", "request": "v-1", "about": "rows", "look": LOOK, "start": 0, "count": 100,
    "columns": [1, 0],
}  # fmt: skip


def test_what_is_understood():
    assert understood({"type": "look", "viewer": "v"}, NAMES) == Viewer("v", True)
    assert understood({"type": "look_away", "viewer": "v"}, NAMES) == Viewer("v", False)
    assert understood({"type": "stop", "request": "v-1"}, NAMES) == Stop("v-1")
    assert understood(ASK, NAMES) == Request("v-1", "rows", Look(), 0, 100, ("b", "a"))
    look = {
        "filters": [
            ["between", 0, "1", None, True], ["contains", 1, "x"], ["one_of", 1, ["x", None]],
            ["null", 0, False],
        ],
        "search": "'; DROP",
        "sorts": [[1, True], [0, False]],
    }  # fmt: skip
    told = understood({**ASK, "look": look}, NAMES)
    assert told.look == Look(
        (Between("a", "1", None, True), Contains("b", "x"), OneOf("b", ("x", None)),
         IsNull("a", False)),
        "'; DROP",
        (Sort("b", True), Sort("a")),
    )  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        {},
        {"type": "look"},
        {"type": "look", "viewer": "v" * 65},
        {"type": "stop", "request": 1},
        {**ASK, "more": 1},
        {**ASK, "about": "drop"},
        {**ASK, "about": ["rows"]},
        {**ASK, "request": None},
        {**ASK, "start": -1},
        {**ASK, "start": 1.0},
        {**ASK, "count": True},
        {**ASK, "count": 2**63},
        {**ASK, "columns": [2]},
        {**ASK, "columns": ["a"]},
        {**ASK, "columns": [0, 0, 0]},
        {**ASK, "look": {**LOOK, "sql": "x"}},
        {**ASK, "look": {**LOOK, "search": 1}},
        {**ASK, "look": {**LOOK, "search": "x" * 10_001}},
        {**ASK, "look": {**LOOK, "sorts": [[0, True], [0, False]]}},
        {**ASK, "look": {**LOOK, "sorts": [[0]]}},
        {**ASK, "look": {**LOOK, "sorts": [[0, "desc"]]}},
        {**ASK, "look": {**LOOK, "filters": [["between", 0, 1, 2, False]]}},
        {**ASK, "look": {**LOOK, "filters": [["between", 0, "1", "2"]]}},
        {**ASK, "look": {**LOOK, "filters": [["one_of", 0, ["x"] * 1_001]]}},
        {**ASK, "look": {**LOOK, "filters": [["sql", 0, "1 = 1"]]}},
        {**ASK, "look": {**LOOK, "filters": [[["between"], 0, "1", "2", False]]}},
    ],
)
def test_what_is_not(message):
    assert understood(message, NAMES) is None
