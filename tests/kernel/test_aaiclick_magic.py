"""Completion as a front end asks for it, and a kernel that moves from database to database."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel


def test_a_kernel_completes_moves_and_forgets_passwords(
    start_kernel, server_url, settings, tmp_path
):
    kernel = start_kernel(AAICLICK_STATE_DIR=str(settings.state_dir))
    kernel.check("get_ipython().Completer.use_jedi = False")
    # IPython itself registers its magics at their first use.
    kernel.run("%config\n%unload_ext nothing")
    before = kernel.value("probe.registrations()")
    kernel.load()
    kernel.check(
        "x = aai.create_object_from_value({'größe': [1], 'delay': [2], 'my col': [3]})\n"
        "aai.context().engine.command('CREATE TABLE orders (oid Int64) ENGINE = Memory')"
    )
    threads = kernel.value("probe.threads()")

    # Completion: positions are characters, whatever they take in UTF-8 or UTF-16.
    code = "%%sql\nWITH '😀' AS s SELECT `größe` FROM {x} WHERE de"
    reply, end = kernel.complete(code), len(code)
    assert reply["matches"][0] == "delay"
    assert (reply["cursor_start"], reply["cursor_end"]) == (end - 2, end)
    assert reply["metadata"]["_jupyter_types_experimental"][0]["type"] == "column"
    assert kernel.complete("y = %sql SELECT * FROM ord")["matches"] == ["orders"]
    assert kernel.complete("%lineage x --as merm")["matches"] == ["mermaid"]
    assert kernel.complete("x['my")["matches"] == ["my col"]

    # The status, as a display.
    (shown,) = kernel.check("%aaiclick").displays
    assert "embedded" in shown["text/plain"]
    assert "<table " in shown["text/html"]

    # Moving: refused while it would lose a table, and then done.
    kept = f"chdb://{tmp_path}/kept"
    error = kernel.run(f"%aaiclick connect {kept}").error
    assert "would drop 1 table that this kernel holds (variables: x)" in error.evalue
    assert kernel.value("x.delay.sum().execute()") == 2
    (shown,) = kernel.check(f"%aaiclick connect {kept} --drop").displays
    assert str(tmp_path) in shown["text/plain"]
    assert "closed" in kernel.run("x.delay.sum().execute()").error.evalue
    kernel.check("del x")
    assert kernel.check("%lineage --help").stdout
    kernel.check("y = aai.create_object_from_value([1, 2], name='best')")
    assert kernel.complete("%sql SELECT * FROM be")["matches"] == ["best"]
    kernel.check("del y")

    # A database that cannot be opened, embedded or not: the kernel is where it was.
    for url in ("chdb:///proc/nothing", "clickhouse://alice:hunter22@127.0.0.1:1/x"):
        error = kernel.run(f"%aaiclick connect {url}").error
        assert error.ename == "ConnectError"
        assert "hunter22" not in error.text
        assert kernel.value("aai.open_object('best').data()") == [1, 2]
        assert kernel.value("aai.context().settings.ch_url") == kept

    # A server, with a password in the cell; `url` from a variable is as good.
    cell = f"%aaiclick connect {server_url}\nz = aai.create_object_from_value([1])"
    (shown,) = kernel.check(cell, cell_id="moves").displays
    assert "server" in shown["text/plain"]
    rows = kernel.value("probe.log('cell_source, variable_names', \"cell_id = 'moves'\")")
    assert [list(names) for _, names in rows] == [["z"]]
    password = server_url.partition("alice:")[2].partition("@")[0]
    remembered = kernel.check(
        "import sqlite3\nhistory = get_ipython().history_manager\nhistory.writeout_cache()\n"
        "print(In, _ih, _i, _ii, _iii, list(history.get_range(raw=True)))\n"
        "print({n: v for n, v in globals().copy().items() if n.startswith('_i')})\n"
        "print(sqlite3.connect(history.hist_file).execute('SELECT * FROM history').fetchall())\n"
        "print(aai.context().settings, get_ipython().config)\n%aaiclick\n%config AaiclickExt"
    )
    everything = remembered.stdout + str(remembered.displays) + str(rows)
    assert "alice:***@" in everything
    for secret in (password, "s3cret", "hunter22"):
        assert secret not in everything
    kernel.check("del z")
    kernel.check(f"back = {kept!r}")
    kernel.check("%aaiclick connect $back")
    assert kernel.value("aai.open_object('best').data()") == [1, 2]

    # Nothing is left of all that.
    kernel.check("import gc; gc.collect()")
    assert kernel.value("len(get_ipython().Completer.custom_matchers)") == 1
    assert sorted(set(kernel.value("probe.threads()"))) == sorted(set(threads))
    kernel.check("%unload_ext aaiclick_ext")
    assert kernel.value("probe.registrations()") == before
    assert [name for name in kernel.value("probe.threads()") if name.startswith("aai")] == []
