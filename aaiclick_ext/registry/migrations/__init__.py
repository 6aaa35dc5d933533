"""Alembic's migrations of the registry, run in process from the installed package."""

from __future__ import annotations
