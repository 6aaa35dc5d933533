"""Pins and preservation: what stays though nothing refers to it, over sessions and contexts."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import uuid
import warnings
from pathlib import Path

import pytest

import aaiclick_ext as aai
from aaiclick_ext.engine import ClickHouseCreds, Engine
from aaiclick_ext.errors import ReleasedError, SettingsError, UnknownObjectError
from aaiclick_ext.oplog.graph import DROP_TABLE

PREAMBLE = """
import os, sys
from pathlib import Path
from aaiclick_ext.context import DataContext
from aaiclick_ext.lifecycle import TableName
from aaiclick_ext.settings import Settings
folder, url = Path(sys.argv[1]), sys.argv[2]
settings = Settings(state_dir=folder / "state", scratch_dir=folder / "scratch")

def opened(**how):
    context = DataContext(url, settings=settings, **how)
    assert context._opened.reaping.wait(60)
    return context

def reaped(context):
    context._opened.reaping.soon()
    assert context._opened.reaping.wait(60)
    return {fate.table.name: fate.reason for fate in context._opened.reaping.done.fates}

def expire(context):
    with context.backend.services.registry.statements() as statements:
        statements.change("UPDATE sessions SET heartbeat_at = '2024-06-01 00:00:00.000000' "
                          "WHERE state = 'dead'")

def tables(context):
    rows = context.engine.query_rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
    )
    return {name for (name,) in rows if name.startswith("aai_")}
