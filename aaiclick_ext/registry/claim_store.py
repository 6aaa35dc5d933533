"""Claims of kernel sessions on the tables of a server, and tokens that let another claim.

A table that was shared has a row for each session that holds it. Whoever gives the last claim up
drops the table; a token that is not redeemed yet holds it like a claim until it expires.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aaiclick_ext.errors import ShareError
from aaiclick_ext.importing import import_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection

    from aaiclick_ext.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds a shared table.

    Attributes
    ----------
    sessions
        The sessions that claim it, by id.
    tokens
        How many tokens for it can still be redeemed.
    expires_in_s
        When the last of them expires, in seconds from now; None where there is none.
    """

    sessions: tuple[int, ...] = ()
    tokens: int = 0
    expires_in_s: float | None = field(default=None, compare=False)


class ClaimStore:
    """The claims on the tables of one database.

    Each method is one transaction, in which nobody else changes a claim.

    Parameters
    ----------
    database_identity
        As `Engine.identity`.
    session_id
        Whose claims are made and given up.
    """

    def __init__(self, registry: Registry, database_identity: str, session_id: int) -> None:
        self._registry = registry
        self._database = database_identity
        self._session_id = session_id

    def give_token(self, table: str, token: str, lifetime_s: float) -> None:
        """Store a token for a table, and claim the table for this session."""
        import_whole("sqlalchemy.orm")
        from sqlalchemy import insert

        from aaiclick_ext.registry.models import ShareToken

        with self._registry.transaction() as connection:
            now = _alone(connection)
            self._claim(connection, table, now)
            connection.execute(
                insert(ShareToken).values(
                    token_hash=_hash(token),
                    database_identity=self._database,
                    table_name=table,
                    session_id=self._session_id,
                    created_at=now,
                    expires_at=now + dt.timedelta(seconds=lifetime_s),
                )
            )

    def redeem(self, token: str) -> str:
        """Spend a token: return its table, which this session claims from now on.

        Raises
        ------
        ShareError
            If it was spent before, has expired, or is for a table of another database.
        """
        import_whole("sqlalchemy.orm")
        from sqlalchemy import delete, select

        from aaiclick_ext.registry.models import ShareToken

        with self._registry.transaction() as connection:
            now = _alone(connection)
            is_it = ShareToken.token_hash == _hash(token)
            found = connection.execute(select(ShareToken.__table__).where(is_it)).mappings().first()
            if found is None or found["expires_at"] <= now:
                raise ShareError(
                    "this token was redeemed before, has expired, or is of another registry. A "
                    "token is good for one kernel: ask for a new one, made by x.share()."
                )
            if found["database_identity"] != self._database:
                raise ShareError(
                    f"this token is for a table in {found['database_identity']}, and this kernel "
                    f"is connected to {self._database}. Connect to the same address, and try again."
                )
            connection.execute(delete(ShareToken).where(is_it))
            self._claim(connection, found["table_name"], now)
            return str(found["table_name"])

    def give_up(self, tables: Sequence[str]) -> dict[str, Holding]:
        """Give up this session's claims on tables; return those that are still held."""
        import_whole("sqlalchemy.orm")
        from sqlalchemy import delete

        from aaiclick_ext.registry.models import TableClaim

        with self._registry.transaction() as connection:
            now = _alone(connection)
            connection.execute(
                delete(TableClaim).where(
                    TableClaim.database_identity == self._database,
                    TableClaim.session_id == self._session_id,
                    TableClaim.table_name.in_(tables),
                )
            )
            return self._held(connection, tables, now)

    def holding(self, tables: Sequence[str]) -> dict[str, Holding]:
        """Return who holds these tables; those that nobody shares are missing."""
        with self._registry.transaction() as connection:
            return self._held(connection, tables, _alone(connection))

    def claim(self, tables: Sequence[str]) -> None:
        """Claim tables for this session; again is fine."""
        with self._registry.transaction() as connection:
            now = _alone(connection)
            for table in tables:
                self._claim(connection, table, now)

    def _claim(self, connection: Connection, table: str, now: dt.datetime) -> None:
        from sqlalchemy.dialects import postgresql, sqlite

        from aaiclick_ext.registry.models import TableClaim

        is_sqlite = connection.dialect.name == "sqlite"
        statement = (sqlite.insert if is_sqlite else postgresql.insert)(TableClaim).values(
            database_identity=self._database,
            table_name=table,
            session_id=self._session_id,
            claimed_at=now,
        )
        connection.execute(statement.on_conflict_do_nothing())

    def _held(
        self, connection: Connection, tables: Iterable[str], now: dt.datetime
    ) -> dict[str, Holding]:
        from sqlalchemy import select

        from aaiclick_ext.registry.models import ShareToken, TableClaim

        names = list(tables)
        claims = connection.execute(
            select(TableClaim.table_name, TableClaim.session_id)
            .where(TableClaim.database_identity == self._database, TableClaim.table_name.in_(names))
            .order_by(TableClaim.claimed_at, TableClaim.session_id)
        ).all()
        tokens = connection.execute(
            select(ShareToken.table_name, ShareToken.expires_at).where(
                ShareToken.database_identity == self._database,
                ShareToken.table_name.in_(names),
                ShareToken.expires_at > now,
            )
        ).all()
        held = {}
        for name in sorted({table for table, _ in (*claims, *tokens)}):
            expiries = [expires_at for table, expires_at in tokens if table == name]
            held[name] = Holding(
                tuple(session for table, session in claims if table == name),
                len(expiries),
                (max(expiries) - now).total_seconds() if expiries else None,
            )
        return held


def _alone(connection: Connection) -> dt.datetime:
    """Let no other transaction change claims before this one ends; return the registry's time.

    Of two sessions that give up the last two claims at once, each would else see the other's.
    SQLite has one writer at a time in any case.
    """
    from sqlalchemy import func, select, text

    from aaiclick_ext.registry.models import TableClaim

    if connection.dialect.name == "sqlite":
        return dt.datetime.now(dt.UTC)
    connection.execute(text(f"LOCK TABLE {TableClaim.__tablename__} IN EXCLUSIVE MODE"))
    now: dt.datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
