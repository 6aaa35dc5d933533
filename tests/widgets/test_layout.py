"""Graphviz in this process: the same picture each time, an error for what it cannot draw."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aaiclick_ext.errors import PictureError
from aaiclick_ext.widgets.layout import lay_out

ROOT = Path(__file__).parents[2]


def test_the_same_text_gives_the_same_picture():
    text = "digraph { a -> b -> c; a -> c }"
    assert lay_out(text) == lay_out(text)


def test_an_error_leaves_the_next_picture_as_it_was():
    before = lay_out("digraph { a }")
    with pytest.raises(PictureError, match="Failed to parse DOT"):
        lay_out("digraph { a -> ")
    assert lay_out("digraph { a }") == before


def test_a_layout_that_takes_too_long_is_given_up():
    nodes = range(400)
    dense = ";".join(f"n{a}->n{b}" for a in nodes for b in nodes if a < b and (a * b) % 7 == 0)
    with pytest.raises(PictureError, match=r"more than 0\.2 s"):
        lay_out(f"digraph {{ {dense} }}", time_limit_s=0.2)
    assert "<svg" in lay_out("digraph { a }")


def test_threads_may_draw_at_once():
    texts = [f"digraph {{ a{n} -> b }}" for n in range(8)]
    expected = [lay_out(text) for text in texts]
    drawn: dict[int, str] = {}

    def draw(number: int) -> None:
        drawn[number] = lay_out(texts[number])

    threads = [threading.Thread(target=draw, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [drawn[n] for n in range(8)] == expected


@pytest.mark.parametrize("home", ["writable", "read-only"])
def test_a_process_draws_quietly_and_ends(home: str, tmp_path: Path):
    code = (
        "from aaiclick_ext.widgets.layout import lay_out; print('<svg' in lay_out('digraph {a}'))"
    )
    cache = tmp_path / "cache"
    cache.mkdir()
    if home == "read-only":  # also for root, whom permissions do not stop
        cache = Path("/dev/null")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)
    if home == "writable":
        assert any(path.is_file() for path in cache.rglob("*")), "nothing was cached"
