"""What the system tables show: of objects, tables, kernels, sessions, settings and counters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aaiclick_ext.ids import time_of
from aaiclick_ext.lifecycle.comment_marks import is_preserved, pinned_at_of
from aaiclick_ext.lifecycle.kernel_list import list_kernels
from aaiclick_ext.lifecycle.leftovers import tables_of
from aaiclick_ext.lifecycle.liveness import Verdict
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.lifecycle.process_leases import process_leases
from aaiclick_ext.objects.foreign import foreign_leaf
from aaiclick_ext.objects.system_store import Column, SystemStore, SystemTable, own_part
from aaiclick_ext.objects.view import make_view
from aaiclick_ext.oplog.log_table import COLUMNS as LOG_COLUMNS
from aaiclick_ext.oplog.log_table import LOG_TABLE, ensure_log
from aaiclick_ext.oplog.system_names import SYSTEM_DATABASE
from aaiclick_ext.registry.session_store import SessionStore
from aaiclick_ext.registry.statements import stored_time
from aaiclick_ext.settings import described_settings

if TYPE_CHECKING:
    from aaiclick_ext.lifecycle.kernel_list import KernelInfo
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.catalog import Catalog
    from aaiclick_ext.objects.services import Services
    from aaiclick_ext.objects.system_store import Row
    from aaiclick_ext.objects.view import View

_TIME = "DateTime64(3, 'UTC')"
_MAYBE_TIME = f"Nullable({_TIME})"
_ID = "UInt64"
_MAYBE_ID = "Nullable(UInt64)"
_KIND = "LowCardinality(String)"
_REGISTRY = "registry"
"""The part of what the registry knows, which all kernels see alike."""
_NOT_USERS = "('system', 'information_schema', 'INFORMATION_SCHEMA', 'aai')"
_UNLOGGED = frozenset({"kept_values"})  # up to 1 MB each, and of no use here


class System:
    """The system tables of a context, each a View: ``aai.system.tables``.

    Attributes are their names; ``SELECT … FROM aai.tables`` reaches the same. What they show is
    brought up to date before every query that reads them. They cannot be written to, and the
    operation log leaves them out.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._store = backend.services.system

    def __getattr__(self, name: str) -> View:
        if name.startswith("_") or name not in self._store.tables:
            there = ", ".join(self._store.tables)
            raise AttributeError(f"there is no system table {name!r}; there are: {there}")
        self._store.ensure()
        return make_view(foreign_leaf(self._backend, name, SYSTEM_DATABASE))

    def __dir__(self) -> list[str]:
        return sorted(self._store.tables)

    def __repr__(self) -> str:
        width = max(map(len, self._store.tables))
        lines = [f"  {t.name:{width}}  {t.doc}" for t in self._store.tables.values()]
        return "\n".join(["system tables:", *lines])


def system_store(backend: Backend, catalog: Catalog) -> SystemStore:
    """Return the system tables of a context. Nothing is asked or made yet."""
    services = backend.services
    rows = _Rows(backend, catalog)
    return SystemStore(
        services.engine,
        [
            SystemTable("objects", "objects that have a name", _OBJECTS, rows.objects),
            SystemTable(
                "tables", "tables and views of the database, made by anyone", _TABLES, rows.tables
            ),
            SystemTable("refs", "what this kernel counts, and who holds it", _REFS, rows.refs),
            SystemTable("sessions", "kernels, and sessions inside them", _SESSIONS, rows.sessions),
            SystemTable("nodes", "node ids, and the kernels that hold them", _NODES, rows.nodes),
            SystemTable("jobs", "kernels, alive and dead", _JOBS, rows.jobs),
            SystemTable(
                "views",
                "named views of all databases, made by anyone",
                _VIEWS,
                select=_VIEWS_SELECT,
            ),
            SystemTable(
                "operations",
                "events of the operation log",
                _OPERATIONS,
                select=_operations_select(services),
                sync=services.oplog.flush,
            ),
            SystemTable(
                "schemas",
                "columns of the tables and views of all databases",
                _SCHEMAS,
                select=_SCHEMAS_SELECT,
            ),
            SystemTable(
                "live_queries",
                "what this kernel watches, for whom",
                _LIVE_QUERIES,
                rows.live_queries,
            ),
            SystemTable("settings", "settings of this kernel", _SETTINGS, rows.settings),
            SystemTable("stats", "counters of this kernel", _STATS, rows.stats),
        ],
        own_part(services.job_id, services.run_id),
        rows.living_jobs,
        lambda: ensure_log(services.engine),
    )


