"""Which tables of dead kernels stay: a pure decision, from the registry's rows and the clock."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from aaiclick_ext.ids import EPOCH_MS, time_of
from aaiclick_ext.lifecycle.keep_plan import Job, TimeToLive, reasons_to_keep
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.lifecycle.quarantine import QuarantineName
from aaiclick_ext.registry.keep_store import KeptTable

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
TTL = TimeToLive(90, NOW)
DAY = dt.timedelta(days=1)
MADE = int((NOW - 100 * DAY).timestamp() * 1000 - EPOCH_MS) << 22 | 7 << 12
IDS = itertools.count(MADE)
LIVES, FRESH, EXPIRED, NONE, NOBODY = itertools.islice(IDS, 5)
JOBS = {
    LIVES: Job(LIVES, None, is_preserving=True),
    FRESH: Job(FRESH, NOW - 89 * DAY, is_preserving=True),
    EXPIRED: Job(EXPIRED, NOW - 91 * DAY, is_preserving=True),
    NONE: Job(NONE, NOW - DAY),
}


def reason(job, *, preserved=None, pinned=False, scope=Scope.TEMP, in_use=False):
    """Return why a table stays; `preserved` None: the registry has no row of it."""
    name = TableName(scope, 7, job, next(IDS), None if scope is Scope.TEMP else "x")
    known = {}
    if preserved is not None or pinned:
        known = {str(name): KeptTable(str(name), job, bool(preserved), NOW if pinned else None)}
    used = {str(name)} if in_use else ()
    return reasons_to_keep([str(name)], known, JOBS, TTL, used).get(str(name))


def test_preserved_tables_stay_until_their_job_has_expired():
    assert reason(FRESH, preserved=True) == "it is preserved until 2026-11-22 00:00 UTC"
    assert reason(FRESH, preserved=True, scope=Scope.SESSION) is not None
    assert reason(EXPIRED, preserved=True) is None
    assert reason(LIVES, preserved=True) == "its kernel preserves it, and lives"


def test_a_table_without_a_row_is_as_its_kernel():
    assert reason(FRESH) is not None
    assert reason(NONE) is None
    assert reason(FRESH, preserved=False) is None


def test_a_table_of_an_unknown_kernel_is_as_old_as_its_name():
    assert time_of(NOBODY).date() == (NOW - 100 * DAY).date()
    assert reason(NOBODY, preserved=True) is None
    assert reason(NOBODY) is None


@pytest.mark.parametrize("job", [FRESH, EXPIRED, NONE, NOBODY])
@pytest.mark.parametrize("scope", list(Scope))
def test_pinned_tables_stay_whatever_has_expired(job, scope):
    assert str(reason(job, pinned=True, scope=scope)).startswith("it is pinned: aai.unpin('aai_")


def test_a_global_table_that_was_deleted_is_not_preserved():
    assert reason(FRESH, preserved=True, scope=Scope.GLOBAL) is None


def test_what_this_process_uses_stays():
    assert reason(EXPIRED, preserved=True, in_use=True) == "this kernel uses it"


def test_what_is_in_quarantine_goes():
    name = TableName(Scope.TEMP, 7, FRESH, next(IDS))
    assert reasons_to_keep([str(QuarantineName.of(name))], {}, JOBS, TTL) == {}


def test_jobs_that_have_not_expired():
    assert TTL.unexpired(JOBS.values()) == {LIVES, FRESH, NONE}
