"""Names and texts survive being quoted, whatever they hold."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaiclick_ext.engine import quote_identifier, quote_literal

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
NASTY = (
    "`",
    "``",
    "a`b",
    "\\",
    "a\\`b",
    "'",
    "''",
    "\\'",
    '"x"',
    "`x`",
    "%s",
    "{a:Int8}",
    "😀",
    "\n\t\r\0",
    "select",
    "a.b",
)


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=TEXT, value=st.one_of(TEXT, st.just("")))
def test_round_trip(engine, name, value):
    table = engine.query_arrow(f"SELECT {quote_literal(value)} AS {quote_identifier(name)}")
    assert table.to_pylist() == [{name: value}]


def test_nasty_names_of_tables_and_columns(engine):
    # Not in `default`: there chdb takes some names for the files of its working directory.
    engine.command("CREATE DATABASE nasty")
    for name in NASTY:
        table = f"nasty.{quote_identifier(f't{name}')}"
        engine.command(f"CREATE TABLE {table} ({quote_identifier(name)} String) ENGINE = Memory")
        engine.command(f"INSERT INTO {table} VALUES ({quote_literal(name)})")
        assert engine.query_arrow(f"SELECT * FROM {table}").to_pylist() == [{name: name}]
        assert [column.name for column in engine.columns_of_table(f"t{name}", "nasty")] == [name]
    engine.command("DROP DATABASE nasty")
