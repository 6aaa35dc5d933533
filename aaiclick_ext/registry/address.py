"""Where the registry is: a SQLite file by default, or a PostgreSQL database by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from aaiclick_ext.errors import RegistryError
from aaiclick_ext.registry.sqlite_file import default_path

if TYPE_CHECKING:
    from pathlib import Path

_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
_MASK = "***"


def _quote_all(text: str) -> str:
    return quote(text, safe="")


def address_of(url: str | None, state_path: Path) -> URL:
    """Return where the registry is.

    Raises
    ------
    RegistryError
        If the URL is of no database that can hold it. The message holds no password.
    """
    if url is None:
        return URL.create("sqlite", database=str(default_path(state_path)))
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # whose text repeats the URL, password included
        raise RegistryError(f"the registry's URL cannot be read. {_CHOICES}") from None
    if address.drivername in _POSTGRESQL:
        return address.set(drivername="postgresql+psycopg")
    if address.drivername == "sqlite":
        if address.database in (None, "", ":memory:"):
            raise RegistryError(f"the registry needs a SQLite file, not memory. {_CHOICES}")
        return address
    raise RegistryError(f"the registry cannot be in {address.drivername!r}. {_CHOICES}")


_CHOICES = (
    "AAICLICK_SQL_URL can be sqlite:////path/to/file.db or postgresql://user:password@host/database;"
    " without it the registry is a file in the state directory."
)


def shown(address: URL) -> str:
    """Return an address for people: without its password, in whatever place it stands."""
    query = dict.fromkeys(address.query, _MASK)
    return address.set(query=query).render_as_string(hide_password=True)


def without_password(text: str, address: URL) -> str:
    """Return a driver's message without the address's password."""
    secrets = [str(address.password or "")]
    for value in address.query.values():
        secrets += [value] if isinstance(value, str) else value
    spellings = {f(s) for s in secrets if s for f in (str, unquote, quote, _quote_all, quote_plus)}
    for secret in sorted(spellings, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return text.replace(address.render_as_string(hide_password=False), shown(address))
