"""clickhouse-connect clients, made from credentials."""

from __future__ import annotations

import weakref
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aaiclick_ext.engine.embedded import embedded_process
from aaiclick_ext.engine.handle import SESSION_SETTINGS
from aaiclick_ext.engine.translate import translate
from aaiclick_ext.errors import ConnectError
from aaiclick_ext.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from aaiclick_ext.engine.creds import ClickHouseCreds

_NATIVE_PORTS = {9000, 9440}


def get_ch_client(creds: ClickHouseCreds, **settings: Any) -> Client:
    """Return a clickhouse-connect client, for those who want the driver itself.

    It runs with our session settings (nulls in joins and empty aggregates, UTC). On the embedded
    engine it shares the database of this process.

    Parameters
    ----------
    creds
        The database.
    **settings
        More ClickHouse settings; they win over ours.

    Raises
    ------
    ConnectError
        If the database cannot be opened or reached.
    """
    if not creds.is_embedded:
        return connect_server(creds, settings)
    path = embedded_process.acquire(creds.path, Settings.from_env().scratch_path)
    try:
        client = connect_embedded(path, settings)
    except BaseException:
        embedded_process.release()
        raise
    weakref.finalize(client, embedded_process.release)
    return client


def connect_embedded(path: Path, settings: Mapping[str, Any]) -> Client:
    """Return a client of the directory that this process has open."""
    import clickhouse_connect

    try:
        client = clickhouse_connect.get_client(
            interface="chdb", path=str(path), settings={**SESSION_SETTINGS, **settings}
        )
    except Exception as error:
        raise _refused(f"The embedded database {path}", error, ()) from error
    embedded_process.add_client(client)
    client.tz_mode = "aware"
    return client


def connect_server(
    creds: ClickHouseCreds, settings: Mapping[str, Any], *, answer_within_s: int = 300
) -> Client:
    """Return a client of a server. No session: its requests may run side by side."""
    import clickhouse_connect

    try:
        client = clickhouse_connect.get_client(
            interface="https" if creds.scheme == "clickhouses" else "http",
            host=creds.host,
            port=creds.port or 0,
            username=creds.user,
            password=creds.password,
            database=creds.database or "default",
            settings={**SESSION_SETTINGS, **settings},
            autogenerate_session_id=False,
            send_receive_timeout=answer_within_s,
            dedicated_pool=True,
            client_name="aaiclick_ext",
        )
    except Exception as error:  # noqa: BLE001 -- urllib3, the driver, the server
        refused = _refused(f"ClickHouse at {creds.url}", error, secrets_of(creds))
        if creds.port in _NATIVE_PORTS:
            hint = (
                f"Port {creds.port} is usually ClickHouse's native protocol; the URL needs the "
                "port of its HTTP interface, 8123 or 8443."
            )
            refused.args = (f"{refused} {hint}",)
    else:
        client.tz_mode = "aware"
        return client
    raise refused  # outside the handler: nothing of the driver's, which knew the password


def secrets_of(creds: ClickHouseCreds) -> tuple[str, ...]:
    """Return every form in which the password could turn up in a message."""
    if not creds.password:
        return ()
    basic = b64encode(f"{creds.user}:{creds.password}".encode()).decode()
    return (creds.password, quote(creds.password, safe=""), basic)


def _refused(what: str, error: Exception, secrets: tuple[str, ...]) -> ConnectError:
    known = translate(error, secrets=secrets)
    return ConnectError(f"{what} cannot be opened: {known}", code=getattr(known, "code", None))
