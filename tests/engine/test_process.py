"""What a process does with the embedded engine: exits, crashes, forks, directories."""

from __future__ import annotations

import signal
import time

import pytest


def test_exit_with_work_in_flight_is_clean(script, tmp_path):
    """Trap 5: a daemon thread in a query at exit was a segfault."""
    run = script("""
        engine = opened()
        def work():
            try:
                engine.query_arrow(SLOW)
            except ContextError as error:
                say("ended", type(error).__name__)
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        reader = engine.stream_arrow("SELECT number FROM numbers(100000000)")
        reader.read_next_batch()
        time.sleep(0.5)
        say("leaving")
    """)
    started = time.monotonic()
    status, out, err = run.end()
    assert (status, err) == (0, "")
    assert out.split() == ["leaving"] + ["ended", "ContextError"] * 3
    assert time.monotonic() - started < 15
    assert list((tmp_path / "scratch").iterdir()) == []


def test_results_that_outlive_the_engine_are_whole(script):
    run = script("""
        engine = opened()
        table = engine.query_arrow("SELECT number AS n FROM numbers(300000)")
        batch = engine.stream_arrow("SELECT number AS n FROM numbers(300000)").read_next_batch()
        engine.close()
        second = opened(ClickHouseCreds(path=FOLDER / "other"))  # shuts the first one down
        other = second.query_arrow("SELECT number AS n FROM numbers(300000)")
        say(table["n"].to_numpy().sum(), other["n"].to_numpy().sum(), batch["n"][5])
        sys.modules["kept"] = table  # until the interpreter's very end
    """)
    assert run.end() == (0, "44999850000 44999850000 5\n", "")


def test_exit_while_opening_is_clean(script):
    status, out, err = script("Engine(ClickHouseCreds(), SETTINGS)").end()
    assert (status, out, err) == (0, "", "")


def test_exit_without_close_removes_the_scratch(script, tmp_path):
    run = script("""
        engine = opened()
        engine.command("CREATE TABLE t ENGINE = MergeTree ORDER BY () AS SELECT 1 AS a")
        say(engine.identity)
        assert Path(engine.identity.removeprefix("chdb://")).is_dir()
    """)
    assert run.line().startswith(f"chdb://{tmp_path / 'scratch'}/scratch-")
    assert run.end()[0] == 0
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
@pytest.mark.parametrize("more", ["", "engine.query_arrow('SELECT 1')", "handle.replace()"])
def test_a_crash_dies_at_once(script, name, more):
    """Trap 4: chdb's handlers hang for a minute; each connect installs them."""
    run = script(f"""
        import faulthandler
        faulthandler.enable()
        engine = opened()
        handle = engine._handles().take_extra()
        {more}
        say("crashing")
        os.kill(os.getpid(), signal.{name})
        time.sleep(60)
    """)
    assert run.line() == "crashing"
    started = time.monotonic()
    status, _, err = run.end(timeout_s=20)
    assert status == -getattr(signal, name)
    assert time.monotonic() - started < 30
    assert "Fatal Python error" in err  # faulthandler is in force again


def test_a_forked_child_is_told(script):
    """Trap 6: a forked child hung at its first query."""
    run = script("""
        import warnings
        warnings.simplefilter("ignore")
        engine = opened()
        reader = engine.stream_arrow("SELECT number FROM numbers(10000000)")
        child = os.fork()
        if not child:
            for use in (lambda: engine.query_arrow("SELECT 1"), lambda: engine.version,
                        lambda: engine.command("SELECT 1"), lambda: list(reader),
                        lambda: engine.stream_arrow("SELECT 1")):
                try:
                    use()
                except ContextError as error:
                    say("child:", str(error)[:38])
            engine.cancel()
            engine.close()
            sys.exit(7)
        say("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        say("parent:", engine.query_rows("SELECT 1"), Path(engine.identity[7:]).is_dir())
    """)
    status, out, err = run.end(timeout_s=60)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[:5] == [lines[0]] * 5
    assert lines[0].startswith("child: This process was forked from ")
    assert lines[5:] == ["status 7", "parent: [(1,)] True"]


def test_a_second_process_is_told_who_holds_the_directory(script, tmp_path):
    holding = script("""
        engine = opened(ClickHouseCreds(path=FOLDER / "db"))
        say("open")
        time.sleep(60)
    """)
    assert holding.line() == "open"
    started = time.monotonic()
    status, out, err = script("""
        try:
            opened(ClickHouseCreds(path=FOLDER / "db"))
        except DatabaseHeldError as error:
            say(error)
    """).end()
    assert (status, err) == (0, "")
    assert f"{tmp_path}/db is held by process {holding.process.pid} of user " in out
    assert "stop that kernel, or use another directory" in out
    assert "%reload_ext aaiclick_ext" in out
    assert time.monotonic() - started < 10
    holding.process.kill()
    holding.end()
    status, out, _ = script("""
        say(opened(ClickHouseCreds(path=FOLDER / "db")).query_rows("SELECT 1"))
    """).end()
    assert (status, out) == (0, "[(1,)]\n")


def test_one_directory_at_a_time(script, tmp_path):
    status, out, err = script("""
        first = opened(ClickHouseCreds(path=FOLDER / "a"))
        again = opened(ClickHouseCreds(path=FOLDER / "a"))
        first.command("CREATE TABLE t ENGINE = MergeTree ORDER BY () AS SELECT 7 AS a")
        say(again.query_rows("SELECT a FROM t"))
        try:
            opened(ClickHouseCreds(path=FOLDER / "b"))
        except ConnectError as error:
            say(type(error).__name__, error)
        first.close()
        again.close()
        for _ in range(3):
            second = opened(ClickHouseCreds(path=FOLDER / "b"))
            say(second.query_rows("SELECT count() FROM system.tables WHERE name = 't'"))
            second.close()
            third = opened(ClickHouseCreds(path=FOLDER / "a"))
            say(third.query_rows("SELECT a FROM t"))
            third.close()
        scratch = opened()
        one = scratch.identity
        scratch.close()
        scratch = opened()
        say(one == scratch.identity)
        scratch.close()
        say([thread.name for thread in threading.enumerate()])
    """).end()
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "[(7,)]"
    assert lines[1].startswith(
        f"ConnectError This process has the embedded database {tmp_path}/a open"
    )
    assert lines[2:] == ["[(0,)]", "[(7,)]"] * 3 + ["True", "['MainThread']"]


def test_opening_does_not_move_the_process(script):
    """chdb changes the working directory while it loads; a cell must not see that."""
    status, out, _ = script("""
        sys.setswitchinterval(1e-6)
        here, seen, change = os.getcwd(), set(), os.chdir
        engine = Engine(ClickHouseCreds(), SETTINGS)
        while not engine._opened.done():
            seen.add(os.getcwd())
        engine.wait_open()
        say(seen == {here}, os.chdir is change)
    """).end()
    assert (status, out) == (0, "True True\n")


def test_opening_leaves_a_cell_where_it_went(script):
    """chdb goes back to where it came from when it has loaded; a cell may have moved since."""
    status, out, _ = script("""
        sys.setswitchinterval(1e-6)
        (FOLDER / "data").mkdir()
        engine = Engine(ClickHouseCreds(), SETTINGS)
        wrong = 0
        while not engine._opened.done():
            for folder in (FOLDER / "data", FOLDER):
                os.chdir(folder)
                wrong += os.getcwd() != str(folder)
        engine.wait_open()
        say(wrong, os.getcwd() == str(FOLDER))
    """).end()
    assert (status, out) == (0, "0 True\n")
