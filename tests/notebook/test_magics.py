"""Every magic of ours, whichever there are: help, completion, and the same in Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

import aaiclick_ext as aai
from aaiclick_ext.notebook.completion_options import described_arguments
from aaiclick_ext.notebook.line_magic import magic_of
from aaiclick_ext.notebook.reference import magic_classes, reference_page

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"
HOMES = {"aai": aai, "aai.context()": aai.DataContext, "view": aai.View}


@pytest.fixture(params=[magic.name for magic in magic_classes()])
def magic(request, ip):
    """Each magic as it is registered: its class and its functions, by kind."""
    found = {
        kind: functions[request.param]
        for kind, functions in ip.magics_manager.magics.items()
        if request.param in functions
    }
    (kind,) = {type(magic_of(function)) for function in found.values()}
    assert sorted(kind.kind.split("_")) == sorted(found)
    return kind, found


def test_every_magic_that_is_registered_has_a_class(ip):
    registered = {
        type(magic)
        for functions in ip.magics_manager.magics.values()
        for function in functions.values()
        if (magic := magic_of(function)) is not None
    }
    assert registered == set(magic_classes())
    ours = {
        name
        for functions in ip.magics_manager.magics.values()
        for name, function in functions.items()
        if getattr(function, "__module__", "").startswith("aaiclick_ext")
    }
    assert ours == {magic.name for magic in magic_classes()}


def test_it_has_help(ip, magic, capsys):
    kind, found = magic
    for function in found.values():
        assert function("--help") is None
        shown = capsys.readouterr().out
        assert f"%{kind.name}" in shown
        for _, option, doc in described_arguments(function.parser):
            assert option in shown
            assert doc.strip().endswith("."), f"%{kind.name} {option}"
    assert "Examples" in shown


def test_its_options_are_completed(ip, magic):
    kind, found = magic
    for sign, function in zip(("%", "%%"), found.values(), strict=False):
        code = f"{sign}{kind.name} --"
        if sign == "%" and "line" not in found:
            continue
        with provisionalcompleter():
            offered = [c.text for c in ip.Completer.completions(code, len(code))]
        options = [
            o for _, names, _ in described_arguments(function.parser) for o in names.split(", ")
        ]
        assert sorted(offered) == sorted({*filter(None, options), "--help"})


def test_it_is_a_function_in_python(magic):
    kind, found = magic
    assert kind.functions.get(""), (
        f"say in {kind.__name__}.functions what does the same as %{kind.name}"
    )
    options = {option for _, option, _ in described_arguments(next(iter(found.values())).parser)}
    for option, function in kind.functions.items():
        home, _, name = function.rpartition(".")
        assert callable(getattr(HOMES[home], name)), function
        assert option in options or not option.startswith("-")


def test_the_page_of_settings_and_magics_is_what_the_code_says():
    assert PAGE.read_text() == reference_page(), "run `make reference`"


def test_the_status_says_where_it_is(ip):
    status = aai.status()
    assert (status.engine, status.database) == ("embedded", "default")
    assert status.url.startswith("chdb:///")
    assert status.version in repr(status)
    assert status.kernels >= 1
    assert status.kernel_memory_bytes > 0
    assert status.disk_free_bytes < status.disk_total_bytes
    before = status.tables
    held = aai.create_object_from_value({"a": [1, 2]})
    status = aai.status()
    assert status.tables == before + 1
    assert status.table_bytes > 0
    assert all(word in status._repr_html_() for word in ("engine", "database", "memory", "disk"))
    del held


def test_settings_are_changed(ip, capsys):
    def said(line):
        capsys.readouterr()
        ip.run_cell(f"%aaiclick set {line}")
        return "".join(capsys.readouterr())

    settings = aai.context().settings
    assert said("display_rows 20") == f"display_rows = 20 (was {settings.display_rows})\n"
    assert aai.context().settings.display_rows == 20
    assert ip.config.AaiclickExt.display_rows == 20
    aai.change_settings(display_rows="30")
    assert ip.config.AaiclickExt.display_rows == 30
    assert said("display_rows").startswith("display_rows = 30 (default 10)")
    assert "%reload_ext" in said("heartbeat_s 5")
    assert aai.context().settings.heartbeat_s == settings.heartbeat_s
    assert ip.config.AaiclickExt.heartbeat_s == 5.0
    assert "max_bytes = None" in said("max_bytes none")
    url = "clickhouse://alice:s3cret@db.example/x"
    told = said(f"ch_url '{url}'")
    assert "%aaiclick connect" in told
    assert "alice:***@" in told
    shown = said("") + said("display_row 3") + said("display_rows many") + said("node_id 5000")
    assert "which? There are ch_url, sql_url" in shown
    assert "did you mean display_rows" in shown
    assert "display_rows cannot be 'many'; it is of type int" in shown
    assert "it can be 0 to 1023" in shown
    with pytest.raises(aai.AaiclickError, match="heartbeat_s is read when a context opens"):
        aai.change_settings(heartbeat_s=5)
    ip.run_cell("%config AaiclickExt\n%config AaiclickExt.ch_url\nprint(repr(In), repr(_ih))")
    shown = capsys.readouterr().out
    assert "alice:***@" in shown
    assert "s3cret" not in shown


def test_settings_and_urls_are_completed(ip):
    def offered(code):
        with provisionalcompleter():
            return [c.text for c in ip.Completer.completions(code, len(code))]

    assert offered("%aaiclick c") == ["connect"]
    assert offered("%aaiclick set display_r") == ["display_rows"]
    assert offered("%aaiclick set record_cell_source ") == [
        "full",
        "hash",
        "none",
        "--drop",
        "--help",
    ]
    assert offered("%aaiclick connect ch") == ["chdb://", "chdb:///"]


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://alice:s3cret@h/x", "clickhouse://alice:s3cret@:x/", "chdb://x"]
)
def test_a_bad_url_moves_nothing(ip, url):
    context = aai.context()
    with pytest.raises(aai.AaiclickError) as raised:
        aai.connect(url)
    assert "s3cret" not in str(raised.value)
    assert aai.context() is context
    assert context.is_open


def test_where_it_is_already_it_stays(ip):
    context = aai.context()
    held = aai.create_object_from_value([1])
    assert aai.connect(context.settings.ch_url) is context
    assert held.data() == [1]


def test_a_script_opens_another_context(ip):
    settings = aai.context().settings.replace(ch_url="chdb://")
    with (
        aai.DataContext(settings=settings) as context,
        pytest.raises(aai.AaiclickError, match="in a script open another"),
    ):
        context.connect("chdb://")


def test_what_is_no_table_is_told_with_what_to_do(ip):
    ip.user_ns["frame"] = {"a": [1]}
    with pytest.raises(UsageError, match=r"`aai\.create_object_from_value` makes one"):
        ip.run_line_magic("browse", "frame")
    with pytest.raises(UsageError, match=r"there is no table nope .*lists what is there\. No "):
        ip.run_line_magic("browse", "nope")
    del ip.user_ns["frame"]
