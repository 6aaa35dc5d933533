"""Where a context is and how it does: a value that shows itself."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from aaiclick_ext.errors import EngineError
from aaiclick_ext.lifecycle.kernel_list import list_kernels
from aaiclick_ext.lifecycle.leftovers import tables_of
from aaiclick_ext.lifecycle.liveness import Verdict
from aaiclick_ext.settings import described_settings
from aaiclick_ext.sizes import size_text
from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aaiclick_ext.objects.services import Services
    from aaiclick_ext.settings import DescribedSetting

_STYLE = """<style>
.aaiclick-status {overflow-x: auto; max-width: 100%; font-size: 13px;}
.aaiclick-status table.aaiclick-facts {border-collapse: collapse;
  color: var(--jp-ui-font-color1, inherit);}
.aaiclick-status table.aaiclick-facts th,
.aaiclick-status table.aaiclick-facts td {padding: 2px 12px 2px 0; text-align: left;
  vertical-align: top; border: 0; max-width: 50em; overflow-wrap: anywhere;
  border-bottom: 1px solid var(--jp-border-color2, rgba(128, 128, 128, .35));}
.aaiclick-status table.aaiclick-facts th {font-weight: 400; color: var(--jp-ui-font-color2, gray);}
</style>"""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a context is and how it does. Shows itself as text and as HTML.

    What is not known, or may not be asked, is None.

    Attributes
    ----------
    engine
        ``embedded`` or ``server``.
    version
        ClickHouse's.
    url
        Of the database, its password as ``***``.
    database
        The current one.
    memory_bytes, kernel_memory_bytes
        What ClickHouse counts as used, and the resident memory of this process, which has an
        embedded ClickHouse inside.
    disk_path, disk_free_bytes, disk_total_bytes
        Of the disk that ClickHouse writes to.
    tables, table_bytes
        The tables that this kernel keeps, and their size.
    kernels, dead_kernels
        Those of the registry.
    settings
        All settings.
    """

    engine: str
    version: str
    url: str
    database: str
    memory_bytes: int | None
    kernel_memory_bytes: int
    disk_path: str | None
    disk_free_bytes: int | None
    disk_total_bytes: int | None
    tables: int
    table_bytes: int | None
    kernels: int
    dead_kernels: int
    settings: tuple[DescribedSetting, ...]

    def __repr__(self) -> str:
        rows = list(self._rows())
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}}  {text}" for name, text in rows)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(text)}</td></tr>'
            for name, text in self._rows()
        )
        table = f'<table class="aaiclick-facts">{rows}</table>'
        return f'{_STYLE}<div class="aaiclick-status">{table}</div>'

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "engine", f"ClickHouse {self.version}, {self.engine}"
        yield "database", visible(f"{self.database} at {self.url}")
        memory = _size(self.memory_bytes)
        yield "memory", f"{memory} in ClickHouse; this process: {_size(self.kernel_memory_bytes)}"
        free, total = _size(self.disk_free_bytes), _size(self.disk_total_bytes)
        yield "disk", visible(f"{free} free of {total} at {self.disk_path or 'unknown'}")
        tables = "1 table" if self.tables == 1 else f"{self.tables} tables"
        yield "tables", f"{tables} of this kernel, {_size(self.table_bytes)}; %tables lists them"
        dead = f", {self.dead_kernels} dead" if self.dead_kernels else ""
        yield "kernels", f"{self.kernels} in the registry{dead}; %sessions lists them"
        changed = [s for s in self.settings if s.value != s.default]
        shown = ", ".join(f"{s.name} = {s.value}" for s in changed) or "as by default"
        yield "settings", f"{visible(shown)}; aai.system.settings lists all"


def status_of(services: Services) -> Status:
    """Return where a context is. Runs a few queries, none over data, and reads the registry."""
    engine = services.engine
    kernels = list_kernels(
        services.registry,
        tables_of(engine),
        job_id=services.job_id,
        grace_s=services.settings.lease_grace_s,
    )
    live = sorted(services.worker.live_tables())
    ((database, table_bytes, sized),) = engine.query_rows(
        "SELECT currentDatabase(), sum(total_bytes), count(total_bytes) FROM system.tables "
        "WHERE database = currentDatabase() AND name IN {tables:Array(String)}",
        {"tables": live},
    )
    disk = _first(services, "SELECT path, free_space, total_space FROM system.disks LIMIT 1")
    memory = _first(services, "SELECT value FROM system.metrics WHERE metric = 'MemoryTracking'")
    path, free, total = disk or (None, None, None)
    return Status(
        engine="embedded" if engine.creds.is_embedded else "server",
        version=engine.version,
        url=engine.identity if engine.creds.is_scratch else engine.creds.url,
        database=database,
        memory_bytes=None if memory is None else int(memory[0]),
        kernel_memory_bytes=psutil.Process().memory_info().rss,
        disk_path=path,
        disk_free_bytes=free,
        disk_total_bytes=total,
        tables=len(live),
        table_bytes=(table_bytes or 0) if sized == len(live) else None,
        kernels=len(kernels),
        dead_kernels=sum(kernel.state is Verdict.DEAD for kernel in kernels),
        settings=tuple(described_settings(services.settings)),
    )


def _first(services: Services, sql: str) -> tuple[Any, ...] | None:
    """Return the first row, None where there is none or this user may not ask."""
    try:
        rows = services.engine.query_rows(sql)
    except EngineError:
        return None
    return rows[0] if rows else None


def _size(size: int | None) -> str:
    return size_text(size) or "unknown"
