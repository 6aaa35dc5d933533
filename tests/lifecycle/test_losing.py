"""A kernel that was away goes on if nobody took over, and touches nothing if somebody did."""

from __future__ import annotations

import time

import pytest

KERNEL = """
ctx = DataContext(settings=settings(heartbeat_s=0.2, lease_grace_s=2))
x = ctx.create_object_from_value([1, 2, 3])
y = ctx.create_object_from_value([4])
ctx.flush()
services = ctx.backend.services
say(ctx.node_id, ctx.job_id, x.table_name, y.table_name)

def existing():
    rows = services.engine.query_rows("SELECT name FROM system.tables")
    return sorted(name for (name,) in rows if name.startswith("aai_t"))

def tried(what):
    try:
        return what()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

while line := sys.stdin.readline().strip():
    say(tried(lambda: eval(line)))
ctx.close()

"""


@pytest.fixture
def kernel(start, shared):
    """A process with two tables, which counts as one of another host."""
    process = start(KERNEL)
    node_id, job_id, x, y = process.line().split()
    process.node_id, process.job_id, process.tables = int(node_id), int(job_id), [x, y]
    shared.change("UPDATE sessions SET host_id = 'elsewhere'")
    return process


def ask(process, expression):
    process.tell(expression)
    return process.line()


TAKE_OVER = """
while True:
    try:
        lease = Lease.take(settings(heartbeat_s=0.2, lease_grace_s=2, node_id={node_id}))
        break
    except errors.NodeTakenError:
        time.sleep(0.1)
say(lease.job_id)
input()
lease.end()
"""


def test_a_kernel_that_slept_past_its_lease_says_what_it_lost_and_drops_nothing(
    kernel, start, shared
):
    kernel.pause()
    successor = start(TAKE_OVER.format(node_id=kernel.node_id))
    successor_job = successor.line()
    kernel.resume()
    said = ask(kernel, "x.data()")
    for part in ("LeaseLostError", f"node {kernel.node_id}", successor_job, *kernel.tables):
        assert part in said
    assert "%reload_ext" in said
    assert ask(kernel, "ctx.create_object_from_value([5])").startswith("LeaseLostError")
    assert ask(kernel, "ctx.sql('SELECT 1')").startswith("LeaseLostError")
    assert ask(kernel, "globals().pop('x') is None") == "False"
    assert ask(kernel, "ctx.flush()") == "None"
    assert ask(kernel, "existing()") == str(sorted(kernel.tables))
    assert {row.table_name for row in shared.rows("SELECT * FROM table_registry")} == set(
        kernel.tables
    )
    kernel.tell("")
    status, _, err = kernel.end()
    assert status == 0
    assert "lost its lease" in err
    assert shared.leases() == {kernel.node_id: int(successor_job)}
    assert {row.table_name for row in shared.rows("SELECT * FROM table_registry")} == set(
        kernel.tables
    )
    successor.tell("")
    assert successor.end() == (0, "", "")


def test_a_kernel_that_nobody_took_over_goes_on(kernel, shared):
    kernel.pause()
    time.sleep(2.5)
    kernel.resume()
    assert ask(kernel, "x.data()") == "[1, 2, 3]"
    assert ask(kernel, "globals().pop('x') is None") == "False"
    assert ask(kernel, "ctx.flush()") == "None"
    assert ask(kernel, "existing()") == str(kernel.tables[1:])
    assert shared.leases() == {kernel.node_id: kernel.job_id}
    kernel.tell("")
    assert kernel.end()[::2] == (0, "")
    assert shared.leases() == {}


FORK = """
import gc, warnings
warnings.simplefilter("ignore")
ctx = DataContext(settings=settings())
x = ctx.create_object_from_value([1, 2, 3])
y = ctx.create_object_from_value([4])
ctx.flush()

child = os.fork()
if not child:
    for use in (lambda: x.data(), lambda: (x + 1).data(), lambda: x.copy(),
                lambda: ctx.create_object_from_value([1]), lambda: ctx.lease.verify()):
        try:
            use()
            say("child: used")
        except errors.ContextError as error:
            say("child:", type(error).__name__)
    del x, y
    gc.collect()
    ctx.close()
    say("child: node", ctx.lease.is_detached)
    sys.exit(7)
say("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
ctx.lease.verify()
assert ctx.lease.beat()
say("parent:", x.data(), y.data())
say(sorted(row.table_name for row in ctx.backend.services.registry.tables())
    == sorted([x.table_name, y.table_name]))
ctx.close()
"""


def test_a_forked_child_is_detached(start, shared):
    process = start(FORK)
    status, out, err = process.end()
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[:5] == ["child: ContextError"] * 5
    assert lines[5:] == ["child: node True", "status 7", "parent: [1, 2, 3] [4]", "True"]
    assert shared.leases() == {}
    assert shared.sessions() == {}
