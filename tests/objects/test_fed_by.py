"""What a file, a URL or a table has fed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from aaiclick_ext.errors import UnknownObjectError


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Return a directory with two CSV files, which is the current one."""
    (tmp_path / "a.csv").write_text("k,n\n1,2\n3,4\n")
    (tmp_path / "b.csv").write_text("k,n\n5,6\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fed(graph):
    return [node.table for node in graph.nodes if node.table != graph.root]


def test_a_table_has_fed_all_that_follows(ctx):
    t = ctx.create_object_from_value({"a": [1, 2]})
    view = t.filter(t.a > 1)
    kept = view.copy()
    kept.data()
    graph = ctx.fed_by(t)
    assert graph.root == t.table_name
    found = fed(graph)
    assert found[:2] == [ctx.node_name(view), kept.table_name]
    assert found[2].startswith("fetch_")
    assert fed(ctx.fed_by(t.table_name)) == found
    assert graph.node(kept.table_name).alive


def test_a_file_by_every_name_that_it_has(ctx, files):
    first, other = ctx.read_csv("a.csv"), ctx.read_csv(files / "b.csv")
    both = ctx.concat(first, other)
    for path in ("a.csv", "./a.csv", files / "a.csv", str(files / "a.csv")):
        graph = ctx.fed_by(path)
        assert graph.root == str(files / "a.csv")
        assert fed(graph) == [first.table_name, both.table_name]
    assert graph.node(graph.root).alive is None
    assert graph.node(graph.root).event is None
    assert (graph.edges[0].source, graph.edges[0].role) == (graph.root, "file")
    assert set(fed(ctx.fed_by("*.csv"))) == {f.table_name for f in (first, other, both)}
    assert "a.csv" in graph.to_prompt_context()


def test_a_glob_that_the_file_is_in(ctx, files):
    together = ctx.read_csv("[ab].csv")
    assert together.table_name in fed(ctx.fed_by("b.csv"))


def test_a_star_does_not_cross_directories_and_two_do(ctx, files):
    (files / "sub").mkdir()
    (files / "sub" / "x.csv").write_text("k,n\n7,8\n")
    flat = ctx.read_csv("*.csv")
    with pytest.raises(UnknownObjectError, match=r"no file 'sub/x\.csv'"):
        ctx.fed_by("sub/x.csv")
    deep = ctx.read_csv("**/*.csv")
    assert fed(ctx.fed_by("sub/x.csv")) == [deep.table_name]
    assert fed(ctx.fed_by("a.csv")) == [flat.table_name, deep.table_name]


def test_a_name_with_brackets_is_no_pattern_where_the_file_is_there(ctx, files):
    (files / "[a].csv").write_text("k,n\n7,8\n")
    plain, bracketed = ctx.read_csv("a.csv"), ctx.read_csv("[a].csv")
    assert fed(ctx.fed_by("a.csv")) == [plain.table_name]
    assert fed(ctx.fed_by("[a].csv")) == [bracketed.table_name]


def test_what_was_exported_and_read_again(ctx, files):
    first = ctx.read_csv("a.csv")
    first.filter(first.n > 2).export("out.csv")
    again = ctx.read_csv(str(files / "out.csv"))
    found = fed(ctx.fed_by("a.csv"))
    assert again.table_name in found
    assert again.table_name in fed(ctx.fed_by(first))
    before = ctx.create_object_from_value({"k": [0], "n": [0]})
    before.export("out.csv")  # another writes it: from now on it is no part
    later = ctx.read_csv("out.csv")
    assert later.table_name not in fed(ctx.fed_by("a.csv"))
    assert later.table_name in fed(ctx.fed_by(before))


def test_a_file_that_sql_reads(ctx, files):
    view = ctx.sql(f"SELECT n FROM file('{files / 'b.csv'}', CSVWithNames)")
    assert ctx.node_name(view) in fed(ctx.fed_by("b.csv"))


def test_a_source_that_is_not_known(ctx, files):
    ctx.read_csv("a.csv")
    with pytest.raises(UnknownObjectError, match=r"no file 'none\.csv'; files that were.*a\.csv"):
        ctx.fed_by("none.csv")


KEPT = """
import sys
from aaiclick_ext import DataContext
with DataContext(sys.argv[1]) as one:
    made = one.read_csv("a.csv").copy().table_name
with DataContext(sys.argv[1]) as other:
    graph = other.fed_by("a.csv")
    print(graph.node(made).alive)
"""


def test_by_contexts_before_on_a_kept_database(files):
    environment = os.environ | {"AAICLICK_STATE_DIR": str(files / "state")}
    done = subprocess.run(
        [sys.executable, "-c", KEPT, f"chdb://{files}/db"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr
