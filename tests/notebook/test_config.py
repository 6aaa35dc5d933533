"""Settings of a shell."""

from __future__ import annotations

from dataclasses import fields

import pytest
from traitlets.config import Config, Configurable

from aaiclick_ext.errors import SettingsError
from aaiclick_ext.notebook.config import ShellSettings
from aaiclick_ext.settings import Settings


class Shell(Configurable):
    """What `ShellSettings` asks of a shell."""

    configurables: list


@pytest.fixture
def shell(monkeypatch):
    for spec in fields(Settings):
        monkeypatch.delenv(f"AAICLICK_{spec.metadata['environment']}", raising=False)
    shell = Shell(config=Config())
    shell.configurables = []
    return shell


@pytest.fixture
def changes():
    return []


@pytest.fixture
def shell_settings(shell, changes):
    return ShellSettings(shell, changes.append)


def test_without_configuration_they_are_the_environments(shell, shell_settings, monkeypatch):
    assert shell_settings.read() == Settings()
    monkeypatch.setenv("AAICLICK_DISPLAY_ROWS", "4")
    assert shell_settings.read() == Settings(display_rows=4)


def test_configuration_outranks_the_environment(shell, monkeypatch):
    monkeypatch.setenv("AAICLICK_DISPLAY_ROWS", "4")
    monkeypatch.setenv("AAICLICK_DISPLAY_COLUMNS", "5")
    shell.config.AaiclickExt.display_rows = 6
    found = ShellSettings(shell, print).read()
    assert (found.display_rows, found.display_columns) == (6, 5)


def test_text_from_a_command_line_is_converted(shell):
    from traitlets.config.loader import DeferredConfigString

    shell.config.AaiclickExt.node_id = DeferredConfigString("12")
    shell.config.AaiclickExt.oplog_interval_s = DeferredConfigString("0.5")
    shell.config.AaiclickExt.state_dir = "~/state"
    found = ShellSettings(shell, print).read()
    assert (found.node_id, found.oplog_interval_s) == (12, 0.5)
    assert found.state_dir.is_absolute()


@pytest.mark.parametrize(
    ("name", "value"), [("node_id", "banana"), ("record_cell_source", "some"), ("display_rows", -1)]
)
def test_a_value_that_cannot_be_used_is_our_error(shell, name, value):
    shell.config.AaiclickExt[name] = value
    with pytest.raises(SettingsError, match=name):
        ShellSettings(shell, print).read()


def test_every_setting_has_a_documented_trait(shell, shell_settings):
    (section,) = shell.configurables
    traits = section.traits(config=True)
    assert set(traits) == {spec.name for spec in fields(Settings)}
    assert all(trait.help for trait in traits.values())
    assert type(section).__name__ == "AaiclickExt"


def test_a_change_reaches_what_is_read_when_used(shell, shell_settings, changes, capsys):
    (section,) = shell.configurables
    section.update_config(Config(AaiclickExt={"displayed_results": 9}))
    assert [found.displayed_results for found in changes] == [9]
    section.update_config(Config(AaiclickExt={"close_timeout_s": 9}))
    assert len(changes) == 1
    assert "%reload_ext" in capsys.readouterr().out
    assert ShellSettings(shell, print).read().close_timeout_s == 9


def test_close_takes_them_out_of_the_config_magic(shell, shell_settings):
    shell_settings.close()
    shell_settings.close()
    assert shell.configurables == []
