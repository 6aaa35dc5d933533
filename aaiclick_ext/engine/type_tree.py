"""ClickHouse's type text as a tree, and back.

The grammar is ClickHouse's own (``src/Parsers/ParserDataType.cpp``): a name, and in parentheses
types, literals, pairs of a name and a type, or text that only one type understands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from aaiclick_ext.engine.sql import quote_identifier, quote_literal
from aaiclick_ext.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<number>[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)
      | (?P<text>'(?:[^'\\]|\\.|'')*')
      | (?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
      | (?P<sign>[(),=])
    )\s*""",
    re.VERBOSE | re.DOTALL,
)
WIDE_INTEGERS = frozenset({"Int128", "Int256", "UInt128", "UInt256"})
"""Integers that Ibis has no type for."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ESCAPE = {
    quote: re.compile(rf"\\(x[0-9A-Fa-f]{{2}}|.)|{quote}{quote}", re.DOTALL) for quote in "'`\""
}
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}

_RAW = {"Dynamic", "JSON", "Object", "QBit"}
"""Types whose arguments are kept as text: nothing here reads them."""

_AGGREGATE = {"AggregateFunction", "SimpleAggregateFunction"}

_GEOMETRY = (
    "LineString", "MultiLineString", "MultiPolygon", "Point", "Polygon", "Ring", "MultiPoint",
)  # fmt: skip
_ALIASES = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "MultiLineString": "Array(LineString)",
    "MultiPoint": "Array(Point)",
    "Polygon": "Array(Ring)",
    "MultiPolygon": "Array(Polygon)",
    "Geometry": f"Variant({', '.join(_GEOMETRY)})",
}


@dataclass(frozen=True, slots=True)
class ChType:
    """One ClickHouse type.

    Attributes
    ----------
    name
        As ClickHouse writes it: ``Array``, ``DateTime64``.
    args
        The types inside it, in order.
    names
        Names of `args` where they have them (Tuple, Nested).
    params
        Literals: precision, scale, length, time zone.
    values
        Name to number, of an Enum.
    raw
        Argument text kept as it is: an aggregate function with its parameters, what JSON says
        of its paths.
    """

    name: str
    args: tuple[ChType, ...] = ()
    names: tuple[str, ...] | None = None
    params: tuple[int | str, ...] = ()
    values: tuple[tuple[str, int], ...] = ()
    raw: str | None = None

    def __str__(self) -> str:
        parts = [] if self.raw is None else [self.raw]
        names = self.names or ("",) * len(self.args)
        parts += [
            f"{_written_name(name)} {arg}" if self.names else str(arg)
            for name, arg in zip(names, self.args, strict=True)
        ]
        parts += [quote_literal(p) if isinstance(p, str) else str(p) for p in self.params]
        parts += [f"{quote_literal(name)} = {number}" for name, number in self.values]
        if parts or self.name == "Tuple":
            return f"{self.name}({', '.join(parts)})"
        return self.name

    @property
    def nullable(self) -> bool:
        """Whether a value of this type can be null."""
        if self.name in ("LowCardinality", "SimpleAggregateFunction"):
            return self.args[0].nullable
        return self.name in ("Nullable", "Dynamic", "Variant", "Geometry")

    @property
    def inner(self) -> ChType:
        """The type inside Nullable, LowCardinality and SimpleAggregateFunction, no alias.

        Examples
        --------
        >>> print(parse("LowCardinality(Nullable(String))").inner, parse("Ring").inner)
        String Array(Point)
        """
        found = self
        while found.name in ("Nullable", "LowCardinality", "SimpleAggregateFunction"):
            found = found.args[0]
        if found.name in _ALIASES:
            return parse(_ALIASES[found.name])
        if found.name == "Nested":
            return ChType("Array", (replace(found, name="Tuple"),))
        return found

    def with_args(self, args: tuple[ChType, ...]) -> ChType:
        """Return the same type of other arguments; itself if they are the same."""
        if all(new is old for new, old in zip(args, self.args, strict=True)):
            return self
        return replace(self, args=args)

    def walk(self) -> Iterator[ChType]:
        """Yield this type and every type inside it."""
        yield self
        for arg in self.args:
            yield from arg.walk()


@lru_cache(maxsize=4096)
def parse(text: str) -> ChType:
    r"""Return the tree of a type.

    Raises
    ------
    SchemaError
        If the text is not one type.

    Examples
    --------
    >>> parse("Array(Nullable(DateTime64(3, 'Asia/Kolkata')))").args[0].args[0].params
    (3, 'Asia/Kolkata')
    >>> parse(r"Tuple(`a b` Int8, c Enum8('x\'y' = 1))").names
    ('a b', 'c')
    """
    return _Parser(text).parse()


class _Parser:
    """Recursive descent over one type's text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int, int]] = []
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                # JSON and QBit may hold more than types; their text is cut out below.
                self._tokens.append(("other", text[position], position, position + 1))
                position += 1
                continue
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind], found.start(kind), found.end(kind)))
            position = found.end()
        self._at = 0

    def parse(self) -> ChType:
        found = self._type()
        if self._at != len(self._tokens):
            raise self._error()
        return found

    def _error(self) -> SchemaError:
        place = self._tokens[self._at][2] if self._at < len(self._tokens) else len(self._text)
        return SchemaError(
            f"{self._text!r} is not a ClickHouse type (stopped at character {place}); "
            "write it as in Int64, Nullable(String), Array(DateTime64(6, 'UTC'))"
        )

    def _peek(self, ahead: int = 0) -> tuple[str, str]:
        index = self._at + ahead
        return self._tokens[index][:2] if index < len(self._tokens) else ("end", "")

    def _next(self, *kinds: str) -> str:
        kind, text = self._peek()
        if kind not in kinds:
            raise self._error()
        self._at += 1
        return text

    def _accept(self, sign: str) -> bool:
        if self._peek() == ("sign", sign):
            self._at += 1
            return True
        return False

    def _type(self) -> ChType:
        name = self._next("word")
        if not self._accept("("):
            return ChType(name)
        if name in _RAW:
            return ChType(name, raw=self._text_to_closing())
        if name in _AGGREGATE:
            return self._aggregate(name)
        found = ChType(name) if self._accept(")") else self._arguments(name)
        if name.startswith("Enum") and not found.values:
            raise self._error()
        return found

    def _arguments(self, name: str) -> ChType:
        args: list[ChType] = []
        names: list[str] = []
        params: list[int | str] = []
        values: list[tuple[str, int]] = []
        while True:
            kind, token = self._peek()
            if kind == "number":
                self._at += 1
                params.append(int(token) if token.lstrip("+-").isdigit() else token)
            elif kind == "text":
                self._at += 1
                if self._accept("="):
                    values.append((_unquoted(token), int(self._next("number"))))
                else:
                    params.append(_unquoted(token))
            else:
                if kind == "quoted" or self._peek(1)[0] in ("word", "quoted"):
                    names.append(_unquoted(self._next("quoted", "word")))
                args.append(self._type())
            if self._accept(")"):
                break
            if not self._accept(","):
                raise self._error()
        if names and len(names) != len(args):
            raise self._error()
        return ChType(name, tuple(args), tuple(names) or None, tuple(params), tuple(values))

    def _aggregate(self, name: str) -> ChType:
        """``AggregateFunction(quantiles(0.5, 0.9), Float64)``: a function, then types."""
        start = self._tokens[self._at][2] if self._at < len(self._tokens) else 0
        if self._peek()[0] == "number":  # the version that ClickHouse puts before the function
            self._at += 1
            if not self._accept(","):
                raise self._error()
        self._next("word")
        if self._accept("("):
            self._text_to_closing()
        raw = self._text[start : self._tokens[self._at - 1][3]]
        args = []
        while self._accept(","):
            args.append(self._type())
        if not self._accept(")"):
            raise self._error()
        return ChType(name, tuple(args), raw=raw)

    def _text_to_closing(self) -> str:
        start, depth = self._at, 1
        while depth:
            kind, token = self._peek()
            if kind == "end":
                raise self._error()
            self._at += 1
            depth += {"(": 1, ")": -1}.get(token, 0) if kind == "sign" else 0
        first, last = self._tokens[start][2], self._tokens[self._at - 1][2]
        return self._text[first:last].strip()


def _unquoted(token: str) -> str:
    escape = _ESCAPE.get(token[0])
    return token if escape is None else escape.sub(_unescaped, token[1:-1])


def _unescaped(found: re.Match[str]) -> str:
    escape = found[1]
    if escape is None:
        return found[0][0]
    if len(escape) == 3:
        return chr(int(escape[1:], 16))
    return _ESCAPED.get(escape, escape)


def _written_name(name: str) -> str:
    return name if _PLAIN_NAME.match(name) else quote_identifier(name)
