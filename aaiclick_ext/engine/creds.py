"""Where the data lives: one frozen value from arguments, a URL or the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, get_args
from urllib.parse import SplitResult, quote, unquote, urlsplit

from aaiclick_ext.errors import SettingsError
from aaiclick_ext.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

Scheme = Literal["chdb", "clickhouse", "clickhouses"]
HTTP_PORT = 8123
HTTPS_PORT = 8443
_FORMS = (
    "chdb:// (private scratch), chdb:///absolute/path (kept), "
    "clickhouse://user:password@host:8123/database, clickhouses:// (the same over TLS)"
)


@dataclass(frozen=True, kw_only=True, repr=False)
class ClickHouseCreds:
    """A ClickHouse database and the right to use it. Making one opens nothing.

    The password is in no representation: `repr`, `str` and `url` show ``***``.

    Parameters
    ----------
    scheme
        ``chdb`` (embedded), ``clickhouse`` (server over HTTP) or ``clickhouses`` (over TLS).
    path
        Directory of a kept embedded database; None is the scratch database of this process.
    host, port, database, user, password
        Of a server. The port is the HTTP interface's, 8123, or 8443 over TLS.

    Raises
    ------
    SettingsError
        If the parts do not fit together.

    Examples
    --------
    >>> ClickHouseCreds.from_url("clickhouse://alice:secret@db.example/flights")
    ClickHouseCreds('clickhouse://alice:***@db.example:8123/flights')
    """

    scheme: Scheme = "chdb"
    path: Path | None = None
    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str = "default"
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.scheme not in get_args(Scheme):
            raise SettingsError(f"no ClickHouse scheme {self.scheme!r}; there are {_FORMS}")
        if self.is_embedded:
            if self.host or self.port or self.password or self.database:
                raise SettingsError(
                    "an embedded database (scheme chdb) has a path and no host, port, database "
                    f"or password; forms: {_FORMS}"
                )
            if self.path is not None:
                absolute = Path(os.path.abspath(self.path.expanduser()))  # noqa: PTH100 -- keep links
                object.__setattr__(self, "path", absolute)
            return
        if not self.host or self.path is not None:
            raise SettingsError(f"a ClickHouse server has a host and no path; forms: {_FORMS}")
        if self.port is None:
            port = HTTPS_PORT if self.scheme == "clickhouses" else HTTP_PORT
            object.__setattr__(self, "port", port)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read a URL; characters that have a meaning in one (``@ : / ? #``) are percent-encoded.

        Raises
        ------
        SettingsError
            If the URL is of none of the forms. The message never contains the password.
        """
        scheme = url.partition("://")[0]
        try:
            parts = urlsplit(url)
            if parts.query or parts.fragment or "://" not in url:
                raise ValueError(url)  # noqa: TRY301
            if scheme == "chdb":
                return cls(path=_path_of(parts))
            return cls(
                scheme=scheme,  # type: ignore[arg-type]  # __post_init__ refuses what it is not
                host=parts.hostname,
                port=parts.port,
                database=unquote(parts.path.strip("/")) or None,
                user=unquote(parts.username or "default"),
                password=unquote(parts.password or ""),
            )
        except ValueError as error:
            if isinstance(error, SettingsError):
                raise
        # Outside the handler: the message and context of a ValueError may hold the password.
        shown = f"{scheme}://…" if "://" in url else "the text given"
        raise SettingsError(
            f"{shown} is not the URL of a ClickHouse database; forms: {_FORMS}. "
            "Percent-encode @ : / ? # in a user name or password."
        )

    @property
    def is_embedded(self) -> bool:
        """Whether the database runs in this process."""
        return self.scheme == "chdb"

    @property
    def is_scratch(self) -> bool:
        """Whether the database ends with this process."""
        return self.is_embedded and self.path is None

    @property
    def url(self) -> str:
        """The URL with the password as ``***``."""
        if self.is_embedded:
            return "chdb://" if self.path is None else f"chdb://{self.path}"
        user = quote(self.user, safe="")
        user = f"{user}:***@" if self.password else f"{user}@" if self.user != "default" else ""
        database = f"/{quote(self.database, safe='')}" if self.database else ""
        return f"{self.scheme}://{user}{self._address}{database}"

    @property
    def identity(self) -> str:
        """What names the database itself, whoever uses it: no user, links resolved."""
        if self.is_embedded:
            return (
                "chdb://scratch" if self.path is None else f"chdb://{os.path.realpath(self.path)}"
            )
        return f"clickhouse://{self._address}/{self.database or 'default'}"

    @property
    def _address(self) -> str:
        host = f"[{self.host}]" if ":" in (self.host or "") else self.host
        return f"{host}:{self.port}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    __str__ = __repr__


def get_creds_from_env(environ: Mapping[str, str] | None = None) -> ClickHouseCreds:
    """Return the credentials that ``AAICLICK_CH_URL`` names, by default the scratch database.

    Raises
    ------
    SettingsError
        If the variable holds no URL of a ClickHouse database.
    """
    return ClickHouseCreds.from_url(Settings.from_env(environ).ch_url)


def _path_of(parts: SplitResult) -> Path | None:
    if parts.netloc:
        raise SettingsError(
            f"chdb://{parts.netloc}{parts.path} names no directory: an absolute path follows "
            f"chdb:// directly, as in chdb:///home/me/flights; forms: {_FORMS}"
        )
    return Path(unquote(parts.path)) if parts.path.strip("/") else None
