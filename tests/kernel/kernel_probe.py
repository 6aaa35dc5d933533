"""What a test asks a kernel about itself, without touching the user's names."""

from __future__ import annotations

import faulthandler
import gc
import signal
import threading
from pathlib import Path

from IPython import get_ipython

faulthandler.register(signal.SIGUSR1, file=Path("stacks.txt").open("w"))  # noqa: SIM115


def clean():
    """Forget all variables and outputs, as ``%reset -f`` and ``%reset -f out`` do.

    Each of those collects twice, which takes the most of what a small test takes; this collects
    where a table is left.
    """
    shell, collect = get_ipython(), gc.collect
    gc.collect = int
    try:
        shell.reset(new_session=False)
        shell.displayhook.flush()
    finally:
        gc.collect = collect
    if tables():
        collect()


def tables():
    """Tables of ours that exist, once everything queued is done."""
    import aaiclick_ext as aai

    context = aai.context()
    context.flush(timeout_s=30)
    found = context.engine.query_rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
    )
    return sorted(name for (name,) in found if name.startswith("aai_"))


def accounts():
    """How many claims each table of ours has, once all that is queued is done.

    Checks that everyone who counts counts the same: ClickHouse, the claims, the registry, and what
    is remembered of schemas.
    """
    import aaiclick_ext as aai
    from aaiclick_ext.lifecycle.object_ref import RefKind

    context, existing = aai.context(), tables()
    services = context.backend.services
    worker = services.worker
    claims = {table: len(worker.claims_of(table)) for table in worker.live_tables()}
    counted = sorted(worker.refs.payload(ref) for ref in worker.refs.refs(RefKind.TABLE))
    registered = [row.table_name for row in services.registry.tables(context.engine.identity)]
    schemas = [*services.schemas._schemas, *services.schemas._old]
    remembered = {table for _, table in schemas if table.startswith("aai_")}
    assert sorted(worker.live_tables()) == existing, (sorted(worker.live_tables()), existing)
    assert counted == existing, (counted, existing)
    assert all(claims.values()), claims
    assert sorted(registered) == existing, (registered, existing)
    assert remembered <= set(existing), (remembered, existing)
    assert not worker.undropped, worker.undropped
    return claims


def total(found):
    """The sum of column `a` of what a place holds: a table, a column or a number."""
    import ibis
    from ibis.expr.types.groupby import GroupedTable

    if isinstance(found, GroupedTable):
        found = found.agg(c=found.table.to_expr().a.sum()).c
    if isinstance(found, ibis.Table):
        found = found.a
    return int(found.execute().sum() if isinstance(found, ibis.Column) else found.execute())


def threads():
    return sorted(t.name for t in threading.enumerate())


def native_threads():
    import psutil

    return psutil.Process().num_threads()


def fds():
    """Open descriptors, without those through which ClickHouse's pool threads count their work."""
    found = Path("/proc/self/fd")
    if not found.is_dir():
        return 0
    targets = [str(fd.resolve()) for fd in found.iterdir()]
    return len([target for target in targets if "/task/" not in target])


def registrations():
    """Everything that an extension can leave in a shell."""
    ip = get_ipython()
    manager = ip.magics_manager
    formatters = {**ip.display_formatter.formatters}
    formatters["bundle"] = ip.display_formatter.mimebundle_formatter
    return {
        "events": {name: len(found) for name, found in ip.events.callbacks.items()},
        "line": sorted(manager.magics["line"]),
        "cell": sorted(manager.magics["cell"]),
        "user_magics": sorted(vars(manager.user_magics)),
        "configurables": sorted(type(c).__name__ for c in ip.configurables),
        "formatters": {
            name: sorted(map(str, [*f.type_printers, *f.deferred_printers]))
            for name, f in formatters.items()
        },
        "matchers": len(ip.Completer.custom_matchers),
    }


def log(columns="*", where="1"):
    """Rows of the operation log."""
    import aaiclick_ext as aai

    context = aai.context()
    context.flush(timeout_s=30)
    return context.engine.query_rows(
        f"SELECT {columns} FROM operation_log WHERE {where} ORDER BY created_at, id"
    )
