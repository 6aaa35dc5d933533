"""Numbers of bytes for people."""

from __future__ import annotations

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def size_text(size_bytes: int | None) -> str:
    """Return a number of bytes as a person reads it; nothing for None.

    Examples
    --------
    >>> size_text(512), size_text(1_234_567), size_text(512_000_000)
    ('512 bytes', '1.2 MB', '512 MB')
    """
    if size_bytes is None:
        return ""
    amount, unit = float(size_bytes), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{short(amount)} {_UNITS[unit]}" if unit else f"{size_bytes} bytes"


def short(amount: float) -> str:
    """Return an amount with the figures that a person reads.

    Examples
    --------
    >>> short(3.04), short(42.42), short(123.4)
    ('3', '42.4', '123')
    """
    return f"{amount:.0f}" if amount >= 99.95 else f"{amount:.1f}".removesuffix(".0")
