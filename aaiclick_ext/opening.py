"""The parts of a `DataContext`: how they are opened, wired and closed."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.ids import Snowflake, random_node_id

if TYPE_CHECKING:
    from aaiclick_ext.context import DataContext
    from aaiclick_ext.engine import ClickHouseCreds, Engine
    from aaiclick_ext.objects import Backend, Catalog, Services

logger = logging.getLogger("aaiclick_ext.context")

_DROP_BATCH = 100


@functools.cache
def process_ids(_pid: int) -> tuple[int, int]:
    """Return node id and job id of this process: one kernel session is one job."""
    node_id = random_node_id()
    return node_id, Snowflake(node_id).next()


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening leaves behind."""

    services: Services
    backend: Backend
    catalog: Catalog


def open_parts(context: DataContext, creds: ClickHouseCreds | str | None) -> Opened:
    """Open the engine and everything above it. Called in a thread: what is heavy is paid here."""
    from aaiclick_ext.engine import ClickHouseCreds, Engine

    given = context.settings.ch_url if creds is None else creds
    if isinstance(given, str):
        given = ClickHouseCreds.from_url(given)
    engine = Engine(given, context.settings)  # opens in a thread of its own, while we import
    try:
        from aaiclick_ext import objects, registry  # noqa: F401  what `_wire` imports, and Ibis

        context.imported.set()
        return _wire(context, engine)
    except BaseException:
        engine.close()
        raise


def _wire(context: DataContext, engine: Engine) -> Opened:
    from aaiclick_ext.lifecycle import TableWorker
    from aaiclick_ext.objects import Backend, Catalog, Services
    from aaiclick_ext.objects.making import leaf_from_memtable
    from aaiclick_ext.oplog import OplogCollector
    from aaiclick_ext.registry import Registry
    from aaiclick_ext.schema import SchemaRegistry

    engine.wait_open()
    settings = context.settings
    oplog = OplogCollector(
        engine,
        settings,
        context.snowflake,
        job_id=context.job_id,
        run_id=context.run_id,
        node_id=context.node_id,
    )
    registry = Registry(settings.sql_url, settings.state_path)
    services = Services(
        settings=settings,
        engine=engine,
        schemas=SchemaRegistry(engine),
        worker=TableWorker(lambda tables: services.drop(tables), registry.record_tables),
        oplog=oplog,
        registry=registry,
        snowflake=context.snowflake,
        node_id=context.node_id,
        job_id=context.job_id,
        run_id=context.run_id,
    )
    backend = Backend(services)
    backend.ingest = functools.partial(leaf_from_memtable, backend)
    oplog.start()
    return Opened(services, backend, Catalog(backend))


def close_parts(services: Services) -> None:
    """Write the log, drop what does not outlive the context, and end every thread."""
    from aaiclick_ext.lifecycle import Scope, TableName

    services.closed = True
    services.engine.cancel()
    services.oplog.close()
    services.worker.close(services.settings.close_timeout_s)
    left = [
        table
        for table in services.worker.live_tables() | set(services.worker.undropped)
        if (name := TableName.parse(table)) is not None
        and (name.scope is not Scope.GLOBAL or name in services.deleted)
    ]
    for start in range(0, len(left), _DROP_BATCH):
        try:
            services.drop(left[start : start + _DROP_BATCH])
        except Exception as error:  # noqa: BLE001  closing goes on; the reaper takes the rest
            logger.warning("tables could not be dropped at close: %s", error)
    services.registry.close()
    services.engine.close()
