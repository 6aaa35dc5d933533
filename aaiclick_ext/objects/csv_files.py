"""CSV files into a table: every cell as text first, then the types that all rows agree on."""

from __future__ import annotations

import contextlib
import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import FileContentError, SchemaError, SettingsError
from aaiclick_ext.objects.staging import Reading, object_from_stage, staged

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import pyarrow as pa

    from aaiclick_ext.objects.file_sources import SourceFile
    from aaiclick_ext.objects.object import Object

_DELIMITERS = ",\t;|"
_BLOCK_BYTES = 1 << 22
_INSERT_BYTES = 1 << 25
_SHOWN = 80
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written.

    Attributes
    ----------
    delimiter
        None: the first of comma, tab, semicolon and bar that is in the first line.
    header
        Whether the first line names the columns.
    names
        Names of the columns, in place of the header's.
    null_values
        Unquoted cells that are null.
    encoding
        Of the text, as Python calls it; a byte order mark of UTF-16 wins.
    """

    delimiter: str | None = None
    header: bool = True
    names: Sequence[str] | None = None
    null_values: Sequence[str] = ("",)
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise SettingsError(f"delimiter is {self.delimiter!r}; it is one character, as in ';'")
        if isinstance(self.null_values, str):
            raise SettingsError(
                f"null_values is the text {self.null_values!r}; give a list, as in ['', 'NA']"
            )


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the first line of one file says."""

    delimiter: str
    encoding: str
    names: tuple[str, ...]
    skipped: int
    is_empty: bool
    """Whether it has no rows; Arrow cannot read such a file."""


def object_from_csv(reading: Reading, dialect: Dialect) -> Object:
    """Make an Object of CSV files. Every file needs the same columns, in any order."""
    layouts = [_layout(file, dialect) for file in reading.files]
    names = layouts[0].names
    for file, layout in zip(reading.files, layouts, strict=True):
        _check_same(reading.files[0], names, file, layout.names)
    reading.check_schema(names)
    with staged(reading, dict.fromkeys(names, "Nullable(String)")) as stage:
        for file, layout in zip(reading.files, layouts, strict=True):
            with contextlib.closing(_tables(file, layout, dialect)) as tables:
                for table in tables:
                    stage.insert(table)
        return object_from_stage(reading, stage, {}, names, order=names)


def _check_same(
    first: SourceFile, names: tuple[str, ...], file: SourceFile, others: tuple[str, ...]
) -> None:
    missing = [name for name in names if name not in others]
    extra = [name for name in others if name not in names]
    if missing or extra:
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"has {', '.join(extra)} besides"] if extra else []
        raise SchemaError(
            f"the files have different columns: {file.label} {' and '.join(parts)} (beside "
            f"{first.label}); read them one by one and bring them into line before concat"
        )


def _layout(file: SourceFile, dialect: Dialect) -> _Layout:
    with file.open() as stream:
        encoding = _encoding(stream, dialect.encoding)
        text = _text(stream, encoding)
        try:
            lines = text.readlines(1)
            while lines and not "".join(lines).strip("\r\n"):
                lines = text.readlines(1)
            delimiter = dialect.delimiter or _delimiter("".join(lines))
            first, blank, has_more = _first_record(file, encoding, delimiter)
        except UnicodeError as error:
            raise FileContentError(_not_encoded(file, encoding)) from error
        finally:
            text.detach()
    if first is None and dialect.names is None:
        raise FileContentError(
            f"{file.label} is empty; a CSV file has at least a line with the columns' names"
        )
    names = _names(file, dialect, first or [])
    skipped = blank + 1 if dialect.header and first is not None else 0
    is_empty = not has_more if skipped else first is None
    return _Layout(delimiter, encoding, names, skipped, is_empty)


def _first_record(
    file: SourceFile, encoding: str, delimiter: str
) -> tuple[list[str] | None, int, bool]:
    """Return the first record, how many blank lines are before it, whether any is after it."""
    blank = 0
    with file.open() as stream:
        text = _text(stream, encoding)
        try:
            records = csv.reader(text, delimiter=delimiter)
            for record in records:
                if record:
                    return record, blank, next(records, None) is not None
                blank += 1
        except csv.Error as error:
            raise FileContentError(f"{file.label}: the first line is not CSV ({error})") from error
        finally:
            text.detach()
    return None, blank, False


