"""Driver exceptions become ours: one useful sentence, the code, the SQL, never a password."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aaiclick_ext.engine.error_places import marked_line, without_rest
from aaiclick_ext.errors import (
    AaiclickError,
    ConnectError,
    EngineError,
    MemoryLimitError,
    QueryTimeoutError,
    UnknownColumnError,
    UnknownTableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

QUERY_WAS_CANCELLED = 394

# Numbers from ClickHouse's src/Common/ErrorCodes.cpp.
_BY_CODE: dict[int, type[EngineError]] = {
    60: UnknownTableError,  # UNKNOWN_TABLE
    81: UnknownTableError,  # UNKNOWN_DATABASE
    47: UnknownColumnError,  # UNKNOWN_IDENTIFIER
    16: UnknownColumnError,  # NO_SUCH_COLUMN_IN_TABLE
    159: QueryTimeoutError,  # TIMEOUT_EXCEEDED
    160: QueryTimeoutError,  # TOO_SLOW
    241: MemoryLimitError,  # MEMORY_LIMIT_EXCEEDED
    192: ConnectError,  # UNKNOWN_USER
    193: ConnectError,  # WRONG_PASSWORD
    194: ConnectError,  # REQUIRED_PASSWORD
    516: ConnectError,  # AUTHENTICATION_FAILED
}
_NEXT = {
    159: "Raise max_execution_time, or let the query do less.",
    241: "Select fewer columns or rows, or raise max_memory_usage.",
    516: "Check the user and password of the URL.",
}
_CODE = re.compile(r"\bCode: (\d+)\. ")
_SENTENCE = re.compile(r"Code: \d+\. DB::(?:\w+)?Exception: ")
_VERSION = re.compile(r"\s*\(version [^()]*(?:\([^()]*\)[^()]*)*\)")
_NAME = re.compile(r"\s*\([A-Z][A-Z0-9_]{3,}\)")
_STACK = re.compile(r"\s*(?:,?\s*Stack trace\b|\n\s*0\. ).*", re.DOTALL)
_UUID = re.compile(r" \([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\)")
_URL = re.compile(r"\s*\(for url [^)]*\)\s*$")
_NOISE = re.compile(
    r"(?::\s*|\.\s*)?(?:While executing \w+|while executing 'FUNCTION .*|In scope [^\n]*)\.?\s*$",
    re.DOTALL,
)
_EXPECTED = re.compile(r"\s*Expected one of: [^.]*(?:\.|$)")
_PLACE = re.compile(r"failed at position \d+")
_STOPS = re.compile(r"([.?!])\.+$")
_LONGEST = 2000


def sentence(text: str) -> str:
    """Return the part of a ClickHouse message that a person can use.

    Without the code, the C++ stack, the name of the error and the version.

    Examples
    --------
    >>> sentence("Code: 60. DB::Exception: Table default.t does not exist. (UNKNOWN_TABLE)"
    ...          " (version 26.9.2.1)")
    'Table default.t does not exist.'
    """
    return _shortened(_useful(text))


def translate(
    error: Exception,
    *,
    sql: str | None = None,
    query_id: str | None = None,
    secrets: tuple[str, ...] = (),
) -> AaiclickError:
    """Return our error for a driver's, with a `__cause__` that is safe to print.

    The caller raises it outside its ``except`` block, so that no context is added that was not
    looked at here. A cause that holds a secret anywhere in its chain is dropped, and so is SQL
    that cannot be masked.

    Parameters
    ----------
    error
        What the driver raised, or we did without a word of the statement, which is then added.
    sql, query_id
        The statement, and the id under which it ran.
    secrets
        Texts that must appear nowhere, such as the password.
    """
    # Here, because errors are rare and the import takes a while.
    from aaiclick_ext.masking import mask_literals, mask_message, mask_sql, secrets_of_sql

    hidden = frozenset(filter(None, secrets)) | secrets_of_sql(sql or "")
    masked_sql = None if sql is None else mask_sql(sql)
    safe_sql = None if masked_sql is None else mask_literals(masked_sql, hidden)
    if isinstance(error, AaiclickError):
        if isinstance(error, EngineError) and error.sql is None:
            error.sql, error.query_id = safe_sql, query_id
        return error
    text = str(error)
    code = getattr(error, "code", None) or _code_of(text)
    kind = _kind_of(error, code)
    is_readable = sql is None or masked_sql is not None
    message = (kind is ConnectError and _reason_of(error)) or _useful(text)
    if not is_readable:
        message = _withheld(message)
    message = _shortened(mask_message(message, hidden))  # a secret that is cut would not be found
    if code in _NEXT:
        message = f"{message} {_NEXT[code]}"
    translated = kind(
        message,
        sql=safe_sql,
        code=code,
        query_id=query_id,
    )
    if is_readable and sql is not None and translated.sql is not None:
        place = marked_line(text, sql, translated.sql)
        if place is not None:
            translated.args = (without_rest(message, sql),)
            translated.add_note(place)
    if is_readable and not any(_mentions(link, hidden) for link in _chain(error)):
        translated.__cause__ = error
    return translated


def _useful(text: str) -> str:
    found = list(_SENTENCE.finditer(text))
    if found:
        text = text[found[-1].end() :] if _nested(text, found) else text[found[0].end() :]
    for pattern in (_URL, _STACK, _VERSION, _NAME, _EXPECTED, _UUID):
        text = pattern.sub("", text)
    text = _NOISE.sub("", text).strip().rstrip(":,")
    return _STOPS.sub(r"\1", text)


def _withheld(text: str) -> str:
    """Return what can be said where ClickHouse quotes SQL whose secrets are not known."""
    place = _PLACE.search(text)
    where = f"ClickHouse {place[0]} of the SQL. " if place else ""
    return f"{where}The rest is withheld: it may hold credentials, and the SQL cannot be read."


def _shortened(text: str) -> str:
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text) - _LONGEST} more characters)"
    return text if text.endswith((".", "?", "!", ")", "…")) else f"{text}."


def _nested(text: str, found: list[re.Match[str]]) -> bool:
    """Whether the first sentence only wraps the last, as in "Code: 115. …: Code: 115. …"."""
    return len(found) > 1 and not text[found[0].end() : found[1].start()].strip()


def _code_of(text: str) -> int | None:
    match = _CODE.search(text)
    return int(match.group(1)) if match else None


def _kind_of(error: Exception, code: int | None) -> type[EngineError]:
    if code is not None:
        return _BY_CODE.get(code, EngineError)
    from clickhouse_connect.driver.exceptions import OperationalError
    from urllib3.exceptions import HTTPError

    unreachable = (OperationalError, HTTPError, ConnectionError)
    return ConnectError if isinstance(error, unreachable) else EngineError


def _reason_of(error: Exception) -> str | None:
    """Return what the network said, from under the layers of an HTTP library."""
    for link in _chain(error):
        if isinstance(link, OSError) and link.strerror:
            return f"the server does not answer ({link.strerror.lower()})."
        if isinstance(link, TimeoutError):
            return "the server does not answer (timed out)."
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo = [error]
    while todo:
        link = todo.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            todo += [link.__cause__, link.__context__]
            yield link


def _mentions(error: BaseException, secrets: AbstractSet[str]) -> bool:
    """Whether an exception shows one of the secrets, or one of its own."""
    from aaiclick_ext.masking import mask_literals, mask_message, mask_text

    text, shown = str(error), f"{error!r} {error.args!r}"
    return (
        mask_message(text, secrets) != text
        or mask_literals(shown, secrets) != shown
        or mask_text(shown, in_code=True) != shown
    )
