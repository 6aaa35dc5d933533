"""URLs: what is accepted, and that no password is ever shown."""

from __future__ import annotations

import pytest

from aaiclick_ext.errors import RegistryError
from aaiclick_ext.registry import Registry
from aaiclick_ext.registry.address import address_of, shown, without_password


def test_the_default_names_the_generation(tmp_path):
    assert str(address_of(None, tmp_path)) == f"sqlite:///{tmp_path}/registry-1.db"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_uses_psycopg(tmp_path, scheme):
    address = address_of(f"{scheme}://user:hunter2@host:5432/db?sslmode=require", tmp_path)
    assert address.drivername == "postgresql+psycopg"
    assert (address.username, address.password, address.host) == ("user", "hunter2", "host")
    assert address.query["sslmode"] == "require"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hunter2@host/db",
        "sqlite+aiosqlite:///hunter2",
        "user:hunter2 without a scheme",
        "postgresql://user:hunter2@host:not-a-port/db",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_others_are_refused_without_repeating_them(tmp_path, url):
    with pytest.raises(RegistryError, match="AAICLICK_SQL_URL") as caught:
        Registry(url, tmp_path).tables()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "hunter2" not in repr(Registry(url, tmp_path))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@host/db",
        "postgresql://user:p%40ss%2Fhunter2@host/db",
        "postgresql://host/db?user=u&password=hunter2",
        "postgresql://host/db?password=hunter2&password=hunter2b",
    ],
)
def test_passwords_are_hidden_wherever_they_stand(tmp_path, url):
    address = address_of(url, tmp_path)
    assert "hunter2" not in shown(address)
    assert "hunter2" not in repr(Registry(url, tmp_path))
    text = f"cannot connect to {address.render_as_string(hide_password=False)} with {url}"
    assert "hunter2" not in without_password(text, address)


def test_without_psycopg_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RegistryError, match=r"aaiclick-ext\[postgres\]"):
        Registry("postgresql://user:hunter2@host/db", tmp_path).tables()
