"""%lineage."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.kernel

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def flights(kernel):
    kernel.check("flights = aai.create_object_from_value({'carrier': ['a', 'b'], 'delay': [1, 2]})")
    kernel.check("late = flights.filter(flights.delay > 1)")
    kernel.check("worst = late.group_by('carrier').agg(mean=late.delay.mean())")
    return kernel


def bundle(kernel, line):
    result = kernel.check(line)
    assert result.data is None
    assert len(result.displays) == 1, result.stderr
    return result.displays[0]


def test_it_shows_a_widget_a_picture_and_text(flights):
    shown = bundle(flights, "%lineage worst")
    assert set(shown) == {WIDGET, "image/svg+xml", "text/plain"}
    assert "<svg" in shown["image/svg+xml"]
    for word in ("worst", "late", "flights"):
        assert word in shown["image/svg+xml"]
        assert word in shown["text/plain"]


def test_it_works_after_everything_is_deleted(flights):
    flights.check("answer = worst.copy()")
    before = bundle(flights, "%lineage answer")["text/plain"]
    flights.check("del flights, late, worst")
    assert len(flights.tables()) == 1
    after = bundle(flights, "%lineage answer")["text/plain"]
    for word in ("flights", "late", "worst", "answer"):
        assert word in before
        assert word in after


def test_by_table_name_after_the_variable_is_gone(flights):
    name = flights.value("flights.op().name")
    flights.check("del flights, late, worst")
    assert flights.tables() == []
    shown = bundle(flights, f"%lineage {name} --forward")["text/plain"]
    assert "worst" in shown


def test_stale_results_are_listed_by_the_names_of_variables(flights):
    flights.check("answer = late.copy()")
    assert flights.check("%lineage --stale").stdout == "Nothing is stale.\n"
    flights.check("flights.insert({'carrier': ['c', 'd'], 'delay': [9, 0]})")
    listed = flights.check("%lineage --stale").stdout
    assert listed.startswith("answer is stale: flights got 2 rows in cell [")
    assert listed.count("\n") == 1
    assert flights.check("%lineage answer --stale").stdout == listed
    assert flights.check("%lineage flights --stale").stdout == "Nothing is stale.\n"
    shown = flights.check("answer").data["text/plain"]
    assert "(stale: a table it was made of got rows later, in cell [" in shown


def test_forward_both_and_depth(flights):
    assert "worst" not in bundle(flights, "%lineage flights")["text/plain"]
    assert "worst" in bundle(flights, "%lineage flights --forward")["text/plain"]
    both = bundle(flights, "%lineage late --both")["text/plain"]
    assert "flights" in both
    assert "worst" in both
    near = bundle(flights, "%lineage worst --depth 1")["text/plain"]
    assert "flights" not in near


@pytest.mark.parametrize(
    "expression", ["flights.delay", "flights.delay.mean()", "flights.limit(1)", "_", "[worst][0]"]
)
def test_expressions(flights, expression):
    flights.check("flights.carrier")
    if expression == "[worst][0]":
        flights.check("expression = [worst]")
        expression = "expression[0]"
    assert "flights" in bundle(flights, f"%lineage {expression}")["text/plain"]


MISTAKES = [
    ("%lineage", ["of what", "worst"]),
    ("%lineage wurst", ["'wurst'", "worst, "]),
    ("%lineage nosuch.thing", ["nosuch.thing", "flights"]),
    ("%lineage number", ["number is a int", "flights"]),
    ("%lineage worst --nonsense", ["nonsense"]),
    ("%lineage worst --depth 0", ["--depth"]),
    ("%lineage worst --depth many", ["--depth"]),
    ("%lineage worst --forward --both", ["--forward or --both"]),
    ("%lineage flights.nosuch()", ["flights.nosuch"]),
    ("%lineage worst --as pdf", ["pdf", "svg", "openlineage"]),
    ("%lineage worst --sql --as dot", ["--sql or --as"]),
    ("%lineage worst --python --forward", ["--forward"]),
    ("%lineage worst --columns --cells", ["--columns or --cells"]),
    ("%lineage wurst --sql", ["'wurst'", "worst, "]),
    ("%lineage worst --as sql --depth 2", ["--sql or --depth"]),
    ("%lineage worst.mean --columns --as text", ["worst.mean is a column", "--as"]),
    ("%lineage worst --columns --history", ["--columns or --history"]),
    ("%lineage wurst --columns", ["'wurst'", "worst, "]),
    ("%lineage worst.delay.nosuch --columns", ["nosuch"]),
    ("%lineage worst --from flihgts", ["'flihgts'", "flights, "]),
    ("%lineage flights --from worst", ["worst did not go into flights"]),
    ("%lineage none.csv --forward", ["no file 'none.csv'", "flights"]),
    ("%lineage 1+1 --history", ["--history of which variable"]),
    ("%lineage worst --changes 3", ["--changes is of a cell"]),
    ("%lineage --changes 999", ["cell [999]"]),
]


def test_a_mistake_costs_one_line(flights):
    flights.check("number = 5")
    for line, words in MISTAKES:
        result = flights.run(line)
        said = result.stderr + (result.error.text if result.error else "")
        assert "UsageError" in said, line
        for word in words:
            assert word in said, line
        assert len(said.strip().splitlines()) == 1, said


def test_it_is_printed_for_other_tools(flights):
    printed = {
        name: flights.check(f"%lineage worst --as {name}")
        for name in ("svg", "dot", "mermaid", "text", "openlineage", "sql", "python")
    }
    assert all(result.displays == [] and result.data is None for result in printed.values())
    said = {name: result.stdout for name, result in printed.items()}
    assert said["svg"].startswith("<svg")
    assert said["dot"].startswith("digraph")
    assert said["mermaid"].startswith("flowchart")
    assert said["text"].startswith("Lineage of worst: 3 steps")
    assert json.loads(said["openlineage"])[0]["job"]["namespace"].startswith("chdb://")
    assert "CREATE VIEW `worst`" in said["sql"]
    assert "CREATE TABLE `flights`" in said["sql"]
    assert said["python"].count("# In [") == 3
    assert "Set by cells that are not in the log: aai\n" in said["python"]
    assert flights.check("%lineage worst --sql").stdout == said["sql"]
    assert flights.check("%lineage worst --python").stdout == said["python"]


def test_columns_and_cells_are_drawn(flights):
    plain = bundle(flights, "%lineage worst")
    columns = bundle(flights, "%lineage worst --columns")
    assert "column delay of flights, Int64" in columns["image/svg+xml"]
    assert "mean ← flights.delay" in columns["text/plain"]
    assert "mean ← flights.delay" in flights.check("%lineage worst --columns --as text").stdout
    cells = bundle(flights, "%lineage worst --cells")
    assert cells["image/svg+xml"].count('class="cluster"') == 3
    assert bundle(flights, "%lineage worst --all") != columns
    assert bundle(flights, "%lineage worst --all")["image/svg+xml"] == plain["image/svg+xml"]


def test_the_button_s_table_gets_a_variable_of_its_own(flights):
    flights.check("answer = worst.copy(); name = answer.table_name; before = answer.data()")
    flights.check("answer = 5")
    assert len(flights.tables()) == 1  # once it is dropped
    flights.check("from aaiclick_ext.notebook.restoring import Restorer")
    flights.check("found = Restorer(get_ipython(), aai.context())(name)")
    assert flights.value("(found.status, found.variable)") == ("exact", "answer_restored")
    assert flights.value("answer_restored.data() == before")
    flights.check("again = Restorer(get_ipython(), aai.context())(name)")
    assert flights.value("again.variable") == "answer_restored_2"
    history = "[e.operation for e in aai.variable_history('answer_restored_2')]"
    assert flights.value(history) == ["restore"]


def test_questions_that_have_no_picture(flights):
    """One kernel: what its columns come from, what a variable stood for, what a file fed."""
    columns = flights.check("%lineage worst.mean --columns").stdout
    assert columns == (
        "worst.mean\n"
        "    value   flights.delay\n    filter  flights.delay\n    group   flights.carrier\n"
    )
    forward = flights.check("%lineage flights.delay --columns --forward").stdout
    assert "value   late.delay" in forward
    assert "value   worst.mean" in forward
    path = bundle(flights, "%lineage worst --from flights")["text/plain"]
    assert "late" in path
    printed = flights.check("%lineage worst --from late --as text").stdout
    assert "flights" not in printed
    assert "late" in printed
    before = flights.check("%lineage late --history").stdout
    flights.check("late = flights.filter(flights.delay > 0)")
    history = flights.check("%lineage late --history").stdout
    assert history.startswith(before)
    assert history.count(": filter, view_") == before.count(": filter, view_") + 1
    assert flights.check("%lineage nosuch --history").stdout.startswith("No cell set nosuch")
    flights.check("open('few.csv', 'w').write('a,b\\n1,2\\n')")
    flights.check("few = aai.read_csv('few.csv')")
    assert "few" in bundle(flights, "%lineage few.csv --forward")["text/plain"]
    first = flights.run("again = flights.filter(flights.delay > 1)", cell_id="one")
    assert first.error is None
    changed = flights.run("again = flights.filter(flights.delay > 2)", cell_id="one")
    said = flights.check(f"%lineage --changes {changed.execution_count}").stdout
    assert "-again = flights.filter(flights.delay > 1)" in said


def test_it_holds_no_table(flights):
    bundle(flights, "%lineage worst")
    flights.check("del flights, late, worst")
    assert flights.tables() == []


def test_help(flights):
    help_text = flights.run("get_ipython().find_line_magic('lineage').__doc__").text
    for word in (
        "--columns",
        "--cells",
        "--all",
        "--forward",
        "--both",
        "--depth",
        "--sql",
        "--python",
        "--as",
        "openlineage",
        "--from",
        "--columns",
        "--history",
        "--changes",
    ):
        assert word in help_text
