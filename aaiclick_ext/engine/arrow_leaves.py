"""Single values as ClickHouse writes them in Arrow, and what turns them into what they are."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from aaiclick_ext.engine.type_tree import ChType

Step = Callable[[pa.Array], pa.Array]

FIXED_ZONE = "Fixed/UTC"
"""How ClickHouse names the time zones that are an offset: ``Fixed/UTC+05:30:00``."""

_UNITS = {0: "s", 1: "ms", 2: "ms", 3: "ms", 4: "us", 5: "us", 6: "us", 7: "ns", 8: "ns", 9: "ns"}
_FIXED_ZONE = re.compile(rf"{FIXED_ZONE}([+-]\d\d:\d\d):00\Z")

INT128 = pa.decimal256(39, 0)
"""Arrow type of Int128 and UInt128, whose largest numbers have 39 digits."""


class NotUtf8Error(ValueError):
    """A String that is to be text is not UTF-8."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """What an array becomes: its type, how (None: it is right), and whether nulls may appear."""

    type: pa.DataType
    step: Step | None = None
    nullable: bool = False


def arrow_zone(zone: str) -> str:
    """Return a ClickHouse time zone as Arrow names it.

    Examples
    --------
    >>> arrow_zone("Fixed/UTC+05:30:00"), arrow_zone("Asia/Kolkata")
    ('+05:30', 'Asia/Kolkata')
    """
    found = _FIXED_ZONE.match(zone)
    return found[1] if found else zone


def timestamp_type(type_: ChType) -> pa.DataType:
    """Return the Arrow type of a DateTime or DateTime64; without a zone where it has none."""
    params = list(type_.params)
    scale = params.pop(0) if type_.name == "DateTime64" else 0
    zone = arrow_zone(str(params[0])) if params else None
    return pa.timestamp(_UNITS[int(scale)], zone)


def leaf(arrow: pa.DataType, type_: ChType, *, binary: bool, boolean: bool) -> Leaf | None:
    """Return what to do with an array of `type_` that came as `arrow`; None if that is unknown."""
    make = _LEAVES.get(type_.name)
    if make is not None:
        return make(arrow, type_)
    if type_.name in ("String", "FixedString"):
        return _string(arrow, type_, binary=binary)
    if boolean and type_.name == "UInt8":
        return Leaf(pa.bool_(), lambda a: a.cast(pa.bool_()))
    return Leaf(arrow)


def retagged(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return the same bytes under another type of the same layout; no copy, no check."""
    return pa.Array.from_buffers(
        target, len(array), array.buffers(), array.null_count, array.offset
    )


def check_utf8(array: pa.Array) -> pa.Array:
    """Return a string array that is UTF-8.

    Raises
    ------
    NotUtf8Error
        If one of its values is not.
    """
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return array
    width = np.int64 if pa.types.is_large_string(array.type) else np.int32
    bounds = np.frombuffer(offsets, width)[array.offset : array.offset + len(array) + 1]
    used = np.frombuffer(data, np.int8)[bounds[0] : bounds[-1]]
    if not used.size or used.min() >= 0:
        return array  # ASCII: one pass at memory speed, where Arrow would look at each value
    binary = pa.large_binary() if width is np.int64 else pa.binary()
    try:
        retagged(array, binary).cast(array.type)
    except pa.ArrowInvalid as error:
        raise NotUtf8Error(str(error)) from error
    return array


def _string(arrow: pa.DataType, type_: ChType, *, binary: bool) -> Leaf | None:
    if pa.types.is_binary(arrow) and not binary:
        return Leaf(pa.string(), lambda a: check_utf8(retagged(a, pa.string())))
    if pa.types.is_fixed_size_binary(arrow):
        return Leaf(arrow) if binary else Leaf(pa.string(), lambda a: _text(a.cast(pa.binary())))
    if not (pa.types.is_string(arrow) or pa.types.is_binary(arrow)):
        return None
    if not binary:
        return Leaf(arrow, check_utf8)
    if type_.name == "FixedString":
        width = pa.binary(int(type_.params[0]))
        return Leaf(width, lambda a: retagged(a, pa.binary()).cast(width))
    return Leaf(pa.binary(), lambda a: retagged(a, pa.binary()))


def _text(array: pa.Array) -> pa.Array:
    return check_utf8(retagged(array, pa.string()))


def _date_time(arrow: pa.DataType, type_: ChType) -> Leaf | None:
    target = timestamp_type(type_)
    if pa.types.is_uint32(arrow):
        return Leaf(target, lambda a: retagged(a.cast(pa.int64()), target))
    if not pa.types.is_timestamp(arrow) or arrow.unit != target.unit:
        return None
    return Leaf(target) if arrow == target else Leaf(target, lambda a: retagged(a, target))


def _enum(arrow: pa.DataType, type_: ChType) -> Leaf | None:
    if pa.types.is_string(arrow):
        return Leaf(arrow)
    if arrow not in (pa.int8(), pa.int16()):
        return None
    lowest = min(number for _, number in type_.values)
    highest = max(number for _, number in type_.values)
    position = np.zeros(highest - lowest + 1, np.int32)
    for index, (_, number) in enumerate(type_.values):
        position[number - lowest] = index
    names = pa.array([name for name, _ in type_.values], pa.string())

    def step(array: pa.Array) -> pa.Array:
        numbers = pc.fill_null(array, lowest).to_numpy().astype(np.int32)
        indices = pa.array(position[numbers - lowest], mask=_null_mask(array))
        return names.take(indices)

    return Leaf(pa.string(), step)


