"""CellRecord: what the log keeps of one cell execution, with the secrets found in it so far."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

from aaiclick_ext.masking import mask_literals, mask_source, secrets_of_source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aaiclick_ext.oplog.task import Task

_MEMORABLE = 8


class CellRecord:
    """One cell execution, or what runs outside cells.

    Nothing is computed before the first event: a cell that records none costs nothing.

    Parameters
    ----------
    task
        The cell execution, or None outside cells.
    record_cell_source
        ``full``, ``hash`` or ``none``, as `Settings.record_cell_source`.
    session_secrets
        What was found in any cell of the kernel session; this cell adds to it.
    """

    def __init__(
        self, task: Task | None, record_cell_source: str, session_secrets: set[str]
    ) -> None:
        self.task = task
        self._session = session_secrets
        self._recording = record_cell_source
        self._learned: frozenset[str] = frozenset()
        self._stored: tuple[frozenset[str], str | None, str | None] | None = None

    @cached_property
    def _own_secrets(self) -> frozenset[str]:
        return frozenset() if self._source is None else secrets_of_source(self._source)

    @property
    def _source(self) -> str | None:
        return None if self.task is None else self.task.source

    @property
    def secrets(self) -> frozenset[str]:
        """The secrets of the cell's source and of what it has run so far."""
        known = self._own_secrets | self._learned
        return known | self._session if self._session else known

    def learn(self, secrets: Iterable[str]) -> None:
        """Add secrets that were found in what the cell ran."""
        secrets = frozenset(secrets)
        self._learned |= secrets
        # A short or common word that once was a password would mask half of every later cell.
        self._session.update(secret for secret in secrets if len(secret) >= _MEMORABLE)

    @cached_property
    def _masked_source(self) -> str | None:
        return None if self._source is None else mask_source(self._source)

    def stored(self) -> tuple[str | None, str | None]:
        """Return the source and its hash as they may be stored, by what is known now.

        The hash is that of the masked source, so that it does not help to guess what was masked;
        where a source cannot be masked nothing of it is stored but the hash of what was typed.
        """
        secrets = self.secrets
        if self._stored is None or self._stored[0] != secrets:
            self._stored = (secrets, *self._masked(secrets))
        return self._stored[1:]

    def _masked(self, secrets: frozenset[str]) -> tuple[str | None, str | None]:
        if self._source is None or self._recording == "none":
            return None, None
        source = self._masked_source
        if source is not None:
            source = mask_literals(source, secrets)
        text = self._source if source is None else source
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return (source if self._recording == "full" else None), digest
