"""The parts of a `DataContext`: how they are opened, wired and closed."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.logs import logger_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.engine import ClickHouseCreds, Engine
    from aaiclick_ext.errors import EngineError
    from aaiclick_ext.lifecycle.background_reaper import BackgroundReaper
    from aaiclick_ext.lifecycle.leftovers import Farewell
    from aaiclick_ext.lifecycle.reaper import Reaped
    from aaiclick_ext.objects import Backend, Catalog, Services
    from aaiclick_ext.registry import Registry

logger = logger_of("context")

_DROP_BATCH = 100


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening leaves behind."""

    services: Services
    backend: Backend
    catalog: Catalog
    reaping: BackgroundReaper


def open_parts(context: DataContext, creds: ClickHouseCreds | str | None) -> Opened:
    """Open the engine and everything above it. Called in a thread: what is heavy is paid here."""
    from aaiclick_ext.engine import ClickHouseCreds, Engine
    from aaiclick_ext.lifecycle.process_leases import process_leases

    given = context.settings.ch_url if creds is None else creds
    if isinstance(given, str):
        given = ClickHouseCreds.from_url(given)
    engine = Engine(given, context.settings)  # opens in a thread of its own, while we import
    try:
        _import_heavy(context)
        lease = process_leases.acquire(context.settings)  # may wait for a server: nobody else does
    except BaseException:
        engine.close()
        raise
    try:
        context.set_lease(lease)
        return _wire(context, engine)
    except BaseException:
        engine.close()
        process_leases.release(lease)
        raise


def _import_heavy(context: DataContext) -> None:
    """Import what opening needs, Ibis above all, and say that it is done."""
    from aaiclick_ext import objects  # noqa: F401

    if context.settings.sql_url is not None:
        from aaiclick_ext.registry import store  # noqa: F401  SQLAlchemy
    context.imported.set_result(None)


def _wire(context: DataContext, engine: Engine) -> Opened:
    from aaiclick_ext.engine.limits import limits_of
    from aaiclick_ext.lifecycle import RefKind, RefRegistry, TableWorker
    from aaiclick_ext.lifecycle.kept_tables import KeptTables
    from aaiclick_ext.lifecycle.liveness import user_name
    from aaiclick_ext.lifecycle.named_views import tables_under_views
    from aaiclick_ext.lifecycle.preservation import PreservationMode
    from aaiclick_ext.lifecycle.server_registry import check_registry
    from aaiclick_ext.lifecycle.sessions import SessionManager
    from aaiclick_ext.lifecycle.sharing import Sharing
    from aaiclick_ext.live import LiveQueryManager
    from aaiclick_ext.objects import Backend, Catalog, Services
    from aaiclick_ext.objects.ends import ends_of_leftovers
    from aaiclick_ext.objects.error_fixes import add_fix
    from aaiclick_ext.objects.making import leaf_from_memtable
    from aaiclick_ext.objects.owners import note_statement, tables_in_reach
    from aaiclick_ext.objects.session_limits import tables_of
    from aaiclick_ext.objects.system_tables import system_store
    from aaiclick_ext.objects.view_problems import explain_broken_view
    from aaiclick_ext.oplog import OplogCollector
    from aaiclick_ext.registry import Registry
    from aaiclick_ext.registry.claim_store import ClaimStore
    from aaiclick_ext.registry.keep_store import KeepStore
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
        user_name=user_name(),
        names_now=lambda: context.variable_names(),
    )
    registry = Registry(settings.sql_url, settings.state_path)
    claims = None
    if not engine.creds.is_embedded:
        check_registry(engine, registry)
        claims = ClaimStore(registry, engine.identity, context.job_id)
    _copy_old_registry(context, engine, registry)
    reaping = _begin_reaping(
        context,
        engine,
        registry,
        lambda: tables_in_reach(services),
        functools.partial(ends_of_leftovers, engine, settings, oplog),
    )
    refs = RefRegistry(context.node_id, context.job_id, waiting=[RefKind.TABLE])
    worker = TableWorker(
        lambda tables: services.drop(tables),
        registry.record_tables,
        refs,
        forget=lambda: services.forget_dropped(),
    )
    services = Services(
        settings=settings,
        engine=engine,
        schemas=SchemaRegistry(
            engine,
            cell=lambda: oplog.current_task,
            is_ours_alone=lambda table: services.is_ours_alone(table),
        ),
        worker=worker,
        oplog=oplog,
        registry=registry,
        lease=context.lease,
        sharing=Sharing(claims),
        kept=KeptTables(
            KeepStore(registry, engine.identity),
            lambda table: worker.hold(table, who="pinned"),
            functools.partial(tables_under_views, engine),
        ),
        sessions=SessionManager(
            registry,
            job_id=context.job_id,
            node_id=context.node_id,
            snowflake=context.snowflake,
            worker=worker,
            tables_of=tables_of,
            max_refs=settings.max_refs,
            max_bytes=settings.max_bytes,
            preservation=PreservationMode.of(settings.default_preservation_mode),
        ),
        snowflake=context.snowflake,
        node_id=context.node_id,
        job_id=context.job_id,
        run_id=context.run_id,
        show=lambda view: context.show(view),
    )
    backend = Backend(services)
    engine.progress.listener = lambda: (
        context.show_progress if services.settings.progress == "on" else None
    )
    is_embedded = engine.creds.is_embedded
    engine.limits.given = lambda: limits_of(services.settings, is_embedded=is_embedded)
    engine.tell_of_statements(functools.partial(note_statement, services))
    catalog = Catalog(backend)
    services.system = system_store(backend, catalog)
    services.live = LiveQueryManager(backend, poll_s=settings.live_poll_s)

    def explain(error: EngineError) -> EngineError | None:
        explained = explain_broken_view(services, error)
        if explained is None:
            add_fix(services, error)
        return explained

    engine.explain_with(explain)
    backend.ingest = functools.partial(leaf_from_memtable, backend)
    engine.belong_to(context.job_id)
    services.sessions.write_limits()
    services.lease.call_at_beat(services.sessions.end_expired)
    services.lease.call_at_beat(services.kept.refresh)
    oplog.start()
    reaping.start()
    return Opened(services, backend, catalog, reaping)


