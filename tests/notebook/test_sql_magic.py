"""``%sql`` and ``%%sql`` in a shell, in this process."""

from __future__ import annotations

import pyarrow as pa
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from aaiclick_ext.context import DataContext
from aaiclick_ext.notebook.sql_line import read_line
from aaiclick_ext.notebook.sql_magic import SqlMagic
from aaiclick_ext.objects import Object
from aaiclick_ext.objects.query_plans import DryRun
from aaiclick_ext.objects.query_text import QueryText
from aaiclick_ext.settings import Settings


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    config = Config()
    config.HistoryManager.enabled = False
    ip = InteractiveShell(config=config)
    folder = tmp_path_factory.mktemp("state")
    with DataContext(settings=Settings(state_dir=folder)) as ctx:
        magic = SqlMagic(ip, ctx)
        ip.user_ns["flights"] = ctx.create_object_from_value({"id": [1, 2], "delay": [5, 90]})
        ip.user_ns["least"] = 60
        ip.user_ns["frame"] = pa.table({"a": [1]})
        yield ip
        ip.user_ns.clear()
        magic.close()
    assert "sql" not in ip.magics_manager.magics["line"]
    assert "sql" not in ip.magics_manager.magics["cell"]


def run(shell, code):
    result = shell.run_cell(code)
    result.raise_error()
    return result.result


def test_in_expressions(shell):
    run(
        shell, "x = %sql SELECT id, '$least {least}' AS s FROM {flights} WHERE delay > {least:Int8}"
    )
    assert shell.user_ns["x"].data() == {"id": [2], "s": ["$least {least}"]}
    assert not isinstance(shell.user_ns["x"], Object)
    assert run(shell, "%sql SELECT count() AS n FROM {flights} -- 'it''s").data() == {"n": [2]}
    run(shell, "%sql worst << SELECT max(delay) AS d FROM {flights}")
    assert shell.user_ns["worst"].data() == {"d": [90]}
    run(
        shell,
        "def later(rows, least):\n    x = %sql SELECT id FROM {rows} WHERE id > {least:Int8}\n"
        "    return x\n",
    )
    assert run(shell, "later(flights, 1)").data() == {"id": [2]}


def test_as_a_cell(shell):
    found = run(shell, "%%sql SELECT id\nFROM {flights}\nORDER BY id -- the end")
    assert found.data() == {"id": [1, 2]}
    assert run(shell, "%%sql late <<\nSELECT id FROM {flights} WHERE delay > 60") is None
    assert shell.user_ns["late"].data() == {"id": [2]}
    run(
        shell,
        "%%sql rows <<\nCREATE TABLE mine (n Int8) ENGINE = Memory;\nINSERT INTO mine VALUES (7);\n"
        "SET max_threads = 1; SELECT n FROM mine",
    )
    assert shell.user_ns["rows"].data() == {"n": [7]}
    assert isinstance(shell.user_ns["rows"], Object)
    assert run(shell, "%sql DROP TABLE mine") is None


def test_what_comes_before_the_last_is_displayed(shell, capsys):
    assert run(shell, "%%sql\nEXPLAIN SELECT 1;\nSELECT 2 AS a").data() == {"a": [2]}
    assert "ReadFromSystemOne" in capsys.readouterr().out


def test_instead_of_running(shell):
    plan = run(shell, "%%sql --explain\nSELECT max(delay) FROM {flights}")
    assert isinstance(plan, QueryText)
    assert "Aggregating" in plan
    assert "Peak memory" in run(shell, "%sql --profile SELECT max(delay) FROM {flights}")
    dry = run(shell, "%sql --dry-run SELECT id, throwIf(id > 0) AS a FROM {flights}")
    assert isinstance(dry, DryRun)
    assert dry.types == {"id": "Int64", "a": "UInt8"}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("%%sql\nSELECT * FROM {flight}", "no variable 'flight'. There are: flights"),
        ("%sql SELECT {nothing:Int8}", "no variable 'nothing'"),
        ("%%sql worst\nSELECT 1", "`%%sql name <<` binds the result"),
        ("%sql --replace SELECT 1", "add --view NAME"),
        ("%%sql\nSELECT * FROM {flght} JOIN {flights}", "There are: flights, .*frame"),
        ("%sql SELECT {leas:Int8}", "no variable 'leas'. There are: least$"),
        ("%sql --nothing SELECT 1", "%sql: unrecognized arguments: --nothing; see %sql --help"),
        ("%sql --explain --dry-run SELECT 1", "one at a time of --explain, --dry-run"),
        ("%sql", "the SQL is missing"),
        ("%sql 1a << SELECT 1", "no name of a variable"),
    ],
)
def test_what_is_not_understood(shell, code, said):
    with pytest.raises(UsageError, match=said.replace("{", r"\{")):
        run(shell, code)


def test_help(shell, capsys):
    run(shell, "%sql --help")
    assert "--dry-run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("SELECT '--view x' -- c", ([], None, "SELECT '--view x' -- c")),
        ("--view=late SELECT 1", (["--view", "late"], None, "SELECT 1")),
        ("-- a comment", ([], None, "-- a comment")),
        ("a<<SELECT 1", ([], None, "a<<SELECT 1")),
        ("a << SELECT 1 << 2", ([], "a", "SELECT 1 << 2")),
        ("--explain\tSELECT 1", (["--explain"], None, "SELECT 1")),
    ],
)
def test_reading_a_line(line, parts):
    assert tuple(read_line(line, frozenset({"--view"}))) == parts
