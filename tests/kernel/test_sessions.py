"""Sessions in a real kernel: from cell to cell, with ``await`` or without, in threads and tasks."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.kernel

HERE = "aai.SessionManager.current()"
IS_OWN = f"{HERE}.session_id == aai.context().job_id"
SLOW = "SELECT sum(cityHash64(number)) AS a FROM numbers(100000000000)"


@pytest.fixture(autouse=True)
def outside(kernel):
    """Each test ends outside all sessions, with none left in the registry."""
    yield
    assert kernel.value(IS_OWN)
    assert kernel.value("len(aai.context().sessions.list())") == 1


@pytest.mark.parametrize(
    ("enter", "leave"),
    [
        ("s.open()", "s.close()"),
        ("s.__enter__()", "s.__exit__(None, None, None)"),
        ("await s.__aenter__()", "await s.__aexit__(None, None, None)"),
        ("import asyncio; await asyncio.sleep(0); s.open()", "await asyncio.sleep(0); s.close()"),
    ],
)
@pytest.mark.parametrize("wait", ["", "import asyncio\nawait asyncio.sleep(0)\n"])
def test_what_one_cell_enters_is_there_in_the_next(kernel, enter, leave, wait):
    kernel.check(f"s = aai.session(tags=['cells'])\n{enter};")
    kernel.check(f"{wait}x = aai.create_object_from_value([1, 2, 3])\nassert {HERE} is s")
    (table,) = kernel.tables()
    assert kernel.value("s.refs") == [table]
    kernel.check(f"{wait}assert x.data() == [1, 2, 3] and {HERE} is s")
    kernel.check(leave)
    assert kernel.tables() == []
    error = kernel.run("x.data()").error
    assert error.ename == "ReleasedError"
    assert "(cells), which has ended" in error.evalue


@pytest.mark.parametrize("how", ["with", "async with"])
@pytest.mark.parametrize("wait", ["pass", "await asyncio.sleep(0)"])
def test_a_block_in_one_cell(kernel, how, wait):
    kernel.check(
        f"import asyncio\n{how} aai.session() as s:\n"
        f"    x = aai.create_object_from_value([1, 2, 3])\n    {wait}\n"
        f"    with aai.session() as inner:\n        kept = inner.keep((x + 1).copy())\n"
        f"        {wait}\n        (x + 2).copy()\n    s.keep(kept)"
    )
    assert len(kernel.tables()) == 1
    assert kernel.value("kept.data()") == [2, 3, 4]
    kernel.check("del kept, x")
    assert kernel.accounts() == {}


def test_a_block_that_fails_lets_go_of_what_the_traceback_holds(kernel):
    error = kernel.run(
        "with aai.session():\n    x = aai.create_object_from_value([1])\n"
        "    y = x.copy()\n    raise ValueError('mine')"
    ).error
    assert error.ename == "ValueError"
    assert kernel.tables() == []
    assert kernel.value(IS_OWN)


def test_an_interrupted_block_ends(kernel):
    request = kernel.begin(
        "with aai.session():\n    x = aai.create_object_from_value([1])\n"
        f"    print('in', flush=True)\n    aai.sql('{SLOW}').copy()"
    )
    time.sleep(1.5)
    kernel.interrupt()
    result = kernel.finish(request)
    assert result.error.ename == "KeyboardInterrupt"
    assert kernel.tables() == []
    assert kernel.value(IS_OWN)


def test_an_interrupted_async_block_ends(kernel):
    request = kernel.begin(
        "import asyncio\nasync with aai.session():\n"
        "    x = aai.create_object_from_value([1])\n    await asyncio.sleep(8)"
    )
    time.sleep(1.5)
    kernel.interrupt()
    assert kernel.finish(request).error is not None
    assert kernel.tables() == []


def test_many_interrupts_leave_nothing_entered(kernel):
    kernel.check(
        "import itertools\n"
        "def loop():\n"
        "    for n in itertools.count():\n"
        "        with aai.session(tags=[str(n)]):\n"
        "            x = aai.create_object_from_value([n])\n"
    )
    for number in range(10):
        request = kernel.begin("loop()")
        time.sleep(0.3 + number * 0.017)
        kernel.interrupt()
        assert kernel.finish(request).error.ename == "KeyboardInterrupt"
        assert kernel.value(IS_OWN)
    kernel.check("with aai.session(): pass")  # what an interrupted end left is done now
    assert kernel.accounts() == {}


def test_threads_start_outside_and_have_their_own(kernel):
    kernel.check(
        "import threading\nseen = []\n"
        "def work(n):\n"
        f"    seen.append({IS_OWN})\n"
        "    with aai.session(tags=[str(n)]) as mine:\n"
        "        x = aai.create_object_from_value([n])\n"
        "        barrier.wait()\n"
        f"        seen.append(mine.refs == [x.table_name] and {HERE} is mine)\n"
        "barrier = threading.Barrier(3)\n"
        "with aai.session() as s:\n"
        "    threads = [threading.Thread(target=work, args=[n]) for n in range(3)]\n"
        "    [t.start() for t in threads]\n"
        "    [t.join() for t in threads]\n"
        f"    seen.append({HERE} is s)"
    )
    assert kernel.value("seen") == [True] * 7
    assert kernel.tables() == []


def test_tasks_with_a_session_each_do_not_mix(kernel):
    kernel.check(
        "import asyncio\n"
        "async def child():\n"
        "    await asyncio.sleep(0)\n"
        f"    return {HERE}\n"
        "async def work(n, other):\n"
        "    async with aai.session(tags=[str(n)]) as mine:\n"
        "        made = [aai.create_object_from_value([n])]\n"
        "        for _ in range(3):\n"
        "            await asyncio.sleep(0.01)\n"
        f"            assert {HERE} is mine\n"
        "            made.append(aai.create_object_from_value([n]))\n"
        "            assert await asyncio.create_task(child()) is mine\n"
        "        assert sorted(mine.refs) == sorted(x.table_name for x in made)\n"
        f"    assert {HERE} is other\n"
        "async with aai.session() as s:\n"
        "    await asyncio.gather(*(work(n, s) for n in range(4)))\n"
        "    assert await asyncio.create_task(child()) is s\n"
    )
    assert kernel.tables() == []


def test_a_background_task_of_an_earlier_cell_is_not_drawn_in(kernel):
    kernel.check(
        "import asyncio\nmade = []\n"
        "async def background():\n"
        "    while len(made) < 5:\n"
        "        made.append(aai.create_object_from_value([len(made)]))\n"
        "        await asyncio.sleep(0.05)\n"
        "running = asyncio.create_task(background())\nawait asyncio.sleep(0)"
    )
    kernel.check("s = aai.session().open()\nawait asyncio.sleep(0)")
    kernel.check("await running\nassert s.refs == []\ns.close()")
    assert kernel.value("[x.data() for x in made]") == [[n] for n in range(5)]
    kernel.check("made.clear()")


def test_a_task_of_a_later_cell_belongs_to_what_an_earlier_one_entered(kernel):
    kernel.check("s = aai.session()\nimport asyncio\nawait asyncio.sleep(0)\ns.open();")
    kernel.check(
        "async def child():\n    return aai.create_object_from_value([1])\n"
        "x = await asyncio.create_task(child())\nassert s.refs == [x.table_name]"
    )
    kernel.check("s.close()")
    assert kernel.tables() == []


def test_a_subshell_or_background_thread_can_close_what_a_cell_entered(kernel):
    kernel.check("s = aai.session().open()\nx = aai.create_object_from_value([1])")
    kernel.check("import threading\nt = threading.Thread(target=s.close); t.start(); t.join()")
    kernel.check(f"assert {IS_OWN}\ny = aai.create_object_from_value([2])")
    assert kernel.value("y.data()") == [2]
    assert len(kernel.tables()) == 1


def test_limits_say_what_to_do(kernel):
    error = kernel.run(
        "with aai.session(max_refs=1):\n    a = aai.create_object_from_value([1])\n    b = a.copy()"
    ).error
    assert error.ename == "SessionLimitError"
    assert "may hold 1 table at a time" in error.evalue
    assert len(error.text.splitlines()) < 5
    kernel.check("big = aai.sql('SELECT number AS a FROM numbers(1000000000)')")
    error = kernel.run("with aai.session(max_bytes=10_000_000):\n    big.copy()").error
    assert error.ename == "SessionLimitError"
    assert "may hold 10 MB" in error.evalue
    assert kernel.tables() == []


def test_what_a_killed_kernel_leaves_goes_with_the_next(start_kernel, kernel):
    first = start_kernel("first")
    first.load()
    first.check("s = aai.session().open()\nx = aai.create_object_from_value([1])")
    session = first.value("s.session_id")
    first.kill()
    second = start_kernel("first")
    second.load()
    deadline = time.monotonic() + 60
    while second.value(f"aai.context().sessions.exists({session})"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert second.accounts() == {}


def test_sessions_end_with_their_kernel(start_kernel, kernel):
    first = start_kernel("first")
    first.load()
    first.check("s = aai.session().open()\nx = aai.create_object_from_value([1])")
    session = first.value("s.session_id")
    first.check("%unload_ext aaiclick_ext")
    assert first.value(f"{HERE} is None")
    first.check("%load_ext aaiclick_ext")
    assert not first.value(f"aai.context().sessions.exists({session})")
    assert first.value(IS_OWN)
    first.check("s.close()")
