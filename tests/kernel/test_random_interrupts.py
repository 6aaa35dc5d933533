"""Ctrl-C at random points of random operations: each ends at once, and nothing is wrong then."""

from __future__ import annotations

import os
import random
import signal
import statistics
import threading
import time

import pytest

pytestmark = pytest.mark.kernel

SETUP = """
import pyarrow.parquet
x = aai.create_object_from_value({'a': list(range(100)), 'b': [str(n) for n in range(100)]})
y = aai.create_object_from_value({'a': list(range(50, 150)), 'c': [n / 2 for n in range(100)]})
grown = aai.create_object_from_value({'a': [5, 7]})
names = sorted([x.table_name, y.table_name, grown.table_name])
done = 0
def insert():
    global done
    grown.insert({'a': [5, 7]})
    done += 1
x.export('out.parquet')
"""
OPERATIONS = {
    "create": "t = aai.create_object_from_value({'a': range(5000), 'b': ['text'] * 5000})",
    "create and let go": "t = [aai.create_object_from_value([n]) for n in range(3)]; t = None",
    "copy": "t = x.filter(x.a >= 90).mutate(d=x.a * 2).copy(); assert len(t) == 10",
    "insert": "insert()",
    "fetch": "t = x.data(); assert t['a'] == list(range(100)) and t['b'][99] == '99'",
    "fetch much": "t = aai.sql('SELECT number AS n FROM numbers(300000)').to_pyarrow()\n"
    "    assert t.num_rows == 300000 and t['n'][-1].as_py() == 299999",
    "join": "t = x.join(y, 'a').agg(s=y.c.sum()).data(); assert t['s'] == [612.5], t",
    "export": "x.export('out.parquet')",
    "batches": "t = sum(b.num_rows for b in x.to_pyarrow_batches(chunk_size=7)); assert t == 100",
    "lineage": "t = x.filter(x.a > 3).copy(); assert len(aai.backward_oplog(t)) >= 2",
    "named": "t = aai.create_object_from_value({'a': [1]}, name='n', scope='session')\n"
    "    aai.delete_object('n')",
}
GENEROUS_S = 20
"""On a machine that does something else; `make soak` shows what it takes on one that does not."""

PRESS_AGAIN_AFTER_S = 3
"""Long enough for what follows a cell: a press there ends nothing but ipykernel's reply."""


def press_until_it_ends(kernel, request):
    """Press stop, and again if need be; return what came, how long it took, and the presses.

    Python drops a KeyboardInterrupt that is raised inside a finalizer of Ibis's: the press is lost.
    """
    presses, ended = [], threading.Event()

    def press():
        while True:
            presses.append(time.monotonic())
            os.kill(kernel.pid, signal.SIGINT)
            if ended.wait(PRESS_AGAIN_AFTER_S):
                return

    presser = threading.Thread(target=press)
    presser.start()
    try:
        result = kernel.finish(request, interrupted=True)
        waited_s = time.monotonic() - presses[0]
    finally:
        ended.set()
        presser.join()
    return result, waited_s, len(presses)


def check_all(kernel):
    """Check results, tables, claims, files, the registry and the log."""
    kernel.check("t = None; globals().pop('_', None);")
    kernel.check("None")
    assert kernel.value("[x.data()['a'] == list(range(100)), int(y.c.sum().execute())]") == [
        True,
        2475,
    ]
    assert kernel.value("pyarrow.parquet.read_table('out.parquet').num_rows") == 100
    assert kernel.value("__import__('glob').glob('.aaiclick-*')") == []
    rows, total = kernel.value("[len(grown), int(grown.a.sum().execute())]")
    assert (rows % 2, total) == (0, rows * 6)
    assert kernel.value("done") <= rows // 2 - 1
    kernel.check("for o in aai.list_objects(): aai.delete_object(o.name)")  # made, not yet deleted
    assert sorted(kernel.accounts()) == kernel.value("names")
    inserts = "operation = 'insert' AND status = 'ok'"
    recorded = kernel.value(f"len(probe.log('id', {inserts!r}))")
    assert kernel.value("done") <= recorded <= rows // 2 - 1
    assert kernel.value("len(probe.log('DISTINCT id, created_at')) - len(probe.log('id'))") == 0
    outside = "task_id IS NULL AND operation != 'drop_table'"  # a table may go after its cell
    assert kernel.value(f"probe.log('id', {outside!r})") == []


def interrupt_often(kernel, times, seed):
    """Interrupt that many operations at random points; return seconds and presses of each."""
    chance = random.Random(seed)
    kernel.check(SETUP)
    waited = []
    for number in range(times):
        name = chance.choice(list(OPERATIONS))
        request = kernel.begin(f"while True:\n    {OPERATIONS[name]}")
        time.sleep(chance.uniform(0.02, 0.6))
        result, waited_s, presses = press_until_it_ends(kernel, request)
        shown = f"{number}: {name}: {result.error.text if result.error else result.stderr}"
        assert result.was_interrupted, shown
        assert waited_s < GENEROUS_S, shown
        waited.append((waited_s, presses))
        if number % 5 == 4:
            check_all(kernel)
    check_all(kernel)
    kernel.check("del x, y, grown")
    assert kernel.accounts() == {}
    return waited


def test_a_few(kernel):
    interrupt_often(kernel, 10, seed=20)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_hundred(kernel):
    waited = interrupt_often(kernel, 100, seed=random.randrange(1000))
    once = [seconds for seconds, presses in waited if presses == 1]
    again = [presses for _, presses in waited if presses > 1]
    print(  # noqa: T201  what was measured
        f"\n{len(waited)} interrupts: median {statistics.median(once):.3f} s, "
        f"longest {max(once):.3f} s; {len(again)} of them needed another press"
    )
