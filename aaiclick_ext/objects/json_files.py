"""JSON files into a table: an array of objects, or objects one after another."""

from __future__ import annotations

import io
import itertools
import json
import re
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.engine.type_tree import parse
from aaiclick_ext.errors import AaiclickError, FileContentError, SchemaError, ValueRangeError
from aaiclick_ext.objects.creation import TableSpec, new_table
from aaiclick_ext.objects.refusal import Refusal
from aaiclick_ext.objects.sequences import array_of, columns_of
from aaiclick_ext.objects.staging import Reading, Stage, object_from_stage
from aaiclick_ext.objects.text_casts import NESTED
from aaiclick_ext.objects.text_types import MOMENTS
from aaiclick_ext.objects.typed_stream import Columns, load
from aaiclick_ext.objects.values import to_columnar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from aaiclick_ext.objects.file_sources import SourceFile
    from aaiclick_ext.objects.object import Object

_CHUNK_CHARACTERS = 1 << 23
_SPACE = " \t\r\n"
_MAY_LOSE = re.compile(r"[0-9](?:\.?[0-9]){15}|[0-9][eE]\+?[0-9]{3}")
"""What a number looks like that no float holds; texts can look so, too."""


class Number(float):
    """A float that knows its digits, for columns that are to be Decimals or text."""

    digits: str

    def __new__(cls, digits: str) -> Self:  # noqa: D102
        number = super().__new__(cls, digits)
        number.digits = digits
        return number

    @property
    def is_exact(self) -> bool:
        """Whether the float says what the digits say."""
        return _significant(self.digits) == _significant(float.__repr__(self))


def _significant(digits: str) -> str:
    return re.sub(r"[eE].*|[^0-9]", "", digits).strip("0")


class InexactNumber(Exception):  # noqa: N818 -- it is made into one of our errors, never shown
    """A number that no float holds."""


def _exact_float(digits: str) -> float:
    number = Number(digits)
    if not number.is_exact:
        raise InexactNumber(digits)
    return float(number)


def object_from_json(reading: Reading) -> Object:
    """Make an Object of JSON files. A key that an object lacks is null."""
    nested = {n: t for n, t in reading.schema.items() if parse(t).inner.name in NESTED}
    maps = {n for n, t in nested.items() if parse(t).inner.name == "Map"}
    texts = reading.schema.keys() - nested.keys()
    columns = Columns(given=nested)
    backend = reading.backend

    def pieces() -> Iterator[tuple[SourceFile, pa.Table]]:
        for file in reading.files:
            start = 1
            for records in _chunks(file, exact=bool(reading.schema)):
                yield file, _table(file, records, start, texts, maps)
                start += len(records)

    with new_table(backend, TableSpec({})) as table:

        def create() -> None:
            if not columns.fields:
                raise FileContentError(f"{reading.files[0].label} has no objects, so no columns")
            types, comments = columns.types()
            spec = TableSpec(types, comments)
            backend.services.engine.command(f"DROP TABLE IF EXISTS {quote_identifier(table)} SYNC")
            backend.services.engine.command(spec.ddl(table, reading.stage_engine))

        stage = Stage(backend, table)
        load(pieces, columns, create=create, insert=stage.insert)
        types, comments = columns.narrow_types()
        reading.check_schema(list(types))
        text = [n for n, t in columns.fields.items() if t == pa.string() and n not in nested]
        typed = {name: type_ for name, type_ in types.items() if name not in text}
        return object_from_stage(
            reading, stage, typed, text, order=list(types), kinds=MOMENTS, comments=comments
        )


def _table(
    file: SourceFile,
    records: list[Any],
    start: int,
    texts: AbstractSet[str],
    maps: AbstractSet[str],
) -> pa.Table:
    for number, record in enumerate(records, start):
        if type(record) is not dict:
            shown = json.dumps(record)[:40]
            raise FileContentError(
                f"{file.label}: record {number} is {shown}; every record has to be an object"
            )
    last = start + len(records) - 1
    try:
        columns: dict[str, Any] = dict(columns_of(records))
    except Refusal as refusal:
        raise SchemaError(f"{file.label}, records {start} to {last}: {refusal}") from refusal
    if not columns:
        raise SchemaError(f"{file.label}: the objects have no keys, so there are no columns")
    for name in columns.keys() - texts:
        for value in columns[name]:
            if type(value) is Number and not value.is_exact:
                raise _inexact(file, value.digits)
    for name in columns.keys() & texts:
        columns[name] = pa.array([_text(value) for value in columns[name]], pa.string())
    try:
        for name in columns.keys() & maps:
            columns[name] = _map(columns[name])
        return to_columnar(columns).data
    except AaiclickError as error:
        raise type(error)(
            f"{file.label}, records {start} to {last}: {error} (or give the column's type: "
            "schema={'column': 'String'})"
        ) from error


def _inexact(file: SourceFile, digits: str) -> ValueRangeError:
    return ValueRangeError(
        f"{file.label}: a float would not keep every digit of {digits[:80]}; give the column's "
        "type: schema={'column': 'Decimal(38, 18)'}, or 'Float64' to round it"
    )


