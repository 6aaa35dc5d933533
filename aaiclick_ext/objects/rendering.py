"""Arrow arrays as text, column by column: cells of CSV and values of JSON, with every digit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from aaiclick_ext.errors import UnsupportedTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

_TEXT = pa.large_string()
_NEEDS_ESCAPE = r'[\x00-\x1f"\\]'
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def check_cells(schema: pa.Schema, format_name: str) -> None:
    """Raise UnsupportedTypeError for a column that a cell of CSV cannot hold."""
    for field in schema:
        if _plain(field.type) is None:
            raise _refused(field.name, field.type, format_name)


def check_values(schema: pa.Schema) -> None:
    """Raise UnsupportedTypeError for a column that JSON cannot hold."""
    for field in schema:
        for inner in _leaves(field.type):
            if _plain(inner) is None:
                raise _refused(field.name, inner, "JSON")


def csv_lines(batch: pa.RecordBatch, delimiter: str) -> pa.Array:
    """Return the rows of a batch as lines of CSV.

    Text is in quotes, so that the empty one is not a null, which is nothing at all.
    """
    cells = [_cell(column) for column in batch.columns]
    return _joined([*_between(cells, delimiter), "\n"], len(batch))


def json_lines(batch: pa.RecordBatch, end: str) -> pa.Array:
    """Return the rows of a batch as JSON objects, each with an end after it."""
    parts = _members(batch.schema.names, [_value(column) for column in batch.columns])
    return _joined([*parts, end], len(batch))


def _cell(array: pa.Array) -> pa.Array:
    array = decoded(array)
    text = _rendered(array, " ")
    if _is_text(array.type):
        text = _joined(['"', pc.replace_substring(text, '"', '""'), '"'], len(array))
        text = pc.if_else(array.is_valid(), text, None)
    return pc.fill_null(text, "")


def _value(array: pa.Array) -> pa.Array:
    """Return an array as JSON, null as ``null``."""
    array = decoded(array)
    type_ = array.type
    if pa.types.is_map(type_):
        text = _objects(array)
    elif _is_list(type_):
        items = _value(array.flatten())
        text = _in_brackets(array, items, "[", "]")
    elif pa.types.is_struct(type_):
        fields = [type_.field(i).name for i in range(type_.num_fields)]
        values = [_value(array.field(i)) for i in range(type_.num_fields)]
        text = _joined(_members(fields, values), len(array))
    elif _is_json(type_):
        text = array.storage.cast(_TEXT)
    elif _is_number(type_):
        text = _number(_rendered(array, "T"))
    elif pa.types.is_boolean(type_) or pa.types.is_null(type_):
        text = _rendered(array, "T")
    else:
        text = _quoted(_rendered(array, "T"))
    return pc.fill_null(pc.if_else(array.is_valid(), text, None), "null")


def decoded(array: pa.Array) -> pa.Array:
    """Return an array without a dictionary, and of lists that can be sliced."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    return array


def _rendered(array: pa.Array, between: str) -> pa.Array:
    """Return plain values as their text; nulls stay null.

    Parameters
    ----------
    between
        What stands between a date and a time.
    """
    render = _plain(array.type)
    assert render is not None
    return render(array, between).cast(_TEXT)


def _plain(type_: pa.DataType) -> Callable[[pa.Array, str], pa.Array] | None:
    """Return how values of a type become text; None for a type that has no text."""
    if pa.types.is_dictionary(type_):
        return _plain(type_.value_type)
    if pa.types.is_floating(type_):
        return _float
    if pa.types.is_decimal(type_):
        return _decimal
    if pa.types.is_timestamp(type_):
        return _timestamp
    if isinstance(type_, pa.BaseExtensionType):
        if type_.extension_name == "arrow.uuid":
            return _uuid
        return _storage if _is_json(type_) else None
    for test in (
        pa.types.is_boolean, pa.types.is_integer, pa.types.is_date32, pa.types.is_time,
        pa.types.is_string, pa.types.is_large_string, pa.types.is_null,
    ):  # fmt: skip
        if test(type_):
            return lambda array, _: array.cast(_TEXT)
    return None


def _float(array: pa.Array, _: str) -> pa.Array:
    """Return the shortest text that reads back as the same float, and as a float: 5.0, not 5."""
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    text = array.cast(_TEXT)
    is_whole = pc.invert(pc.match_substring_regex(text, "[.en]"))
    return pc.if_else(is_whole, _joined([text, ".0"], len(text)), text)


def _decimal(array: pa.Array, _: str) -> pa.Array:
    text = array.cast(_TEXT)
    if not pc.any(pc.match_substring(text, "E"), min_count=0).as_py():
        return text
    plain = [None if v is None else format(v, "f") for v in array.to_pylist()]
    return pa.array(plain, _TEXT)


