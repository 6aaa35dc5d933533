"""What the comment of a table says of its life: for kernels that have no registry that knows it.

A global table that was deleted while variables still reached it: its kernel drops it when it can,
and until then the name must not come back, should that kernel be killed. In an embedded database, a
table that is pinned or preserved: the next kernel may have another registry, or find the directory
at another place.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from aaiclick_ext.engine import quote_identifier, quote_literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from aaiclick_ext.engine import Engine

DELETED = "aaiclick:deleted by "
_PINNED = "aaiclick:pinned at "
_PRESERVED = "aaiclick:preserved"
_DELETED_BY = re.compile(rf"{DELETED}(?P<job>\d+)")
_PINNED_AT = re.compile(rf" ?{_PINNED}(?P<time>[-+:.\dT]+)")


def with_deletion(comment: str, job_id: int) -> str:
    """Return a table's comment with the kernel that deleted it.

    Examples
    --------
    >>> with_deletion("aaiclick:scalar", 12)
    'aaiclick:scalar aaiclick:deleted by 12'
    """
    return f"{comment} {DELETED}{job_id}".lstrip()


def deleted_by(comment: str) -> int | None:
    """Return the kernel that deleted a table, by the table's comment.

    Examples
    --------
    >>> deleted_by("aaiclick:deleted by 12"), deleted_by("a comment")
    (12, None)
    """
    match = _DELETED_BY.search(comment)
    return None if match is None else int(match["job"])


def with_pin(comment: str, pinned_at: dt.datetime) -> str:
    """Return a table's comment with a pin; the one that it has stays.

    Examples
    --------
    >>> with_pin("aaiclick:scalar", dt.datetime(2026, 11, 21, tzinfo=dt.UTC))
    'aaiclick:scalar aaiclick:pinned at 2026-11-21T00:00:00+00:00'
    """
    if pinned_at_of(comment) is not None:
        return comment
    return f"{comment} {_PINNED}{pinned_at.isoformat()}".lstrip()


def without_pin(comment: str) -> str:
    """Return a table's comment without its pin.

    Examples
    --------
    >>> without_pin("aaiclick:scalar aaiclick:pinned at 2026-11-21T00:00:00+00:00")
    'aaiclick:scalar'
    """
    return _PINNED_AT.sub("", comment).lstrip()


def pinned_at_of(comment: str) -> dt.datetime | None:
    """Return when a table was pinned, by the table's comment; None where it is not."""
    match = _PINNED_AT.search(comment)
    return None if match is None else dt.datetime.fromisoformat(match["time"])


def with_preservation(comment: str) -> str:
    """Return a table's comment with the mark of what is preserved."""
    return comment if is_preserved(comment) else f"{comment} {_PRESERVED}".lstrip()


def is_preserved(comment: str) -> bool:
    """Say whether a table is preserved, by the table's comment.

    Examples
    --------
    >>> is_preserved(with_preservation("a comment")), is_preserved("a comment")
    (True, False)
    """
    return _PRESERVED in comment.split()


def change_comment(engine: Engine, table: str, change: Callable[[str], str]) -> None:
    """Give a table another comment, made of the one it has. Runs two statements.

    Raises
    ------
    EngineError
        If that is not allowed, or the table is dropped meanwhile.
    """
    rows = engine.query_rows(
        "SELECT comment FROM system.tables "
        "WHERE database = currentDatabase() AND name = {table:String}",
        {"table": table},
    )
    for (comment,) in rows:
        changed = change(comment)
        if changed != comment:
            engine.command(
                f"ALTER TABLE {quote_identifier(table)} MODIFY COMMENT {quote_literal(changed)}"
            )


def outlives_registry(engine: Engine) -> bool:
    """Say whether the next kernel on a database may have another registry, or find it elsewhere."""
    return engine.creds.is_embedded and not engine.creds.is_scratch
