"""SQL, cells and messages with their secrets replaced, or None where that cannot be done.

Pure functions. Ordinary text, in which no word hints at a secret, costs some microseconds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aaiclick_ext.masking.source import (
    constants,
    is_magic,
    lines_of,
    literals,
    parse,
    python_secrets,
    without_magics,
)
from aaiclick_ext.masking.spellings import mask_literals
from aaiclick_ext.masking.sql import names_secret_function, scan
from aaiclick_ext.masking.text import MASK, mask_text, may_hold_secrets, text_secrets

if TYPE_CHECKING:
    import ast
    from collections.abc import Set as AbstractSet

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
    found = scan(text)
    if found is None:
        return None
    masked = mask_literals(found.masked(), found.values)
    again = scan(masked)
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
    if parse(source) is not None:
        return _mask_python(source)
    lines = lines_of(source)
    magics = {n: line for n, line in enumerate(lines) if is_magic(line)}
    secrets: frozenset[str] = frozenset()
    for number, line in magics.items():
        lines[number], more = _mask_magic_line(line)
        secrets |= more
    python = python_secrets(without_magics(source))
    if python is None:
        return None
    return _mask_python("".join(lines), secrets | python, has_magics=True)


def secrets_of_sql(text: str) -> frozenset[str]:
    """Return the secrets that an SQL text holds, decoded."""
    found = scan(text) if may_hold_secrets(text) else None
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
    python = python_secrets(body)
    if python is None:
        for line in filter(is_magic, lines_of(body)):
            found |= _mask_magic_line(line)[1]
        python = python_secrets(without_magics(body))
    return frozenset(found | (python or frozenset()))


def secrets_of(text: str) -> frozenset[str]:
    """Return the secrets of a text of any kind: read as source, as SQL and as plain text."""
    if not may_hold_secrets(text):
        return frozenset()
    return secrets_of_source(text) | secrets_of_sql(text) | text_secrets(text, in_code=True)


def mask_message(text: str, secrets: AbstractSet[str] = frozenset()) -> str:
    """Return an error's text without secrets, its own and the given ones.

    A message that calls a function which takes secrets and cannot be read as SQL is withheld:
    only ClickHouse's code remains.
    """
    text = mask_literals(text, secrets)
    if not may_hold_secrets(text):
        return text
    found = scan(text)
    if found is not None:
        text = mask_literals(found.masked(), found.values)
    elif names_secret_function(text):
        code = _CODE.search(text)
        return f"{f'Code: {code[1]}. ' if code else ''}(text withheld: it may hold credentials)"
    return mask_text(text, in_code=True)


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
    found = scan(line[start:]) if _SQL_MAGIC.fullmatch(command) else None
    if found is None:
        return f"{line[:start]} {MASK}{ending}", text_secrets(line[start:], in_code=True)
    secrets = frozenset(found.values) | text_secrets(line[start:], in_code=True)
    return mask_literals(line[:start] + found.masked(), secrets), secrets


def _mask_python(
    source: str, secrets: frozenset[str] | None = None, *, has_magics: bool = False
) -> str | None:
    """Mask the secrets of a cell that parses, literal by literal."""
    secrets = python_secrets(source) if secrets is None else secrets
    if secrets is None:
        return None
    readable = without_magics(source) if has_magics else source
    tree = parse(readable)
    if tree is None:
        return None
    masked = source
    for node in sorted(literals(tree), key=lambda n: (n.lineno, n.col_offset), reverse=True):
        if any(mask_literals(text, secrets) != text for text in constants(node)):
            start, end = _offsets(masked, node)
            masked = masked[:start] + _mask_segment(masked[start:end], secrets) + masked[end:]
    masked = mask_literals(masked, secrets)
    readable = without_magics(masked) if has_magics else masked
    again = python_secrets(readable)
    return masked if not again else None


def _mask_segment(segment: str, secrets: frozenset[str]) -> str:
    """Mask one literal, as it is spelled if that hides it, else by a literal of three stars."""
    masked = mask_literals(segment, secrets)
    tree = parse(masked)
    if tree is not None:
        texts = [text for node in literals(tree) for text in constants(node)]
        if all(mask_literals(text, secrets) == text for text in texts):
            return masked
    return repr(MASK.encode() if re.match(r"[rR]?[bB]", segment) else MASK)


def _offsets(source: str, node: ast.expr) -> tuple[int, int]:
    """Return where a node stands; columns of a tree count UTF-8 bytes."""
    lines = lines_of(source)

    def offset(line: int, column: int) -> int:
        before = sum(len(text) for text in lines[: line - 1])
        return before + len(lines[line - 1].encode()[:column].decode())

    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)