def _copy_old_registry(context: DataContext, engine: Engine, registry: Registry) -> None:
    """Copy what an older version left; a table that is not its registry is told of, and left."""
    if engine.creds.is_scratch:
        return
    from aaiclick_ext.errors import AaiclickError
    from aaiclick_ext.lifecycle.kept_elsewhere import note_kept
    from aaiclick_ext.lifecycle.old_registry import copy_old_registry

    try:
        copy_old_registry(engine, registry, context.snowflake.next)
    except AaiclickError as error:
        logger.warning("%s", error)
    note_kept(engine, registry)


def _begin_reaping(
    context: DataContext,
    engine: Engine,
    registry: Registry,
    in_use: Callable[[], Collection[str]],
    farewell: Farewell,
) -> BackgroundReaper:
    """Say that this kernel may leave tables in the database; return who removes those of others."""
    from aaiclick_ext.lifecycle.background_reaper import BackgroundReaper
    from aaiclick_ext.registry.reap_store import ReapStore

    ReapStore(registry).note_database(context.job_id, engine.identity)

    def reap(stop: threading.Event) -> Reaped:
        from aaiclick_ext.lifecycle.reaper import Reaper
        from aaiclick_ext.oplog.pruning import LogPruner

        reaper = Reaper(
            engine,
            registry,
            job_id=context.job_id,
            settings=context.settings,
            log=None if engine.creds.is_scratch else LogPruner(engine),
            in_use=in_use,
            farewell=None if engine.creds.is_scratch else farewell,
        )
        return reaper.reap(stop)

    return BackgroundReaper(reap)


def close_parts(opened: Opened) -> None:
    """Write the log, drop what does not outlive the context, and end every thread."""
    from aaiclick_ext.lifecycle import Scope, TableName
    from aaiclick_ext.lifecycle.named_views import drop_own_views
    from aaiclick_ext.lifecycle.process_leases import process_leases
    from aaiclick_ext.objects.owners import contexts_of

    services = opened.services
    services.closed = True
    services.live.close(services.settings.close_timeout_s)
    opened.reaping.close(services.settings.close_timeout_s)
    services.engine.cancel()
    services.oplog.flush_within(services.settings.close_timeout_s)
    services.worker.close(services.settings.close_timeout_s)
    staying = services.kept.noted if services.engine.creds.is_scratch else frozenset()
    if services.engine.creds.is_scratch and len(contexts_of(services)) == 1:
        drop_own_views(services.engine)  # the process may go on with the same database
    left = [
        table
        for table in services.worker.live_tables() | set(services.worker.undropped) | staying
        if (name := TableName.parse(table)) is not None
        and (name.scope is not Scope.GLOBAL or name in services.deleted)
    ]
    for start in range(0, len(left), _DROP_BATCH):
        try:
            services.drop(left[start : start + _DROP_BATCH])
            services.forget_dropped()
        except Exception as error:  # noqa: BLE001  closing goes on; the reaper takes the rest
            logger.warning("tables could not be dropped at close: %s", error)
    services.oplog.close()
    services.lease.call_no_more(services.sessions.end_expired)
    services.lease.call_no_more(services.kept.refresh)
    services.sessions.close()
    services.refs.clear()
    services.registry.close()
    services.engine.close()
    process_leases.release(services.lease)
