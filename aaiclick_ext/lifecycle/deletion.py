"""The mark of a global table that was deleted while variables still reached it.

Its kernel drops it when it can. Until then the comment of the table itself says that the name is
gone, so that it does not come back when that kernel is killed.
"""

from __future__ import annotations

import re

MARK = "aaiclick:deleted by "
_PATTERN = re.compile(rf"{MARK}(?P<job>\d+)$")


def with_mark(comment: str, job_id: int) -> str:
    """Return a table's comment with the kernel that deleted it.

    Examples
    --------
    >>> with_mark("aaiclick:scalar", 12)
    'aaiclick:scalar aaiclick:deleted by 12'
    """
    return f"{comment} {MARK}{job_id}".lstrip()


def deleted_by(comment: str) -> int | None:
    """Return the kernel that deleted a table, by the table's comment.

    Examples
    --------
    >>> deleted_by("aaiclick:deleted by 12"), deleted_by("a comment")
    (12, None)
    """
    match = _PATTERN.search(comment)
    return None if match is None else int(match["job"])