"""


@pytest.fixture
def settings(settings, tmp_path):
    return settings.replace(state_dir=tmp_path / "state", scratch_dir=tmp_path / "scratch")


@pytest.fixture
def url(server_address, settings):
    """The URL of a database of its own on a server."""
    name = f"kept_{uuid.uuid4().hex}"
    engine = Engine(ClickHouseCreds.from_url(f"{server_address}/default"), settings)
    engine.command(f"CREATE DATABASE {name}")
    yield f"{server_address}/{name}"
    engine.command(f"DROP DATABASE {name} SYNC")
    engine.close()


@pytest.fixture
def opened(settings, url):
    """Return a function that opens a context on that database."""
    return lambda **how: aai.DataContext(url, settings=settings, **how)


@pytest.fixture
def another(tmp_path, url):
    """Return a function that runs code in a kernel of its own, there by default: its output."""

    def another(code, url=url, folder=tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(code), str(folder), url],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode in (0, -9), done.stderr
        return done.stdout.splitlines()

    return another


def tables(context):
    rows = context.engine.query_rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
    )
    return {name for (name,) in rows if name.startswith("aai_")}


def holders(context):
    return {info.table_name: info.holders for info in context.tables()}


def test_a_pinned_table_stays_without_its_variable_and_is_found_again(opened, another):
    names = another("""
        context = opened()
        small = context.pin(context.create_object_from_value([3, 1, 2]))
        large = context.create_object_from_value({"a": [1, None], "b": ["x", "y"]})
        view = large.filter(large.b == "y")
        context.pin(view)
        gone = context.create_object_from_value([0])
        print(small.table_name, large.table_name, sep="\\n")
        small.insert([7])
        context.close()
    """)
    with opened() as context:
        assert context._opened.reaping.wait(60)
        assert tables(context) == set(names)
        assert holders(context) == dict.fromkeys(names, ("pinned",))
        assert repr(context.why(names[0])).split()[-2:] == ["table", f"aai.unpin('{names[0]}')"]
        assert context.open_object(names[0]).data() == [3, 1, 2, 7]
        held = context.open_object(names[1])
        assert held.data() == {"a": [1, None], "b": ["x", "y"]}
        context.unpin(held)
        context.unpin(held)  # again is fine
        context.flush()
        assert "pinned" not in holders(context)[names[1]]
        assert tables(context) == set(names)
        del held
        context.flush()
        assert tables(context) == {names[0]}
        context.unpin(names[0])
        assert context._opened.reaping.wait(60)
        assert tables(context) == set()
        mine = context.pin(context.create_object_from_value([1]))
        name = mine.table_name
        assert "pinned" in holders(context)[name]
        del mine
        context.flush()
        assert holders(context) == {name: ("pinned",)}
        context.unpin(name)
        context.flush()
        assert tables(context) == set()
        with pytest.raises(UnknownObjectError, match=r"nothing is named 'best'; pinned tables: no"):
            context.unpin("best")


def test_unpinning_by_the_name_of_a_variable_that_is_gone(opened):
    from aaiclick_ext.oplog import Task

    with opened() as context:
        task = Task(cell_id="c1", execution_count=1, source="best = aai.…")
        context.begin_task(task)
        best = context.pin(context.create_object_from_value([1]))
        context.oplog.end_task({best.table_name: ["best"]})
        context.end_task(task)
        name = best.table_name
        del best
        context.flush()
        assert tables(context) == {name}
        context.unpin("best")
        context.flush()
        assert tables(context) == set()


def test_pinning_what_is_not_here(opened):
    with opened() as context:
        made = context.create_object_from_value([1])
        name = made.table_name
        del made
        context.flush()
        with pytest.raises(UnknownObjectError, match=f"{name} cannot be pinned: this kernel holds"):
            context.pin(name)
        with pytest.raises(UnknownObjectError, match="no object and no table is named 'best'"):
            context.pin("best")


def test_a_pin_in_a_scratch_database_warns_and_ends_with_it(settings):
    with aai.DataContext(settings=settings) as context:
        made = context.create_object_from_value([1])
        with pytest.warns(UserWarning, match="a pinned table in a scratch database ends with"):
            context.pin(made)
        name = made.table_name
        with context.session(preservation="FULL"):
            full = context.create_object_from_value([2])
        names = {name, full.table_name}
        del made, full
        context.flush()
        assert context.open_object(name).data() == [1]
        context.flush()
        assert tables(context) == names
        registry = context.backend.services.registry
        assert {row.table_name for row in registry.tables()} == names
    from aaiclick_ext.registry import Registry

    assert Registry(None, settings.state_dir).tables() == []
    with aai.DataContext(settings=settings) as context:  # on the same database, in this process
        assert tables(context) == set()


def test_a_pinned_table_keeps_its_python_objects(settings):
    with aai.DataContext(settings=settings) as context, warnings.catch_warnings(action="ignore"):
        thing = object()
        made = context.pin(context.create_object_from_value({"o": [thing]}))
        name = made.table_name
        del made
        context.flush()
        assert context.open_object(name).data() == {"o": [thing]}


def test_pinning_python_objects_in_a_database_that_stays_warns(another, tmp_path):
    table, warning = another(
        """
        import warnings
        context = opened()
        made = context.create_object_from_value({"a": [1], "o": [object()]})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            context.pin(made)
        print(made.table_name, *(each.message for each in caught), sep="\\n")
        context.close()
        """,
        url=f"chdb://{tmp_path}/db",
    )
    assert f"objects in {table}.o end with" in warning


def test_a_session_that_ends_leaves_what_is_pinned_or_preserved(opened):
    with opened() as context:
        with context.session() as session:
            pinned = context.pin(context.create_object_from_value([1]))
            lost = context.create_object_from_value([2])
        assert pinned.data() == [1]
        with pytest.raises(ReleasedError):
            lost.data()
        with context.session(preservation="full") as session:
            assert session.preservation is aai.PreservationMode.FULL
            with context.session() as inner:
                assert inner.preservation is aai.PreservationMode.FULL
                with context.session(preservation=aai.PreservationMode.NONE):
                    none = context.create_object_from_value([3])
            full = context.create_object_from_value([4])
        assert full.data() == [4]
        with pytest.raises(ReleasedError):
            none.data()
        names = {pinned.table_name, full.table_name}
        del pinned, full, lost, none
        context.flush()
        assert tables(context) == names
        with pytest.raises(SettingsError, match="preservation is 'ALL'; it can be NONE, FULL"):
            context.session(preservation="ALL")


PRESERVES = """
    context = opened(preservation="FULL")
    made = context.create_object_from_value([1, 2])
    best = context.create_object_from_value({"a": [1]}, name="best", scope="session")
    context.create_object_from_value({"a": [1]}, name="old", scope="session")
    pinned = context.pin(context.create_object_from_value([3]))
    print(made.table_name, best.table_name, pinned.table_name, sep="\\n")
    context.delete_object("old")
    made.copy()
    del made
    context.flush()
    os.kill(os.getpid(), 9)
