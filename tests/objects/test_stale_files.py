"""Results of files that have changed since: by size, time, number; by globs and by SQL, too."""

from __future__ import annotations

import os
import time

import pytest

from aaiclick_ext import RestoreStatus

ROWS = "k,n\n1,2\n3,4\n"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Return a directory with three CSV files, which is the current one."""
    (tmp_path / "sub").mkdir()
    for name in ("a.csv", "b.csv", "sub/x.csv"):
        (tmp_path / name).write_text(ROWS)
        os.utime(tmp_path / name, (10**9, 10**9))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stale(ctx):
    return {
        result.table: [change.source for change in result.changes] for result in ctx.stale_results()
    }


def test_a_file_that_an_older_one_replaced(ctx, files):
    read = ctx.read_csv("a.csv")
    copy = read.copy()
    assert stale(ctx) == {}
    (files / "a.csv").write_text("k,n\n5,6\n7,8\n")
    os.utime("a.csv", (1, 1))
    path = str(files / "a.csv")
    assert stale(ctx) == {read.table_name: [path], copy.table_name: [path]}
    (files / "a.csv").unlink()
    assert stale(ctx) == {}


def test_files_of_a_glob(ctx, files):
    flat, deep = ctx.read_csv("*.csv"), ctx.read_csv("**/*.csv")
    assert stale(ctx) == {}
    (files / "sub" / "x.csv").write_text("k,n\n5,6\n")
    assert list(stale(ctx)) == [deep.table_name]
    (files / "c.csv").write_text("")
    os.utime("c.csv", (1, 1))
    assert list(stale(ctx)) == [flat.table_name, deep.table_name]


def test_a_file_that_sql_read_when_the_view_was_copied(ctx, files):
    view = ctx.sql(f"SELECT n FROM file('{files / 'b.csv'}', CSVWithNames)")
    before = view.copy()
    assert stale(ctx) == {}
    time.sleep(0.02)
    (files / "b.csv").write_text("k,n\n5,6\n")
    time.sleep(0.02)
    after = view.copy()
    assert list(stale(ctx)) == [before.table_name]
    assert after.table_name not in ctx.oplog_subgraph(after).stale
    assert before.table_name in ctx.oplog_subgraph(before).stale


def test_a_restored_table_has_what_the_file_holds_now(ctx, files, tables):
    read = [ctx.read_csv("a.csv")]
    table = read[0].table_name
    read.clear()
    assert table not in tables()
    (files / "a.csv").write_text("k,n\n5,6\n7,8\n")
    again = ctx.restore(table)
    assert (again.status, again.changed) == (RestoreStatus.DIFFERS, ("a.csv",))
    assert stale(ctx) == {}
