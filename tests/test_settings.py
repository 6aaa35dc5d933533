"""Settings come from one place, in one order, and refuse what they cannot use."""

from __future__ import annotations

import ast
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from aaiclick_ext.errors import SettingsError
from aaiclick_ext.settings import PREFIX, Settings

PACKAGE = Path(__file__).parent.parent / "aaiclick_ext"


def test_defaults_need_no_environment_and_touch_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.ch_url == "chdb://"
    assert settings.state_path.name == "aaiclick_ext"
    assert settings.scratch_path.name == "scratch"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ch_url", "clickhouse://h/db", "clickhouse://h/db"),
        ("sql_url", "postgresql://h/db", "postgresql://h/db"),
        ("state_dir", "/a/b", Path("/a/b")),
        ("scratch_dir", "~/c", Path("~/c").expanduser()),
        ("node_id", "7", 7),
        ("memory_table_bytes", "0", 0),
        ("displayed_results", "5", 5),
        ("record_cell_source", "hash", "hash"),
        ("oplog_interval_s", "0.25", 0.25),
        ("heartbeat_s", "5", 5.0),
        ("lease_grace_s", "600", 600.0),
    ],
)
def test_a_variable_sets_its_setting(name: str, text: str, value: Any):
    settings = Settings.from_env({f"{PREFIX}{name.upper()}": text, "AAICLICK_ELSE": "x"})
    assert getattr(settings, name) == value
    assert type(getattr(settings, name)) is type(value)


def test_every_setting_has_its_own_variable_and_says_what_it_is():
    variables = [spec.metadata["environment"] for spec in fields(Settings)]
    assert variables == [spec.name.upper() for spec in fields(Settings)]
    assert all(spec.metadata["doc"] for spec in fields(Settings))


def test_directories_that_are_set_are_used(tmp_path: Path):
    settings = Settings(state_dir=tmp_path / "s", scratch_dir=tmp_path / "t")
    assert settings.state_path == tmp_path / "s"
    assert settings.scratch_path == tmp_path / "t"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"node_id": "seven"}, "node_id cannot be 'seven'"),
        ({"node_id": 1.5}, "node_id cannot be 1.5"),
        ({"node_id": 1024}, "node_id is 1024; it can be 0 to 1023"),
        ({"heartbeat_s": 0}, "heartbeat_s is 0"),
        ({"heartbeat_s": 31}, "at least 4 times in the grace"),
        ({"display_rows": None}, "display_rows cannot be None"),
        ({"display_rows": -1}, "cannot be negative"),
        ({"oplog_interval_s": "soon"}, "oplog_interval_s cannot be 'soon'"),
        ({"state_dir": 3}, "state_dir cannot be 3"),
        ({"ch_url": 3}, "ch_url cannot be 3"),
        ({"record_cell_source": "some"}, "it can be full, hash, none"),
        ({"colour": "red"}, "no setting named 'colour'; there are ch_url"),
    ],
)
def test_what_cannot_be_used_is_refused(changes: dict[str, Any], said: str):
    with pytest.raises(SettingsError) as caught:
        Settings().replace(**changes)
    assert said in str(caught.value)


def test_a_bad_variable_is_refused():
    with pytest.raises(SettingsError, match="display_rows"):
        Settings.from_env({"AAICLICK_DISPLAY_ROWS": "many"})


def test_replace_makes_a_copy():
    settings = Settings()
    assert settings.replace(display_rows="20").display_rows == 20
    assert settings.display_rows == 10
    assert settings.replace(sql_url=None).sql_url is None


def test_none_may_be_given_as_text():
    assert Settings().replace(max_fetch_bytes="None").max_fetch_bytes is None
    with pytest.raises(SettingsError, match="display_rows cannot be 'None'"):
        Settings().replace(display_rows="None")


def test_settings_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Settings().display_rows = 3  # type: ignore[misc]


def test_nothing_else_reads_the_environment():
    readers = {"environ", "environb", "getenv", "getenvb"}
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in readers)
        or (isinstance(node, ast.alias) and node.name in readers)
    ]
    assert {place.split(":")[0] for place in found} <= {"settings.py"}, found


@pytest.mark.parametrize("password", ["secret", "p@ss", "a:b"])
def test_a_repr_shows_no_password(password):
    settings = Settings(
        ch_url=f"clickhouse://me:{password}@host:8123/db", sql_url=f"postgresql://me:{password}@h/r"
    )
    assert password not in repr(settings)
    assert "clickhouse://me:***@host:8123/db" in repr(settings)


def test_a_directory_may_be_given_as_text():
    settings = Settings(state_dir="~/state", scratch_dir="/scratch")
    assert settings.state_path == Path.home() / "state"
    assert settings.scratch_path == Path("/scratch")
