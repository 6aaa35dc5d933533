"""What is stale, from events alone."""

from __future__ import annotations

import datetime as dt

import pytest

from aaiclick_ext.oplog.event import OperationEvent
from aaiclick_ext.oplog.file_changes import FileChange
from aaiclick_ext.oplog.staleness import stale

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def event(number, operation, result, *sources, status="ok", **params):
    return OperationEvent(
        number,
        result,
        operation,
        {f"source_{n}": name for n, name in enumerate(sources)},
        params,
        None,
        None,
        1,
        1,
        1,
        START + dt.timedelta(seconds=number),
        status=status,
    )


def found(events, **options):
    return {
        result.table: [
            (change.source, change.event and change.event.id) for change in result.changes
        ]
        for result in stale(events, **options)
    }


MADE = event(1, "create_from_value", "a")
VIEW = event(2, "filter", "view_b", "a")
COPY = event(3, "copy", "c", "view_b")
FAR = event(4, "concat", "d", "c", "e")
FETCH = event(5, "fetch", "fetch_1", "c")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], {}),
        ([MADE, VIEW, COPY, FAR, FETCH], {}),
        ([MADE, VIEW, COPY, event(9, "insert", "a", "x")], {"c": [("a", 9)]}),
        ([MADE, VIEW, COPY, FAR, event(9, "insert", "a")], {"c": [("a", 9)], "d": [("a", 9)]}),
        ([MADE, VIEW, COPY, FAR, event(9, "insert", "c")], {"d": [("c", 9)]}),
        # Before it was read, it was no change; a failed one never is.
        ([MADE, event(1.5, "insert", "a"), VIEW, COPY], {}),
        ([MADE, VIEW, COPY, event(9, "insert", "a", status="error")], {}),
        # The end of a table changes nothing that was made of it.
        ([MADE, VIEW, COPY, event(9, "drop_table", "a")], {}),
        # A table that an insert brought rows of is read by that insert.
        (
            [MADE, event(2, "create_object", "t"), event(3, "insert", "t", "a"),
             event(4, "insert", "a")],
            {"t": [("a", 4)]},
        ),
        # Its own rows make it no staler, whichever way it is named.
        ([MADE, event(2, "insert", "a", "a"), event(3, "insert", "a", "a")], {}),
        # In a circle of inserts each read the other before it changed.
        (
            [MADE, event(2, "create_object", "t"), event(3, "insert", "t", "a"),
             event(4, "insert", "a", "t"), event(5, "insert", "t", "a")],
            {"a": [("t", 5)], "t": [("a", 4), ("t", 5)]},
        ),
    ],
)  # fmt: skip
def test_stale(events, expected):
    assert found(events) == expected
    assert found(reversed(events)) == expected


def test_a_file_that_was_written_later():
    read = event(1, "read_csv", "t", path="/data/x.csv")
    copy = event(2, "copy", "c", "t")
    written = START

    def changes(event, since):
        path = event.params.get("path")
        is_read = path is not None and event.operation != "export"
        return [FileChange(path, written)] if is_read and written > since else []

    assert found([read, copy], file_changes=changes) == {}
    written = START + dt.timedelta(seconds=9)
    assert found([read, copy], file_changes=changes) == {
        "t": [("/data/x.csv", None)],
        "c": [("/data/x.csv", None)],
    }
    export = event(3, "export", "fetch_1", "c", path="/data/x.csv")  # what is written is not read
    assert set(found([read, copy, export], file_changes=changes)) == {"t", "c"}
    text = event(1, "sql", "view_s", path="/data/x.csv")  # it is read when the view is
    early, late = event(2, "copy", "e", "view_s"), event(12, "copy", "l", "view_s")
    assert set(found([text, early, late], file_changes=changes)) == {"e"}


def test_it_says_what_changed_and_what_had_read_it():
    (result,) = stale([MADE, VIEW, COPY, event(9, "insert", "a")])
    assert str(result) == "c is stale: a changed after copy"
    assert result.made is COPY
    assert result.changes[0].changed_at == START + dt.timedelta(seconds=9)
