"""What the reaper reads and writes in the registry: kernels, what they may have left, claims on it.

A dead kernel's row stays until nothing of it is left in any database that it opened: a table whose
maker is not in the registry cannot be judged, and is kept.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aaiclick_ext.registry.statements import (
    SQLAlchemyStatements,
    change_in,
    rows_in,
    stored_time,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from aaiclick_ext.registry.registry import Registry
    from aaiclick_ext.registry.statements import Statements

_COLUMNS = (
    "session_id, node_id, tags, host_id, host_name, pid, process_started, boot_id, pid_namespace, "
    "user_name, fence, started_at, heartbeat_at, ended_at, state, reaper_id"
)


@dataclass(frozen=True, slots=True)
class KernelRecord:
    """A kernel's own session, as it was when the registry was read.

    Attributes
    ----------
    heartbeat_age_s
        Seconds since its last heartbeat, by the registry's clock.
    databases
        Where it may have left tables.
    sessions
        Its own id and those of the sessions inside it.
    is_preserving
        Whether one of these preserves its tables.
    """

    session_id: int
    node_id: int
    tags: Mapping[str, Any]
    host_id: str | None
    host_name: str | None
    pid: int | None
    process_started: float | None
    boot_id: str | None
    pid_namespace: str | None
    user_name: str | None
    fence: int
    started_at: dt.datetime
    heartbeat_at: dt.datetime
    ended_at: dt.datetime | None
    state: str
    reaper_id: int | None
    heartbeat_age_s: float
    databases: tuple[str, ...] = ()
    sessions: frozenset[int] = frozenset()
    is_preserving: bool = False


@dataclass(frozen=True, slots=True)
class RecordedTable:
    """A table that the registry has of a database; `job_id` is None where it is not known."""

    table_name: str
    job_id: int | None
    created_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Unheld:
    """Which tables somebody holds, of those that were asked about and those that dead kernels held.

    Attributes
    ----------
    free
        Tables that no other kernel claims and no token holds.
    held
        The others, and who holds them, in words.
    """

    free: frozenset[str]
    held: Mapping[str, str]


class ReapStore:
    """Each method is one transaction; any thread may call it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def note_database(self, session_id: int, database_identity: str) -> None:
        """Write down that a kernel opens a database, before it makes a table there."""
        with self._registry.statements() as statements:
            statements.change(
                "INSERT INTO session_databases (session_id, database_identity, opened_at) "
                f"VALUES (:session, :identity, {statements.now}) ON CONFLICT DO NOTHING",
                session=session_id,
                identity=database_identity,
            )

    def leave_database(self, session_id: int, database_identity: str) -> None:
        """Write down that a kernel has closed a database and left nothing in it."""
        with self._registry.statements() as statements:
            _leave(statements, session_id, database_identity)

    def kernels(self) -> list[KernelRecord]:
        """Return the kernels that the registry knows, oldest first."""
        with self._registry.statements() as statements:
            rows = statements.rows(
                f"SELECT {_COLUMNS}, {statements.age_s('heartbeat_at')} FROM sessions "
                "WHERE parent_id IS NULL ORDER BY started_at, session_id"
            )
            databases = _grouped(
                statements.rows(
                    "SELECT session_id, database_identity FROM session_databases ORDER BY opened_at"
                )
            )
            parents = statements.rows(
                "SELECT session_id, parent_id FROM sessions WHERE parent_id IS NOT NULL"
            )
            inside = [(int(child), int(parent)) for child, parent in parents]
            modes = statements.rows(
                "SELECT session_id FROM sessions WHERE preservation IS NOT NULL"
            )
        below, preserving = _descendants(inside), frozenset(int(number) for (number,) in modes)
        return [_kernel(row, databases, below, preserving) for row in rows]

    def claim(self, kernel: KernelRecord, reaper_id: int) -> bool:
        """Take what a dead kernel left, and its node id; say whether nobody was faster.

        It is not taken where the kernel, or another reaper, has written its row since it was read.
        """
        with self._registry.statements() as statements:
            same_reaper = "reaper_id IS NULL" if kernel.reaper_id is None else "reaper_id = :seen"
            seen = {} if kernel.reaper_id is None else {"seen": kernel.reaper_id}
            changed = statements.change(
                "UPDATE sessions SET state = 'dead', reaper_id = :reaper, fence = fence + 1, "
                f"ended_at = COALESCE(ended_at, {statements.now}) "
                f"WHERE session_id = :session AND fence = :fence AND {same_reaper} "
                f"AND state = :state AND {statements.age_s('heartbeat_at')} >= :age - 0.001",
                reaper=reaper_id,
                session=kernel.session_id,
                fence=kernel.fence,
                state=kernel.state,
                age=kernel.heartbeat_age_s,
                **seen,
            )
            if changed:
                statements.change(
                    "DELETE FROM node_leases WHERE job_id = :job", job=kernel.session_id
                )
        return changed == 1

    def unheld(
        self,
        database_identity: str,
        tables: Collection[str],
        dead: Collection[int],
        *,
        is_dry: bool = False,
    ) -> Unheld:
        """Return which tables may go.

        Asked about are `tables`, those that the sessions in `dead` claim in this database, and
        those whose tokens there have all expired; where nobody else holds one, it may go. A table
        that may go stays so: to claim it one needs a token that has not expired, or the table.

        Parameters
        ----------
        is_dry
            Change nothing; else claims of `dead`, and expired tokens, are deleted where others
            hold the table.
        """
        with self._registry.statements() as statements:
            _alone(statements)
            mine = rows_in(
                statements,
                "SELECT table_name FROM table_claims WHERE database_identity = :identity "
                "AND session_id IN ({})",
                dead,
                identity=database_identity,
            )
            expired = statements.rows(
                "SELECT table_name FROM share_tokens WHERE database_identity = :identity "
                f"AND expires_at <= {statements.now}",
                identity=database_identity,
            )
            asked = {*tables, *(str(name) for (name,) in [*mine, *expired])}
            held = _held(statements, asked, frozenset(dead))
            if not is_dry:
                _let_go(statements, held, dead)
        return Unheld(frozenset(asked - held.keys()), held)

    def let_go(self, tables: Collection[str], dead: Collection[int]) -> None:
        """Delete what dead sessions claim of tables, and the tables' expired tokens."""
        if tables:
            with self._registry.statements() as statements:
                _let_go(statements, tables, dead)

    def forget(self, tables: Collection[str]) -> None:
        """Delete what is known of tables that are gone: their rows, claims and tokens."""
        with self._registry.statements() as statements:
            for name in ("table_registry", "table_claims", "share_tokens"):
                change_in(statements, f"DELETE FROM {name} WHERE table_name IN ({{}})", tables)

    def forget_place(self, job_id: int, database_identity: str) -> None:
        """Delete the rows of a kernel's tables in a database that is gone."""
        with self._registry.statements() as statements:
            statements.change(
                "DELETE FROM table_registry WHERE job_id = :job AND database_identity = :identity",
                job=job_id,
                identity=database_identity,
            )

    def tables_in(self, database_identity: str) -> list[RecordedTable]:
        """Return the tables that the registry has of a database."""
        with self._registry.statements() as statements:
            found = statements.rows(
                "SELECT job_id, table_name, created_at FROM table_registry "
                "WHERE database_identity = :identity",
                identity=database_identity,
            )
        return [
            RecordedTable(str(name), None if job is None else int(job), stored_time(created_at))
            for job, name, created_at in found
        ]

    def tables_of(self, session_ids: Collection[int]) -> list[tuple[int, str, str]]:
        """Return kernel, database and name of the tables that the registry has of some kernels."""
        with self._registry.statements() as statements:
            found = rows_in(
                statements,
                "SELECT job_id, database_identity, table_name FROM table_registry "
                "WHERE job_id IN ({})",
                session_ids,
            )
        return [(int(job), str(identity), str(name)) for job, identity, name in found]

    def claims(self) -> list[tuple[int, str]]:
        """Return kernel and table of each claim on a shared table."""
        with self._registry.statements() as statements:
            found = statements.rows("SELECT session_id, table_name FROM table_claims")
        return [(int(session), str(table)) for session, table in found]

    def finish(self, kernel: KernelRecord, reaper_id: int, left: Iterable[str]) -> bool:
        """Give a claimed kernel back, or delete it where nothing of it is left; say which.

        Parameters
        ----------
        left
            The databases in which nothing of it is left.
        """
        with self._registry.statements() as statements:
            for identity in left:
                _leave(statements, kernel.session_id, identity)
            ((count,),) = statements.rows(
                "SELECT count(*) FROM session_databases WHERE session_id = :session",
                session=kernel.session_id,
            )
            ours = "session_id = :session AND reaper_id = :reaper"
            who = {"session": kernel.session_id, "reaper": reaper_id}
            if count:
                statements.change(f"UPDATE sessions SET reaper_id = NULL WHERE {ours}", **who)
                return False
            if not statements.change(f"DELETE FROM sessions WHERE {ours}", **who):
                return False
            change_in(
                statements,
                "DELETE FROM sessions WHERE session_id IN ({})",
                kernel.sessions - {kernel.session_id},
            )
            change_in(
                statements,
                "DELETE FROM table_claims WHERE session_id IN ({})",
                kernel.sessions,
            )
        return True


