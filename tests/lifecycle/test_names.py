"""Table names say who owns them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaiclick_ext.errors import SchemaError
from aaiclick_ext.lifecycle import Scope, TableName, check_name
from aaiclick_ext.lifecycle.names import MAX_NAME_LENGTH

NAMES = st.text(min_size=1).filter(lambda s: s.strip() and not set(s) & set("\0/{}*?"))


@given(
    st.sampled_from([Scope.SESSION, Scope.GLOBAL]),
    st.integers(0, 1023),
    st.integers(0, 2**63),
    st.integers(0, 2**63),
    NAMES,
)
def test_named_tables_read_back(scope, node, job, id_, name):
    parts = TableName(scope, node, job, id_, name)
    assert TableName.parse(str(parts)) == parts


def test_temp_tables_read_back():
    parts = TableName(Scope.TEMP, 7, 10**18, 36**9)
    assert str(parts).startswith("aai_t_7_")
    assert TableName.parse(str(parts)) == parts


@pytest.mark.parametrize(
    "text", ["orders", "aai_x_1_2_3", "aai_t_1_2_3_name", "aai_g_1_2_3", "aai_t_1_2", "", "aai_t"]
)
def test_other_names_are_not_ours(text):
    assert TableName.parse(text) is None


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a\0b", "a*b", "{x}", "why?", "é" * 31, None, 3])
def test_what_cannot_be_a_name(name):
    with pytest.raises(SchemaError):
        check_name(name)


def test_the_longest_name_fits_a_file_name():
    for name in ("a" * MAX_NAME_LENGTH, "é" * (MAX_NAME_LENGTH // 6)):
        assert check_name(name) == name
        parts = TableName(Scope.GLOBAL, 1023, 2**63, 2**63, name)
        escaped = "".join(
            c if c.isascii() and (c.isalnum() or c == "_") else "%XX" * len(c.encode())
            for c in str(parts)
        )
        assert len(f"{escaped}.sql.tmp") <= 255


def test_names_keep_unicode_and_spaces():
    assert check_name("späte Flüge ✈") == "späte Flüge ✈"