def _encoding(stream: Any, encoding: str) -> str:
    try:
        "".encode(encoding)
    except LookupError as error:
        raise SettingsError(
            f"encoding is {encoding!r}, which Python does not know; try utf-8, latin-1 or cp1252"
        ) from error
    if stream.peek(2)[:2] in _UTF16:
        return "utf-16"
    return encoding


def _text(stream: Any, encoding: str) -> io.TextIOWrapper:
    is_utf8 = encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    return io.TextIOWrapper(stream, "utf-8-sig" if is_utf8 else encoding, newline="")


def _delimiter(line: str) -> str:
    return next((d for d in _DELIMITERS if d in line), ",")


def _names(file: SourceFile, dialect: Dialect, first: list[str]) -> tuple[str, ...]:
    if dialect.names is not None:
        names = tuple(dialect.names)
        if first and len(names) != len(first):
            raise SchemaError(
                f"{file.label} has {len(first)} columns and names has {len(names)} of them"
            )
    elif dialect.header:
        names = tuple(first)
    else:
        names = tuple(f"c{number}" for number in range(1, len(first) + 1))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SchemaError(
            f"{file.label} has several columns named {', '.join(map(repr, twice))}; rename them "
            "with names=[…], or pass header=False if the first line holds values"
        )
    if "" in names:
        raise SchemaError(
            f"{file.label}: column {names.index('') + 1} has no name (pandas writes its index so; "
            "index=False leaves it out); name all columns with names=[…]"
        )
    return names


def _tables(file: SourceFile, layout: _Layout, dialect: Dialect) -> Generator[pa.Table, None, None]:
    """Yield a file's rows as tables of text, some 30 MB each."""
    import pyarrow as pa

    if layout.is_empty:
        return
    held: list[pa.RecordBatch] = []
    size = 0
    with file.open() as stream:
        for batch in _batches(file, stream, layout, dialect):
            held.append(batch)
            size += batch.nbytes
            if size >= _INSERT_BYTES:
                yield pa.Table.from_batches(held)
                held, size = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _batches(
    file: SourceFile, stream: Any, layout: _Layout, dialect: Dialect
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import csv as pacsv

    refused: list[Any] = []

    def refuse(row: Any) -> str:
        refused.append(row)
        return "error"

    reading = pacsv.ReadOptions(
        block_size=_BLOCK_BYTES,
        column_names=list(layout.names),
        skip_rows_after_names=layout.skipped,
        encoding=layout.encoding,
    )
    parsing = pacsv.ParseOptions(
        delimiter=layout.delimiter,
        newlines_in_values=True,
        ignore_empty_lines=len(layout.names) > 1,  # in one column, a blank line is a null
        invalid_row_handler=refuse,
    )
    converting = pacsv.ConvertOptions(
        column_types=dict.fromkeys(layout.names, pa.string()),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=list(dialect.null_values),
    )
    try:
        with pacsv.open_csv(stream, reading, parsing, converting) as reader:
            yield from reader
    except UnicodeError as error:
        raise FileContentError(_not_encoded(file, layout.encoding)) from error
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):  # all lines are blank
            raise FileContentError(_why(file, error, refused, layout)) from error


def _why(file: SourceFile, error: Exception, refused: list[Any], layout: _Layout) -> str:
    if refused:
        return _ragged(file, refused[0], layout)
    if "UTF8" in str(error):
        return _not_encoded(file, layout.encoding)
    return f"{file.label}: {str(error)[:500]}"


def _ragged(file: SourceFile, row: Any, layout: _Layout) -> str:
    where = "" if row.number is None else f", row {row.number}"
    text = row.text if len(row.text) <= _SHOWN else f"{row.text[:_SHOWN]}…"
    return (
        f"{file.label}{where}: {row.actual_columns} cells where there are "
        f"{row.expected_columns} columns ({', '.join(layout.names[:5])}…): {text!r}. A cell with "
        f"{layout.delimiter!r}, a quote or a line feed in it needs quotes around it"
    )


def _not_encoded(file: SourceFile, encoding: str) -> str:
    return (
        f"{file.label} is not {encoding} text; pass encoding='cp1252', 'latin-1' or what it is in"
    )
