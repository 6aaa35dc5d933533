"""Masking: secrets are replaced before an event exists; what cannot be masked is not stored.

Pure functions. Ordinary text, in which no word hints at a secret, costs some microseconds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aaiclick_ext.oplog import secret_source, secret_sql, secret_text
from aaiclick_ext.oplog.secret_spellings import mask_literals
from aaiclick_ext.oplog.secret_text import MASK, may_hold_secrets

if TYPE_CHECKING:
    import ast
    from collections.abc import Set as AbstractSet

__all__ = [
    "MASK",
    "mask_literals",
    "mask_message",
    "mask_source",
    "mask_sql",
    "may_hold_secrets",
    "secrets_of",
    "secrets_of_source",
    "secrets_of_sql",
]

_CODE = re.compile(r"code:?\s*(\d+)", re.IGNORECASE)
_SQL_MAGIC = re.compile(r"%%?\w*sql\w*\b", re.IGNORECASE)


def mask_sql(text: str) -> str | None:
    """Return SQL with its secrets replaced by ``***``, or None where that cannot be done.

    Examples
    --------
    >>> mask_sql("SELECT * FROM mysql('db:3306', shop, orders, 'reader', 'hunter2')")
    "SELECT * FROM mysql('db:3306', shop, orders, 'reader', '***')"
    """
    if not may_hold_secrets(text):
        return text
    found = secret_sql.scan(text)
    if found is None:
        return None
    masked = mask_literals(found.masked(), found.values)
    again = secret_sql.scan(masked)
    return masked if again is not None and not again.values else None


def mask_source(source: str) -> str | None:
    """Return a cell's source with its secrets replaced, or None where that cannot be done.

    A cell is Python with IPython's magics. A line that runs a command or a magic which may hold
    a secret is replaced as a whole, unless it is SQL; a cell that does not parse and may hold a
    secret cannot be masked.

    Examples
    --------
    >>> mask_source('password = "hunter2"; connect("db", password)')
    'password = "***"; connect("db", password)'
    """
    if not may_hold_secrets(source):
        return source
    if source.lstrip().startswith("%%"):
        return _mask_cell_magic(source)
    if secret_source.parse(source) is not None:
        return _mask_python(source)
    lines = secret_source.lines_of(source)
    magics = {n: line for n, line in enumerate(lines) if secret_source.is_magic(line)}
    secrets: frozenset[str] = frozenset()
    for number, line in magics.items():
        lines[number], more = _mask_magic_line(line)
        secrets |= more
    python = secret_source.values(secret_source.without_magics(source))
    if python is None:
        return None
    return _mask_python("".join(lines), secrets | python, without_magics=True)


def secrets_of_sql(text: str) -> frozenset[str]:
    """Return the secrets that an SQL text holds, decoded."""
    found = secret_sql.scan(text) if may_hold_secrets(text) else None
    return frozenset(found.values) if found is not None else frozenset()


def secrets_of_source(source: str) -> frozenset[str]:
    """Return the secrets that a cell's source holds, decoded."""
    if not may_hold_secrets(source):
        return frozenset()
    found: set[str] = set()
    body = source
    if source.lstrip().startswith("%%"):
        first, _, body = source.lstrip().partition("\n")
        found |= _mask_magic_line(first)[1]
        if _SQL_MAGIC.match(first):
            return frozenset(found | secrets_of_sql(body))
    python = secret_source.values(body)
    if python is None:
        for line in filter(secret_source.is_magic, secret_source.lines_of(body)):
            found |= _mask_magic_line(line)[1]
        python = secret_source.values(secret_source.without_magics(body))
    return frozenset(found | (python or frozenset()))


def secrets_of(text: str) -> frozenset[str]:
    """Return the secrets of a text of any kind: read as source, as SQL and as plain text."""
    if not may_hold_secrets(text):
        return frozenset()
    return secrets_of_source(text) | secrets_of_sql(text) | secret_text.values(text, in_code=True)


