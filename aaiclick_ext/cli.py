"""``aaiclick-ext``: what one does from a shell, without a kernel.

Everything is set by the environment, as for a kernel: ``AAICLICK_CH_URL`` is the database,
``AAICLICK_SQL_URL`` or ``AAICLICK_STATE_DIR`` the registry, ``AAICLICK_SCRATCH_DIR`` where scratch
databases are.

Exit codes: 0 it was done; 1 it failed, the reason is on standard error; 2 it was asked wrongly; 3
something that was to go is still there.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import functools
import logging
import sys
from typing import TYPE_CHECKING

from aaiclick_ext.errors import AaiclickError
from aaiclick_ext.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.engine.scratch import ScratchDirectory
    from aaiclick_ext.lifecycle.keep_plan import ExpiredJob
    from aaiclick_ext.lifecycle.reap_plan import Fate
    from aaiclick_ext.lifecycle.reaper import Reaped, Survey

DONE, FAILED, WAS_LEFT = 0, 1, 3
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    asked = _parser().parse_args(arguments)
    # The driver logs what it also raises, and Python prints what nobody handles.
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
    try:
        settings = Settings.from_env()
        if asked.command == "sessions":
            _write(_sessions(settings))
            return DONE
        return _reap(settings, is_dry=asked.dry_run)
    except AaiclickError as error:
        sys.stderr.write(f"aaiclick-ext: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    about, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="aaiclick-ext",
        description=about,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sessions", help="list the kernels: alive, dead, and what they hold")
    reap = commands.add_parser(
        "reap",
        help="remove what dead kernels left: tables, scratch directories, registry rows; and the "
        "events of expired jobs",
    )
    reap.add_argument(
        "--dry-run", action="store_true", help="only say what would be removed, what is kept, why"
    )
    return parser


def _sessions(settings: Settings) -> Iterator[str]:
    from aaiclick_ext.engine import ClickHouseCreds
    from aaiclick_ext.lifecycle.kernel_list import list_kernels
    from aaiclick_ext.lifecycle.leftovers import tables_of
    from aaiclick_ext.registry import Registry
    from aaiclick_ext.widgets import kernels_text

    registry = Registry(settings.sql_url, settings.state_path)
    with contextlib.closing(registry):
        found = []
        if not ClickHouseCreds.from_url(settings.ch_url).is_embedded:
            with _opened(settings) as engine:
                found = tables_of(engine)
        kernels = list_kernels(registry, found, job_id=None, grace_s=settings.lease_grace_s)
    yield kernels_text(kernels, dt.datetime.now(dt.UTC))


def _reap(settings: Settings, *, is_dry: bool) -> int:
    from aaiclick_ext.lifecycle.kept_elsewhere import note_kept
    from aaiclick_ext.lifecycle.liveness import user_name
    from aaiclick_ext.lifecycle.process_leases import process_leases
    from aaiclick_ext.lifecycle.reaper import Reaper
    from aaiclick_ext.lifecycle.server_registry import check_registry
    from aaiclick_ext.objects.ends import ends_of_leftovers
    from aaiclick_ext.oplog import OplogCollector
    from aaiclick_ext.oplog.pruning import LogPruner
    from aaiclick_ext.registry import Registry

    registry = Registry(settings.sql_url, settings.state_path)
    with contextlib.closing(registry), _opened(settings) as engine:
        if is_dry:
            reaper = Reaper(engine, registry, job_id=None, settings=settings, log=LogPruner(engine))
            survey = reaper.survey()
            _write(_planned(survey, engine.identity))
            return DONE
        if not engine.creds.is_embedded:
            check_registry(engine, registry)
        note_kept(engine, registry)
        lease = process_leases.acquire(settings)  # should this die, its claims are taken over
        oplog = OplogCollector(
            engine,
            settings,
            lease.snowflake,
            job_id=lease.job_id,
            run_id=lease.snowflake.next(),
            node_id=lease.node_id,
            user_name=user_name(),
        )
        try:
            reaper = Reaper(
                engine,
                registry,
                job_id=lease.job_id,
                settings=settings,
                log=LogPruner(engine),
                farewell=functools.partial(ends_of_leftovers, engine, settings, oplog),
            )
            done = reaper.reap()
            oplog.flush()
        finally:
            oplog.close()
            process_leases.release(lease)
        _write(_removed(done, engine.identity))
        is_whole = done.is_complete and not any(fate.has_failed for fate in done.fates)
        return DONE if is_whole else WAS_LEFT


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Engine]:
    from aaiclick_ext.engine import ClickHouseCreds, Engine

    engine = Engine(ClickHouseCreds.from_url(settings.ch_url), settings)
    with contextlib.closing(engine):
        engine.wait_open()
        yield engine


def _planned(survey: Survey, database: str) -> Iterator[str]:
    """Yield what a dry run says."""
    yield from _tables(f"would be removed from {database}", survey.fates)
    yield from _directories("scratch directories that would be removed", survey.scratch, True)
    yield from _directories("scratch directories kept", survey.scratch, False)
    yield from _expired("events of expired jobs that would be removed", survey.jobs)
    dead = [kernel for kernel in survey.kernels if kernel.verdict == "dead"]
    yield f"dead kernels in the registry: {len(dead)}"
    for kernel in dead:
        by = ", another kernel removes what it left" if kernel.has_reaper else ""
        places = ", ".join(kernel.record.databases) or "no database"
        yield f"  {kernel.record.session_id}  {kernel.label}  in {places}{by}"


def _removed(done: Reaped, database: str) -> Iterator[str]:
    """Yield what was done."""
    yield from _tables(f"removed from {database}", done.fates)
    yield f"scratch directories removed: {len(done.scratch)}"
    yield from (f"  {path}" for path in done.scratch)
    yield from _expired("events of expired jobs removed", done.jobs)
    yield f"dead kernels removed from the registry: {len(done.kernels)}"
    if not done.is_complete:
        yield "not finished: another kernel is removing what is left, or a statement still runs"


def _expired(what: str, jobs: Iterable[ExpiredJob]) -> Iterator[str]:
    jobs = list(jobs)
    yield f"{what}: {sum(job.events for job in jobs):,}"
    for job in jobs:
        last = f"its last one is of {job.last_event_at:%Y-%m-%d}"
        kept = f"; {job.kept_events:,} explain what is there and stay" if job.kept_events else ""
        yield f"  job {job.job_id}  {job.events:,} events, {last}{kept}"


def _directories(what: str, found: Iterable[ScratchDirectory], goes: bool) -> Iterator[str]:
    chosen = [directory for directory in found if directory.is_abandoned is goes]
    yield f"{what}: {len(chosen)}"
    yield from (f"  {directory.path}  {directory.reason}" for directory in chosen)


def _tables(removed: str, fates: Iterable[Fate]) -> Iterator[str]:
    fates = list(fates)
    for what, goes in ((removed, True), ("kept there", False)):
        chosen = [fate for fate in fates if fate.is_removed is goes]
        yield f"{what}: {_counted(chosen)}"
        yield from _lines(chosen)


def _lines(fates: Iterable[Fate]) -> Iterator[str]:
    from aaiclick_ext.sizes import size_text

    for fate in fates:
        yield f"  {fate.table.name}  {size_text(fate.table.bytes)}  {fate.reason}"


def _counted(fates: Sequence[Fate]) -> str:
    from aaiclick_ext.sizes import size_text

    count = "1 table" if len(fates) == 1 else f"{len(fates)} tables"
    return f"{count}, {size_text(sum(fate.table.bytes or 0 for fate in fates))}"


def _write(lines: Iterable[str]) -> None:
    from aaiclick_ext.untrusted import visible

    for line in lines:
        sys.stdout.write(f"{visible(line, lines=True)}\n")