"""
FINDS = """
    context = opened()
    made, best, pinned = {names!r}
    assert len(tables(context)) == 4, tables(context)
    reasons = reaped(context)
    assert reasons[made].startswith("it is preserved until 20"), reasons
    assert reasons[pinned] == f"it is pinned: aai.unpin('{{pinned}}')"
    assert context.open_object(made).data() == [1, 2]
    assert len(context.tables()) == 4
    held = context.open_object(made)
    made_by = TableName.parse(made).job_id
    for job in (77, made_by, context.job_id):  # the last one lives, and the other has not expired
        context.flush()
        context.engine.command(
            "INSERT INTO operation_log SELECT * REPLACE (toDateTime64('2024-06-01', 6, 'UTC') AS "
            f"created_at, {{job}} AS job_id, 'old_{{job}}' AS result_table, map() AS kwargs) "
            "FROM operation_log LIMIT 1"
        )
    expire(context)
    reasons = reaped(context)
    jobs = context._opened.reaping.done.jobs
    assert [(job.job_id, job.events, job.kept_events) for job in jobs] == [(77, 1, 0)], jobs
    assert tables(context) == {{made, pinned}}, reasons
    assert held.data() == [1, 2]
    del held
    context.flush()
    reaped(context)
    assert tables(context) == {{pinned}}
    assert context.open_object(pinned).data() == [3]
    context.unpin(pinned)
    context.flush()
    reaped(context)
    assert tables(context) == set()
    registry = context.backend.services.registry
    assert registry.tables() == []
    with registry.statements() as statements:
        assert len(statements.rows("SELECT * FROM sessions")) == 1
        assert statements.rows("SELECT * FROM table_claims") == []
    context.close()
    print("done")
"""


@pytest.mark.parametrize("where", ["server", "embedded"])
def test_what_a_killed_kernel_preserved_stays_until_its_job_expires(another, url, tmp_path, where):
    url = url if where == "server" else f"chdb://{tmp_path}/db"
    names = another(PRESERVES, url)
    assert another(FINDS.format(names=names), url) == ["done"]


KEEPS = """
    context = opened()
    pinned = context.pin(context.create_object_from_value([3]))
    pinned.insert([4])
    number = context.pin(context.create_object_from_value(5))
    with context.session(preservation="FULL"):
        full = context.create_object_from_value([1, 2])
        once = context.create_object_from_value([6])
    plain = context.create_object_from_value({"a": range(300_000)})
    assert len(tables(context)) == 5
    print(pinned.table_name, number.table_name, full.table_name, once.table_name, sep="\\n")
    context.flush()
    os.kill(os.getpid(), 9)
"""
FINDS_ELSEWHERE = """
    context = opened()
    pinned, number, full, once = {names!r}
    assert tables(context) == {{pinned, number, full, once}}, reaped(context)
    context.close()
    context = opened()
    assert tables(context) == {{pinned, number, full, once}}, reaped(context)
    assert context.open_object(pinned).data() == [3, 4]
    assert context.open_object(number).data() == 5
    assert context.open_object(full).data() == [1, 2]
    assert context.lineage_aware_drop(once, dry_run=False).dropped == (once,)
    context.unpin(pinned)
    context.flush()
    assert tables(context) == {{number, full}}
    with context.open_object(number)._backend.services.registry.statements() as statements:
        statements.change("UPDATE sessions SET heartbeat_at = '2024-06-01 00:00:00.000000' "
                          "WHERE state = 'dead'")
    context.close()
    context = opened()
    assert tables(context) == {{number, full}} - {{full for _ in range({is_expired})}}
    context.close()
    print("done")
