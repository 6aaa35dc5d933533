"""What IPython keeps owns as long as a user can ask for it: results, outputs, the last error."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.kernel

SHOW = "aai.create_object_from_value({'a': [1, 2, 3]})"
CLEAR_OUT = "%reset -f out"


@pytest.fixture
def shown(used_kernel):
    """A kernel in which nothing is in output history, and what an output was numbered."""
    used_kernel.check(CLEAR_OUT)
    return used_kernel


@pytest.mark.parametrize("let_go", [CLEAR_OUT, "%reset -f", "Out.clear(); _ = __ = ___ = 1"])
@pytest.mark.parametrize("reach", ["_", "Out[{0}]", "_{0}", "_oh[{0}]", "get_ipython().ev('_{0}')"])
def test_a_shown_result(shown, reach, let_go):
    count = shown.check(SHOW).execution_count
    assert len(shown.accounts()) == 1
    shown.check("import kernel_probe as probe")
    found = shown.check(f"print(probe.total({reach.format(count)}))").stdout
    assert found.strip() == "6"
    if "Out.clear" in let_go:
        let_go += f"; _{count} = get_ipython().user_ns_hidden['_{count}'] = 1"
        let_go += "; _dh = get_ipython().displayhook; _dh._ = _dh.__ = _dh.___ = 1; del _dh"
    shown.check(let_go)
    shown.check("None")
    assert shown.accounts() == {}


def test_underscores_move_on(shown):
    counts = [shown.check(f"{SHOW}.mutate(n={n})").execution_count for n in range(3)]
    for name, n in [("_", 2), ("__", 1), ("___", 0)]:
        assert shown.value(f"int({name}.n.max().execute())") == n
    shown.check("'text'")
    assert shown.value(f"Out[{counts[0]}] is _{counts[0]}")
    assert len(shown.accounts()) == 3
    shown.check(CLEAR_OUT)
    assert shown.accounts() == {}


@pytest.mark.parametrize(
    ("show", "tables"),
    [
        ("display({0})", 0),
        ("display({0}, display_id=True);", 0),
        ("k = display({0}, display_id=True); k.update({0})", 0),
        ("print({0})", 0),
        ("{0};", 0),
        ("%%capture\n{0}", 0),
        ("%%capture --no-display\n{0}", 1),
        ("%%capture held\nprint({0})", 0),
        ("%%capture held\n{0}", 0),
        ("%%capture held\ndisplay({0})", 0),
        ("from IPython.utils.io import *\nwith capture_output() as held: display({0})", 0),
        ("import ipywidgets\nheld = ipywidgets.Output()\nwith held: display({0})", 0),
        ("get_ipython().run_cell({0!r}, store_history=False);", 0),
        ("held = get_ipython().run_cell({0!r})", 1),
        ("_ = 1; {0}", 1),
        ("import sys; sys.displayhook({0})", 1),
        ("get_ipython().run_line_magic('time', {0!r});", 0),
        ("%time {0}", 1),
        ("{0}.a", 1),
        ("[{0}, 1]", 1),
        ("{0}.to_pandas()", 0),
        ("{0}.columns", 0),
        ("(lambda x: x.filter(x.a > 0))({0})", 1),
    ],
)  # fmt: skip
def test_what_showing_keeps(shown, show, tables):
    shown.check(show.replace("{0!r}", repr(SHOW)).replace("{0}", SHOW))
    shown.check("None")
    assert len(shown.accounts()) == tables
    shown.check(f"held = None; globals().pop('_', None);\n{CLEAR_OUT}")
    shown.check("None")
    assert shown.accounts() == {}


FAILING = "def f(t, n=1):\n    local = [t]\n    return %s\nf(" + SHOW + ")"
LOCAL = "sys.last_value.__traceback__.tb_next.tb_next.tb_frame.f_locals['local'][0]"


class TestTheLastError:
    def test_owns_until_the_next_cell(self, shown):
        assert shown.run(FAILING % "n / 0").error is not None
        for _ in range(2):
            found = shown.check(f"import sys; print(probe.total({LOCAL}))  # sys.last_value")
            assert found.stdout.strip() == "6"
        shown.check("None")
        assert shown.accounts() == {}

    @pytest.mark.parametrize(
        "look",
        [
            "%tb",
            "import sys; print(repr(type(sys.last_value)))",
            "import sys, traceback; print(traceback.format_exception(sys.last_exc))"
            if sys.version_info >= (3, 12)
            else "import sys, traceback; print(traceback.format_exception(sys.last_value))",
        ],
    )
    def test_looking_at_it_keeps_it_for_that_cell(self, shown, look):
        assert shown.run(FAILING % "n / 0").error is not None
        result = shown.run(f"{look}\nn_tables = len(probe.tables())")
        assert "ZeroDivisionError" in str(result.error) + result.stdout
        assert shown.value("n_tables") == 1
        shown.check("None")
        assert shown.accounts() == {}

    @pytest.mark.parametrize("goes", ["None", "%reset -f", "1 / 0", "x = = 1", "%nosuch", "?int"])
    def test_any_next_cell_lets_go(self, shown, goes):
        assert shown.run(FAILING % "n / 0").error is not None
        shown.run(goes)
        assert shown.accounts() == {}

    @pytest.mark.parametrize(
        "failing",
        [
            # chained, in the handler of another, regrouped, raised anew, with the table in it
            "1 / 0 if n else 1",
            "exec('try: 1 / 0\\nexcept ZeroDivisionError as e: raise ValueError(t) from e')",
            "exec('try: 1 / 0\\nexcept ZeroDivisionError: raise ValueError(t)')",
            "exec('try: raise KeyError(t)\\nexcept KeyError: {}[t]')",
            "exec('try: 1 / 0\\nexcept ZeroDivisionError: raise ValueError from None')",
            "(_ for _ in ()).throw(ExceptionGroup('g', [ValueError(t), KeyError(local)]))",
            "f(t, n + 1) if n < 30 else n / 0",
            "sorted([2, 1], key=lambda _: t.nosuch)",
            "t.filter(t.nosuch > 1)",
            "aai.sql(f'SELECT nosuch FROM {t.table_name}')",
            "t.mutate(b=aai.sql('SELECT throwIf(1)').as_scalar()).data()",
            "t.a.cast('nonsense')",
            "t.copy().insert({'nosuch': [1]})",
            "t.a.sum().data()",
            "t.data(orient='nonsense')",
            "t.export('/nosuch/directory/file.parquet')",
            "aai.concat(t, {'b': [1]})",
            "bool(t)",
            "list(t)",
            "__import__('warnings').warn(t, t)",
            "(lambda: (yield t))().throw(ValueError(t))",
            "__import__('sys').exit(t)",
            "exec('class E(Exception): pass\\ne = E(); e.t = t; e.add_note(\"n\"); raise e')",
        ],
    )
    def test_of_whatever_kind(self, shown, failing):
        result = shown.run(FAILING % failing)
        assert result.error is not None or "ExceptionGroup" in result.stdout + result.stderr
        shown.check("None")
        assert shown.accounts() == {}

    @pytest.mark.parametrize(
        "fails",
        [
            "exec('y = 5; 1 / 0', {'t': x})",
            "m = type(gc)('m'); m.t = x\nexec('def f(): 1 / 0', vars(m)); m.f()",
        ],
    )
    def test_in_the_globals_of_no_imported_module(self, shown, fails):
        assert shown.run(f"x = {SHOW}\n{fails}").error is not None
        shown.check("m = None")
        shown.check("del x; gc.collect();")
        assert shown.accounts() == {}

    def test_in_a_variable_of_the_users_stays(self, shown):
        shown.check(f"try:\n    {SHOW}.nosuch\nexcept AttributeError as e: kept = e")
        assert len(shown.accounts()) == 1
        assert shown.run("raise kept").error is not None
        shown.check("None")
        assert len(shown.accounts()) == 1
        assert shown.value("probe.total(kept.obj)") == 6
        shown.check("del kept")
        assert shown.accounts() == {}

    def test_of_a_cell_in_a_cell(self, shown):
        shown.run(f"get_ipython().run_cell({FAILING % 'n / 0'!r});")
        shown.check("None")
        assert shown.accounts() == {}

    def test_of_a_cell_that_awaits(self, shown):
        failing = "async def g(t):\n    await asyncio.sleep(0)\n    1 / 0\n"
        assert shown.run(f"import asyncio\n{failing}await g({SHOW})").error is not None
        shown.check("None")
        assert shown.accounts() == {}
        both = f"await asyncio.gather(g({SHOW}), g({SHOW}))"
        assert shown.run(both).error is not None
        shown.check("await asyncio.sleep(0.05)")
        assert shown.accounts() == {}

    def test_many_in_a_row(self, shown):
        for n in range(10):
            assert shown.run(FAILING % f"n / 0 if {n} % 2 else t.nosuch").error is not None
            assert len(shown.accounts() if n == 9 else [0]) <= 1
        shown.check("None")
        assert shown.accounts() == {}


SCRIPT = f"import aaiclick_ext as aai\nt = {SHOW}\nkept = [t]\ndef f(): return t\n%s\n"


class TestScripts:
    """What ``%run`` ran: its names are the user's, and IPython's copy of them owns nothing."""

    @pytest.mark.parametrize("ending", ["", "1 / 0"])
    def test_a_variable_of_a_script_is_the_users(self, shown, ending):
        shown.check(f"__import__('pathlib').Path('script.py').write_text({SCRIPT % ending!r});")
        for _ in range(2):
            shown.run("%run script.py")
            shown.check("None")
            assert len(shown.accounts()) == 1
            assert shown.value("probe.total(t)") == 6
            shown.check("del t, kept")
            assert len(shown.accounts()) == 1
            assert shown.value("probe.total(f())") == 6
            shown.check("del f")
            shown.check("gc.collect();")
            assert shown.accounts() == {}
