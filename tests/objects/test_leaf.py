"""What is found below an operation."""

from __future__ import annotations

from aaiclick_ext.objects.leaf import inputs_of, relations_below, tables_below


def test_a_value_used_again_and_again_is_walked_once(ctx, monkeypatch):
    """Each line doubles the ways to the table; there are as many nodes as lines."""
    t = ctx.create_object_from_value({"a": [1, 2]})
    u = ctx.create_object_from_value({"a": [1, 2]})
    value = t.a
    for _ in range(12):
        value = value + value
    walked = []
    monkeypatch.setattr(
        "aaiclick_ext.objects.leaf.inputs_of", lambda op: walked.append(op) or inputs_of(op)
    )
    assert list(relations_below(value.op())) == [t.op()]
    assert len(walked) <= 14
    both = value + u.a.max().as_scalar() + t.a
    assert next(iter(relations_below(both.op()))) == t.op()
    assert {leaf.name for leaf in tables_below(both.op())} == {t.table_name, u.table_name}
