"""Which ClickHouse type may be inserted into which, and the cast that refuses to lose anything."""

from __future__ import annotations

import re

from aaiclick_ext.engine import quote_literal
from aaiclick_ext.errors import SchemaError

_INTEGER = re.compile(r"U?Int(8|16|32|64|128|256)")
_FLOAT = re.compile(r"(B?Float)(16|32|64)")
_DECIMAL = re.compile(r"Decimal\((\d+), ?(\d+)\)")
_DATETIME64 = re.compile(r"DateTime64\((\d)(?:, ?('[^']*'))?\)")
_DATETIME = re.compile(r"DateTime(?:\(('[^']*')\))?")
_TEXT = re.compile(r"String|FixedString\(\d+\)|Enum(8|16)\(.*\)", re.DOTALL)


def lossless_cast(
    column: str, given: str, wanted: str, *, name: str, is_boolean: bool = False
) -> str:
    """Return an SQL expression that turns a column into another type without loss.

    ``accurateCast`` raises for a value that the type cannot hold, and a null for a column that
    cannot be null fails in the insert.

    Parameters
    ----------
    column
        The quoted column.
    given, wanted
        ClickHouse types.
    is_boolean
        Whether Ibis says so of a UInt8: it is the result of a comparison.

    Raises
    ------
    SchemaError
        If the types are of different kinds, or the wanted one is coarser.
    """
    if given == wanted:
        return column
    source, target = _inner(given), _inner(wanted)
    if source in (target, "Nothing"):
        return column
    if is_boolean and source == "UInt8" and target == "Bool":
        return f"CAST({column}, {quote_literal(wanted)})"
    if _is_widening(source, target):
        type_ = quote_literal(target)
        if not _is_nullable(given):
            return f"accurateCast({column}, {type_})"
        # To a Nullable type it would turn text that cannot be read into null.
        return f"if(isNull({column}), NULL, accurateCast(assumeNotNull({column}), {type_}))"
    raise SchemaError(
        f"insert: column {name} is {given} and the target's is {wanted}; "
        f"cast it yourself if that is meant, e.g. x.mutate({name}=x[{name!r}].cast(…))"
    )


def _is_widening(source: str, target: str) -> bool:
    if _INTEGER.fullmatch(source) or _FLOAT.fullmatch(source):
        if _INTEGER.fullmatch(target) or _FLOAT.fullmatch(target):
            return True  # value by value
        return bool(_INTEGER.fullmatch(source) and _DECIMAL.fullmatch(target))
    if (p := _DECIMAL.fullmatch(source)) and (q := _DECIMAL.fullmatch(target)):
        return int(q[2]) >= int(p[2])
    if source == "Date":
        return target == "Date32"
    scale, zone = _instant(source)
    target_scale, target_zone = _instant(target)
    if scale is not None and target_scale is not None:
        return target_scale >= scale and (zone is None) == (target_zone is None)
    return bool(_TEXT.fullmatch(source) and _TEXT.fullmatch(target))


def _instant(type_: str) -> tuple[int | None, str | None]:
    """Return the decimal places and the zone of a date with time."""
    if match := _DATETIME64.fullmatch(type_):
        return int(match[1]), match[2]
    if match := _DATETIME.fullmatch(type_):
        return 0, match[1]
    return None, None


def _inner(type_: str) -> str:
    for wrapper in ("LowCardinality", "Nullable"):
        if type_.startswith(f"{wrapper}(") and type_.endswith(")"):
            type_ = type_[len(wrapper) + 1 : -1]
    return type_


def _is_nullable(type_: str) -> bool:
    return type_.startswith(("Nullable(", "LowCardinality(Nullable("))
