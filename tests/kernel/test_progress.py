"""Progress of long queries, as a front end gets it: one display for a cell, right at its end."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.kernel

ENVIRONMENT = {"AAICLICK_PROGRESS": "on"}

SLOW = """
slow = aai.sql('''SELECT number AS n, sleepEachRow(0.06) AS s, 'x' AS c
                  FROM numbers(20) SETTINGS max_block_size = 1''')
"""
"""A view that takes 1.2 seconds and no processor."""

ENDLESS = (
    "aai.sql('''SELECT sleepEachRow(0.02) AS s FROM numbers(100000) SETTINGS max_block_size=1''')"
)
DONE = re.compile(r"done in \d+\.\d s, (at least )?\d+ rows, \d+ bytes, \d+ rows/s, memory \S+ \w+")


def last_text(result) -> list[str]:
    """Return the lines of the one display of a cell, as they were at its end."""
    assert len(result.displays) == 1
    return (result.updates or result.displays)[-1]["text/plain"].splitlines()


def test_a_long_query_shows_how_far_it_is_and_that_it_is_done(kernel):
    kernel.check(SLOW)
    result = kernel.check("print(slow.s.sum().execute())")
    assert result.stdout == "0\n"
    assert result.stderr == ""
    begun = result.displays[0]
    assert re.match(r"\[[#.]{20}\] sum slow: (\d+%, )?\d\.\d s", begun["text/plain"])
    assert "<progress" in begun["text/html"]
    (line,) = last_text(result)
    name, _, figures = line.partition(": ")
    assert name == "sum slow"
    assert DONE.match(figures), figures
    assert "<progress" not in result.updates[-1]["text/html"]
    assert "<script" not in result.updates[-1]["text/html"]


def test_what_is_quick_or_captured_or_switched_off_shows_nothing(kernel):
    kernel.check(SLOW)
    for code in (
        "aai.create_object_from_value([1, 2]).sum().execute()",
        "%%capture\nslow.s.sum().execute()",
        "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()): slow.data()",
    ):
        result = kernel.check(code)
        assert result.displays == []
    kernel.check("%config AaiclickExt.progress = 'off'")
    try:
        assert kernel.check("slow.data();").displays == []
    finally:
        kernel.check("%config AaiclickExt.progress = 'on'")


def test_all_of_a_cell_share_a_display(kernel):
    kernel.check(SLOW)
    result = kernel.check(
        "import asyncio, threading\n"
        "thread = threading.Thread(target=slow.to_pyarrow)\n"
        "thread.start()\n"
        "calls = (slow.data,), (slow.export, 'x.csv')\n"
        "await asyncio.gather(*(asyncio.to_thread(*call) for call in calls))\n"
        "thread.join()\n"
        "for batch in slow.to_pyarrow_batches(): pass\n"
        "kept = slow.copy()"
    )
    lines = last_text(result)
    names = [line.partition(" ")[0] for line in lines]
    assert sorted(names) == ["copy", "data", "export", "to_pyarrow", "to_pyarrow_batches"]
    assert all("done in" in line for line in lines)


def test_a_query_that_fails_says_so_above_its_error(kernel):
    result = kernel.run(
        "aai.sql('''SELECT throwIf(sleepEachRow(0.06) + number = 15, 'told you') AS t\n"
        "FROM numbers(20) SETTINGS max_block_size = 1''').data()"
    )
    (line,) = last_text(result)
    assert re.match(r"data: failed after \d", line)
    shown = result.error.text.splitlines()
    assert shown[0] == "EngineError: told you."
    assert shown[1].strip().startswith("SELECT throwIf(")
    assert shown[2].strip() == "^" * len("throwIf")
    assert "\x1b[31mEngineError" in result.error.traceback[0]
    assert "Traceback" in kernel.run("%tb").error.text


def test_the_stop_button_ends_it_and_it_says_cancelled(kernel):
    kernel.check("x = aai.create_object_from_value([1, 2])")
    before = kernel.tables()
    kernel.check("def work(use):\n    return use()")
    for code, name in ((f"work({ENDLESS}.data)", "data"), (f"y = work({ENDLESS}.copy)", "copy")):
        result = interrupted(kernel, code)
        (line,) = last_text(result)
        assert re.match(rf"{name}: cancelled after \d", line)
        shown = result.error.text.splitlines()
        assert shown[0].startswith("KeyboardInterrupt: the query was stopped; %tb shows")
        assert shown[1].startswith("    line 1: ")
        assert shown[2] == "    line 2 in work: return use()"
        assert len(shown) == 3
        assert "engine.py" in kernel.run("%tb").error.text
        assert kernel.value("x.data()") == [1, 2]
    assert kernel.tables() == before


def interrupted(kernel, code):
    """Run a cell until it shows progress, then stop it."""
    request = kernel.start(code)
    seen = []
    kernel_next = kernel._next

    def heard(deadline, parent):
        message = kernel_next(deadline, parent)
        if message["msg_type"] == "display_data" and not seen:
            seen.append(message)
            kernel.interrupt()
        return message

    kernel._next = heard
    try:
        result = kernel.finish(request)
    finally:
        del kernel._next
    assert result.was_interrupted
    return result


def test_on_a_server(start_kernel, server_url):
    kernel = start_kernel(AAICLICK_CH_URL=server_url, **ENVIRONMENT)
    kernel.load()
    kernel.check(SLOW)
    result = kernel.check("print(slow.s.sum().execute())")
    (line,) = last_text(result)
    assert re.match(r"sum slow: done in \d+\.\d s, at least \d+ rows", line)
    (line,) = last_text(interrupted(kernel, f"y = {ENDLESS}.copy()"))
    assert line.startswith("copy: cancelled after")
    assert kernel.tables() == []
    error = kernel.run("aai.sql('SELECT dely FROM (SELECT 1 AS delay)')").error
    assert "SELECT dely FROM" in error.text
    assert re.search(r"ClickHouse error 47, query id aai-\S+; %tb shows", error.text)
    kernel.check("%unload_ext aaiclick_ext")
    assert kernel.value("[n for n in probe.threads() if n.startswith('aai')]") == []
