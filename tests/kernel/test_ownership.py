"""A variable owns its table: what IPython itself keeps must not keep it longer."""

from __future__ import annotations

import time

import pytest

from aaiclick_ext.notebook.idle import IDLE_S

pytestmark = pytest.mark.kernel


def test_del_drops_the_table(kernel):
    kernel.check("x = aai.create_object_from_value([1, 2, 3])")
    assert len(kernel.tables()) == 1
    kernel.check("del x")
    assert kernel.tables() == []


def test_rebinding_drops_the_old_table(kernel):
    kernel.check("x = aai.create_object_from_value([1, 2, 3])")
    (first,) = kernel.tables()
    kernel.check("x = aai.create_object_from_value([4])")
    (second,) = kernel.tables()
    assert first != second


def test_running_a_cell_again_leaves_one_table(kernel):
    cell = "x = aai.create_object_from_value({'a': [1, 2, 3]}); y = x.filter(x.a > 1).copy()"
    for _ in range(3):
        kernel.check(cell)
    assert len(kernel.tables()) == 2


def test_a_column_keeps_the_table(kernel):
    kernel.check("x = aai.create_object_from_value({'a': [1, 2, 3]}); column = x.a; del x")
    assert len(kernel.tables()) == 1
    assert kernel.value("int(column.sum().execute())") == 6
    kernel.check("del column")
    assert kernel.tables() == []


def test_history_keeps_the_last_results_and_no_more(kernel):
    counts = [
        kernel.check(f"aai.create_object_from_value([{number}])").execution_count
        for number in range(6)
    ]
    assert len(kernel.tables()) == 3
    for count in counts[:3]:
        shown = kernel.check(f"Out[{count}]").text
        assert f"Out[{count}]" in shown
        assert "variable" in shown
        assert kernel.value(f"_{count} is Out[{count}]")
    for number, count in zip(range(3, 6), counts[3:], strict=True):
        assert kernel.value(f"Out[{count}].data()") == [number]


def test_a_placeholder_says_what_to_do_when_used(kernel):
    count = kernel.check("aai.create_object_from_value([0])").execution_count
    for number in range(3):
        kernel.check(f"aai.create_object_from_value([{number}])")
    error = kernel.run(f"Out[{count}].columns").error
    assert error is not None
    assert error.ename == "AttributeError"
    assert f"Out[{count}]" in error.evalue
    assert "run its cell again" in error.evalue
    # Front ends ask a displayed object for all sorts of methods.
    assert set(kernel.check(f"Out[{count}]").data) == {"text/plain"}


def test_results_in_variables_outlive_history(kernel):
    kernel.check("kept = aai.create_object_from_value([1])\nkept")
    for number in range(4):
        kernel.check(f"aai.create_object_from_value([{number}])")
    assert kernel.value("kept.data()") == [1]


def test_showing_one_object_again_and_again_counts_once(kernel):
    kernel.check("a = aai.create_object_from_value([1]); b = aai.create_object_from_value([2])")
    kernel.check("b")
    for _ in range(5):
        kernel.check("a")
    kernel.check("del a, b")
    assert len(kernel.tables()) == 2


def test_underscores_work_and_are_released_too(kernel):
    for number in range(3):
        kernel.check(f"aai.create_object_from_value([{number}])")
    assert kernel.value("[_.data(), __.data(), ___.data()]") == [[2], [1], [0]]
    kernel.check("get_ipython().run_line_magic('config', 'AaiclickExt.displayed_results = 1')")
    try:
        count = kernel.check("aai.create_object_from_value([3])").execution_count
        assert len(kernel.tables()) == 1
        assert "released" in kernel.value("repr(__)")
        kernel.check("5")
        kernel.check("6")
        assert kernel.value("[_, __, ___.data()]") == [6, 5, [3]]
        kernel.check("7")
        assert kernel.value("[_, __, ___]") == [7, 6, 5]
        assert kernel.value(f"Out[{count}].data()") == [3]
    finally:
        kernel.check("%config AaiclickExt.displayed_results = 3")


def test_history_can_keep_nothing(kernel):
    kernel.check("%config AaiclickExt.displayed_results = 0")
    try:
        assert kernel.check("aai.create_object_from_value([12345])").text
        assert kernel.tables() == []
        kernel.check("1 + 1")
        assert kernel.value("_") == 2
    finally:
        kernel.check("%config AaiclickExt.displayed_results = 3")


