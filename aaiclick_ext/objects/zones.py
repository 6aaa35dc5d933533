"""Time zones of Python's datetimes, by name."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from aaiclick_ext.objects.refusal import unsupported


def zone_of(tzinfo: Any, row: int | None = None) -> str:
    """Return a time zone as Arrow names it: ``Asia/Kolkata``, ``UTC``, ``+05:30``.

    Knows zoneinfo, `datetime.timezone`, pytz, and whatever else has one offset for ever.

    Raises
    ------
    Refusal
        If the zone has neither a name nor one offset in minutes.
    """
    if tzinfo is dt.UTC:
        return "UTC"
    name = tzinfo.key if isinstance(tzinfo, ZoneInfo) else getattr(tzinfo, "zone", None)
    if name:
        return str(name)
    offset = None if isinstance(tzinfo, ZoneInfo) else tzinfo.utcoffset(None)
    if offset is None or offset % dt.timedelta(minutes=1):
        raise unsupported(
            f"the time zone {tzinfo!r} has neither a name nor an offset in whole minutes; "
            'use zoneinfo.ZoneInfo("Area/City") or convert with .astimezone(datetime.UTC)',
            row,
        )
    minutes = offset // dt.timedelta(minutes=1)
    sign = "-" if minutes < 0 else "+"
    hours, minutes = divmod(abs(minutes), 60)
    return f"{sign}{hours:02d}:{minutes:02d}"
