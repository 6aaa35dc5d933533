"""What a restore says of URLs and files that SQL reads, of failures, and of what it cannot take."""

from __future__ import annotations

import functools
import http.server
import threading

import pytest

from aaiclick_ext import RestoreStatus
from aaiclick_ext.errors import OplogError, UnsupportedTypeError


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path):
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_that_has_other_content_now(ctx, gone, tmp_path, web):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    url = f"{web}/x.csv"
    read = ctx.read_csv(url)
    objects = [read, read.copy()]
    del read
    file, copy = gone(objects)
    assert ctx.restore(file).status == RestoreStatus.EXACT
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,4\n")
    for table in (file, copy):
        found = ctx.restore(table)
        assert (found.status, found.changed) == (RestoreStatus.DIFFERS, (url,))
        assert found.reason == f"changed since: {url}"


def test_a_file_and_a_url_that_sql_reads(ctx, gone, tmp_path, web):
    path = tmp_path / "q.csv"
    path.write_text("a,b\n1,2\n")
    url = f"{web}/q.csv"
    texts = (f"file('{path}', CSVWithNames)", f"url('{url}', CSVWithNames, 'a Int64, b Int64')")
    names = gone([ctx.sql(f"SELECT * FROM {text}").copy() for text in texts])
    assert [ctx.restore(name).status for name in names] == [RestoreStatus.EXACT] * 2
    path.write_text("a,b\n1,3\n")
    by_file, by_url = (ctx.restore(name) for name in names)
    assert (by_file.status, by_file.changed) == (RestoreStatus.DIFFERS, (str(path),))
    assert by_file.reason == f"changed since: {path}"
    assert (by_url.status, by_url.changed) == (RestoreStatus.DIFFERS, ())
    assert by_url.reason == f"its SQL reads {url}, which may have changed"


def events(ctx):
    ctx.flush()
    return ctx.engine.query_rows(
        "SELECT status, error, kwargs FROM operation_log WHERE operation = 'restore' ORDER BY id"
    )


def test_a_restore_that_fails_is_recorded(ctx, gone, tmp_path):
    (random,) = gone([ctx.sql("SELECT rand() AS r FROM numbers(3)").copy()])
    path = tmp_path / "x.csv"
    path.write_text("a\n1\n")
    (file,) = gone([ctx.read_csv(path)])
    path.unlink()
    for table in (random, file):
        found = ctx.restore(table)
        assert found.status == RestoreStatus.IMPOSSIBLE
        status, error, kwargs = events(ctx)[-1]
        assert (status, error, dict(kwargs)) == ("error", found.reason, {"original": table})
        assert ctx.oplog_subgraph(table).node(table).alive is False
        assert ctx.restore(table).status == RestoreStatus.IMPOSSIBLE


def test_stars_that_a_user_typed(ctx, gone):
    (table,) = gone([ctx.sql("SELECT '***' AS s").copy()])
    assert "looks masked" in ctx.restore(table).reason


@pytest.mark.parametrize("wrong", [None, 3, 1.5, [1]])
def test_what_is_no_name_is_refused(ctx, wrong):
    with pytest.raises(UnsupportedTypeError, match=f"restore.*{type(wrong).__name__}"):
        ctx.restore(wrong)
    with pytest.raises(UnsupportedTypeError, match=f"fed_by.*{type(wrong).__name__}"):
        ctx.fed_by(wrong)


def test_what_exists_is_not_restored(ctx):
    made = ctx.create_object_from_value([1])
    for living in (made, made.table_name):
        with pytest.raises(OplogError, match=f"{made.table_name} exists"):
            ctx.restore(living)
    with pytest.raises(OplogError, match="is no table"):
        ctx.restore(made * 2)
