"""Sharing: tables of a server that several kernels hold, until the last one lets go.

A token travels between kernels by whatever way people have. It is random, good for one kernel and
for a limited time, and holds the table meanwhile; the registry keeps its digest only.
"""

from __future__ import annotations

import math
import secrets
import threading
from typing import TYPE_CHECKING

from aaiclick_ext.errors import SettingsError, ShareError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.registry.claim_store import ClaimStore, Holding

TOKEN_PREFIX = "aaishare_"  # noqa: S105  how one begins
"""What tells a token in a text, so that it is masked there."""

_LONGEST_S = 30 * 24 * 3600.0


class Sharing:
    """The tables of one context that other kernels may hold.

    Parameters
    ----------
    store
        The claims in the SQL registry; None where the engine is embedded.
    """

    def __init__(self, store: ClaimStore | None) -> None:
        self._store = store
        self._shared: set[str] = set()
        self._lock = threading.Lock()  # held for the set alone

    def give(self, table: str, lifetime_s: float) -> str:
        """Return a token with which another kernel can claim a table. Writes to the registry.

        Raises
        ------
        ShareError
            If the engine is embedded: no other kernel can reach the table.
        SettingsError
            If the lifetime is not between 0 and 30 days.
        """
        store = self._checked_store("share")
        if not (math.isfinite(lifetime_s) and 0 < lifetime_s <= _LONGEST_S):
            raise SettingsError(
                f"expires_s is {lifetime_s!r}; it can be more than 0 and up to {_LONGEST_S:.0f} s"
            )
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        self._note(table)  # before the claim is there: the drop then looks for it
        store.give_token(table, token, lifetime_s)
        return token

    def take(self, token: str) -> str:
        """Redeem a token; return its table, which this kernel holds until it lets go.

        Raises
        ------
        ShareError
            If the token is of no use here.
        """
        store = self._checked_store("redeem")
        if not isinstance(token, str) or not token.startswith(TOKEN_PREFIX):
            raise ShareError(f"a token is the text that x.share() returned, {TOKEN_PREFIX}…")
        table = store.redeem(token)
        self._note(table)
        return table

    def claim(self, tables: Sequence[str]) -> None:
        """Let other kernels see that this one holds tables; does nothing where there are none."""
        if self._store is None or not tables:
            return
        for table in tables:
            self._note(table)
        self._store.claim(tables)

    def give_up(self, tables: Sequence[str]) -> Mapping[str, Holding]:
        """Give up this kernel's claims on tables; return those that are still held, and by whom.

        Writes to the registry where any of them was shared. What only tokens hold is to be given
        up again when they have expired.
        """
        with self._lock:
            shared = [table for table in tables if table in self._shared]
        if not shared or self._store is None:
            return {}
        held = self._store.give_up(shared)
        with self._lock:
            self._shared -= {t for t in shared if t not in held or held[t].sessions}
        return held

    def is_shared(self, table: str) -> bool:
        """Say whether other kernels may know a table."""
        with self._lock:
            return table in self._shared

    def holding(self) -> Mapping[str, Holding]:
        """Return who holds the tables that this kernel shared or redeemed. Reads the registry."""
        with self._lock:
            shared = sorted(self._shared)
        return self._store.holding(shared) if shared and self._store is not None else {}

    def _note(self, table: str) -> None:
        with self._lock:
            self._shared.add(table)

    def _checked_store(self, verb: str) -> ClaimStore:
        if self._store is None:
            raise ShareError(
                f"there is nobody to {verb} with: an embedded database is open in one kernel at a "
                "time. Connect the kernels to one ClickHouse server (AAICLICK_CH_URL="
                "clickhouse://…) with one registry, or pass a file: x.export('x.parquet')."
            )
        return self._store
