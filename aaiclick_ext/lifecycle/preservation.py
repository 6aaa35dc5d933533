"""What becomes of a table that nothing refers to any more."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from aaiclick_ext.errors import SettingsError


class PreservationMode(StrEnum):
    """What becomes of a kernel's, or a session's, tables that nothing refers to any more.

    ``NONE`` drops them. ``FULL`` keeps them until the job's time to live is over: `job_ttl_days`
    after the kernel ended, however it ended. A mode is that of the tables that are made under it.

    Examples
    --------
    >>> PreservationMode.of("full")
    <PreservationMode.FULL: 'FULL'>
    """

    NONE = "NONE"
    FULL = "FULL"

    @classmethod
    def of(cls, value: Self | str) -> Self:
        """Return a mode by its name, in upper or lower case.

        Raises
        ------
        SettingsError
            If there is none of that name.
        """
        try:
            return cls(value.upper())
        except (AttributeError, ValueError) as error:
            raise SettingsError(f"preservation is {value!r}; it can be {', '.join(cls)}") from error