def mask_message(text: str, secrets: AbstractSet[str] = frozenset()) -> str:
    """Return an error's text without secrets, its own and the given ones.

    A message that calls a function which takes secrets and cannot be read as SQL is withheld:
    only ClickHouse's code remains.
    """
    text = mask_literals(text, secrets)
    if not may_hold_secrets(text):
        return text
    found = secret_sql.scan(text)
    if found is not None:
        text = mask_literals(found.masked(), found.values)
    elif secret_sql.names_secret_function(text):
        code = _CODE.search(text)
        return f"{f'Code: {code[1]}. ' if code else ''}(text withheld: it may hold credentials)"
    return secret_text.masked(text, in_code=True)


def _mask_cell_magic(source: str) -> str | None:
    first, newline, body = source.lstrip().partition("\n")
    masked_line, secrets = _mask_magic_line(first)
    if not may_hold_secrets(body):
        masked: str | None = body
    elif _SQL_MAGIC.match(first):
        secrets |= secrets_of_sql(body)
        masked = mask_sql(body)
    else:
        masked = mask_source(body)
        secrets |= secrets_of_source(body)
    return None if masked is None else mask_literals(f"{masked_line}{newline}{masked}", secrets)


def _mask_magic_line(line: str) -> tuple[str, frozenset[str]]:
    """Mask one line of IPython's; one that is not SQL keeps only its first word."""
    if not may_hold_secrets(line):
        return line, frozenset()
    ending = line[len(line.rstrip("\r\n")) :]
    mark = re.search(r"[%!]+\w*|\?+", line)
    start = mark.end() if mark else 0
    command = line[mark.start() : start] if mark else ""
    if line[start:].strip() == MASK:
        return line, frozenset()
    found = secret_sql.scan(line[start:]) if _SQL_MAGIC.fullmatch(command) else None
    if found is None:
        return f"{line[:start]} {MASK}{ending}", secret_text.values(line[start:], in_code=True)
    secrets = frozenset(found.values) | secret_text.values(line[start:], in_code=True)
    return mask_literals(line[:start] + found.masked(), secrets), secrets


def _mask_python(
    source: str, secrets: frozenset[str] | None = None, *, without_magics: bool = False
) -> str | None:
    """Mask the secrets of a cell that parses, literal by literal."""
    secrets = secret_source.values(source) if secrets is None else secrets
    if secrets is None:
        return None
    readable = secret_source.without_magics(source) if without_magics else source
    tree = secret_source.parse(readable)
    if tree is None:
        return None
    masked = source
    literals = secret_source.literals(tree)
    for node in sorted(literals, key=lambda n: (n.lineno, n.col_offset), reverse=True):
        if any(mask_literals(text, secrets) != text for text in secret_source.constants(node)):
            start, end = _offsets(masked, node)
            masked = masked[:start] + _mask_segment(masked[start:end], secrets) + masked[end:]
    masked = mask_literals(masked, secrets)
    readable = secret_source.without_magics(masked) if without_magics else masked
    again = secret_source.values(readable)
    return masked if not again else None


def _mask_segment(segment: str, secrets: frozenset[str]) -> str:
    """Mask one literal, as it is spelled if that hides it, else by a literal of three stars."""
    masked = mask_literals(segment, secrets)
    tree = secret_source.parse(masked)
    if tree is not None:
        texts = [
            text for node in secret_source.literals(tree) for text in secret_source.constants(node)
        ]
        if all(mask_literals(text, secrets) == text for text in texts):
            return masked
    return repr(MASK.encode() if re.match(r"[rR]?[bB]", segment) else MASK)


def _offsets(source: str, node: ast.expr) -> tuple[int, int]:
    """Return where a node stands; columns of a tree count UTF-8 bytes."""
    lines = secret_source.lines_of(source)

    def offset(line: int, column: int) -> int:
        before = sum(len(text) for text in lines[: line - 1])
        return before + len(lines[line - 1].encode()[:column].decode())

    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)