def _kernel(
    row: Sequence[Any],
    databases: Mapping[int, list[str]],
    below: Mapping[int, set[int]],
    preserving: frozenset[int],
) -> KernelRecord:
    values: dict[str, Any] = dict(zip(_COLUMNS.split(", "), row, strict=False))
    session_id, tags = values["session_id"], values["tags"]
    values["tags"] = json.loads(tags) if isinstance(tags, str) else tags
    for name in ("started_at", "heartbeat_at", "ended_at"):
        values[name] = stored_time(values[name])
    sessions = frozenset({session_id, *below.get(session_id, ())})
    return KernelRecord(
        **values,
        heartbeat_age_s=float(row[-1]),
        databases=tuple(databases.get(session_id, ())),
        sessions=sessions,
        is_preserving=not sessions.isdisjoint(preserving),
    )


def _grouped(rows: Iterable[Sequence[Any]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for key, value in rows:
        found[key].append(value)
    return found


def _descendants(parents: Iterable[tuple[int, int]]) -> dict[int, set[int]]:
    """Return all that are below each session, from pairs of child and parent."""
    above = dict(parents)
    found: dict[int, set[int]] = defaultdict(set)
    for child in above:
        parent, seen = above.get(child), {child}
        while parent is not None and parent not in seen:
            found[parent].add(child)
            seen.add(parent)
            parent = above.get(parent)
    return found


def _leave(statements: Statements, session_id: int, database_identity: str) -> None:
    statements.change(
        "DELETE FROM session_databases "
        "WHERE session_id = :session AND database_identity = :identity",
        session=session_id,
        identity=database_identity,
    )


def _let_go(statements: Statements, tables: Iterable[str], dead: Collection[int]) -> None:
    for name in tables:
        statements.change(
            f"DELETE FROM share_tokens WHERE table_name = :name AND expires_at <= {statements.now}",
            name=name,
        )
        change_in(
            statements,
            "DELETE FROM table_claims WHERE table_name = :name AND session_id IN ({})",
            dead,
            name=name,
        )


def _held(statements: Statements, tables: Collection[str], dead: frozenset[int]) -> dict[str, str]:
    """Return the tables that a token, or a session that is not among the dead, holds.

    By name alone: names are unique, and one server may be known by several addresses.
    """
    claims = rows_in(
        statements,
        "SELECT table_name, session_id FROM table_claims WHERE table_name IN ({})",
        tables,
    )
    tokens = rows_in(
        statements,
        "SELECT table_name, count(*) FROM share_tokens "
        f"WHERE expires_at > {statements.now} AND table_name IN ({{}}) GROUP BY table_name",
        tables,
    )
    held = {name: "a token for it has not expired" for name, _ in tokens}
    held |= {
        name: f"kernel session {session} holds it"
        for name, session in claims
        if session not in dead
    }
    return held


def _alone(statements: Statements) -> None:
    """Let nobody change claims before this transaction ends; SQLite lets nobody in any case."""
    if isinstance(statements, SQLAlchemyStatements):
        statements.change("LOCK TABLE table_claims IN EXCLUSIVE MODE")