def test_results_inside_other_results_count(kernel):
    kernel.check("[aai.create_object_from_value([1]), {'k': aai.create_object_from_value([2])}]")
    assert len(kernel.tables()) == 2
    kernel.check("aai.create_object_from_value({'a': [1]}).a")
    kernel.check("aai.create_object_from_value({'a': [1]}).group_by('a')")
    kernel.check("aai.create_object_from_value({'a': [1]}).a.sum()")
    assert len(kernel.tables()) == 3


def test_results_that_are_not_ours_are_never_touched(kernel):
    kernel.check("class Mine:\n    def __repr__(self): return 'mine'")
    counts = [
        kernel.check(f"[{number}, Mine(), 'text', {{}}]").execution_count for number in range(6)
    ]
    kernel.check("import pandas")
    counts.append(kernel.check("pandas.DataFrame({'a': range(1000)})").execution_count)
    for number in range(6):
        kernel.check(f"aai.create_object_from_value([{number}])")
    for number, count in enumerate(counts[:6]):
        assert kernel.value(f"Out[{count}][0]") == number
    assert kernel.value(f"len(Out[{counts[6]}])") == 1000


def test_a_users_own_underscore_stays(kernel):
    kernel.check("_ = 'mine'")
    for number in range(5):
        kernel.check(f"aai.create_object_from_value([{number}])")
    assert kernel.value("_") == "mine"
    assert len(kernel.tables()) == 3


def test_display_and_semicolon_keep_nothing(kernel):
    kernel.check("display(aai.create_object_from_value([1]))")
    kernel.check("aai.create_object_from_value([1]);")
    kernel.check("None")
    assert kernel.tables() == []


def test_every_expression_of_a_cell_can_be_shown(kernel):
    kernel.check("get_ipython().ast_node_interactivity = 'all'")
    try:
        for _ in range(2):
            kernel.check("\n".join(f"aai.create_object_from_value([{n}])" for n in range(5)))
    finally:
        kernel.check("get_ipython().ast_node_interactivity = 'last_expr';")
    assert len(kernel.tables()) <= 3


def test_a_failed_cell_keeps_nothing_past_the_next(kernel):
    error = kernel.run(
        "def work():\n"
        "    secret = aai.create_object_from_value([1, 2])\n"
        "    raise ValueError('no')\n"
        "work()"
    ).error
    assert error is not None
    assert error.ename == "ValueError"
    kernel.check("1 + 1")
    assert kernel.tables() == []


@pytest.mark.parametrize(
    "failing",
    [
        "aai.create_object_from_value({'a': [1]}).nosuch",
        "(lambda t: t.filter(t.nosuch > 1))(aai.create_object_from_value({'a': [1]}))",
        ("def f(t):\n    try:\n        t.nosuch\n    except AttributeError as e:\n"
        "        raise RuntimeError('worse') from e\nf(aai.create_object_from_value({'a': [1]}))"),
        "[1 / 0 for t in [aai.create_object_from_value({'a': [1]})]]",
        "def g(t):\n    yield 1\n    1 / 0\nlist(g(aai.create_object_from_value({'a': [1]})))",
        ("import asyncio\nasync def h(t):\n    await asyncio.sleep(0)\n    1 / 0\n"
        "await h(aai.create_object_from_value({'a': [1]}))"),
        "aai.create_object_from_value({'a': [1]}).a.cast('nonsense')",
        "raise ValueError(aai.create_object_from_value({'a': [1]}))",
        ("class K:\n    def m(self):\n        self.t = aai.create_object_from_value({'a': [1]})\n"
        "        1 / 0\nK().m()"),
        ("def deep(n, t):\n    return deep(n - 1, t) if n else 1 / 0\n"
        "deep(50, aai.create_object_from_value({'a': [1]}))"),
    ],
    ids=[
        "attribute", "column", "chained", "comprehension", "generator", "coroutine", "cast",
        "argument", "instance", "deep",
    ],
)  # fmt: skip
def test_no_error_keeps_a_table_past_the_next_cell(kernel, failing):
    assert kernel.run(failing).error is not None
    kernel.check("%who_ls")
    kernel.check("1 + 1;")
    assert kernel.tables() == []


