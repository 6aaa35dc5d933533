"""Names in SQL, whatever they are made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.oplog.renaming import renamed, unique_names, words_of

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ('SELECT * FROM "a_1" AS "t0"', 'SELECT * FROM `x` AS "t0"'),
        ("SELECT a_1.b FROM a_1", "SELECT `x`.b FROM `x`"),
        ("SELECT * FROM db.a_1, `db`.`a_1`", "SELECT * FROM `x`, `x`"),
        ("SELECT 'a_1', a_12 FROM a_11 -- a_1", "SELECT 'a_1', a_12 FROM a_11 -- a_1"),
        ("SELECT 'unread", "SELECT 'unread"),
        ("", ""),
    ],
)
def test_tables_get_other_names(sql, expected):
    assert renamed(sql, {"a_1": "x"}) == expected


@given(NAMES, NAMES)
def test_any_name_is_found_and_can_be_given(old, new):
    sql = f"SELECT 1 FROM {quote_identifier(old)} WHERE 2"
    assert renamed(sql, {old: new}) == f"SELECT 1 FROM {quote_identifier(new)} WHERE 2"
    assert words_of(sql) == {"SELECT", "FROM", "WHERE", old}


def test_text_that_cannot_be_read_has_no_words():
    assert words_of("SELECT 'a") is None


@given(st.lists(st.sampled_from(["x", "x_2", "y"]), max_size=8), st.sets(st.sampled_from("xyz")))
def test_names_are_given_once(wanted, taken):
    names = unique_names([(str(n), name) for n, name in enumerate(wanted)], taken)
    assert len(set(names.values())) == len(wanted)
    assert not set(names.values()) & taken
