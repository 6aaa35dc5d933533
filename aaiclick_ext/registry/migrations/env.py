"""What Alembic runs to migrate the registry, on the connection that it is given."""

from __future__ import annotations

from alembic import context

from aaiclick_ext.registry.generation import VERSION_TABLE
from aaiclick_ext.registry.models import Base


def run() -> None:
    """Run the migrations in the transaction of the connection."""
    context.configure(
        connection=context.config.attributes["connection"],
        version_table=VERSION_TABLE,
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite cannot alter most of a table in place
    )
    context.run_migrations()


if hasattr(context, "config"):  # Alembic runs this file; whoever imports it only looks
    run()
