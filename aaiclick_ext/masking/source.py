"""Secrets in Python source: literals by the name they are bound to, and SQL inside them."""

from __future__ import annotations

import ast
import io
import re
import string
import tokenize
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING

from aaiclick_ext.masking.names import is_secret_name
from aaiclick_ext.masking.sql import names_secret_function, scan
from aaiclick_ext.masking.text import MASK, may_hold_secrets, text_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_MAGIC = re.compile(r"^(?P<indent>\s*)(?:[\w.,\s\[\]'\"]+=\s*)?(?:[%!]|[?]|[\w.]+[?]+\s*$)")
_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_PERCENT = re.compile(r"%(?:\((?P<key>\w+)\))?[-#0-9 +*.]*[a-zA-Z]")
_HOLE = 0xF0000  # of private use: stands for an expression inside a text
_HOLES = re.compile("[\U000f0000-\U000ffffd]")
_PIECE = 4
"""A shorter piece of a secret gives too little away, and would mask too much elsewhere."""

_FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

Part = str | ast.expr


def parse(source: str) -> ast.Module | None:
    """Return the tree of a cell, or None when it is no Python.

    None also for one whose text has a character that stands for an expression here: it cannot be
    read, so it is not stored where it may hold a secret.
    """
    try:
        tree = compile(source, "<cell>", "exec", flags=_FLAGS, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(tree, ast.Module):
        return None
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return None if any(isinstance(t, str) and _HOLES.search(t) for t in texts) else tree


def lines_of(source: str) -> list[str]:
    """Return the lines with their ends, as Python counts them (`str.splitlines` knows more)."""
    return _LINES.findall(source)


def is_magic(line: str) -> bool:
    """Say whether a line is IPython's (``%x``, ``!x``, ``a = %x``, ``x?``) when it is no Python."""
    return _MAGIC.match(line) is not None


def without_magics(source: str) -> str:
    """Return the source with each line that is IPython's replaced by ``pass``."""
    lines = lines_of(source)
    for number, line in enumerate(lines):
        if match := _MAGIC.match(line):
            lines[number] = f"{match['indent']}pass\n"
    return "".join(lines)


def python_secrets(source: str) -> frozenset[str] | None:
    """Return the secrets of Python source, comments included, or None when it cannot be read."""
    tree = parse(source)
    if tree is None:
        return None
    return _Secrets(tree).run() | _of_comments(source)


def literal_secrets(text: str) -> frozenset[str] | None:
    """Return the secrets of one text, read as SQL and as plain text; None when it cannot be."""
    if not may_hold_secrets(text):
        return frozenset()
    found = scan(text)
    plain = text_secrets(text)
    if found is None:
        return None if names_secret_function(text) else plain
    return plain | found.values


def literals(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield each literal, an f-string as a whole."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(child) for child in ast.walk(node)} - {id(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in inside:
            yield node


def constants(node: ast.AST) -> Iterator[str]:
    """Yield the decoded text of each literal below a node."""
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and (text := _text(child)) is not None:
            yield text


def _text(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Constant):
        return None
    value = node.value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1000:
        return str(value)
    return value if isinstance(value, str) else None


def _of_comments(source: str) -> frozenset[str]:
    """Secrets in comments, each read as text, as SQL and as the Python it may have been."""
    found: set[str] = set()
    block: list[str] = []
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        tokens = []
    for token in tokens:
        if token.type == tokenize.COMMENT:
            block.append(token.string.lstrip("#").strip())
        elif token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT) and block:
            found |= _of_comment_block(block)
            block = []
    return frozenset(found | _of_comment_block(block))


def _of_comment_block(lines: Sequence[str]) -> frozenset[str]:
    found: set[str] = set()
    for text in {*lines, "\n".join(lines)}:
        if may_hold_secrets(text):
            as_sql = literal_secrets(text)
            if as_sql is None:  # it could be anything: all of it goes
                as_sql = frozenset(line for line in text.splitlines() if len(line) >= _PIECE)
            found |= text_secrets(text, in_code=True) | as_sql
            if (tree := parse(text)) is not None:
                found |= _Secrets(tree).run()
    return frozenset(found)


def _parts(node: ast.expr, seen: set[int]) -> list[Part]:
    """Return a text made of pieces as its pieces: literals and the expressions between them.

    The nodes that were taken apart are added to `seen`: a piece is not read by itself.
    """
    seen.add(id(node))
    if (text := _text(node)) is not None:
        return [text]
    if isinstance(node, ast.JoinedStr):
        return [part for value in node.values for part in _parts(value, seen)]
    if isinstance(node, ast.FormattedValue):
        return _parts(node.value, seen)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_parts(node.left, seen), *_parts(node.right, seen)]
    template = _percent_template(node, seen) or _format_template(node, seen)
    if template is not None:
        return template
    seen.discard(id(node))
    return [node]


def _percent_template(node: ast.expr, seen: set[int]) -> list[Part] | None:
    """Return the pieces of ``"…" % (…)``."""
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod)):
        return None
    if (text := _text(node.left)) is None:
        return None
    seen.add(id(node.left))
    right = node.right
    fields = list(_PERCENT.finditer(text))
    ends = [0, *(field.end() for field in fields)]
    starts = [*(field.start() for field in fields), len(text)]
    pieces = [text[a:b] for a, b in zip(ends, starts, strict=True)]
    given = list(right.elts) if isinstance(right, ast.Tuple) else [right]
    named = _items(right) if isinstance(right, ast.Dict) else {}
    return _filled(pieces, [field["key"] for field in fields], given, named, seen)


