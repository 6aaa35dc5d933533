"""Coroutines own what they hold while they can go on; asyncio's queues and futures are channels."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.kernel

LATER = (
    "import asyncio\n"
    "async def later(t, seconds=60):\n"
    "    await asyncio.sleep(seconds)\n"
    "    return t\n"
)
SETTLE = "await asyncio.sleep(0)"


@pytest.mark.parametrize(
    ("hold", "reach", "let_go"),
    [
        # never started, suspended, resumed, cancelled, abandoned
        (LATER + "k = later(x)", "k.cr_frame.f_locals['t']", "k.close()"),
        (LATER + "k = later(x); k.send(None);", "k.cr_frame.f_locals['t']", "k.close()"),
        (LATER + "k = later(x); k.send(None);", "k.cr_frame.f_locals['t']", "del k"),
        (LATER + f"k = asyncio.ensure_future(later(x)); {SETTLE}",
         "k.get_coro().cr_frame.f_locals['t']",
         f"k.cancel(); {SETTLE}; {SETTLE}; k.cancelled()\ndel k"),
        (LATER + f"k = asyncio.ensure_future(later(x)); {SETTLE}",
         "k.get_coro().cr_frame.f_locals['t']",
         "k.cancel()\ntry: await k\nexcept asyncio.CancelledError: pass\ndel k"),
        (LATER + "k = asyncio.ensure_future(later(x, 0.01)); await asyncio.sleep(0.05)",
         "k.result()", "del k"),
        (LATER + "k = await later(x, 0.01)", "k", "del k"),
        (LATER + "k = await asyncio.gather(later(x, 0.01), later(1, 0))", "k[0]", "del k"),
        (LATER + "k, _rest = await asyncio.wait([asyncio.ensure_future(later(x, 0.01))])",
         "next(iter(k)).result()", "k.clear()"),
        (LATER + "go = asyncio.Event()\nasync def wait(t): await go.wait()\n"
         f"k = asyncio.ensure_future(wait(x)); {SETTLE}",
         "k.get_coro().cr_frame.f_locals['t']", "go.set(); del k\nawait asyncio.sleep(0.05)"),
        (LATER + "k = asyncio.shield(asyncio.ensure_future(later(x, 0.01)))\n"
         "await asyncio.sleep(0.05)", "k.result()", "del k"),
        ("import asyncio\nk = asyncio.get_running_loop().create_future(); k.set_result(x)",
         "k.result()", "del k"),
        ("import asyncio\nk = asyncio.get_running_loop().call_later(60, print, x)",
         "k._args[0]", "k.cancel()"),
        ("import asyncio\nk = asyncio.get_running_loop().call_later(0.2, x.count)",
         "k._callback.__self__",
         "del k; await asyncio.sleep(0.4)"),
        # asynchronous generators and contexts
        ("async def g(t):\n    while True: yield t\nk = g(x); await k.asend(None);",
         "k.ag_frame.f_locals['t']", "await k.aclose()"),
        ("async def g(t):\n    while True: yield t\nk = g(x); await k.asend(None);",
         "k.ag_frame.f_locals['t']", "del k\nimport asyncio; await asyncio.sleep(0.01)"),
        ("async def g(t):\n    yield t\nk = [t async for t in g(x)]", "k[0]", "del k"),
        (("import contextlib\n@contextlib.asynccontextmanager\nasync def c(t): yield t\n"
         "k = c(x); await k.__aenter__();"), "k.gen.ag_frame.f_locals['t']",
         "await k.__aexit__(None, None, None);"),
        (("import asyncio\nasync with asyncio.TaskGroup() as k:\n"
         "    j = k.create_task(asyncio.sleep(0, x))"), "j.result()", "del j, k"),
        (("import contextvars\nk = contextvars.ContextVar('k'); j = contextvars.copy_context()\n"
         "j.run(k.set, x);"), "j[k]", "del j, k"),
        # channels
        ("import asyncio; q = asyncio.Queue(); q.put_nowait(x)", "q._queue[0]",
         "k = q.get_nowait(); del k"),
        ("import asyncio; q = asyncio.Queue(); await q.put(x)", "q._queue[0]", "del q"),
        ("import asyncio; q = asyncio.LifoQueue(); q.put_nowait([x])", "q._queue[0][0]",
         "await q.get();"),
        ("import asyncio; q = asyncio.PriorityQueue(); q.put_nowait((1, x))", "q._queue[0][1]",
         "q = None"),
        ("import asyncio; q = asyncio.Queue(); q.put_nowait(x); k = await q.get()", "k", "del k"),
        (("import asyncio; q = asyncio.Queue(1); q.put_nowait(1)\n"
         "k = asyncio.ensure_future(q.put(x)); await asyncio.sleep(0)"),
         "k.get_coro().cr_frame.f_locals['item']",
         f"q.get_nowait(); {SETTLE}; {SETTLE}; q.get_nowait(); k = None;"),
    ],
)  # fmt: skip
def test_what_can_go_on_owns(owns, hold, reach, let_go):
    owns(hold, reach, let_go)


def test_a_channel_hands_over(used_kernel):
    """The buffer owns; then the receiver does; nobody else, however many tables pass through."""
    kernel = used_kernel
    kernel.check(
        "import asyncio\n"
        "channel, sums, most = asyncio.Queue(2), [], 0\n"
        "async def produce():\n"
        "    for n in range(20):\n"
        "        await channel.put(aai.create_object_from_value({'a': [n, n]}))\n"
        "    await channel.put(None)\n"
        "async def consume():\n"
        "    global most\n"
        "    while (t := await channel.get()) is not None:\n"
        "        sums.append(probe.total(t))\n"
        "        most = max(most, len(probe.accounts()))\n"
        "await asyncio.gather(produce(), consume());"
    )
    assert kernel.value("sums") == [2 * n for n in range(20)]
    # two in the buffer, one that waits for room, one that is being read
    assert 1 <= kernel.value("most") <= 4
    assert kernel.accounts() == {}


def test_an_abandoned_channel_releases(used_kernel):
    kernel = used_kernel
    kernel.check(
        "import asyncio\n"
        "channel = asyncio.Queue(3)\n"
        "async def produce():\n"
        "    while True: await channel.put(aai.create_object_from_value({'a': [1, 2, 3]}))\n"
        "producer = asyncio.ensure_future(produce())\n"
        "await asyncio.sleep(0.2)"
    )
    assert len(kernel.accounts()) == 4  # one in the hands of the producer, who waits for room
    kernel.check("producer.cancel()\nawait asyncio.wait([producer])\ndel producer")
    assert len(kernel.accounts()) == 3
    kernel.check("del channel, produce")
    assert kernel.accounts() == {}


def test_a_task_that_failed_keeps_its_error_until_it_goes(used_kernel):
    kernel = used_kernel
    kernel.check(
        "import asyncio\n"
        "async def fail():\n"
        "    t = aai.create_object_from_value({'a': [1, 2, 3]})\n"
        "    raise ValueError('no')\n"
        "task = asyncio.ensure_future(fail())\n"
        "await asyncio.wait([task]);"
    )
    assert len(kernel.accounts()) == 1
    local = "task.exception().__traceback__.tb_frame.f_locals['t']"
    assert kernel.value(f"probe.total({local})") == 6
    kernel.check("del task")
    assert kernel.accounts() == {}


def test_a_cell_that_is_stopped_while_it_waits(used_kernel):
    kernel = used_kernel
    kernel.check(LATER)
    request = kernel.begin(
        "await asyncio.gather("
        "*[later(aai.create_object_from_value({'a': [n]}), 8) for n in range(5)])"
    )
    time.sleep(1.5)
    kernel.interrupt()  # ipykernel (7.4) may cancel an idle wait only when that ends
    result = kernel.finish(request)
    assert result.error is not None
    assert result.error.ename in {"KeyboardInterrupt", "CancelledError"}
    kernel.check("1 + 1;")
    assert kernel.accounts() == {}
