"""The SQL registry: which tables exist, and who made them."""

from __future__ import annotations

from aaiclick_ext.registry.registry import Registry
from aaiclick_ext.registry.row import TableRow

__all__ = ["Registry", "TableRow"]
