"""A cell is a task of the operation log, however it is run."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel


def events(kernel, columns, where="1"):
    return kernel.value(f"probe.log({columns!r}, {where!r})")


def since(kernel):
    """A condition for events made from now on."""
    ((last,),) = kernel.value("probe.log('max(id)')") or ((0,),)
    return f"id > {last or 0}"


@pytest.fixture
def new(kernel):
    kernel.check("start = aai.create_object_from_value([0])")
    ids = kernel.value("probe.log('id')")
    return f"id > {max(found for (found,) in ids)}"


def test_a_task_knows_its_cell(kernel, new):
    source = "x = aai.create_object_from_value([1, 2])  # a comment"
    count = kernel.check(source, cell_id="cell-1").execution_count
    ((operation, cell_id, execution_count, cell_source, task, names),) = events(
        kernel,
        "operation, cell_id, execution_count, cell_source, task_id, variable_names",
        new,
    )
    assert operation == "create_from_value"
    assert (cell_id, execution_count, cell_source) == ("cell-1", count, source)
    assert task > 0
    assert list(names) == ["x"]


def test_one_cell_is_one_task_and_two_are_two(kernel, new):
    kernel.check("x = aai.create_object_from_value([1]); y = x + 1", cell_id="a")
    kernel.check("z = y.copy()", cell_id="b")
    found = events(kernel, "cell_id, task_id", new)
    tasks = {cell: {task for name, task in found if name == cell} for cell in ("a", "b")}
    assert len(tasks["a"]) == len(tasks["b"]) == 1
    assert tasks["a"] != tasks["b"]
    assert len(events(kernel, "DISTINCT job_id", new)) == 1


def test_events_of_a_cell_are_written_when_it_has_ended(kernel):
    kernel.check("x = aai.create_object_from_value([1]); y = x + 1")
    assert kernel.value("aai.context().oplog.pending") == 0


def test_several_variables_of_one_result_are_all_named(kernel, new):
    kernel.check("x = y = aai.create_object_from_value([1])")
    ((names,),) = events(kernel, "variable_names", new)
    assert sorted(names) == ["x", "y"]


def test_what_is_written_in_the_middle_of_a_cell_is_named(kernel, new):
    kernel.check(
        "x = aai.create_object_from_value([1])\n"
        "y = (x + 1).copy()\n"
        "count = len(aai.backward_oplog(y))\n"  # writes what is known so far
        "z = (y + 1).copy()\n"
    )
    found = dict(
        events(kernel, "variable_names[1], operation", f"{new} AND notEmpty(variable_names)")
    )
    assert found == {"x": "create_from_value", "y": "copy", "z": "copy"}
    kernel.check("import threading")
    kernel.check(
        "w = aai.create_object_from_value([5, 6])\n"
        "thread = threading.Thread(target=aai.context().oplog.flush)\n"
        "thread.start(); thread.join(); table = w.table_name; waiting = aai.context().oplog.pending"
    )
    assert kernel.value("waiting") == 0
    kernel.check("del w")
    assert kernel.value("aai.restore('w').object.data()") == [5, 6]
    assert kernel.value("aai.variable_history('w')[-1].result_table == table")


def test_results_in_no_variable_have_no_name(kernel, new):
    kernel.check("aai.create_object_from_value([1]).sum().data()\nNone")
    assert all(not names for (names,) in events(kernel, "variable_names", new))


def test_a_displayed_result_is_not_named_after_history(kernel, new):
    kernel.check("aai.create_object_from_value([1])")
    found = events(kernel, "variable_names", f"{new} AND operation = 'create_from_value'")
    assert [list(names) for (names,) in found] == [[]]


def test_a_failed_cell_has_its_events(kernel, new):
    assert kernel.run("x = aai.create_object_from_value([1]); 1 / 0", cell_id="bad").error
    found = events(kernel, "cell_id, variable_names", new)
    assert [(cell, list(names)) for cell, names in found] == [("bad", ["x"])]


def test_a_syntax_error_and_a_blank_cell_confuse_nothing(kernel, new):
    assert kernel.run("x = = 1", cell_id="a").error
    kernel.check("   \n", cell_id="b")
    kernel.check("x = aai.create_object_from_value([1])", cell_id="c")
    assert events(kernel, "cell_id", new) == [("c",)]


def test_a_cell_inside_a_cell_is_a_task_of_its_own(kernel, new):
    kernel.check(
        "a = aai.create_object_from_value([1])\n"
        "get_ipython().run_cell('b = aai.create_object_from_value([2])')\n"
        "get_ipython().run_cell('')\n"
        "c = aai.create_object_from_value([3])",
        cell_id="outer",
    )
    found = [
        (cell, list(names), task)
        for cell, names, task in events(kernel, "cell_id, variable_names, task_id", new)
    ]
    assert [names for _, names, _ in found] == [["a"], ["b"], ["c"]]
    assert found[0][0] == found[2][0] == "outer"
    assert found[0][2] == found[2][2] != found[1][2]
    kernel.check("d = aai.create_object_from_value([4])", cell_id="later")
    assert events(kernel, "cell_id", f"{new} AND has(variable_names, 'd')") == [("later",)]


def test_capture_and_time_magics(kernel, new):
    kernel.check("%%capture out\nx = aai.create_object_from_value([1])\nx", cell_id="a")
    kernel.check("%%time\ny = aai.create_object_from_value([2])", cell_id="b")
    kernel.check("del x, y, out")
    assert kernel.tables() == kernel.value("[start.op().name]")
    assert {cell for (cell,) in events(kernel, "cell_id", new)} >= {"b"}


def test_a_silent_cell_is_a_task_without_a_cell(kernel, new):
    kernel.check("x = aai.create_object_from_value([1])", silent=True)
    kernel.check("pass")
    ((task, cell_id, count),) = events(kernel, "task_id, cell_id, execution_count", new)
    assert task
    assert cell_id is None
    assert count is None


def test_a_cell_without_history_touches_no_history(kernel, new):
    kernel.check("x = aai.create_object_from_value([1])", store_history=False, cell_id="a")
    ((cell_id, count),) = events(kernel, "cell_id, execution_count", new)
    assert cell_id == "a"
    assert count is None
    for number in range(5):
        kernel.check(f"aai.create_object_from_value([{number}])", store_history=False)
    kernel.check("None")
    assert len(kernel.tables()) <= 2 + 3


def test_widget_callbacks_are_tasks(kernel, new):
    kernel.check(
        "from ipywidgets import Button\n"
        "made = []\n"
        "button = Button()\n"
        "button.on_click(lambda _: made.append(aai.create_object_from_value([1])))"
    )
    comm = kernel.value("button.comm.comm_id")
    content = {"comm_id": comm, "data": {"method": "custom", "content": {"event": "click"}}}
    client = kernel.client
    client.shell_channel.send(client.session.msg("comm_msg", content))
    assert kernel.value("len(made)") == 1
    ((task, cell_id),) = events(kernel, "task_id, cell_id", new)
    assert task
    assert cell_id is None


def test_a_cell_that_awaits_and_the_next(kernel, new):
    kernel.check(
        "import asyncio\n"
        "x = aai.create_object_from_value([1, 2])\n"
        "await asyncio.sleep(0.01)\n"
        "y = x + 1",
        cell_id="awaits",
    )
    kernel.check("z = y * 2", cell_id="next")
    assert kernel.value("z.data()") == [4, 6]
    found = events(kernel, "cell_id, variable_names", f"{new} AND operation != 'data'")
    named = [(cell, list(names)) for cell, names in found if names]
    assert named == [("awaits", ["x"]), ("awaits", ["y"]), ("next", ["z"])]


def test_a_suspended_coroutine_keeps_its_table(kernel):
    kernel.check(
        "import asyncio\n"
        "async def later():\n"
        "    t = aai.create_object_from_value([8])\n"
        "    await asyncio.sleep(0.4)\n"
        "    return t.data()\n"
        "task = asyncio.ensure_future(later())\n"
        "await asyncio.sleep(0.05)"
    )
    assert len(kernel.tables()) == 1
    assert kernel.check("print(await task)").stdout.strip() == "[8]"
    kernel.check("del task")
    assert kernel.tables() == []


def test_a_background_thread_uses_objects(kernel):
    kernel.check(
        "import threading\n"
        "x = aai.create_object_from_value(list(range(100)))\n"
        "found = []\n"
        "def work():\n"
        "    for n in range(20):\n"
        "        found.append((x + n).sum().data())\n"
        "threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "[thread.start() for thread in threads]; None"
    )
    for n in range(5):
        assert kernel.value(f"(x * {n}).sum().data()") == 4950 * n
    kernel.check("[thread.join() for thread in threads]; None")
    assert sorted(kernel.value("found")) == sorted([4950 + 100 * n for n in range(20)] * 4)
    kernel.check("del x, threads, work")
    assert kernel.tables() == []


def test_a_subshell_uses_objects(kernel, new):
    if not kernel.value("__import__('ipykernel').version_info[0] >= 7"):
        pytest.skip("this ipykernel has no subshells")
    kernel.check("x = aai.create_object_from_value([1, 2, 3])")
    client = kernel.client
    client.control_channel.send(client.session.msg("create_subshell_request", {}))
    reply = client.control_channel.get_msg(timeout=30)
    subshell = reply["content"]["subshell_id"]
    busy = kernel.start("time.sleep(0.5); z = x + 1", cell_id="main")
    content = {"code": "y = x * 2; y2 = y.data()", "silent": False, "store_history": True}
    message = client.session.msg("execute_request", content)
    message["header"]["subshell_id"] = subshell
    message["metadata"]["cellId"] = "sub"
    client.shell_channel.send(message)
    kernel.finish(message["header"]["msg_id"])
    kernel.finish(busy)
    assert kernel.value("[y2, z.data()]") == [[2, 4, 6], [2, 3, 4]]
    named = {
        tuple(names): cell
        for cell, names in events(kernel, "cell_id, variable_names", new)
        if names
    }
    assert named[("z",)] == "main"
    client.control_channel.send(
        client.session.msg("delete_subshell_request", {"subshell_id": subshell})
    )


def test_an_event_says_who_and_where_and_what_was_read(start_kernel):
    kernel = start_kernel(JPY_SESSION_NAME="work/Überblick.ipynb")
    kernel.load()
    kernel.check(
        "x = aai.create_object_from_value(list(range(1000)))\ny = (x * 2).copy()\ny.data()"
    )
    columns = "notebook_path, user_name, read_rows, rows, read_bytes > 0, written_bytes > 0"
    kernel.check("aai.context().oplog.flush()")
    found = kernel.value(
        f'aai.context().engine.query_rows("SELECT operation, {columns} FROM operation_log '
        "WHERE operation IN ('copy', 'data') ORDER BY id\")"
    )
    user = kernel.value("__import__('getpass').getuser()")
    assert found == [
        ("copy", "work/Überblick.ipynb", user, 1000, 1000, 1, 1),
        ("data", "work/Überblick.ipynb", user, 1000, 1000, 1, 1),
    ]