def _map(values: list[Any]) -> Any:
    """Return objects as maps; what is no object is left to be refused by its type."""
    if not all(value is None or isinstance(value, dict) for value in values):
        return values
    items = [list((value or {}).items()) for value in values]
    offsets = [0, *itertools.accumulate(map(len, items))]
    flat = list(itertools.chain.from_iterable(items))
    return pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32()),
        pa.array([key for key, _ in flat], pa.string()),
        array_of([value for _, value in flat]),
        mask=pa.array([value is None for value in values]),
    )


def _text(value: Any) -> str | None:
    """Return a value as the text that a cast reads."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return value.digits
    return str(value) if isinstance(value, (int, float)) else json.dumps(value, ensure_ascii=False)


def _chunks(file: SourceFile, *, exact: bool) -> Iterator[list[Any]]:
    """Yield a file's records, some thousands at a time."""
    careful = json.JSONDecoder(parse_float=Number if exact else _exact_float)
    try:
        with file.open() as stream:
            head = getattr(stream, "peek")(4)[:2]  # noqa: B009 -- what open gives, has it
            encoding = "utf-16" if head in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
            text = io.TextIOWrapper(stream, encoding, newline="\n")
            try:
                yield from _decoded(file, text, careful, is_exact=exact)
            finally:
                text.detach()
    except UnicodeError as error:
        raise FileContentError(f"{file.label} is not UTF-8 text, which JSON is") from error
    except InexactNumber as error:
        raise _inexact(file, str(error)) from error
    except RecursionError as error:
        raise FileContentError(f"{file.label}: the values are nested too deeply") from error


def _decoded(
    file: SourceFile, text: io.TextIOWrapper, careful: json.JSONDecoder, *, is_exact: bool
) -> Iterator[list[Any]]:
    start = text.read(1)
    while start and start in _SPACE:
        start = text.read(1)
    if start != "{":
        yield from _Scanner(file, text, careful, start).chunks()
        return
    line = start + text.readline()
    try:
        first = careful.decode(line)
    except ValueError:  # an object of several lines
        yield from _Scanner(file, text, careful, line).chunks()
        return
    records, number, quick = [first], 2, json.JSONDecoder()
    while lines := text.readlines(_CHUNK_CHARACTERS):
        is_plain = not is_exact and not any(map(_MAY_LOSE.search, lines))
        yield records + _decoded_lines(file, lines, quick if is_plain else careful, number)
        records, number = [], number + len(lines)
    if records:
        yield records


def _decoded_lines(
    file: SourceFile, lines: list[str], decoder: json.JSONDecoder, number: int
) -> list[Any]:
    filled = [line for line in lines if not line.isspace()]
    try:
        records = decoder.decode(f"[{','.join(filled)}]")
    except ValueError:
        records = None
    if isinstance(records, list) and len(records) == len(filled):
        return records
    records = []
    for offset, line in enumerate(lines):
        try:
            records += [] if line.isspace() else [decoder.decode(line)]
        except ValueError as error:
            reason = getattr(error, "msg", error)
            raise FileContentError(
                f"{file.label}, line {number + offset}: {reason} in {line.strip()[:80]!r}"
            ) from error
    return records


class _Scanner:
    """Takes objects off a text that is read in pieces."""

    def __init__(
        self, file: SourceFile, text: io.TextIOWrapper, decoder: json.JSONDecoder, start: str
    ) -> None:
        self._file = file
        self._text = text
        self._decoder = decoder
        self._held = start
        self._position = 0
        self._records = 0

    def chunks(self) -> Iterator[list[Any]]:
        """Yield the records, in lists of some thousands."""
        in_array = self._next() == "["
        self._position += in_array
        records: list[Any] = []
        size = 0
        while (sign := self._next()) and sign != "]":
            before = self._position
            records.append(self._record())
            size += abs(self._position - before)
            if size >= _CHUNK_CHARACTERS:
                yield records
                records, size = [], 0
            if in_array and self._next() == ",":
                self._position += 1
                if self._next() in ("]", ""):
                    raise self._error("a comma with nothing after it")
            elif in_array and self._next() != "]":
                raise self._error("no comma or ] after a record")
        if in_array and sign != "]":
            raise self._error("the array has no end: the file was cut")
        self._position += in_array
        if self._next():
            raise self._error("something stands after the end")
        if records:
            yield records

    def _next(self) -> str:
        """Return the next character that is no white space, without taking it."""
        while True:
            while self._position < len(self._held):
                if self._held[self._position] not in _SPACE:
                    return self._held[self._position]
                self._position += 1
            if not self._read(_CHUNK_CHARACTERS):
                return ""

    def _record(self) -> Any:
        size = _CHUNK_CHARACTERS
        while True:
            try:
                record, self._position = self._decoder.raw_decode(self._held, self._position)
            except ValueError as error:
                if not self._read(size):
                    raise self._error(str(getattr(error, "msg", error))) from error
                size *= 2  # so that a long record is not tried again and again
            else:
                self._records += 1
                return record

    def _read(self, size: int) -> bool:
        more = self._text.read(size)
        self._held = self._held[self._position :] + more
        self._position = 0
        return bool(more)

    def _error(self, reason: str) -> FileContentError:
        near = self._held[self._position : self._position + 80]
        return FileContentError(
            f"{self._file.label}: {reason}, after {self._records} records, near {near!r}"
        )