def _timestamp(array: pa.Array, between: str) -> pa.Array:
    """Return ISO 8601: in UTC and with a Z where the type has a time zone."""
    zone = array.type.tz
    text = array.view(pa.timestamp(array.type.unit)).cast(_TEXT)
    if between != " ":
        text = pc.replace_substring(text, " ", between, max_replacements=1)
    return text if zone is None else _joined([text, "Z"], len(text))


def _uuid(array: pa.Array, _: str) -> pa.Array:
    return pa.array([None if v is None else str(v) for v in array.to_pylist()], _TEXT)


def _storage(array: pa.Array, _: str) -> pa.Array:
    return array.storage


def _number(text: pa.Array) -> pa.Array:
    """Return numbers as JSON has them; it has no infinity and no NaN, which become text."""
    if not pc.any(pc.match_substring(text, "n"), min_count=0).as_py():
        return text
    for spelled, quoted in _NOT_FINITE.items():
        text = pc.if_else(pc.equal(text, spelled), f'"{quoted}"', text)
    return text


def _quoted(text: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring_regex(text, _NEEDS_ESCAPE), min_count=0).as_py():
        text = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), '"', '\\"')
        if pc.any(pc.match_substring_regex(text, r"[\x00-\x1f]"), min_count=0).as_py():
            for code in range(32):
                text = pc.replace_substring(text, chr(code), json.dumps(chr(code))[1:-1])
    return _joined(['"', text, '"'], len(text))


def _objects(array: pa.MapArray) -> pa.Array:
    """Return maps as JSON objects."""
    start, stop = _bounds(array)
    keys = _rendered(decoded(array.keys.slice(start, stop - start)), "T")
    values = _value(array.items.slice(start, stop - start))
    members = _joined([_quoted(keys), ":", values], len(values))
    return _in_brackets(array, members, "{", "}")


def _in_brackets(array: pa.Array, items: pa.Array, left: str, right: str) -> pa.Array:
    """Return the items of each list or map, joined."""
    lengths = pc.fill_null(_lengths(array), 0).to_numpy(zero_copy_only=False)
    import numpy as np

    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), items)
    joined = pc.binary_join(lists, pa.scalar(",", _TEXT))
    return _joined([left, joined, right], len(array))


def _lengths(array: pa.Array) -> pa.Array:
    if pa.types.is_map(array.type):
        return pc.if_else(
            array.is_valid(), pc.subtract(array.offsets.slice(1), array.offsets[:-1]), 0
        )
    return pc.list_value_length(array)


def _bounds(array: pa.MapArray) -> tuple[int, int]:
    return (array.offsets[0].as_py(), array.offsets[-1].as_py()) if len(array) else (0, 0)


def _members(names: list[str], values: list[pa.Array]) -> list[pa.Array | str]:
    """Return the parts of ``{"name":value,…}``."""
    parts: list[pa.Array | str] = ["{"]
    for number, (name, value) in enumerate(zip(names, values, strict=True)):
        parts += [f"{',' * bool(number)}{json.dumps(name, ensure_ascii=False)}:", value]
    return [*parts, "}"]


def _between(cells: list[pa.Array], delimiter: str) -> list[pa.Array | str]:
    parts: list[pa.Array | str] = []
    for cell in cells:
        parts += [cell, delimiter]
    return parts[:-1]


def _joined(parts: list[pa.Array | str], rows: int) -> pa.Array:
    """Return arrays and texts, one after another, in each row."""
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) == len(parts):
        return pa.array(["".join(texts)] * rows, _TEXT)
    typed = [pa.scalar(part, _TEXT) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*typed, pa.scalar("", _TEXT))


def _leaves(type_: pa.DataType) -> list[pa.DataType]:
    if pa.types.is_struct(type_):
        return [leaf for i in range(type_.num_fields) for leaf in _leaves(type_.field(i).type)]
    if pa.types.is_map(type_):
        return [*_leaves(type_.key_type), *_leaves(type_.item_type)]
    if _is_list(type_) or pa.types.is_fixed_size_list(type_):
        return _leaves(type_.value_type)
    return [type_]


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_))


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or _is_json(type_)


def _is_json(type_: pa.DataType) -> bool:
    return isinstance(type_, pa.BaseExtensionType) and type_.extension_name == "arrow.json"


def _is_number(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    )


def _refused(column: str, type_: pa.DataType, format_name: str) -> UnsupportedTypeError:
    remedy = f"leave it out, as in x.drop({column!r})"
    if pa.types.is_nested(type_):
        remedy = "JSON and Parquet have such values"
    elif pa.types.is_binary(type_) or pa.types.is_fixed_size_binary(type_):
        remedy = f"cast it to text if it is text: x.mutate({column}=x[{column!r}].cast('string'))"
    elif pa.types.is_duration(type_):
        remedy = "cast it to int64"
    return UnsupportedTypeError(
        f"column {column!r}: {format_name} has no place for {type_}; {remedy}, or export to "
        ".parquet or .arrow"
    )
