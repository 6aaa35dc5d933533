"""Credentials: what a URL says, and that the password is never shown."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaiclick_ext.engine import ClickHouseCreds, get_creds_from_env
from aaiclick_ext.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("chdb://", {"scheme": "chdb", "path": None}),
        ("chdb:///", {"scheme": "chdb", "path": None}),
        ("chdb:///data/flights", {"scheme": "chdb", "path": Path("/data/flights")}),
        ("chdb:///data/my%20flights/", {"scheme": "chdb", "path": Path("/data/my flights")}),
        (
            "clickhouse://h",
            {"host": "h", "port": 8123, "user": "default", "password": "", "database": None},
        ),
        ("clickhouses://h", {"host": "h", "port": 8443}),
        (
            "clickhouse://a:b@h:9/d",
            {"host": "h", "port": 9, "user": "a", "password": "b", "database": "d"},
        ),
        (
            "clickhouse://a%40x:b%2F%3A@[::1]:9/d%20e",
            {"host": "::1", "user": "a@x", "password": "b/:", "database": "d e"},
        ),
    ],
)
def test_a_url(url, parts):
    creds = ClickHouseCreds.from_url(url)
    assert {name: getattr(creds, name) for name in parts} == parts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chdb",
        "flights",
        "http://h",
        "mysql://u:hidden@h",
        "chdb://memory",
        "chdb://./data",
        "clickhouse://",
        "clickhouse:///db",
        "clickhouse://u:hidden@h:port",
        "clickhouse://h:99999",
        "clickhouse://u:hidden#x@h",
        "clickhouse://u:hid/den@h:1",
        "clickhouse://u:hidden@h/d?secure=1",
        "clickhouse://u:hidden@[::1",
        "clickhouse://u:hid?den@h",
    ],
)
def test_what_is_no_url_of_ours(url):
    with pytest.raises(SettingsError) as raised:
        ClickHouseCreds.from_url(url)
    assert "clickhouse://user:password@host:8123/database" in str(raised.value)
    shown = "".join(traceback.format_exception(raised.value)) + str(raised.value.__context__)
    assert "hid" not in shown


@pytest.mark.parametrize(
    "parts",
    [
        {"scheme": "http"},
        {"scheme": "chdb", "host": "h"},
        {"scheme": "chdb", "password": "hidden"},
        {"scheme": "chdb", "database": "d"},
        {"scheme": "clickhouse"},
        {"scheme": "clickhouse", "host": "h", "path": Path("/x")},
    ],
)
def test_parts_that_do_not_fit(parts):
    with pytest.raises(SettingsError) as raised:
        ClickHouseCreds(**parts)
    assert "hidden" not in str(raised.value)


@given(user=st.text(min_size=1), password=st.text(alphabet="pqXY@:/?#% é'\"\\", min_size=5))
def test_the_password_is_in_no_representation(user, password):
    url = f"clickhouse://{quote(user, safe='')}:{quote(password, safe='')}@h.example:81/db"
    creds = ClickHouseCreds.from_url(url)
    assert (creds.user, creds.password) == (user, password)
    for text in (repr(creds), str(creds), creds.url, creds.identity, f"{creds}", f"{creds!r}"):
        assert f":{quote(password, safe='')}@" not in text
        assert password not in text.replace(quote(user, safe=""), "")
    assert ":***@" in repr(creds)
    assert pickle.loads(pickle.dumps(creds)) == creds
    assert hash(creds) == hash(ClickHouseCreds.from_url(url))


def test_identity_names_the_database_itself(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    link = ClickHouseCreds(path=tmp_path / "link")
    assert link.identity == f"chdb://{(tmp_path / 'real').resolve()}"
    assert link.url == f"chdb://{tmp_path / 'link'}"
    assert ClickHouseCreds().identity == "chdb://scratch"
    one = ClickHouseCreds.from_url("clickhouse://alice:x@h")
    other = ClickHouseCreds.from_url("clickhouse://bob:y@h:8123/default")
    assert one.identity == other.identity == "clickhouse://h:8123/default"


def test_a_relative_path_is_where_it_was_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    creds = ClickHouseCreds(path=Path("db"))
    monkeypatch.chdir("/")
    assert creds.path == tmp_path / "db"
    assert not creds.is_scratch
    assert creds.is_embedded


def test_from_the_environment():
    assert get_creds_from_env({}).is_scratch
    creds = get_creds_from_env({"AAICLICK_CH_URL": "clickhouses://u:p@h/d"})
    assert (creds.scheme, creds.port, creds.user) == ("clickhouses", 8443, "u")
    with pytest.raises(SettingsError):
        get_creds_from_env({"AAICLICK_CH_URL": "postgresql://h"})