def test_errors_in_a_row_keep_nothing(kernel):
    cell = "def work():\n    t = aai.create_object_from_value([1])\n    1 / 0\nwork()"
    for _ in range(4):
        assert kernel.run(cell).error is not None
    kernel.check("pass")
    assert kernel.tables() == []


def test_the_traceback_can_be_looked_at_in_the_next_cell(kernel):
    kernel.run("def work():\n    t = aai.create_object_from_value([7])\n    1 / 0\nwork()")
    looked = kernel.run("%tb")
    assert "ZeroDivisionError" in (looked.error.text if looked.error else looked.stdout)
    found = kernel.check(
        "import sys\nprint(sys.last_traceback.tb_next.tb_next.tb_frame.f_locals['t'].data())"
    )
    assert found.stdout.strip() == "[7]"
    kernel.check("2 + 2;")
    assert kernel.tables() == []
    assert "No traceback" in kernel.run("%tb").stderr


def test_the_stack_of_our_own_errors_can_be_seen(kernel):
    error = kernel.run("def work(x):\n    return aai.open_object(x)\nwork('nosuch')").error
    assert error is not None
    assert len(error.text.splitlines()) <= 4
    assert "work" not in error.text
    looked = kernel.run("%tb")
    assert "open_object(x)" in (looked.error.text if looked.error else looked.stdout)


def test_errors_of_others_stay_with_ipython(kernel):
    kernel.run("def work():\n    local = [1, 2, 3]\n    1 / 0\nwork()")
    kernel.check("1 + 1")
    kernel.check("2 + 2")
    looked = kernel.run("%tb")
    assert "ZeroDivisionError" in (looked.error.text if looked.error else looked.stdout)


@pytest.mark.parametrize("code", ["aai.sql('bad')", "aai.open_object('no')"])
def test_errors_of_ours_that_keep_no_table_stay_with_ipython(kernel, code):
    kernel.check("x = aai.create_object_from_value([1])")
    error = kernel.run(code).error
    kernel.check("1 + 1")
    kernel.check("2 + 2")
    looked = kernel.run("%tb")
    assert error.ename in (looked.error.text if looked.error else looked.stdout)


def test_completion_does_not_keep_a_table_for_ever(kernel):
    kernel.check("x = aai.create_object_from_value({'alpha': [1, 2]})")
    assert kernel.complete("x.al")["matches"]
    assert kernel.complete("x.filter(x.al")["status"] == "ok"
    kernel.check("del x")
    for _ in range(25):  # idle: cyclic garbage is collected, the more rarely the longer it takes
        time.sleep(4)
        if not kernel.tables():
            break
    assert kernel.tables() == []


def test_hundreds_of_objects_at_once(kernel):
    kernel.check("many = [aai.create_object_from_value([n]) for n in range(200)]")
    assert len(kernel.tables()) == 200
    kernel.check("del many")
    assert kernel.tables() == []


def test_what_a_cell_registered_and_nobody_claimed_goes_with_it(kernel):
    kernel.check(
        "from aaiclick_ext.lifecycle import RefKind\n"
        "services, freed = aai.context().backend.services, []\n"
        "def register(name):\n"
        "    cell = services.oplog.current_task.task_id\n"
        "    return services.refs.register(RefKind.OBJECT, name, cell=cell, freed=freed.append)\n"
        "register('unclaimed'); kept = register('kept'); services.refs.claim(kept, 'me')\n"
        "services.worker.flush(); assert not freed"
    )
    assert kernel.value("services.worker.flush() and freed") == ["unclaimed"]
    kernel.check("services.refs.release(kept, 'me')")
    assert kernel.value("services.worker.flush() and freed") == ["unclaimed", "kept"]


def test_the_words_for_completion_are_asked_for_while_the_kernel_is_idle(kernel):
    kernel.check(
        "from aaiclick_ext.notebook.completion import Completion\n"
        "completion = next(m.__self__ for m in get_ipython().Completer.custom_matchers "
        "if isinstance(getattr(m, '__self__', None), Completion))\n"
        "completion._names = None"
    )
    for _ in range(25):
        time.sleep(IDLE_S + 0.5)
        if kernel.value("completion._names is not None and completion._names._words is not None"):
            return
    raise AssertionError("nothing was asked for")
