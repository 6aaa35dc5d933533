"""The schema's generation and revision, known without loading the migrations.

A generation is what all code that shares a registry must agree on: files of another generation
have another name and are never opened. Within one, migrations only add.
"""

from __future__ import annotations

GENERATION = 1
HEAD_REVISION = "0004"
"""The newest migration; equal to the head of ``migrations/versions``."""

VERSION_TABLE = "table_registry_version"
"""Where Alembic notes the revision; its usual name may be taken in a shared database."""
