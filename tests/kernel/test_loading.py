"""%load_ext, %unload_ext and %reload_ext."""

from __future__ import annotations

import socket

import pytest

pytestmark = pytest.mark.kernel

HEAVY = (
    "ibis",
    "pyarrow",
    "chdb",
    "clickhouse_connect",
    "sqlalchemy",
    "sqlglot",
    "pandas",
    "polars",
)


def test_load_does_not_wait_for_the_engine(start_kernel):
    """The server of this test accepts a connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"clickhouse://127.0.0.1:{silent.getsockname()[1]}/default"
        kernel = start_kernel(AAICLICK_CH_URL=url)
        kernel.check("%load_ext aaiclick_ext")
        kernel.check("import aaiclick_ext as aai")
        assert kernel.value("aai.context().is_open") is False


def test_load_imports_nothing_heavy_on_the_main_thread(start_kernel):
    kernel = start_kernel()
    kernel.check(
        """
import builtins, threading
imported = set()
original = builtins.__import__
def watching(name, *args, **kwargs):
    if threading.current_thread() is threading.main_thread():
        imported.add(name.partition(".")[0])
    return original(name, *args, **kwargs)
builtins.__import__ = watching
get_ipython().run_line_magic("load_ext", "aaiclick_ext")
builtins.__import__ = original
"""
    )
    assert not set(HEAVY) & set(kernel.value("imported"))
    assert kernel.value("'aaiclick_ext' in imported or 'aaiclick_ext' in __import__('sys').modules")


def test_load_adds_no_names(start_kernel):
    kernel = start_kernel()
    kernel.check("before = set(globals())")
    kernel.check("%load_ext aaiclick_ext")
    added = set(kernel.value("set(globals()) - before - {'before'}"))
    assert {name for name in added if not name.startswith("_i")} == set()


def test_first_use_waits_for_the_engine(start_kernel):
    kernel = start_kernel()
    result = kernel.check(
        "%load_ext aaiclick_ext\nimport aaiclick_ext as aai\n"
        "x = aai.create_object_from_value([1, 2, 3])\nprint(x.sum().data())"
    )
    assert result.stdout.strip() == "6"


def test_the_cell_that_loads_is_a_task(start_kernel):
    kernel = start_kernel()
    source = (
        "%load_ext aaiclick_ext\nimport aaiclick_ext as aai\nx = aai.create_object_from_value([1])"
    )
    count = kernel.check(source, cell_id="the-cell").execution_count
    rows = kernel.value(
        "probe.log('cell_id, execution_count, cell_source, variable_names, task_id')"
    )
    cell_id, execution_count, cell_source, names, task_id = rows[0]
    assert (cell_id, execution_count, cell_source) == ("the-cell", count, source)
    assert list(names) == ["x"]
    assert task_id


def test_failure_to_open_surfaces_at_first_use_as_one_clear_error(start_kernel, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    kernel = start_kernel(AAICLICK_CH_URL=f"chdb://{blocked}/database")
    kernel.check("%load_ext aaiclick_ext\nimport aaiclick_ext as aai")
    kernel.check("import time; time.sleep(1.0)")  # it fails in the background, and nobody is told
    error = kernel.run("aai.create_object_from_value([1])").error
    assert error is not None
    assert error.ename.endswith("Error")
    assert str(blocked) in error.evalue
    assert len(error.text.splitlines()) <= 6
    kernel.check("%unload_ext aaiclick_ext")
    assert [name for name in kernel.value("probe.threads()") if name.startswith("aai")] == []


def test_a_bad_setting_is_one_line_and_leaves_nothing(start_kernel):
    kernel = start_kernel(AAICLICK_NODE_ID="banana")
    kernel.run("%unload_ext nothing")  # IPython itself registers these magics at their first use
    before = kernel.value("probe.registrations()")
    error = kernel.run("%load_ext aaiclick_ext").error
    assert error is not None
    assert error.ename == "SettingsError"
    assert "node_id" in error.evalue
    assert "banana" in error.evalue
    assert len(error.text.splitlines()) == 1
    assert kernel.value("probe.registrations()") == before


def test_configuration_outranks_the_environment(start_kernel):
    kernel = start_kernel(AAICLICK_DISPLAYED_RESULTS="7", AAICLICK_DISPLAY_ROWS="8")
    kernel.check("get_ipython().config.AaiclickExt.displayed_results = 9")
    kernel.load()
    assert kernel.value("aai.context().settings.displayed_results") == 9
    assert kernel.value("aai.context().settings.display_rows") == 8
    assert kernel.value("aai.context().settings.display_columns") == 50


def test_config_magic_lists_and_changes_settings(start_kernel):
    kernel = start_kernel()
    kernel.load()
    listed = kernel.check("%config AaiclickExt").stdout
    assert "AaiclickExt.displayed_results" in listed
    told = kernel.check("%config AaiclickExt.close_timeout_s = 5")
    assert "%reload_ext" in told.stdout
    kernel.check("%config AaiclickExt.display_rows = 2")
    shown = kernel.check("aai.create_object_from_value({'a': [111, 222, 333]})").text
    assert "222" in shown
    assert "333" not in shown
    kernel.check("%reload_ext aaiclick_ext")
    assert kernel.value("aai.context().settings.close_timeout_s") == 5
    assert kernel.value("aai.context().settings.display_rows") == 2


def test_loads_from_the_profile(start_kernel, tmp_path):
    profile = tmp_path / "mine" / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_config.py").write_text(
        "c = get_config()\n"
        "c.InteractiveShellApp.extensions = ['aaiclick_ext']\n"
        "c.AaiclickExt.displayed_results = 1\n"
    )
    kernel = start_kernel("mine")
    kernel.check(
        "import aaiclick_ext as aai\nx = aai.create_object_from_value([1, 2])", cell_id="a"
    )
    assert kernel.value("aai.context().settings.displayed_results") == 1
    rows = kernel.value("probe.log('cell_id, variable_names')")
    assert [(cell_id, list(names)) for cell_id, names in rows] == [("a", ["x"])]


def test_unload_leaves_nothing(start_kernel):
    kernel = start_kernel()
    kernel.check("import gc, ipywidgets, anywidget, pandas")
    kernel.run("%unload_ext nothing")  # IPython itself registers these magics at their first use
    before = kernel.value("probe.registrations()")
    threads = kernel.value("probe.threads()")
    kernel.load()
    kernel.check("x = aai.create_object_from_value({'a': [1, 2]}); y = x.filter(x.a > 1)")
    kernel.check("x.a.mean()")
    kernel.check("y")
    kernel.check("%lineage y")
    kernel.check("directory = aai.context().engine.identity")
    assert kernel.value("probe.registrations()") != before
    kernel.check("%unload_ext aaiclick_ext")
    assert kernel.value("probe.registrations()") == before
    assert kernel.value("probe.threads()") == threads
    assert kernel.value("len(ipywidgets.widgets.widget._instances)") == 0
    error = kernel.run("x.a.sum().execute()").error
    assert error is not None
    assert error.ename == "ContextError"
    kernel.check("del x, y; gc.collect()")
    assert kernel.run("%lineage y").stderr


def test_unload_drops_the_tables_of_a_kept_database(start_kernel, tmp_path):
    url = f"chdb://{tmp_path}/kept"
    kernel = start_kernel(AAICLICK_CH_URL=url)
    kernel.load()
    kernel.check(
        "x = aai.create_object_from_value([1, 2])\n"
        "y = aai.create_object_from_value([3], name='mine', scope='session')\n"
        "z = aai.create_object_from_value([4], name='everyones')"
    )
    assert len(kernel.tables()) == 3
    kernel.check("%reload_ext aaiclick_ext")
    left = kernel.tables()
    assert len(left) == 1
    assert "everyones" in left[0]
    assert kernel.value("aai.open_object('everyones').data()") == [4]


def test_reload_works_in_the_same_cell(start_kernel):
    kernel = start_kernel()
    kernel.load()
    kernel.check("x = aai.create_object_from_value([1])")
    kernel.check(
        "%reload_ext aaiclick_ext\ny = aai.create_object_from_value([1, 2])", cell_id="again"
    )
    kernel.check("z = aai.create_object_from_value([1, 2, 3])", cell_id="next")
    rows = kernel.value("probe.log('cell_id, variable_names')")
    named = [(cell_id, list(names)) for cell_id, names in rows]
    assert ("again", ["y"]) in named
    assert ("next", ["z"]) in named


def test_loading_twice_is_loading_once(start_kernel):
    kernel = start_kernel()
    kernel.load()
    kernel.check("context = aai.context()")
    once = kernel.value("probe.registrations()")
    kernel.check("aai.load_ipython_extension(get_ipython())")
    assert kernel.value("probe.registrations()") == once
    assert kernel.value("aai.context() is context")


def test_ten_reloads_leave_threads_and_descriptors_as_they_were(start_kernel):
    kernel = start_kernel()
    kernel.load()
    use = "x = aai.create_object_from_value([1, 2]); assert x.sum().data() == 3; del x"
    kernel.check(use)
    kernel.check("%reload_ext aaiclick_ext")
    kernel.check(use)
    kernel.check("import gc; gc.collect()")
    kernel.check(reaped := "assert aai.context()._opened.reaping.wait(60)")  # a thread that ends
    fds, native = kernel.value("(probe.fds(), probe.native_threads())")
    threads = kernel.value("probe.threads()")
    for _ in range(10):
        kernel.check("%reload_ext aaiclick_ext")
        kernel.check(use)
    kernel.check("gc.collect()")
    kernel.check(reaped)
    fds_after, native_after = kernel.value("(probe.fds(), probe.native_threads())")
    assert kernel.value("probe.threads()") == threads
    assert fds_after <= fds + 5
    assert native_after <= native + 5


def test_cells_run_on_after_the_context_was_closed(start_kernel):
    kernel = start_kernel()
    kernel.load()
    kernel.check("x = aai.create_object_from_value([1])")
    kernel.check("aai.context().close()")
    result = kernel.check("1 + 1")
    assert (result.text, result.stdout, result.stderr) == ("2", "", "")
    assert kernel.check("del x").stderr == ""
    error = kernel.run("aai.create_object_from_value([1])").error
    assert error is not None
    assert error.ename == "ContextError"
    assert "%load_ext" in error.evalue
    kernel.check("%reload_ext aaiclick_ext")
    assert kernel.value("aai.create_object_from_value([1, 2]).data()") == [1, 2]


def test_a_broken_hook_of_others_does_not_stop_ours(start_kernel):
    kernel = start_kernel()
    kernel.run("get_ipython().events.register('post_run_cell', lambda result: 1 / 0)")
    for code in ("%load_ext aaiclick_ext", "import aaiclick_ext as aai"):
        kernel.run(code)
    kernel.run("x = aai.create_object_from_value([1])", cell_id="a")
    kernel.run(
        "found = [(cell, list(names)) for cell, names in probe.log('cell_id, variable_names')]"
    )
    assert kernel.run("print(found)").stdout.startswith("[('a', ['x'])]")