_OBJECTS = {
    "database": Column("String", "where its table is"),
    "name": Column("String", "the name"),
    "scope": Column(_KIND, "session or global"),
    "table_name": Column("String", "the table that it stands for now"),
    "rows": Column(_MAYBE_ID, "its rows, where ClickHouse knows them"),
    "bytes": Column(_MAYBE_ID, "its size"),
    "job_id": Column(_ID, "the kernel that made the table"),
    "created_at": Column(_TIME, "when the table was made"),
}
_TABLES = {
    "database": Column("String", "where it is"),
    "name": Column("String", "its name in ClickHouse"),
    "table_type": Column(_KIND, "temp, session, global, view, or external: made by others"),
    "object_name": Column("Nullable(String)", "the name of the object that it is"),
    "engine": Column(_KIND, "ClickHouse's table engine"),
    "rows": Column(_MAYBE_ID, "its rows, where ClickHouse knows them"),
    "bytes": Column(_MAYBE_ID, "its size"),
    "job_id": Column(_MAYBE_ID, "the kernel that made it"),
    "node_id": Column("Nullable(UInt16)", "the node id of that kernel"),
    "created_at": Column(_MAYBE_TIME, "when it was made, of one of ours"),
    "pinned_at": Column(_MAYBE_TIME, "when it was pinned; null where it is not"),
    "is_preserved": Column("Bool", "whether it stays until its kernel expires"),
    "views": Column("Array(String)", "the views that read it"),
    "comment": Column("String", "its comment"),
}
_REFS = {
    "job_id": Column(_ID, "the kernel that counts"),
    "kind": Column(_KIND, "table, view, object, query or scalar"),
    "id": Column(_ID, "its number, which is given again after it is freed"),
    "generation": Column(_ID, "how many refs have had this number"),
    "what": Column("String", "the table, or the kind of object"),
    "claims": Column(_ID, "how many claims there are"),
    "holders": Column("Array(String)", "who claims it"),
}
_SESSIONS = {
    "session_id": Column(_ID, "of a kernel's own session the job id"),
    "parent_id": Column(_MAYBE_ID, "the session around it; null of a kernel's own"),
    "node_id": Column("UInt16", "the node id of its kernel"),
    "state": Column(_KIND, "live, or dead"),
    "tags": Column("Map(String, String)", "its tags, and their values as JSON"),
    "started_at": Column(_TIME, "when it began"),
    "ttl_seconds": Column("Float64", "how long it may be idle"),
    "max_refs": Column(_ID, "how many tables it may hold"),
    "max_bytes": Column(_MAYBE_ID, "how many bytes it may hold; null: no limit"),
}
_NODES = {
    "node_id": Column("UInt16", "0 to 1023"),
    "job_id": Column(_ID, "the kernel that holds it"),
    "leased_at": Column(_TIME, "since when"),
}
_JOBS = {
    "job_id": Column(_ID, "the kernel session, as in the operation log"),
    "state": Column(_KIND, "alive, dead, or unknown where that cannot be told from here"),
    "host": Column("Nullable(String)", "the host of its process"),
    "pid": Column("Nullable(UInt32)", "its process"),
    "user": Column("Nullable(String)", "whose process it is"),
    "started_at": Column(_TIME, "when it began"),
    "heartbeat_at": Column(_TIME, "its last sign of life"),
    "databases": Column("Array(String)", "where it has tables, or may have"),
    "tables": Column(_ID, "how many temp and session tables it holds"),
    "bytes": Column(_MAYBE_ID, "their size; null where they are elsewhere"),
}
_VIEWS = {
    "database": Column("String", "where it is"),
    "name": Column("String", "its name"),
    "sql": Column("String", "its SELECT"),
    "is_materialized": Column("Bool", "whether ClickHouse stores its rows"),
    "sources": Column(
        "Map(String, Map(String, String))", "what it reads: columns used, and their types by then"
    ),
    "parameters": Column("Map(String, String)", "its parameters and their types"),
    "created_at": Column(_MAYBE_TIME, "when create_view made it; null of one that others made"),
    "created_by": Column("Nullable(String)", "who did"),
}
_MADE = "JSONExtract(substring(comment, length('aaiclick:view ') + 1), "
_VIEWS_SELECT = f"""SELECT database, name, as_select AS sql,
engine = 'MaterializedView' AS is_materialized,
{_MADE}'sources', 'Map(String, Map(String, String))') AS sources,
{_MADE}'parameters', 'Map(String, String)') AS parameters,
parseDateTime64BestEffortOrNull({_MADE}'created_at', 'String'), 3, 'UTC') AS created_at,
{_MADE}'created_by', 'Nullable(String)') AS created_by
FROM system.tables WHERE engine IN ('View', 'MaterializedView')
AND database NOT IN {_NOT_USERS} AND NOT match(name, '^aai_[tsg]_[0-9]+_')"""
_OPERATIONS = {"database": Column("String", "where the log is")} | {
    name: Column(kind, "as in the operation log")
    for name, kind in LOG_COLUMNS.items()
    if name not in _UNLOGGED
}
_SCHEMAS = {
    "database": Column("String", "where the table is"),
    "table": Column("String", "the table or view"),
    "position": Column(_ID, "the place of the column, from 1"),
    "column": Column("String", "its name"),
    "type": Column("String", "its ClickHouse type"),
    "is_nullable": Column("Bool", "whether it can be null"),
    "default_kind": Column("String", "DEFAULT, MATERIALIZED, ALIAS or EPHEMERAL; empty: none"),
    "default_expression": Column("String", "the expression of that"),
    "comment": Column("String", "its comment"),
    "is_in_sorting_key": Column("Bool", "whether the table is sorted by it"),
    "is_in_primary_key": Column("Bool", "whether the primary index has it"),
    "is_in_partition_key": Column("Bool", "whether the table is partitioned by it"),
    "compressed_bytes": Column(_ID, "its size on the disk"),
    "uncompressed_bytes": Column(_ID, "its size before compression"),
}
_SCHEMAS_SELECT = f"""SELECT database, table, position, name AS column, type,
match(type, '^(LowCardinality\\\\()?Nullable\\\\(') AS is_nullable,
default_kind, default_expression, comment,
is_in_sorting_key, is_in_primary_key, is_in_partition_key,
data_compressed_bytes AS compressed_bytes, data_uncompressed_bytes AS uncompressed_bytes
FROM system.columns WHERE database NOT IN {_NOT_USERS}"""
_LIVE_QUERIES = {
    "job_id": Column(_ID, "the kernel"),
    "number": Column(_ID, "of the subscription, from 1"),
    "sql": Column("String", "the view that is watched"),
    "sources": Column("Array(String)", "the tables that it reads"),
    "how": Column(_KIND, "incremental, or recomputed"),
    "reason": Column("Nullable(String)", "why it is recomputed"),
    "is_paused": Column("Bool", "whether nothing is told"),
    "error": Column("Nullable(String)", "why it was paused"),
    "delivered": Column(_ID, "how many changes were told"),
}
_SETTINGS = {
    "job_id": Column(_ID, "the kernel"),
    "name": Column("String", "the setting"),
    "value": Column("Nullable(String)", "what it is, without passwords"),
    "default": Column("Nullable(String)", "what it is where nobody sets it"),
    "is_changed": Column("Bool", "whether it is not the default"),
    "environment": Column("String", "the variable that sets it"),
    "doc": Column("String", "what it is for"),
}
_STATS = {
    "job_id": Column(_ID, "the kernel"),
    "name": Column("String", "what is counted"),
    "value": Column("Float64", "how many"),
    "doc": Column("String", "what it says"),
}


