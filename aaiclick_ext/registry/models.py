"""The registry's tables."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, DateTime, Double, Integer, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


class UTCDateTime(TypeDecorator[dt.datetime]):
    """A point in time. SQLite stores no zone, so that UTC is stored and given back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """Return the time to store."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be recorded: {value}")
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self, value: dt.datetime | None, dialect: Dialect
    ) -> dt.datetime | None:
        """Return the stored time with its zone."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return value.replace(tzinfo=dt.UTC)
        return value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """The registry's schema."""


class RegistryInfo(Base):
    """One row: the generation of the schema, and which registry this is."""

    __tablename__ = "registry_info"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    generation: Mapped[int] = mapped_column(Integer)
    uuid: Mapped[str] = mapped_column(String)
    """Made once; a server stores it, so that its kernels share one registry."""


class TableRecord(Base):
    """A table of ours in some database, from its making to its drop."""

    __tablename__ = "table_registry"

    database_identity: Mapped[str] = mapped_column(String, primary_key=True)
    table_name: Mapped[str] = mapped_column(String, primary_key=True)
    job_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    """Null of a table that an old registry in ClickHouse had without a job."""
    task_id: Mapped[int | None] = mapped_column(BigInteger)
    run_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    session_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    """The session that made it; null where that is the kernel's own."""
    preservation: Mapped[str | None] = mapped_column(String)
    """``FULL`` where it stays, at zero claims, until its job expires; else null."""
    pinned_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    """When it was pinned; null where it is not."""


class NodeLease(Base):
    """A node id and the kernel that holds it."""

    __tablename__ = "node_leases"

    node_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    job_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    leased_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class SessionRecord(Base):
    """A kernel, or a session inside one, from its registration until it is reaped.

    A kernel has its job id and no parent. A session inside one has the enclosing session as its
    parent and no process: its kernel's counts.
    """

    __tablename__ = "sessions"

    session_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    parent_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    node_id: Mapped[int] = mapped_column(Integer, index=True)
    tags: Mapped[dict[str, Any]] = mapped_column(JSON)
    host_id: Mapped[str | None] = mapped_column(String)
    host_name: Mapped[str | None] = mapped_column(String)
    pid: Mapped[int | None] = mapped_column(Integer)
    process_started: Mapped[float | None] = mapped_column(Double)
    """In seconds since 1970, as the operating system says."""
    boot_id: Mapped[str | None] = mapped_column(String)
    pid_namespace: Mapped[str | None] = mapped_column(String)
    user_name: Mapped[str | None] = mapped_column(String)
    fence: Mapped[int] = mapped_column(BigInteger)
    """Grows when another kernel takes over what this one holds; it then is no longer its owner."""
    started_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    heartbeat_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    """By the registry's clock, not the kernel's."""
    ended_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    state: Mapped[str] = mapped_column(String)
    """``live``, or ``dead`` from when a kernel was judged so."""
    reaper_id: Mapped[int | None] = mapped_column(BigInteger)
    """The kernel that removes what this one left."""
    ttl_seconds: Mapped[float] = mapped_column(Double)
    max_refs: Mapped[int] = mapped_column(Integer)
    max_bytes: Mapped[int | None] = mapped_column(BigInteger)
    preservation: Mapped[str | None] = mapped_column(String)
    """``FULL`` where tables made in it are preserved, also one whose row was not written."""


class TableClaim(Base):
    """A session that holds a table of a server, its own or one that was shared with it."""

    __tablename__ = "table_claims"

    database_identity: Mapped[str] = mapped_column(String, primary_key=True)
    table_name: Mapped[str] = mapped_column(String, primary_key=True)
    session_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, index=True
    )
    claimed_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class ShareToken(Base):
    """A token by which one kernel may claim a table of another, once."""

    __tablename__ = "share_tokens"

    token_hash: Mapped[str] = mapped_column(String, primary_key=True)
    database_identity: Mapped[str] = mapped_column(String)
    table_name: Mapped[str] = mapped_column(String)
    session_id: Mapped[int] = mapped_column(BigInteger, index=True)
    """Who gave it."""
    created_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class SessionDatabase(Base):
    """A database in which a kernel may have left tables: from its opening until nothing is left."""

    __tablename__ = "session_databases"

    session_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    database_identity: Mapped[str] = mapped_column(String, primary_key=True)
    opened_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
