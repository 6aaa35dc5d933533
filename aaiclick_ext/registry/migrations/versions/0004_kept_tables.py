"""Which tables stay though nothing refers to them: preserved for a while, or pinned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a table of an old registry may have no job."""
    _drop_indexes()
    with op.batch_alter_table("table_registry") as batch:
        batch.alter_column("job_id", existing_type=sa.BigInteger(), nullable=True)
        batch.alter_column("run_id", existing_type=sa.BigInteger(), nullable=True)
        batch.add_column(sa.Column("preservation", sa.String(), nullable=True))
        batch.add_column(sa.Column("pinned_at", sa.DateTime(timezone=True), nullable=True))
    _create_indexes()
    op.add_column("sessions", sa.Column("preservation", sa.String(), nullable=True))


def downgrade() -> None:
    """Drop them, and the rows without a job."""
    with op.batch_alter_table("sessions") as batch:
        batch.drop_column("preservation")
    op.execute("DELETE FROM table_registry WHERE job_id IS NULL OR run_id IS NULL")
    _drop_indexes()
    with op.batch_alter_table("table_registry") as batch:
        batch.drop_column("pinned_at")
        batch.drop_column("preservation")
        batch.alter_column("run_id", existing_type=sa.BigInteger(), nullable=False)
        batch.alter_column("job_id", existing_type=sa.BigInteger(), nullable=False)
    _create_indexes()


# SQLite makes the table anew, and its indexes with it in an order of its own.
_INDEXES = ("job_id", "session_id")


def _drop_indexes() -> None:
    for column in _INDEXES:
        op.drop_index(f"ix_table_registry_{column}", "table_registry")


def _create_indexes() -> None:
    for column in _INDEXES:
        op.create_index(f"ix_table_registry_{column}", "table_registry", [column])
