"""Who is alive: the registry's identity, node leases, sessions, and claims shared by kernels."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and columns."""
    _give_identity()
    op.create_table(
        "node_leases",
        sa.Column("node_id", sa.Integer(), autoincrement=False, primary_key=True),
        sa.Column("job_id", sa.BigInteger(), nullable=False, unique=True),
        sa.Column("leased_at", sa.DateTime(timezone=True), nullable=False),
    )
    _create_sessions()
    op.add_column("table_registry", sa.Column("session_id", sa.BigInteger(), nullable=True))
    op.create_index("ix_table_registry_session_id", "table_registry", ["session_id"])
    op.create_table(
        "table_claims",
        sa.Column("database_identity", sa.String(), primary_key=True),
        sa.Column("table_name", sa.String(), primary_key=True),
        sa.Column("session_id", sa.BigInteger(), autoincrement=False, primary_key=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_table_claims_session_id", "table_claims", ["session_id"])
    op.create_table(
        "share_tokens",
        sa.Column("token_hash", sa.String(), primary_key=True),
        sa.Column("database_identity", sa.String(), nullable=False),
        sa.Column("table_name", sa.String(), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_share_tokens_session_id", "share_tokens", ["session_id"])


def _give_identity() -> None:
    op.add_column("registry_info", sa.Column("uuid", sa.String(), nullable=True))
    info = sa.table("registry_info", sa.column("uuid", sa.String()))
    op.execute(info.update().values(uuid=str(uuid.uuid4())))
    with op.batch_alter_table("registry_info") as batch:
        batch.alter_column("uuid", existing_type=sa.String(), nullable=False)


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.BigInteger(), autoincrement=False, primary_key=True),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("host_id", sa.String(), nullable=True),
        sa.Column("host_name", sa.String(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("process_started", sa.Double(), nullable=True),
        sa.Column("boot_id", sa.String(), nullable=True),
        sa.Column("pid_namespace", sa.String(), nullable=True),
        sa.Column("user_name", sa.String(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reaper_id", sa.BigInteger(), nullable=True),
        sa.Column("ttl_seconds", sa.Double(), nullable=False),
        sa.Column("max_refs", sa.Integer(), nullable=False),
        sa.Column("max_bytes", sa.BigInteger(), nullable=True),
    )
    op.create_index("ix_sessions_parent_id", "sessions", ["parent_id"])
    op.create_index("ix_sessions_node_id", "sessions", ["node_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("share_tokens")
    op.drop_table("table_claims")
    op.drop_index("ix_table_registry_session_id", "table_registry")
    with op.batch_alter_table("table_registry") as batch:
        batch.drop_column("session_id")
    op.drop_table("sessions")
    op.drop_table("node_leases")
    with op.batch_alter_table("registry_info") as batch:
        batch.drop_column("uuid")
