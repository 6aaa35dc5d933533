"""%tables: what is there, what could be freed, and as a frame."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel

WIDGET = "application/vnd.jupyter.widget-view+json"


def shown(kernel, line="%tables"):
    result = kernel.check(line)
    assert result.data is None
    assert len(result.displays) == 1, result.stderr
    return result.displays[0]


def test_every_table_with_its_holder_and_size(kernel):
    made = kernel.check("df = aai.create_object_from_value({'a': list(range(1000))})")
    kernel.check("frames = [aai.create_object_from_value([1, 2])]")
    kernel.check("aai.create_object_from_value([1.5], name='best', scope='session');")
    bundle = shown(kernel)
    assert set(bundle) == {WIDGET, "text/html", "text/plain"}
    text = bundle["text/plain"].splitlines()
    assert text[0].split() == (
        "held by rows bytes cell age last use scope claims table".split()  # noqa: SIM905
    )
    first = next(line for line in text if line.startswith("df "))
    assert "1,000" in first
    assert f"[{made.execution_count}]" in first
    assert "kB" in first
    assert " temp " in first
    assert any(line.startswith("list frames[0] ") for line in text)
    named = next(line for line in text if line.startswith("session name 'best' "))
    assert " session " in named
    assert "(3 tables, " in text[-1]
    for table in kernel.tables():
        assert table in bundle["text/html"]
    kernel.check("aai.delete_object('best')")


def test_none(kernel):
    bundle = shown(kernel)
    assert bundle["text/plain"] == "This kernel keeps no table."
    assert WIDGET not in bundle


def test_last_use_follows_fetches_copies_and_inserts(kernel):
    kernel.check("x = aai.create_object_from_value([1])\ny = x + 1")
    kernel.check("def used(): return aai.tables()[0].last_used\nbefore = used()\ntime.sleep(0.01)")
    for use in ("y.data()", "x.insert([2])", "y.copy()", "y"):
        assert kernel.value("used() == before")
        kernel.check(use)
        assert kernel.value("used() > before"), use
        kernel.check("%reset -f out\nbefore = used()\ntime.sleep(0.01)")


def test_as_a_frame_and_as_a_list(kernel):
    kernel.check("df = aai.create_object_from_value({'a': [1, 2, 3]})\ncount = len(In) - 1")
    kernel.check("frame = %tables --frame")
    assert kernel.value("frame.holders.tolist()") == [["variable df"]]
    assert kernel.value("[int(frame.rows[0]), int(frame.claims[0]), frame.scope[0]]") == [
        3,
        1,
        "temp",
    ]
    assert kernel.value("bool(frame.cell[0] == count)")
    assert kernel.value("str(frame.made_at.dtype)") == "datetime64[us, UTC]"
    assert kernel.value("aai.tables()[0].table_name == df.table_name == frame.table_name[0]")
    kernel.check("del df")
    assert kernel.tables() == []
    kernel.check("empty = %tables --frame")
    assert kernel.value("(len(empty), str(empty.rows.dtype))") == (0, "Int64")


@pytest.fixture
def leftovers(kernel):
    """Tables kept by output history only, by garbage only, and by a variable besides."""
    kernel.check("aai.create_object_from_value({'a': list(range(1000))})")
    kernel.check("both = aai.create_object_from_value([1, 2])\nboth")
    kernel.check(
        "gc.disable()\ncycle = [aai.create_object_from_value([3])]\ncycle.append(cycle)\ndel cycle"
    )
    yield kernel
    kernel.check("gc.enable()")


def test_free_is_a_dry_run_unless_told_otherwise(leftovers):
    said = leftovers.check("%tables --free").stdout
    assert "can be freed: 2 tables, " in said
    assert "kept only by Out[" in said
    assert "kept only by a cycle of garbage" in said
    assert "in use: 1 table, " in said
    assert "blocked by variable both" in said
    assert len(leftovers.tables()) == 3


def test_free_frees_when_told(leftovers):
    said = leftovers.check("%tables --free --yes").stdout
    assert "freed: 2 tables, " in said
    assert "let go of Out[" in said
    assert leftovers.tables() == [leftovers.value("both.table_name")]
    assert leftovers.value("_oh[max(_oh)] is both")  # what frees nothing is left alone
    assert "freed: 0 tables" in leftovers.check("%tables --free --yes").stdout


def test_free_frees_what_the_last_error_keeps(kernel):
    kernel.run(
        "def fails(local):\n    raise ValueError('x')\nfails(aai.create_object_from_value([1]))"
    )
    assert "kept only by traceback of cell" in kernel.check("# sys.last_\n%tables --free").stdout
    assert "freed: 1 table" in kernel.check("# sys.last_\n%tables --free --yes").stdout
    assert kernel.tables() == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%tables --yes", "--yes goes with --free"),
        ("%tables --free --frame", "not both"),
        ("%tables best", "unrecognized arguments: best"),
    ],
)
def test_errors_are_sentences(kernel, line, words):
    result = kernel.run(line)
    said = result.stderr if result.error is None else result.error.text
    assert words in said
    assert "Traceback" not in said


def test_help(kernel):
    for magic in ("tables", "why"):
        result = kernel.check(f"print(get_ipython().find_line_magic('{magic}').__doc__)")
        assert f"%{magic}" in result.stdout
        assert "--" in result.stdout


def test_unloading_takes_the_magics_back(start_kernel):
    kernel = start_kernel()
    kernel.check("%load_ext autoreload\n%unload_ext autoreload")  # IPython makes magics late
    before = kernel.value("probe.registrations()")
    kernel.load()
    kernel.check("x = aai.create_object_from_value([1])\n%tables\n%why x")
    kernel.check("%unload_ext aaiclick_ext")
    assert kernel.value("probe.registrations()") == before


def test_a_pinned_table_is_shown_without_its_variable(kernel):
    kernel.check("import warnings; warnings.simplefilter('ignore')")
    kernel.check("best = aai.pin(aai.create_object_from_value([1]))\nname = best.table_name")
    assert "best; pinned " in shown(kernel)["text/plain"]
    kernel.check("del best")
    text = shown(kernel)["text/plain"]
    assert text.splitlines()[2].startswith("pinned ")
    assert "blocked by pinned" in kernel.check("%tables --free").stdout
    kernel.check("aai.unpin('best')")
    kernel.check("aai.context().flush()")
    assert kernel.tables() == []
    kernel.check("warnings.resetwarnings()")


def test_preserved_tables_are_shown_until_they_are_dropped(kernel):
    kernel.check(
        "with aai.session(preservation='FULL'):\n    x = aai.create_object_from_value([1])"
    )
    kernel.check("del x")
    text = shown(kernel)["text/plain"].splitlines()
    assert text[2].startswith("preserved until the end of kernel ")
    said = kernel.check("print(aai.lineage_aware_drop(dry_run=False))").stdout
    assert said.startswith("dropped: 1; kept: 0\n  drop  aai_t_")
    assert kernel.tables() == []
