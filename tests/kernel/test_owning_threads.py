"""Threads, their queues and subshells: who can still reach a table owns it, in whatever thread."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.kernel

WAITING = (
    "import threading\n"
    "go, done = threading.Event(), []\n"
    "def work(t):\n"
    "    go.wait(60)\n"
    "    done.append(probe.total(t))\n"
)
START = "k = threading.Thread(target=work, args=(x,)); k.start()"


@pytest.mark.parametrize(
    ("hold", "reach", "let_go"),
    [
        (WAITING + "k = threading.Thread(target=work, args=(x,))", "k._args[0]", "del k"),
        (WAITING + START, "k._args[0]", "go.set(); k.join();"),
        (WAITING + "k = threading.Thread(target=lambda t=x: work(t)); k.start()",
         "k._target.__defaults__[0]", "go.set(); k.join();"),
        (WAITING + "k = threading.Timer(60, work, [x]); k.start()", "k.args[0]",
         "k.cancel(); k.join(); del k"),
        (WAITING + "k = threading.local(); k.t = x", "k.t", "del k.t"),
        (("from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\n"
         "k = pool.submit(lambda t: t.a, x)\npool.shutdown()"), "k.result()", "del k, pool"),
        (("from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(2) as pool:\n"
         "    k = list(pool.map(lambda t: t.filter(t.a > 0), [x]))\n"), "k[0]", "del k, pool"),
        ("import queue; q = queue.Queue(); q.put(x)", "q.queue[0]", "q.get();"),
        ("import queue; q = queue.Queue(); q.put(x)", "q.queue[0]", "del q"),
        ("import queue; q = queue.LifoQueue(); q.put([1, x])", "q.queue[0][1]", "q.get();"),
        ("import queue; q = queue.PriorityQueue(); q.put((1, x))", "q.queue[0][1]", "q = 1"),
        ("import queue; q = queue.SimpleQueue(); q.put(x)",
         "(lambda t: (q.put(t), t)[1])(q.get())", "q.get();"),
        ("import queue; q = queue.Queue(); q.put(x); k = q.get()", "k", "del k"),
        ("from collections import deque; q = deque(maxlen=2); q.append(x)", "q[0]",
         "q.append(1); q.append(2)"),
    ],
)  # fmt: skip
def test_threads_and_queues(owns, hold, reach, let_go):
    owns(hold, reach, let_go)


def test_a_thread_owns_its_locals_until_it_ends(used_kernel):
    kernel = used_kernel
    kernel.check(
        WAITING + "def run():\n"
        "    work(aai.create_object_from_value({'a': [1, 2, 3]}))\n"
        "k = threading.Thread(target=run); k.start(); time = __import__('time'); time.sleep(0.3)"
    )
    assert len(kernel.accounts()) == 1
    kernel.check("del k")
    assert len(kernel.accounts()) == 1
    kernel.check("go.set()\nwhile not done: time.sleep(0.01)\ntime.sleep(0.1)")
    assert kernel.value("done") == [6]
    assert kernel.accounts() == {}


def test_channels_between_threads(used_kernel):
    """The buffer owns; then the receiver does; nobody else, however many tables pass through."""
    kernel = used_kernel
    kernel.check(
        "import queue, threading\n"
        "channel, sums = queue.Queue(2), []\n"
        "def produce():\n"
        "    for n in range(15): channel.put(aai.create_object_from_value({'a': [n, n]}))\n"
        "    channel.put(None)\n"
        "def consume():\n"
        "    while (t := channel.get()) is not None: sums.append(probe.total(t))\n"
        "    channel.put(None)\n"
        "threads = [threading.Thread(target=f) for f in (produce, consume, consume)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join(60)"
    )
    assert kernel.value("sorted(sums)") == [2 * n for n in range(15)]
    assert kernel.accounts() == {}


def test_an_abandoned_channel_releases(used_kernel):
    kernel = used_kernel
    kernel.check(
        "import queue, threading, weakref\n"
        "channel = queue.Queue()\n"
        "def produce(channel):\n"
        "    for n in range(5): channel.put(aai.create_object_from_value({'a': [n]}))\n"
        "threading.Thread(target=produce, args=(channel,)).start()\n"
        "while channel.qsize() < 5: __import__('time').sleep(0.01)"
    )
    assert len(kernel.accounts()) == 5
    kernel.check("del channel")
    assert kernel.accounts() == {}


def test_threads_that_fail_and_make_cycles_leak_nothing(used_kernel):
    kernel = used_kernel
    result = kernel.check(
        "import threading\n"
        "threading.excepthook = lambda args: None\n"
        "def work(x):\n"
        "    for n in range(10):\n"
        "        y = x.filter(x.a > n % 3).copy(); cycle = [y]; cycle.append(cycle)\n"
        "        if n % 4 == 3: gc.collect(n % 3)\n"
        "    raise ValueError(y)\n"
        "x = aai.create_object_from_value({'a': [1, 2, 3]})\n"
        "threads = [threading.Thread(target=work, args=(x,)) for _ in range(4)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join(60)\n"
        "threading.excepthook = threading.__excepthook__\n"
        "gc.collect();"
    )
    assert result.error is None
    assert len(kernel.accounts()) == 1
    kernel.check("del x, work, threads")
    assert kernel.accounts() == {}


@contextmanager
def subshell(kernel):
    """Yield a function that runs a cell in a subshell of the kernel."""
    client = kernel.client
    client.control_channel.send(client.session.msg("create_subshell_request", {}))
    number = client.control_channel.get_msg(timeout=30)["content"]["subshell_id"]

    def run(code):
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        message = client.session.msg("execute_request", content)
        message["header"]["subshell_id"] = number
        client.shell_channel.send(message)
        return kernel.finish(message["header"]["msg_id"])

    yield run
    content = {"subshell_id": number}
    client.control_channel.send(client.session.msg("delete_subshell_request", content))
    client.control_channel.get_msg(timeout=30)


class TestSubshells:
    def test_own_the_same_variables(self, used_kernel):
        kernel = used_kernel
        with subshell(kernel) as run:
            assert run("x = aai.create_object_from_value({'a': [1, 2, 3]})").error is None
            assert len(kernel.accounts()) == 1
            assert kernel.value("probe.total(x)") == 6
            assert run("y = x.filter(x.a > 0).copy(); del x").error is None
            assert len(kernel.accounts()) == 1
            kernel.check("del y")
            assert kernel.accounts() == {}

    def test_results_that_they_show_are_history(self, used_kernel):
        kernel = used_kernel
        with subshell(kernel) as run:
            for number in range(5):
                assert run(f"aai.create_object_from_value([{number}])").error is None
            assert 1 <= len(kernel.accounts()) <= 3
            kernel.check("%reset -f out")
            kernel.check("1;")
            assert kernel.accounts() == {}

    def test_their_errors_keep_nothing_for_long(self, used_kernel):
        kernel = used_kernel
        with subshell(kernel) as run:
            error = run("def f():\n    t = aai.create_object_from_value([1])\n    1 / 0\nf()").error
            assert error is not None
            assert error.ename == "ZeroDivisionError"
            run("1 + 1;")
            kernel.check("1 + 1;")
            assert kernel.accounts() == {}

    def test_a_thread_of_a_closed_one_owns_on(self, used_kernel):
        kernel = used_kernel
        with subshell(kernel) as run:
            run("x = aai.create_object_from_value({'a': [1, 2, 3]})\nk = x.a")
        assert kernel.value("probe.total(k)") == 6
        kernel.check("del x, k")
        assert kernel.accounts() == {}