"""


@pytest.mark.parametrize(
    "how",
    [
        "copied",
        pytest.param("moved", marks=pytest.mark.soak),
        pytest.param("another registry", marks=pytest.mark.soak),
    ],
)
def test_what_is_kept_stays_at_another_place_and_with_another_registry(another, tmp_path, how):
    place, folder = tmp_path / "db", tmp_path
    names = another(KEEPS, f"chdb://{place}")
    if how == "moved":
        place = place.rename(tmp_path / "moved")
    elif how == "copied":
        place = Path(shutil.copytree(place, tmp_path / "copy", symlinks=True))
    else:
        folder = tmp_path / "other"
    finds = FINDS_ELSEWHERE.format(names=names, is_expired=int(how != "another registry"))
    assert another(finds, f"chdb://{place}", folder) == ["done"]
    if how == "copied":  # what was unpinned, and dropped, in the copy
        found = another("print(*sorted(tables(opened())), sep='\\n')", f"chdb://{tmp_path}/db")
        assert {names[0], names[1]} <= set(found)


def test_dropping_by_lineage(opened):
    with opened(preservation="FULL") as context:
        raw = context.create_object_from_value({"a": [1, 2, 3]})
        part = raw.filter(raw.a > 1).copy()
        best = part.filter(part.a > 2).copy()
        alone = context.create_object_from_value([1])
        names = [each.table_name for each in (raw, part, best, alone)]
        kept = context.lineage_aware_drop(raw)
        assert kept.is_dry_run
        assert kept.steps[0].reason == f"this kernel holds it: %why {names[0]}"
        del raw, part, alone
        context.flush()
        plan = context.lineage_aware_drop()
        assert plan.dropped == (names[3],)
        assert {step.table_name: step.dependents for step in plan.steps} == {
            names[0]: tuple(sorted(names[1:3])), names[1]: (names[2],), names[3]: (),
        }  # fmt: skip
        assert f"  keep  {names[1]}  {names[2]} was made of it" in repr(plan).splitlines()
        assert tables(context) == set(names)
        context.pin(best)
        del best
        context.flush()
        assert context.lineage_aware_drop(names[2]).steps[0].reason.startswith("it is pinned")
        context.unpin(names[2])
        context.flush()
        done = context.lineage_aware_drop(dry_run=False)
        assert done.dropped[-1] == names[0]
        assert done.dropped.index(names[2]) < done.dropped.index(names[1])
        assert tables(context) == set()
        assert context.backend.services.registry.tables() == []
        context.flush()
        (end,) = context.engine.query_rows(
            "SELECT operation, rows, params['reason'] FROM operation_log "
            "WHERE result_table = {name:String} ORDER BY id DESC LIMIT 1", {"name": names[2]}
        )  # fmt: skip
        assert end == (DROP_TABLE, 1, "lineage_aware_drop: nothing that was there was made of it")
        gone = context.lineage_aware_drop(names[0], dry_run=False)
        assert gone.steps[0].reason == "there is no such table"
        context.create_object_from_value({"a": [1]}, name="named")
        table = context.list_objects()[0].table_name
        (step,) = context.lineage_aware_drop("named").steps
        assert step.reason == "it has a name: aai.delete_object('named')"
        assert tables(context) == {table}


def test_what_another_kernel_pins_unpins_and_holds(opened, another):
    with opened(preservation="FULL") as context:
        full = context.create_object_from_value([1])
        token = full.share()
        with context.session(preservation="NONE"):
            shared = context.create_object_from_value([2])
            pinned = context.pin(context.create_object_from_value([3]))
            tokens = shared.share(), token
            names = shared.table_name, full.table_name, pinned.table_name
            del full
            context.flush()
            printed = another(f"""
                context = opened()
                shared, full = (context.open_ref(token) for token in {tokens!r})
                print(shared.data(), full.data())
                context.pin(shared)
                try:
                    context.pin("aai_t_1_2wmr8pwyc0lc_2wmr8rfemby8")
                except Exception as error:
                    print(type(error).__name__)
                context.unpin({names[2]!r})
                print(context.lineage_aware_drop({names[2]!r}).steps[0].reason)
                del shared, full
                context.flush()
                context.close()
            """)
            assert printed[:2] == ["[2] [1]", "UnknownObjectError"]
            assert printed[2].endswith("which made it, lives")
            assert tables(context) == set(names)
            assert pinned.data() == [3]
            context.backend.services.kept.refresh()  # as after each heartbeat
            del shared, pinned
            context.flush()
            assert tables(context) == {names[0], names[1]}
            assert holders(context)[names[0]] == ("pinned",)
            context.unpin(names[0])
            context.flush()
            assert tables(context) == {names[1]}


def test_what_another_context_of_this_process_holds_stays(another, tmp_path):
    said = another(
        """
        import time
        settings = settings.replace(heartbeat_s=0.2)
        with opened() as one, opened() as two:
            mine = one.create_object_from_value([1])
            with one.session(preservation="FULL"):
                full = one.create_object_from_value([2])
            one.flush()
            (step,) = two.lineage_aware_drop(mine.table_name, dry_run=False).steps
            assert step.reason == f"this kernel holds it: %why {mine.table_name}"
            assert two.lineage_aware_drop(dry_run=False).steps == ()
            assert (mine.data(), full.data()) == ([1], [2])
            pinned = one.pin(one.create_object_from_value([3]))
            name = pinned.table_name
            held = two.open_object(name)
            two.unpin(name)
            two.flush()
            del pinned
            one.flush()
            assert held.data() == [3]
            del held
            two.flush()
            for _ in range(100):  # the heartbeat tells the context that pinned it
                one.flush()
                if name not in tables(one):
                    break
                time.sleep(0.1)
            assert tables(one) == {mine.table_name, full.table_name}
            assert (mine.data(), full.data()) == ([1], [2])
            print("done")
        """,
        url=f"chdb://{tmp_path}/db",
    )
    assert said == ["done"]


def test_what_a_dropped_table_was_made_of_is_forgotten(opened):
    with opened(preservation="FULL") as context:
        source = context.create_object_from_value([1, 2])
        made = source.copy()
        name = made.table_name
        del made
        context.flush()
        makings = context.backend.services.makings
        assert makings.of(name) is not None
        assert context.lineage_aware_drop(name, dry_run=False).dropped == (name,)
        assert makings.of(name) is None