def _int128(arrow: pa.DataType, type_: ChType) -> Leaf | None:
    if pa.types.is_decimal(arrow):
        return Leaf(arrow)
    if not pa.types.is_fixed_size_binary(arrow):
        return None

    def step(array: pa.Array) -> pa.Array:
        low = _words(array, 16)
        wide = np.zeros((len(array), 4), np.int64)
        wide[:, :2] = low
        if type_.name == "Int128":
            wide[:, 2:] = (low[:, 1] >> 63)[:, None]  # the sign, in the upper half
        validity = _validity(array)
        return pa.Array.from_buffers(INT128, len(array), [validity, pa.py_buffer(wide)])

    return Leaf(INT128, step)


def _int256(arrow: pa.DataType, type_: ChType) -> Leaf | None:
    if pa.types.is_string(arrow):
        return Leaf(arrow)
    if not pa.types.is_fixed_size_binary(arrow):
        return None
    signed = type_.name == "Int256"
    return _by_value(lambda raw: str(int.from_bytes(raw, "little", signed=signed)))


def _ip_address(arrow: pa.DataType, type_: ChType) -> Leaf | None:
    if pa.types.is_string(arrow):
        return Leaf(arrow)
    if type_.name == "IPv4" and pa.types.is_uint32(arrow):
        return _by_value(lambda number: str(ipaddress.IPv4Address(number)))
    if type_.name == "IPv6" and pa.types.is_fixed_size_binary(arrow):
        return _by_value(_ipv6_text)
    return None


def _ipv6_text(raw: bytes) -> str:
    address = ipaddress.IPv6Address(raw)
    # As ClickHouse's toString writes it, which Python's str does only from 3.13 on.
    return f"::ffff:{address.ipv4_mapped}" if address.ipv4_mapped else str(address)


def _by_value(text: Callable[..., str]) -> Leaf:
    def step(array: pa.Array) -> pa.Array:
        return pa.array([None if v is None else text(v) for v in array.to_pylist()], pa.string())

    return Leaf(pa.string(), step)


def _bfloat16(arrow: pa.DataType, _: ChType) -> Leaf | None:
    if pa.types.is_float32(arrow):
        return Leaf(arrow)
    if not pa.types.is_binary(arrow):
        return None

    def step(array: pa.Array) -> pa.Array:
        fixed = pc.fill_null(array, b"\0\0").cast(pa.binary(2))
        halves = np.frombuffer(fixed.buffers()[1], np.uint16)[: len(array)]
        return pa.array((halves.astype(np.uint32) << 16).view(np.float32), mask=_null_mask(array))

    return Leaf(pa.float32(), step)


def _uuid(arrow: pa.DataType, _: ChType) -> Leaf | None:
    return Leaf(arrow) if arrow == pa.uuid() else None


def _dynamic(arrow: pa.DataType, _: ChType) -> Leaf | None:
    if not isinstance(arrow, pa.BaseExtensionType):
        return Leaf(arrow)

    def step(array: pa.Array) -> pa.Array:
        text = check_utf8(array.storage)
        is_null = pc.equal(text, "null")  # how ClickHouse writes a Dynamic that is null
        if not pc.any(is_null).as_py():
            return array
        return pa.ExtensionArray.from_storage(arrow, pc.if_else(is_null, None, text))

    return Leaf(arrow, step, nullable=True)


def _json(arrow: pa.DataType, _: ChType) -> Leaf | None:
    if not isinstance(arrow, pa.BaseExtensionType):
        return Leaf(arrow)

    def step(array: pa.Array) -> pa.Array:
        check_utf8(array.storage)
        return array

    return Leaf(arrow, step)


def _state(arrow: pa.DataType, _: ChType) -> Leaf | None:
    if pa.types.is_string(arrow):
        return Leaf(pa.binary(), lambda a: retagged(a, pa.binary()))
    return None  # uncast, ClickHouse sends the address of the state, not the state


def _words(array: pa.Array, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    raw = np.frombuffer(array.buffers()[1] or b"", np.int64)
    per_value = width // 8
    first = array.offset * per_value
    return raw[first : first + len(array) * per_value].reshape(-1, per_value)


def _validity(array: pa.Array) -> pa.Buffer | None:
    if not array.null_count:
        return None
    packed = np.packbits(array.is_valid().to_numpy(zero_copy_only=False), bitorder="little")
    return pa.py_buffer(packed)


def _null_mask(array: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]] | None:
    return array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None


_LEAVES: dict[str, Callable[[pa.DataType, ChType], Leaf | None]] = {
    "AggregateFunction": _state,
    "BFloat16": _bfloat16,
    "DateTime": _date_time,
    "DateTime64": _date_time,
    "Dynamic": _dynamic,
    "Enum8": _enum,
    "Enum16": _enum,
    "Int128": _int128,
    "Int256": _int256,
    "IPv4": _ip_address,
    "IPv6": _ip_address,
    "JSON": _json,
    "Object": _json,
    "UInt128": _int128,
    "UInt256": _int256,
    "UUID": _uuid,
}
