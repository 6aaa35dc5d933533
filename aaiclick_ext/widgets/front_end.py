"""The front end of a widget: files beside this one, as one module and one stylesheet."""

from __future__ import annotations

from pathlib import Path

_STATIC = Path(__file__).parent / "static"


def joined(*names: str) -> str:
    """Return parts of a front end as one: a widget has one module, which loads nothing."""
    return "\n".join((_STATIC / name).read_text(encoding="utf-8") for name in names)
