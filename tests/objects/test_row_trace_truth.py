"""A trace gives what a row-by-row evaluation says, and is enough to make the rows again."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.objects.row_provenance import PIPELINES, SCHEMA, Builder, Evaluator, Node, counted

KEYS = st.one_of(st.none(), st.integers(0, 2))
VALUES = st.one_of(st.none(), st.integers(-2, 3))
LISTS = st.lists(st.integers(-1, 2), max_size=2)
TABLES = st.lists(st.tuples(KEYS, VALUES, LISTS), max_size=5)

FUZZ = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes
)


def made(ctx, rows):
    table = ctx.create_object(SCHEMA)
    if rows:
        columns = list(zip(*rows, strict=True))
        types = (pa.int64(), pa.int64(), pa.int64(), pa.list_(pa.int64()))
        arrays = [pa.array(c, t) for c, t in zip(columns, types, strict=True)]
        table.insert(pa.table(arrays, names=list(SCHEMA)))
    return table


def has(node: Node, *kinds: str) -> bool:
    return node.kind in kinds or any(has(each, *kinds) for each in node.inputs)


def enough(source, table):
    """Return the traced rows, or all where rows matter by being there to take others away."""
    return table if any("take rows away" in note for note in source.notes) else source.rows


@FUZZ
@given(PIPELINES, TABLES, TABLES, st.data())
def test_a_trace_is_true(ctx, node, first, second, data):
    rows = [
        [(at, *row) for at, row in enumerate(each, start)]
        for start, each in ((0, first), (100, second))
    ]
    tables = [made(ctx, each) for each in rows]
    result = Builder(lambda _, which: tables[which]).of(node)
    expected = Evaluator(rows).of(node)
    fetched = counted(result.data())
    assert fetched == counted({"k": [r.k for r in expected], "v": [r.v for r in expected]})

    values = sorted({row.values for row in expected}, key=repr)
    chosen = data.draw(st.sampled_from([None, *values, (77, 77)]))
    where = None if chosen is None else dict(zip("kv", chosen, strict=True))
    trace = ctx.trace(result, where)
    found = list(trace.values())
    truth = {pair for row in expected if chosen in (None, row.values) for pair in row.made_of}
    for number, source in enumerate(found):
        ids = source.rows.data()["id"]
        true_ids = {at for which, at in truth if which == number}
        assert true_ids <= set(ids), source
        assert len(ids) == len(set(ids))
        if source.exact:
            assert true_ids == set(ids), source

    if data.draw(st.integers(0, 5)) == 0:  # a copy of it has the same sources, one table further
        through = list(ctx.trace(result.copy(), where, depth=2).values())
        for source, far in zip(found, through, strict=True):
            assert far.exact == source.exact
            assert set(far.rows.data()["id"]) == set(source.rows.data()["id"])

    if not has(node, "limit"):  # fewer rows are another limit's
        again = Builder(lambda n, which: enough(found[n], tables[which])).of(node)
        made_again = counted(again.data())
        for row, count in fetched.items():
            if chosen in (None, row):
                assert made_again[row] == count, row
