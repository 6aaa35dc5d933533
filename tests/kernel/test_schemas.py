"""Schemas in kernels: what one changes, the other knows in its next cell that asks."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel

SETUP = """
schemas = aai.context().schemas
def columns():
    return list(aai.table("shop").columns)
"""


def test_what_another_kernel_changes_is_known_in_the_next_cell(connected):
    one, two = connected(), connected()
    for kernel in (one, two):
        kernel.check(SETUP)
    one.check("run = aai.context().engine.command")
    one.check("run('CREATE TABLE shop (a Int64) ENGINE = MergeTree ORDER BY a')")
    assert one.value("columns()") == two.value("columns()") == ["a"]
    one.check("run('ALTER TABLE shop ADD COLUMN b String')")
    assert two.value("columns()") == ["a", "b"]
    assert two.value("list(aai.sql('SELECT * FROM shop').columns)") == ["a", "b"]
    one.check(
        "run('CREATE TABLE other (c Int8) ENGINE = MergeTree ORDER BY c')\n"
        "run('RENAME TABLE shop TO old, other TO shop')"
    )
    assert two.value("columns()") == ["c"]
    one.check("run('DROP TABLE shop SYNC')")
    error = two.run("columns()").error
    assert error is not None
    assert error.ename == "UnknownTableError"
    one.check("run('CREATE TABLE shop (d Int8) ENGINE = Memory')")
    assert two.value("columns()") == ["d"]

    # A cell that asks for nothing pays nothing, one that asks often looks once.
    two.check("before = schemas.stats")
    two.check("1 + 1")
    assert two.value("schemas.stats == before")
    two.check("found = {tuple(columns()) for _ in range(1000)}\nafter = schemas.stats")
    assert two.value("(found, after.misses - before.misses)") == ({("d",)}, 0)
    assert two.value("(after.looks - before.looks, after.hits - before.hits >= 1000)") == (1, True)

    # Rows of what several kernels hold.
    one.check("x = aai.create_object_from_value({'a': [1]}, name='both', scope='global')")
    one.check("y = aai.create_object_from_value({'a': [1]})\ntoken = y.share()")
    two.check(f"x, y = aai.open_object('both'), aai.open_ref({one.value('token')!r})")
    assert two.value("(x.shape, y.shape)") == ((1, 1), (1, 1))
    two.check("x.insert({'a': [2, 3]})\ny.insert({'a': [2]})")
    assert one.value("(x.shape, y.shape)") == ((3, 1), (2, 1))
    one.check("x.insert({'a': [4]})\ny.insert({'a': [3]})")
    assert two.value("(x.shape, y.shape)") == ((4, 1), (3, 1))
    one.check("run('DROP TABLE shop, old SYNC')\naai.delete_object('both')")


def test_schemas_of_one_kernel_cost_no_look(used_kernel):
    used_kernel.check("x = aai.create_object_from_value({'a': [1, 2, 3]})")
    used_kernel.check("before = aai.context().schemas.stats")
    used_kernel.check("for _ in range(100): aai.context().backend.table(x.table_name)")
    used_kernel.check("y = x.filter(x.a > 1).copy()\nafter = aai.context().schemas.stats")
    found = used_kernel.value("(after.looks - before.looks, after.misses - before.misses)")
    assert found == (0, 0)
    used_kernel.check("del x, y")