def _format_template(node: ast.expr, seen: set[int]) -> list[Part] | None:
    """Return the pieces of ``"…".format(…)``."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return None
    text = _text(node.func.value)
    if text is None or node.func.attr != "format":
        return None
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError:
        return None
    seen.add(id(node.func.value))
    pieces = [piece for piece, *_ in parsed]
    keys = [None if not key or key.isdigit() else key for _, key, *_ in parsed if key is not None]
    named = {k.arg: k.value for k in node.keywords if k.arg}
    return _filled(pieces, keys, node.args, named, seen)


def _items(node: ast.Dict) -> dict[str, ast.expr]:
    pairs = zip(node.keys, node.values, strict=True)
    return {text: value for key, value in pairs if key and (text := _text(key)) is not None}


def _filled(
    pieces: Sequence[str | None],
    keys: Sequence[str | None],
    given: Sequence[ast.expr],
    named: Mapping[str, ast.expr],
    seen: set[int],
) -> list[Part]:
    positional = iter(given)
    parts: list[Part] = []
    for piece, key in zip_longest(pieces, keys, fillvalue=""):
        parts.append(piece or "")
        if key != "":
            node = named.get(key) if key else next(positional, None)
            parts += _parts(node, seen) if node is not None else [chr(_HOLE)]
    return parts


class _Secrets(ast.NodeVisitor):
    """The secrets of one tree: what is bound to a secret name, or flows into a secret place."""

    def __init__(self, tree: ast.Module) -> None:
        self.bindings: list[tuple[str, ast.expr]] = []
        self.texts: list[list[Part]] = []
        self.found: set[str] = set()
        self.secret_names: set[str] = set()
        self._seen: set[int] = set()
        self.visit(tree)

    def run(self) -> frozenset[str]:
        for parts in self.texts:
            self._scan(parts)
        done: set[int] = set()
        while True:
            due = [
                (number, value)
                for number, (name, value) in enumerate(self.bindings)
                if number not in done and (name in self.secret_names or is_secret_name(name))
            ]
            if not due:
                break
            for number, value in due:
                done.add(number)
                self._taint(value)
        clean = {value for value in self.found if value.strip() and value.strip(MASK)}
        return frozenset(clean)

    def _scan(self, parts: Sequence[Part]) -> None:
        """Read a text with its expressions as holes; what fills a secret place is a secret."""
        holes: list[ast.expr] = []
        text = ""
        for part in parts:
            if isinstance(part, str):
                text += part
            else:
                text += chr(_HOLE + 1 + len(holes))
                holes.append(part)
        found = literal_secrets(text)
        if found is None:  # prose, or SQL that cannot be read: all of it could be a secret
            found = frozenset({text})
        for value in found:
            pieces = _HOLES.split(value)
            self.found |= {value} if len(pieces) == 1 else {p for p in pieces if len(p) >= _PIECE}
            for hole in _HOLES.findall(value):
                if 0 < ord(hole) - _HOLE <= len(holes):
                    self._taint(holes[ord(hole) - _HOLE - 1])

    def _taint(self, node: ast.expr) -> None:
        """Take the literals of a secret value, and remember the names that it is made of."""
        if isinstance(node, ast.Name):
            self.secret_names.add(node.id)
        elif isinstance(node, ast.Attribute):
            self.secret_names.add(node.attr)
        elif isinstance(node, ast.Subscript):
            self.secret_names |= set(constants(node.slice))
        elif isinstance(node, ast.Call):
            for argument in node.args[1:]:  # a default: os.environ.get("NAME", "default")
                self._taint(argument)
            if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):
                self._taint(node.func.value)  # "x".encode()
        else:
            text = _text(node)
            if text is not None:
                self.found.add(text)
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self._taint(child)

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.expr) and id(node) not in self._seen:
            parts = _parts(node, self._seen)
            if any(isinstance(part, str) for part in parts):
                self.texts.append(parts)
        for name, value in _bindings(node):
            self.bindings.append((name, value))
        self.generic_visit(node)


def _bindings(node: ast.AST) -> Iterable[tuple[str, ast.expr]]:
    """Return names and keys with the values that a node gives them."""
    if isinstance(node, ast.Assign):
        return [pair for target in node.targets for pair in _assigned(target, node.value)]
    if isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value is not None:
        return _assigned(node.target, node.value)
    if isinstance(node, ast.keyword) and node.arg:
        return [(node.arg, node.value)]
    if isinstance(node, ast.Dict):
        return _items(node).items()
    if isinstance(node, ast.arguments):
        positional = [*node.posonlyargs, *node.args]
        defaults = zip(
            positional[len(positional) - len(node.defaults) :], node.defaults, strict=True
        )
        only = zip(node.kwonlyargs, node.kw_defaults, strict=True)
        return [(a.arg, value) for a, value in (*defaults, *only) if value is not None]
    if isinstance(node, ast.Compare):
        pairs = list(pairwise([node.left, *node.comparators]))
        return [pair for a, b in pairs for pair in (*_assigned(a, b), *_assigned(b, a))]
    if isinstance(node, ast.Call):  # setdefault("PASSWORD", "x"), setattr(o, "token", "x")
        return [(t, b) for a, b in pairwise(node.args) if (t := _text(a)) is not None]
    if isinstance(node, ast.Tuple | ast.List) and len(node.elts) == 2:  # ("password", "x")
        key = _text(node.elts[0])
        return [(key, node.elts[1])] if key is not None else []
    return []


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Attribute):
        yield target.attr, value
    elif isinstance(target, ast.Subscript) and (key := _text(target.slice)) is not None:
        yield key, value
    elif isinstance(target, ast.Tuple | ast.List):
        if isinstance(value, ast.Tuple | ast.List) and len(target.elts) == len(value.elts):
            for one, its in zip(target.elts, value.elts, strict=True):
                yield from _assigned(one, its)
        else:
            for one in target.elts:
                yield from _assigned(one, value)
