"""The first schema: the generation, and a row for each table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_GENERATION = 1


def upgrade() -> None:
    """Create the tables."""
    info = op.create_table(
        "registry_info",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("generation", sa.Integer(), nullable=False),
    )
    op.create_table(
        "table_registry",
        sa.Column("database_identity", sa.String(), primary_key=True),
        sa.Column("table_name", sa.String(), primary_key=True),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_table_registry_job_id", "table_registry", ["job_id"])
    op.bulk_insert(info, [{"id": 1, "generation": _GENERATION}])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("table_registry")
    op.drop_table("registry_info")
