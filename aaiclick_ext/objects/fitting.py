"""Single values brought into a ClickHouse type without loss, or refused.

ClickHouse itself would wrap 300 into a UInt8, cut the end of a Decimal and clamp a DateTime.
"""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aaiclick_ext.engine.arrow_leaves import retagged, timestamp_type
from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.arrow_columns import declare, is_bytes, is_text
from aaiclick_ext.objects.refusal import Refusal, out_of_range

if TYPE_CHECKING:
    from collections.abc import Callable

    from aaiclick_ext.engine.type_tree import ChType

_NUMBERS = {
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "Int16": pa.int16(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "Int8": pa.int8(),
    "UInt16": pa.uint16(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    "UInt8": pa.uint8(),
}
_LEAF_TYPES = {
    **_NUMBERS,
    "BFloat16": pa.float32(),
    "Bool": pa.bool_(),
    "Date": pa.date32(),
    "Date32": pa.date32(),
    "Time": pa.int32(),
    "UUID": pa.uuid(),
}
_UNITS = {0: "s", 3: "ms", 6: "us", 9: "ns"}
_DIGITS = {unit: digits for digits, unit in _UNITS.items()}
_WIDTHS = {"Int128": 16, "UInt128": 16, "Int256": 32, "UInt256": 32}
_INTEGER = re.compile(r"[+-]?\d+\Z")
_INTERVALS = {
    "IntervalSecond": "s",
    "IntervalMillisecond": "ms",
    "IntervalMicrosecond": "us",
    "IntervalNanosecond": "ns",
}


def fit_leaf(array: pa.Array, type_: ChType) -> pa.Array:
    """Return an array in the Arrow type that ClickHouse reads as `type_`.

    Raises
    ------
    Refusal
        If a value would change.
    """
    fit = _FITS.get(type_.name)
    if fit is None:
        raise Refusal(
            SchemaError, f"values cannot be put into a column of type {type_} from Python; use SQL"
        )
    return fit(array, type_)


def leaf_type(type_: ChType) -> pa.DataType:
    """Return the Arrow type that ClickHouse reads as `type_`; text for those it reads from text."""
    if type_.name in _WIDTHS:
        return pa.binary(_WIDTHS[type_.name])
    if type_.name in _INTERVALS:
        return pa.duration(_INTERVALS[type_.name])
    if type_.name in ("DateTime", "DateTime64"):
        return timestamp_type(type_)
    if type_.name == "Decimal":
        return _decimal_type(type_)
    if type_.name == "Time64":
        return _time_type(type_)
    return _LEAF_TYPES.get(type_.name, pa.string())


def json_text(array: pa.Array) -> pa.Array:
    """Return structs, which is what dicts of Python arrive as, as the text of JSON objects."""
    try:
        texts = [
            None if row is None else json.dumps(_without_nulls(row)) for row in array.to_pylist()
        ]
    except TypeError as error:
        raise out_of_range(f"{error}; JSON has text, numbers, true, false, null, lists") from error
    return pa.array(texts, pa.string())


def _without_nulls(value: Any) -> Any:
    # ClickHouse's JSON does not tell a null from a key that is not there.
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def _wrong_kind(array: pa.Array, type_: ChType, remedy: str = "convert it first") -> Refusal:
    return Refusal(SchemaError, f"{array.type} does not go into {type_} without loss; {remedy}")


def _cast(array: pa.Array, target: pa.DataType, type_: ChType) -> pa.Array:
    if array.type == target:
        return array
    try:
        return array.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise out_of_range(
            f"a value does not fit {type_} ({error}); convert it, or use a wider column"
        ) from error


def _number(array: pa.Array, type_: ChType) -> pa.Array:
    target = _NUMBERS[type_.name]
    source = array.type
    if not (
        pa.types.is_integer(source) or pa.types.is_floating(source) or pa.types.is_decimal(source)
    ):
        raise _wrong_kind(array, type_)
    if pa.types.is_float16(source):
        array = array.cast(pa.float32())
    fitted = _cast(array, target, type_)
    if pa.types.is_floating(target) and target != source:
        _check_same(array, fitted, type_)
    return fitted


def _check_same(array: pa.Array, fitted: pa.Array, type_: ChType) -> None:
    back = fitted.cast(array.type, safe=False)
    same = pc.equal(array, back)
    if pa.types.is_floating(array.type):
        same = pc.or_(same, pc.and_(pc.is_nan(array), pc.is_nan(back)))
    if not pc.all(same, min_count=0).as_py():
        raise out_of_range(f"a value would be rounded in {type_}; round it first, or widen it")


def _bool(array: pa.Array, type_: ChType) -> pa.Array:
    if not pa.types.is_boolean(array.type):
        raise _wrong_kind(array, type_)
    return array


def _bfloat16(array: pa.Array, type_: ChType) -> pa.Array:
    if not (pa.types.is_floating(array.type) or pa.types.is_integer(array.type)):
        raise _wrong_kind(array, type_)
    single = array.cast(pa.float32(), safe=False)
    _check_same(array, single, type_)
    bits = pc.fill_null(single, 0.0).to_numpy(zero_copy_only=False).view(np.uint32)
    if (bits & 0xFFFF).any():
        raise out_of_range(f"a value would be rounded in {type_}; round it first, or widen it")
    return single


def _wide_integer(array: pa.Array, type_: ChType) -> pa.Array:
    # Int256 and UInt256 are fetched as text, which has to fit again.
    numeric = pa.types.is_integer(array.type) or pa.types.is_decimal(array.type)
    if not numeric and not (is_text(array.type) and type_.name.endswith("256")):
        raise _wrong_kind(array, type_, "use int or Decimal")
    width, signed = _WIDTHS[type_.name], type_.name.startswith("I")

    def raw(value: Any) -> bytes:
        if isinstance(value, str):
            if not _INTEGER.match(value):
                raise ValueError(value)
        elif value != int(value):
            raise ValueError(value)
        return int(value).to_bytes(width, "little", signed=signed)

    return _by_value(array, type_, raw, pa.binary(width))


def _by_value(
    array: pa.Array, type_: ChType, make: Callable[[Any], Any], target: pa.DataType
) -> pa.Array:
    try:
        return pa.array([None if v is None else make(v) for v in array.to_pylist()], target)
    except (ValueError, OverflowError, TypeError) as error:
        raise out_of_range(f"a value that is not one of {type_} ({error})") from error


def _decimal(array: pa.Array, type_: ChType) -> pa.Array:
    if pa.types.is_integer(array.type):
        array = array.cast(pa.decimal256(20, 0))
    if not pa.types.is_decimal(array.type):
        raise _wrong_kind(array, type_, "use decimal.Decimal")
    return _cast(array, _decimal_type(type_), type_)


def _decimal_type(type_: ChType) -> pa.DataType:
    precision, scale = (int(p) for p in type_.params)
    return (pa.decimal128 if precision <= 38 else pa.decimal256)(precision, scale)


def _string(array: pa.Array, type_: ChType) -> pa.Array:
    if not (
        is_text(array.type) or is_bytes(array.type) or pa.types.is_fixed_size_binary(array.type)
    ):
        raise _wrong_kind(array, type_, "convert it with str()")
    if type_.name == "String":
        return array
    width = int(type_.params[0])
    binary = array if pa.types.is_fixed_size_binary(array.type) else array.cast(pa.binary())
    lengths = pc.min_max(pc.binary_length(binary)).as_py()
    if lengths["min"] not in (None, width) or lengths["max"] not in (None, width):
        raise out_of_range(f'not {width} bytes, as {type_} is; pad with .ljust({width}, "\\0")')
    return binary.cast(pa.binary(width))


def _enum(array: pa.Array, type_: ChType) -> pa.Array:
    if not is_text(array.type):
        raise _wrong_kind(array, type_, "use its names")
    names = pa.array([name for name, _ in type_.values], pa.string())
    known = pc.is_in(array.cast(pa.string()), value_set=names)
    if not pc.all(pc.or_kleene(known, array.is_null()), min_count=0).as_py():
        raise out_of_range(f"not a name of {type_}")
    return array


def _uuid(array: pa.Array, type_: ChType) -> pa.Array:
    if array.type == pa.uuid():
        return array
    if not is_text(array.type):
        raise _wrong_kind(array, type_, "use uuid.UUID")
    storage = _by_value(array, type_, lambda text: uuid.UUID(text).bytes, pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _ip_address(array: pa.Array, type_: ChType) -> pa.Array:
    if not is_text(array.type):
        raise _wrong_kind(array, type_, "use text, as in '10.0.0.1'")
    parse = ipaddress.IPv4Address if type_.name == "IPv4" else ipaddress.IPv6Address
    return _by_value(array, type_, lambda text: str(parse(text)), pa.string())


def _date(array: pa.Array, type_: ChType) -> pa.Array:
    if not pa.types.is_date(array.type):
        raise _wrong_kind(array, type_, "use a date")
    days = array.cast(pa.date32())
    if type_.name == "Date":
        _check_bounds(days.view(pa.int32()), 0, 65_535, type_, "1970-01-01 to 2149-06-06")
    return days


def _check_bounds(numbers: pa.Array, first: int, last: int, type_: ChType, shown: str) -> None:
    bounds = pc.min_max(numbers).as_py()
    if bounds["min"] is not None and not first <= bounds["min"] <= bounds["max"] <= last:
        raise out_of_range(f"{type_} holds {shown}; use a wider column")


def _date_time(array: pa.Array, type_: ChType) -> pa.Array:
    source, target = array.type, timestamp_type(type_)
    if not pa.types.is_timestamp(source):
        raise _wrong_kind(array, type_, "use a datetime")
    if (source.tz is None) != (target.tz is None):
        raise _wrong_kind(
            array,
            type_,
            "a time without zone needs .replace(tzinfo=zone) or .dt.tz_localize(zone)"
            if source.tz is None
            else "a time with zone needs .astimezone(UTC).replace(tzinfo=None)",
        )
    instants = retagged(array, pa.timestamp(source.unit, target.tz))
    fitted = _cast(instants, target, type_)
    ticks = fitted.view(pa.int64())
    if type_.name == "DateTime":
        _check_bounds(ticks, 0, 2**32 - 1, type_, "1970-01-01 to 2106-02-07")
    else:
        _check_scale(ticks, _DIGITS[target.unit] - int(type_.params[0]), type_)
    return fitted


def _check_scale(ticks: pa.Array, spare_digits: int, type_: ChType) -> None:
    """Refuse ticks finer than a scale between two of Arrow's units."""
    if spare_digits:
        step = 10**spare_digits
        floor = pc.multiply(pc.divide(ticks, step), step)
        if not pc.all(pc.equal(floor, ticks), min_count=0).as_py():
            raise out_of_range(f"finer than {type_}; round it first, or use a finer column")


def _time(array: pa.Array, type_: ChType) -> pa.Array:
    if not pa.types.is_time(array.type):
        raise _wrong_kind(array, type_, "use a time")
    if type_.name == "Time":
        return _cast(array, pa.time32("s"), type_).view(pa.int32())
    target = _time_type(type_)
    fitted = _cast(array, target, type_)
    ticks = fitted.view(pa.int32() if pa.types.is_time32(target) else pa.int64())
    _check_scale(ticks, _DIGITS[target.unit] - int(type_.params[0]), type_)
    return fitted


def _time_type(type_: ChType) -> pa.DataType:
    unit = _UNITS[-(-int(type_.params[0]) // 3) * 3]  # the next finer unit that Arrow has
    return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)


def _interval(array: pa.Array, type_: ChType) -> pa.Array:
    if not pa.types.is_duration(array.type):
        raise _wrong_kind(array, type_, "use a timedelta")
    return _cast(array, pa.duration(_INTERVALS[type_.name]), type_)


def _json(array: pa.Array, type_: ChType) -> pa.Array:
    if not is_text(array.type):
        raise _wrong_kind(array, type_, "use dicts, or the text of JSON objects")

    def check(text: str) -> str:
        if not isinstance(json.loads(text), dict):
            raise TypeError("JSON that is not an object")
        return text

    return _by_value(array, type_, check, pa.string())


def _same_type(array: pa.Array, type_: ChType) -> pa.Array:
    """Variant takes values of the types that it names, Dynamic any."""
    found = declare("value", pa.chunked_array([array])).type.inner
    if type_.name == "Variant" and found not in type_.args:
        raise _wrong_kind(array, type_, f"{found} is not one of its types")
    return array


_FITS: dict[str, Callable[[pa.Array, ChType], pa.Array]] = {
    **dict.fromkeys(_NUMBERS, _number),
    **dict.fromkeys(_WIDTHS, _wide_integer),
    **dict.fromkeys(_INTERVALS, _interval),
    "BFloat16": _bfloat16,
    "Bool": _bool,
    "Date": _date,
    "Date32": _date,
    "DateTime": _date_time,
    "DateTime64": _date_time,
    "Decimal": _decimal,
    "Dynamic": _same_type,
    "Enum16": _enum,
    "Enum8": _enum,
    "FixedString": _string,
    "IPv4": _ip_address,
    "IPv6": _ip_address,
    "JSON": _json,
    "String": _string,
    "Time": _time,
    "Time64": _time,
    "UUID": _uuid,
    "Variant": _same_type,
}
