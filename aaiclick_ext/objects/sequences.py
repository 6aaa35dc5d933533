"""Python sequences as Arrow arrays: one type for all values, or a refusal.

Arrow's own inference changes values in silence where types mix (dates and datetimes, bytes and
text, two time zones), so the types are looked at first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import enum
import functools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pyarrow as pa

from aaiclick_ext.errors import SchemaError
from aaiclick_ext.importing import import_whole
from aaiclick_ext.objects.refusal import Refusal, out_of_range, unsupported
from aaiclick_ext.objects.zones import zone_of

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((bool, np.bool_), "bool"),
    ((np.timedelta64, np.datetime64), "numpy time"),  # np.timedelta64 is an np.integer
    ((int, np.integer), "int"),
    ((float, np.floating), "float"),
    (str, "str"),
    ((bytes, bytearray, memoryview), "bytes"),
    (Decimal, "Decimal"),
    (dt.datetime, "datetime"),
    (dt.date, "date"),
    (dt.time, "time"),
    (dt.timedelta, "timedelta"),
    (uuid.UUID, "UUID"),
    (Mapping, "record"),
    ((list, tuple, range, np.ndarray), "list"),
)

_MIXES = {
    frozenset({"int", "float"}): "float",
    frozenset({"int", "Decimal"}): "Decimal",
}
"""Kinds that go together, since every value keeps what it is equal to."""

_DECIMAL_DIGITS = 38
"""Precision of a column of Python Decimals, so that later sums and inserts have room."""


def array_of(values: Sequence[Any]) -> pa.Array:
    """Return a list of Python values as an Arrow array; None, `pandas.NA` and NaT are null.

    Raises
    ------
    Refusal
        If values are of several types, of one that has no column type, or out of range.
    """
    _import_pandas()
    types = dict.fromkeys(map(type, values))
    if np.ndarray in types and any(isinstance(v, np.ndarray) and not v.ndim for v in values):
        values = [v[()] if isinstance(v, np.ndarray) and not v.ndim else v for v in values]
        types = dict.fromkeys(map(type, values))
    nulls = {t for t in types if t is type(None) or t.__name__ in ("NAType", "NaTType")}
    if nulls - {type(None)}:
        values = [None if type(v) in nulls else v for v in values]
    kinds: dict[str, type] = {}
    for type_ in types:
        if type_ not in nulls:
            try:
                kinds.setdefault(kind_of(type_), type_)
            except Refusal as refusal:
                raise refusal.inside("", _first(values, type_))  # noqa: B904
    if not kinds:
        return pa.nulls(len(values))
    kind = _MIXES.get(frozenset(kinds)) if len(kinds) > 1 else next(iter(kinds))
    if kind is None:
        raise _mixed(values, kinds)
    found = set(types) - nulls
    if len(found) == 1 and _is_number(only := found.pop()):
        return pa.array(values, pa.from_numpy_dtype(only))  # keeps its width
    return _BUILDERS[kind](values)


@functools.cache
def _import_pandas() -> None:
    """Import pandas where it is installed, as Arrow does at its first list, but as a whole."""
    with contextlib.suppress(ImportError):
        import_whole("pandas")


def _is_number(type_: type) -> bool:
    return issubclass(type_, np.number) and not issubclass(type_, (float, np.timedelta64))


def kind_of(type_: type) -> str:
    """Return which kind of column values of a Python type make.

    Raises
    ------
    Refusal
        If they make none.
    """
    if issubclass(type_, enum.Enum) and not issubclass(type_, (int, str)):
        raise unsupported(
            f"{type_.__name__} is an Enum; store [v.name for v in …] or [v.value for v in …]"
        )
    if is_record(type_):
        return "record"
    for python_types, kind in _KINDS:
        if issubclass(type_, python_types) and type_ is not np.longdouble:
            return kind
    raise unsupported(_why_not(type_))


def is_record(type_: type) -> bool:
    """Whether values of a type have named parts: dataclasses and named tuples (not dicts)."""
    return dataclasses.is_dataclass(type_) or (
        issubclass(type_, tuple) and hasattr(type_, "_fields")
    )


def as_mapping(value: Any) -> Mapping[Any, Any]:
    """Return a dict, dataclass instance or named tuple as a mapping, one level deep."""
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return dict(zip(value._fields, value, strict=True))


def _why_not(type_: type) -> str:
    if issubclass(type_, (complex, np.complexfloating)):
        return "complex numbers have no column type; make two columns, .real and .imag"
    if issubclass(type_, (set, frozenset)):
        return f"a {type_.__name__} has no order; make it a list, as in sorted(values)"
    if type_ is np.longdouble:
        return "longdouble has no column type; convert it with .astype('float64')"
    if issubclass(type_, Iterable):
        return f"values of {type_.__name__} are not looked into; make each a list: list(value)"
    return (
        f"values of type {type_.__name__} have no column type; turn them into numbers, text, "
        "bytes, dates, lists or dicts"
    )


def _mixed(values: Sequence[Any], kinds: Mapping[str, type]) -> Refusal:
    shown = ", ".join(type_.__name__ for type_ in kinds.values())
    row = _first(values, list(kinds.values())[1])
    return unsupported(f"values of several types, {shown}; a column has one: convert them", row)


def _first(values: Sequence[Any], type_: type) -> int:
    return next(row for row, value in enumerate(values) if type(value) is type_)


def _plain(type_: pa.DataType) -> Callable[[Sequence[Any]], pa.Array]:
    return lambda values: pa.array(values, type_)


def _ints(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.int64())
    except (OverflowError, pa.ArrowInvalid):
        low, high = -(2**63), 2**64 - 1
        negative = any(v is not None and v < 0 for v in values)
        high = 2**63 - 1 if negative else high
        for row, value in enumerate(values):
            if value is not None and not low <= value <= high:
                raise out_of_range(
                    f"{value} does not fit 64 bits"
                    + (" together with a negative number" if value < 2**64 and negative else "")
                    + "; use decimal.Decimal (76 digits) or str",
                    row,
                ) from None
        return pa.array(values, pa.uint64())


def _floats(values: Sequence[Any]) -> pa.Array:
    if any(isinstance(v, (int, np.integer)) for v in values):
        for row, value in enumerate(values):
            if isinstance(value, (int, np.integer)) and not _exact_float(int(value)):
                raise out_of_range(
                    f"{value} would be rounded among floats; convert it with float() if that is "
                    "what you want, or use decimal.Decimal",
                    row,
                )
        values = [None if v is None else float(v) for v in values]
    return pa.array(values, pa.float64())


def _exact_float(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _texts(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        row = next(r for r, v in enumerate(values) if v is not None and not _encodes(v))
        raise out_of_range(
            "text with a lone surrogate is not Unicode; clean it with "
            '.encode("utf-8", "replace").decode() or store bytes',
            row,
        ) from None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decimals(values: Sequence[Any]) -> pa.Array:
    values = [v if v is None or isinstance(v, Decimal) else Decimal(int(v)) for v in values]
    for row, value in enumerate(values):
        if value is not None and not value.is_finite():
            raise out_of_range(f"Decimal {value} has no place in a Decimal column; use null", row)
    parts = [v.as_tuple() for v in values if v is not None]
    scale = max(max(-int(p.exponent), 0) for p in parts)
    digits = scale + max(max(len(p.digits) + int(p.exponent), 0) for p in parts)
    precision = max(digits, _DECIMAL_DIGITS)
    if precision > 76:
        raise out_of_range(
            f"these Decimals need {digits} digits, {scale} of them after the point; a column has "
            "76. Round them with quantize, or store str"
        )
    type_ = pa.decimal128 if precision <= _DECIMAL_DIGITS else pa.decimal256
    return pa.array(values, type_(precision, scale))


def _datetimes(values: Sequence[Any]) -> pa.Array:
    zones: dict[str | None, int] = {}
    known: dict[Any, str | None] = {None: None}
    for row, value in enumerate(values):
        if value is not None:
            tz = value.tzinfo
            if tz not in known:
                known[tz] = zone_of(tz, row)
            zones.setdefault(known[tz], row)
    if len(zones) > 1:
        shown = ", ".join(zone or "none" for zone in zones)
        raise unsupported(
            f"several time zones, {shown}; a column has one: use .astimezone(zone) or "
            ".replace(tzinfo=zone)",
            list(zones.values())[1],
        )
    zone = next(iter(zones))
    if any(getattr(v, "nanosecond", 0) for v in values):
        import pandas as pd

        try:
            nanoseconds = [v and pd.Timestamp(v).as_unit("ns").value for v in values]
        except pd.errors.OutOfBoundsDatetime as error:
            raise out_of_range(f"nanoseconds end in 2262 ({error})") from error
        return pa.array(nanoseconds, pa.int64()).view(pa.timestamp("ns", zone))
    return pa.array(values, pa.timestamp("us", zone))


def _times(values: Sequence[Any]) -> pa.Array:
    for row, value in enumerate(values):
        if value is not None and value.tzinfo is not None:
            raise unsupported("a time of day with a time zone; use a datetime", row)
    return pa.array(values, pa.time64("us"))


def _timedeltas(values: Sequence[Any]) -> pa.Array:
    unit = "ns" if any(getattr(v, "nanoseconds", 0) for v in values) else "us"
    try:
        return pa.array(values, pa.duration(unit))
    except pa.ArrowInvalid as error:
        raise out_of_range(f"a timedelta that 64 bits of {unit} cannot hold ({error})") from error


def _uuids(values: Sequence[Any]) -> pa.Array:
    storage = pa.array([None if v is None else v.bytes for v in values], pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _numpy_times(values: Sequence[Any]) -> pa.Array:
    from aaiclick_ext.objects.numpy_values import array_of_numpy

    dtypes = {v.dtype for v in values if v is not None}
    if len(dtypes) > 1:  # NumPy itself would wrap around where one unit does not fit another
        shown = ", ".join(sorted(map(str, dtypes)))
        raise unsupported(f"values of several types, {shown}; a column has one: convert them")
    dtype = dtypes.pop()
    return array_of_numpy(np.array(["NaT" if v is None else v for v in values], dtype))


def _lists(values: Sequence[Any]) -> pa.Array:
    lengths = [0 if v is None else len(v) for v in values]
    offsets = list(accumulate(lengths, initial=0))
    flat = list(chain.from_iterable(v for v in values if v is not None))
    try:
        items = array_of(flat)
    except Refusal as refusal:
        row = refusal.row
        if row is not None:
            row = int(np.searchsorted(offsets, row, side="right")) - 1
        raise refusal.inside("[]", row) from refusal.__cause__
    mask = pa.array([v is None for v in values], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items, mask=mask)


def _records(values: Sequence[Any]) -> pa.Array:
    columns = columns_of(values)
    mask = pa.array([v is None for v in values], pa.bool_())
    children = []
    for name, column in columns.items():
        try:
            children.append(array_of(column))
        except Refusal as refusal:
            raise refusal.inside(f".{name}", refusal.row) from refusal.__cause__
    if not children:
        return pa.array([None if v is None else {} for v in values], pa.struct([]))
    return pa.StructArray.from_arrays(children, list(columns), mask=mask)


def check_name(name: Any, row: int | None = None) -> None:
    """Refuse a name that no column or field can have.

    Raises
    ------
    Refusal
        If it is not text, empty, or holds what Arrow or ClickHouse would change.
    """
    if not isinstance(name, str):
        reason = (
            f"the name {name!r} is of type {type(name).__name__}; names are text: use str(name)"
        )
    elif not name:
        reason = "an empty name; ClickHouse needs one"
    elif "\0" in name or not _encodes(name):
        # Arrow cuts a name at its first NUL.
        reason = f"the name {name!r} holds a NUL or half a character; rename it"
    else:
        return
    raise Refusal(SchemaError, reason, row)


def columns_of(records: Sequence[Any]) -> dict[str, list[Any]]:
    """Return rows as columns, in the order in which names first appear; a missing one is null."""
    rows = [{} if r is None else as_mapping(r) for r in records]
    names: dict[Any, None] = {}
    for number, row in enumerate(rows):
        if not row.keys() <= names.keys():
            for name in row:
                check_name(name, number)
                names[name] = None
    return {name: [row.get(name) for row in rows] for name in names}


_BUILDERS: dict[str, Callable[[Sequence[Any]], pa.Array]] = {
    "Decimal": _decimals,
    "UUID": _uuids,
    "bool": _plain(pa.bool_()),
    "bytes": _plain(pa.binary()),
    "date": _plain(pa.date32()),
    "datetime": _datetimes,
    "float": _floats,
    "int": _ints,
    "list": _lists,
    "numpy time": _numpy_times,
    "record": _records,
    "str": _texts,
    "time": _times,
    "timedelta": _timedeltas,
}
