"""What becomes of tables: a pure decision, from names and what is known of kernels."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from aaiclick_ext.ids import time_of, to_base36
from aaiclick_ext.lifecycle.liveness import Verdict
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.lifecycle.quarantine import QuarantineName
from aaiclick_ext.lifecycle.reap_plan import (
    Owner,
    TableFound,
    keep_held,
    maker_of,
    plan,
    with_unclaimed,
)

# Ids of node 7, the same in every process: they are parts of the names of tests.
IDS = itertools.count(60_000_000_000 << 22 | 7 << 12)
OWN, DEAD, ALIVE, UNKNOWN, REAPED, NOBODY = itertools.islice(IDS, 6)
OWNERS = {
    OWN: Owner(Verdict.ALIVE, "this one"),
    DEAD: Owner(Verdict.DEAD, "process 1", may_remove=True),
    ALIVE: Owner(Verdict.ALIVE, "process 2"),
    UNKNOWN: Owner(Verdict.UNKNOWN, "process 3"),
    REAPED: Owner(Verdict.DEAD, "process 4"),
}


def named(job, scope=Scope.TEMP, name=None):
    return str(TableName(scope, 7, job, next(IDS), name))


def decided(*names, is_exclusive=False):
    found = plan([TableFound(n) for n in names], OWNERS, {OWN}, is_exclusive=is_exclusive)
    return {fate.table.name: (fate.is_removed, fate.reason) for fate in found}


@pytest.mark.parametrize("scope", [Scope.TEMP, Scope.SESSION])
@pytest.mark.parametrize(
    ("job", "goes", "reason"),
    [
        (DEAD, True, "process 1 is dead"),
        (ALIVE, False, "process 2 lives"),
        (UNKNOWN, False, "whether process 3 lives cannot be told from here"),
        (REAPED, False, "process 4 is dead, and another kernel removes what it left"),
        (NOBODY, False, "no kernel of this registry made it"),
        (OWN, False, "this kernel's"),
    ],
    ids=["dead", "alive", "unknown", "reaped", "nobody", "own"],
)
def test_only_what_a_dead_kernel_left_goes(scope, job, goes, reason):
    table = named(job, scope, "x" if scope is Scope.SESSION else None)
    assert decided(table) == {table: (goes, reason)}


@pytest.mark.parametrize("job", [DEAD, ALIVE, UNKNOWN, REAPED, NOBODY])
def test_nobody_else_has_an_embedded_database_open(job):
    assert decided(table := named(job), is_exclusive=True)[table][0]
    assert not decided(table := named(OWN), is_exclusive=True)[table][0]


@pytest.mark.parametrize("is_exclusive", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "orders",
        "aai_t_1_a_b",  # ids that no kernel makes
        f"aai_t_8_{to_base36(DEAD)}_{to_base36(DEAD + 1)}",  # of another node
        f"aai_t_7_{to_base36(DEAD)}",
        f"aai_s_7_{to_base36(DEAD)}_{to_base36(DEAD + 1)}",  # a session table without a name
        f"x_aai_t_7_{to_base36(DEAD)}_{to_base36(DEAD + 1)}",
        "aai_q_7_a_b",
        "operation_log",
        "aaiclick_registry",
    ],
)
def test_what_is_not_ours_is_not_looked_at(name, is_exclusive):
    assert decided(name, is_exclusive=is_exclusive) == {}
    assert maker_of(name) is None


def test_global_tables_stay():
    for job in OWNERS:
        assert decided(named(job, Scope.GLOBAL, "best")) == {}
        assert maker_of(named(job, Scope.GLOBAL, "best")) is None


@pytest.mark.parametrize("is_exclusive", [True, False])
@pytest.mark.parametrize(
    "job", [DEAD, UNKNOWN, NOBODY, OWN], ids=["dead", "unknown", "nobody", "own"]
)
def test_a_removal_that_was_begun_is_finished(job, is_exclusive):
    name = str(QuarantineName(7, job, next(IDS)))
    assert decided(name, is_exclusive=is_exclusive)[name][0]
    assert maker_of(name) == job


@pytest.mark.parametrize(
    ("newer", "goes"),
    [(DEAD, True), (ALIVE, False), (UNKNOWN, False), (NOBODY, False)],
    ids=["dead", "alive", "unknown", "nobody"],
)
def test_a_replaced_table_goes_with_the_kernel_that_replaced_it(newer, goes):
    """A kernel that replaces a global object drops the old table later, when it can."""
    tables = [named(job, Scope.GLOBAL, "best") for job in (ALIVE, newer)]
    other = named(DEAD, Scope.GLOBAL, "other")
    assert set(decided(*reversed(tables), other)) == ({tables[0]} if goes else set())


@pytest.mark.parametrize(
    ("deleter", "goes"), [(DEAD, True), (ALIVE, False), (UNKNOWN, False), (OWN, False)]
)
def test_a_deleted_table_goes_with_the_kernel_that_deleted_it(deleter, goes):
    """A kernel that deletes a name drops the table later, when no variable reaches it."""
    table = TableFound(named(ALIVE, Scope.GLOBAL, "best"), deleted_by=deleter)
    newer = TableFound(named(ALIVE, Scope.GLOBAL, "best"))
    fates = plan([newer, table], OWNERS, {OWN}, is_exclusive=False)
    assert [(fate.table, fate.is_removed) for fate in fates] == ([(table, True)] if goes else [])
    assert [fate.job_id for fate in fates] == ([deleter] if goes else [])


def test_of_many_replaced_tables_the_newest_stays():
    tables = [named(DEAD, Scope.GLOBAL, "best") for _ in range(4)]
    assert set(decided(*tables)) == set(tables[:3])
    assert set(decided(*tables, is_exclusive=True)) == set(tables[:3])


def test_what_somebody_holds_stays():
    tables = [named(DEAD), named(DEAD), named(ALIVE)]
    fates = plan([TableFound(n) for n in tables], OWNERS, {OWN}, is_exclusive=False)
    kept = keep_held(fates, {tables[0]: "kernel session 5 holds it", tables[2]: "another"})
    assert [(f.is_removed, f.reason) for f in kept] == [
        (False, "kernel session 5 holds it"),
        (True, "process 1 is dead"),
        (False, "process 2 lives"),
    ]


def test_a_shared_table_that_nobody_holds_goes_though_its_maker_lives():
    tables = [named(ALIVE), named(OWN), named(ALIVE)]
    fates = plan([TableFound(n) for n in tables], OWNERS, {OWN}, is_exclusive=False)
    assert [fate.is_removed for fate in with_unclaimed(fates, {*tables[:2]})] == [True, True, False]


def test_the_name_in_quarantine_is_no_table_of_ours():
    table = TableName(Scope.SESSION, 7, DEAD, next(IDS), "best flights")
    name = QuarantineName.of(table)
    assert TableName.parse(str(name)) is None
    assert QuarantineName.parse(str(name)) == name
    assert QuarantineName.parse(str(table)) is None


@pytest.mark.parametrize("scope", list(Scope))
def test_an_orphan_goes_when_jobs_of_its_time_have_expired(scope):
    """Of a kernel that the registry does not know; such as know it are judged by it alone."""
    name = None if scope is Scope.TEMP else "x"
    tables = [named(job, scope, name) for job in (NOBODY, ALIVE, UNKNOWN, OWN)]
    made = time_of(TableName.parse(tables[-1]).id)
    for later_ms, goes in ((-1000, False), (1000, True)):
        before = made + dt.timedelta(milliseconds=later_ms)
        fates = plan(
            [TableFound(table) for table in tables], OWNERS, {OWN},
            is_exclusive=False, old_before=before,
        )  # fmt: skip
        removed = [fate.table.name for fate in fates if fate.is_removed]
        assert removed == ([tables[0]] if goes and scope is not Scope.GLOBAL else [])
