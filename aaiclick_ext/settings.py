"""Settings: one frozen value, defaults < environment < traitlets config < arguments.

This module is the only place that reads the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self, get_type_hints

from aaiclick_ext.errors import SettingsError
from aaiclick_ext.ids import MAX_NODE

PREFIX = "AAICLICK_"
RECORD_CELL_SOURCE = ("full", "hash", "none")
PRESERVATION_MODES = ("NONE", "FULL")
PROGRESS = ("on", "off")
READ_WHEN_USED = frozenset(
    {
        "displayed_results",
        "display_rows",
        "display_columns",
        "max_cross_join_rows",
        "max_fetch_bytes",
        "memory_table_bytes",
        "min_free_disk_bytes",
        "progress",
    }
)
"""Settings that a change reaches at once; the others are read when a context opens."""

_HEARTBEATS_IN_GRACE = 4


def _setting(
    default: Any, environment: str | None, doc: str, *, choices: tuple[str, ...] = ()
) -> Any:
    return field(
        default=default,
        metadata={"environment": environment, "doc": doc, "choices": choices},
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """What can be set, with its default and the environment variable that sets it.

    Paths left at None follow the platform's convention (`platformdirs`), so that making a
    Settings touches no file.
    """

    ch_url: str = _setting(
        "chdb://", "CH_URL", "ClickHouse: chdb://, chdb:///path, clickhouse[s]://…"
    )
    sql_url: str | None = _setting(None, "SQL_URL", "SQL registry; None is SQLite in state_dir")
    state_dir: Path | None = _setting(None, "STATE_DIR", "registry and spilled log batches")
    scratch_dir: Path | None = _setting(None, "SCRATCH_DIR", "parent of embedded scratch databases")
    node_id: int | None = _setting(None, "NODE_ID", "0 to 1023; None leases a free one")
    heartbeat_s: float = _setting(
        10.0, "HEARTBEAT_S", "how often a kernel tells the registry that it lives, in seconds"
    )
    lease_grace_s: float = _setting(
        120.0,
        "LEASE_GRACE_S",
        "how long a kernel on another host may be silent before it counts as dead, in seconds",
    )
    memory_table_bytes: int = _setting(
        1 << 20, "MEMORY_TABLE_BYTES", "a temp table up to this many bytes has engine Memory"
    )
    max_refs: int = _setting(10_000, "MAX_REFS", "tables that a kernel may hold at a time")
    max_bytes: int | None = _setting(
        None, "MAX_BYTES", "bytes of data, before compression, that a kernel may hold"
    )
    max_fetch_bytes: int | None = _setting(
        2 << 30,
        "MAX_FETCH_BYTES",
        "bytes that a query may bring into the kernel at once; more is an error",
    )
    max_cross_join_rows: int | None = _setting(
        10_000_000_000,
        "MAX_CROSS_JOIN_ROWS",
        "rows that a cross join may give, where that is known before it runs",
    )
    min_free_disk_bytes: int = _setting(
        256 << 20,
        "MIN_FREE_DISK_BYTES",
        "bytes that stay free on the disk of an embedded database; no table is made of the last",
    )
    default_preservation_mode: str = _setting(
        "NONE",
        "DEFAULT_PRESERVATION_MODE",
        "NONE drops a table that nothing refers to; FULL keeps it until its job expires",
        choices=PRESERVATION_MODES,
    )
    job_ttl_days: int = _setting(
        90,
        "JOB_TTL_DAYS",
        "how long after its end a kernel's events, and what it preserved, are kept, in days",
    )
    displayed_results: int = _setting(
        3, "DISPLAYED_RESULTS", "displayed results that output history keeps alive"
    )
    display_rows: int = _setting(10, "DISPLAY_ROWS", "rows shown of a view")
    display_columns: int = _setting(50, "DISPLAY_COLUMNS", "columns shown of a view")
    progress: str = _setting(
        "on",
        "PROGRESS",
        "whether a query that takes more than half a second shows how far it is",
        choices=PROGRESS,
    )
    record_cell_source: str = _setting(
        "full", "RECORD_CELL_SOURCE", "cell source in the log", choices=RECORD_CELL_SOURCE
    )
    oplog_interval_s: float = _setting(
        1.0, "OPLOG_INTERVAL_S", "how often events are written outside cells, in seconds"
    )
    kept_value_bytes: int = _setting(
        1_000_000,
        "KEPT_VALUE_BYTES",
        "a value of Python up to this many bytes is kept in the log, to restore tables from",
    )
    content_hash_cells: int = _setting(
        10_000_000,
        "CONTENT_HASH_CELLS",
        "of a table up to this many cells the log keeps a hash, to compare what is restored with",
    )
    live_poll_s: float = _setting(
        1.0,
        "LIVE_POLL_S",
        "how often what is watched is looked at for changes of others, in seconds",
    )
    close_timeout_s: float = _setting(
        10.0, "CLOSE_TIMEOUT_S", "how long closing waits for queued work, in seconds"
    )

    def __post_init__(self) -> None:
        for name in ("state_dir", "scratch_dir"):
            if isinstance(given := getattr(self, name), str):
                object.__setattr__(self, name, Path(given).expanduser())
        for spec in fields(self):
            choices = spec.metadata["choices"]
            value = getattr(self, spec.name)
            if choices and value not in choices:
                raise SettingsError(
                    f"setting {spec.name} is {value!r}; it can be {', '.join(choices)}"
                )
            if isinstance(value, (int, float)) and value < 0:
                raise SettingsError(f"setting {spec.name} is {value!r}; it cannot be negative")
        if self.node_id is not None and self.node_id > MAX_NODE:
            raise SettingsError(f"setting node_id is {self.node_id}; it can be 0 to {MAX_NODE}")
        if not 0 < self.heartbeat_s * _HEARTBEATS_IN_GRACE <= self.lease_grace_s:
            raise SettingsError(
                f"setting heartbeat_s is {self.heartbeat_s} and lease_grace_s "
                f"{self.lease_grace_s}; a live kernel must not seem dead for one late heartbeat: "
                f"at least {_HEARTBEATS_IN_GRACE} times in the grace"
            )

    def __repr__(self) -> str:
        """Show the settings, without the passwords that URLs can carry."""
        shown = (
            f"{spec.name}={masked(getattr(self, spec.name))!r}"
            for spec in fields(self)
            if getattr(self, spec.name) != spec.default
        )
        return f"Settings({', '.join(shown)})"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Return the defaults overridden by ``AAICLICK_*`` variables.

        Raises
        ------
        SettingsError
            If a variable's text is not of its setting's type.
        """
        environ = os.environ if environ is None else environ
        found = {
            spec.name: environ[name]
            for spec in fields(cls)
            if (name := f"{PREFIX}{spec.metadata['environment']}") in environ
        }
        return cls().replace(**found)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with changes; text is converted to the setting's type.

        Raises
        ------
        SettingsError
            If a name is no setting, or a value is not of its type.
        """
        hints = get_type_hints(type(self))
        converted = {}
        for name, value in changes.items():
            if name not in hints:
                raise SettingsError(
                    f"no setting named {name!r}; there are {', '.join(sorted(hints))}"
                )
            converted[name] = _convert(name, value, str(hints[name]))
        return replace(self, **converted)

    @property
    def state_path(self) -> Path:
        """Where the registry and spilled log batches live."""
        if self.state_dir is not None:
            return self.state_dir
        from platformdirs import user_state_path

        return user_state_path("aaiclick_ext")

    @property
    def scratch_path(self) -> Path:
        """Where scratch databases live: on disk, so that data may exceed memory."""
        if self.scratch_dir is not None:
            return self.scratch_dir
        from platformdirs import user_cache_path

        return user_cache_path("aaiclick_ext") / "scratch"


def masked(value: Any) -> Any:
    """Return a value without the password that a URL can carry."""
    return re.sub(r"(://[^/@]*?:)[^/]*@", r"\1***@", value) if isinstance(value, str) else value


def _convert(name: str, value: Any, hint: str) -> Any:
    if value in (None, "None") and "None" in hint:
        return None
    try:
        if "Path" in hint:
            return Path(value).expanduser()
        if "float" in hint:
            return float(value)
        if "int" in hint:
            if isinstance(value, float) and not value.is_integer():
                raise ValueError(value)  # noqa: TRY301
            return int(value)
        if not isinstance(value, str):
            raise TypeError(value)  # noqa: TRY301
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"setting {name} cannot be {masked(value)!r}; it is of type {type_name(hint)}"
        ) from error
    return value


def type_name(hint: object) -> str:
    """Return the type of a setting as people write it.

    Examples
    --------
    >>> type_name(int), type_name(Path | None)
    ('int', 'Path | None')
    """
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>|pathlib\.(?:\w+\.)*", r"\1", str(hint))


@dataclass(frozen=True, slots=True)
class DescribedSetting:
    """A setting as text, without the passwords that URLs can carry."""

    name: str
    value: str | None
    default: str | None
    environment: str
    doc: str


def described_settings(settings: Settings) -> list[DescribedSetting]:
    """Return every setting with its value, its default, and what sets it."""
    return [
        DescribedSetting(
            spec.name,
            _as_text(getattr(settings, spec.name)),
            _as_text(spec.default),
            f"{PREFIX}{spec.metadata['environment']}",
            spec.metadata["doc"],
        )
        for spec in fields(settings)
    ]


def _as_text(value: Any) -> str | None:
    return None if value is None else str(masked(value))


def _described() -> str:
    """Return the settings as a section of a docstring."""
    lines = [
        f"    {spec.name}\n        {spec.metadata['doc']} (default {spec.default!r}, "
        f"``{PREFIX}{spec.metadata['environment']}``)."
        for spec in fields(Settings)
    ]
    return "\n".join(["    Parameters", "    ----------", *lines])


Settings.__doc__ = f"{Settings.__doc__}\n{_described()}\n"


def jupyter_session_name() -> str | None:
    """Return what Jupyter Server tells a kernel of its session: the notebook's path, as a rule."""
    return os.environ.get("JPY_SESSION_NAME") or None