def _operations_select(services: Services) -> str:
    """Return the events of all databases; of an embedded one, which has one log, of that."""
    names = ", ".join(name for name in LOG_COLUMNS if name not in _UNLOGGED)
    if services.engine.creds.is_embedded:
        return f"SELECT currentDatabase() AS database, {names} FROM {LOG_TABLE}"
    logs = f"merge(REGEXP('^(?!{SYSTEM_DATABASE}$).*'), '^{LOG_TABLE}$')"
    return f"SELECT _database AS database, {names} FROM {logs}"


class _Rows:
    """Reads the rows whose home is in memory or in the registry."""

    def __init__(self, backend: Backend, catalog: Catalog) -> None:
        self._services = services = backend.services
        self._plans = backend.planner.cache
        self._catalog = catalog
        self._own = own_part(services.job_id, services.run_id)

    def living_jobs(self) -> set[int]:
        """Return the kernels that live, or may. Reads the registry."""
        jobs = self._kernels()
        return {
            job.session_id for job in jobs if job.state is not Verdict.DEAD
        } | process_leases.jobs

    def objects(self) -> dict[str, list[Row]]:
        database = self._database()
        shared: list[Row] = []
        own: list[Row] = []
        for info in self._catalog.list():
            table = TableName.parse(info.table_name)
            assert table is not None
            row = (
                database, info.name, str(info.scope), info.table_name, info.rows, info.bytes,
                table.job_id, time_of(table.id),
            )  # fmt: skip
            (own if info.scope is Scope.SESSION else shared).append(row)
        return {f"database/{database}": shared, self._own: own}

    def tables(self) -> dict[str, list[Row]]:
        services = self._services
        kept, rows = services.kept.all(), []
        for database, name, engine, count, size, comment in services.engine.query_rows(
            "SELECT database, name, engine, total_rows, total_bytes, comment FROM system.tables "
            f"WHERE database = currentDatabase() AND NOT is_temporary AND name != '{LOG_TABLE}' "
            "ORDER BY name"
        ):
            ours = TableName.parse(name)
            is_view = engine.endswith("View")
            if ours is not None and is_view:
                continue  # older versions asked one for types
            stays = kept.get(name)
            pinned_at = stays.pinned_at if stays and stays.pinned_at else pinned_at_of(comment)
            rows.append(
                (
                    database,
                    name,
                    "view" if is_view else "external" if ours is None else str(ours.scope),
                    None if ours is None else ours.name,
                    engine,
                    count,
                    size,
                    None if ours is None else ours.job_id,
                    None if ours is None else ours.node_id,
                    None if ours is None else time_of(ours.id),
                    pinned_at,
                    bool(stays and stays.is_preserved) or is_preserved(comment),
                    list(stays.views) if stays else [],
                    comment,
                )
            )
        return {f"database/{self._database()}": rows}

    def refs(self) -> dict[str, list[Row]]:
        refs, job = self._services.refs, self._services.job_id
        rows: list[Row] = []
        for ref in refs.refs():
            try:
                payload, count = refs.payload(ref), refs.count(ref)
                holders = [str(holder) for holder in refs.holders(ref)]
            except LookupError:  # freed meanwhile
                continue
            what = payload if isinstance(payload, str) else type(payload).__name__
            rows.append((job, str(ref.kind), ref.id, ref.generation, what, count, holders))
        return {self._own: rows}

    def sessions(self) -> dict[str, list[Row]]:
        store = SessionStore(self._services.registry, self._services.node_id)
        return {
            _REGISTRY: [
                (
                    s.session_id, s.parent_id, s.node_id, s.state,
                    {str(tag): json.dumps(value) for tag, value in s.tags.items()},
                    s.started_at, s.ttl_seconds, s.max_refs, s.max_bytes,
                )
                for s in store.list()
            ]
        }  # fmt: skip

    def nodes(self) -> dict[str, list[Row]]:
        with self._services.registry.statements() as statements:
            rows = statements.rows(
                "SELECT node_id, job_id, leased_at FROM node_leases ORDER BY node_id"
            )
        return {_REGISTRY: [(node, job, stored_time(at)) for node, job, at in rows]}

    def jobs(self) -> dict[str, list[Row]]:
        return {
            _REGISTRY: [
                (
                    k.session_id, str(k.state), k.host, k.pid, k.user, k.since, k.last_heartbeat,
                    list(k.databases), k.tables, k.bytes,
                )
                for k in self._kernels()
            ]
        }  # fmt: skip

    def live_queries(self) -> dict[str, list[Row]]:
        job = self._services.job_id
        rows: list[Row] = [
            (
                job,
                number,
                query.plan.sql,
                [f"{database}.{table}" for database, table in delivery.told],
                delivery.how,
                delivery.reason,
                delivery.is_paused,
                delivery.error,
                delivery.delivered,
            )
            for number, delivery in self._services.live.deliveries
            if (query := delivery.query) is not None
        ]
        return {self._own: rows}

    def settings(self) -> dict[str, list[Row]]:
        job = self._services.job_id
        return {
            self._own: [
                (job, s.name, s.value, s.default, s.value != s.default, s.environment, s.doc)
                for s in described_settings(self._services.settings)
            ]
        }

    def stats(self) -> dict[str, list[Row]]:
        services, job = self._services, self._services.job_id
        schemas = services.schemas.stats
        counted = (
            ("schema_hits", schemas.hits, "schemas of tables that were known"),
            ("schema_misses", schemas.misses, "schemas of tables that were read"),
            ("schema_looks", schemas.looks, "looks at tables that others can change"),
            ("query_schema_hits", schemas.query_hits, "columns of queries that were known"),
            ("query_schema_misses", schemas.query_misses, "columns of queries that were asked for"),
            ("plan_hits", self._plans.hits, "plans of expressions that were remembered"),
            ("plan_misses", self._plans.misses, "plans of expressions that were made"),
            ("tables", len(services.worker.live_tables()), "tables that this kernel keeps"),
            ("refs", len(services.refs.refs()), "refs that are counted"),
            ("events_pending", services.oplog.pending, "events that are not in the log yet"),
        )
        return {self._own: [(job, *row) for row in counted]}

    def _database(self) -> str:
        return str(self._services.engine.query_rows("SELECT currentDatabase()")[0][0])

    def _kernels(self) -> list[KernelInfo]:
        services = self._services
        return list_kernels(
            services.registry,
            tables_of(services.engine),
            job_id=services.job_id,
            grace_s=services.settings.lease_grace_s,
        )
