"""Where a kernel may have left tables, so that the reaper knows when nothing is left of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "session_databases",
        sa.Column("session_id", sa.BigInteger(), autoincrement=False, primary_key=True),
        sa.Column("database_identity", sa.String(), primary_key=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("session_databases")
