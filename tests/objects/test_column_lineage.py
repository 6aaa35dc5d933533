"""Columns of Ibis expressions: by table, against what ClickHouse reads, and by what changes."""

from __future__ import annotations

import random
from collections import Counter

import ibis
import ibis.expr.operations as ops
import pytest

from aaiclick_ext.objects.column_lineage import column_edges
from aaiclick_ext.oplog.columns import ALL, NONE
from aaiclick_ext.oplog.sql_columns import sql_column_edges
from tests.objects.pipelines import DATA, Pipeline, tables_of
from tests.query_tree import columns_read

t = ibis.table({"a": "int64", "b": "int64", "c": "int64", "s": "string"}, name="t")
u = ibis.table({"a": "int64", "z": "int64"}, name="u")
lists = ibis.table({"a": "int64", "l": "array<int64>"}, name="lists")


def name_of(op):
    return op.name if isinstance(op, (ops.UnboundTable, ops.DatabaseTable)) else None


def edges(expr, name_of=name_of):
    found = column_edges(expr.op(), name_of)
    return None if found is None else {(e.output, e.source, e.column, e.use) for e in found}


def value(output, source, column):
    return (output, source, column, "value")


def rows(source, column, use):
    return (NONE, source, column, use)


def same(source, *columns):
    return {value(column, source, column) for column in columns}


PASSES, T, U = value(ALL, "t", ALL), rows("t", NONE, "value"), rows("u", NONE, "value")
KEYS = {rows("t", "a", "join"), rows("u", "a", "join")}
w = ibis.window(group_by=t.a, order_by=t.b)

OPERATIONS = {
    "select": (
        t.select("a", x=t.b + t.c),
        {*same("t", "a"), *(value("x", "t", c) for c in "bc"), T},
    ),
    "select all": (t.select("a", "b", "c", "s"), {PASSES}),
    "rename": (u.rename(y="z"), {*same("u", "a"), value("y", "u", "z"), U}),
    "literal": (u.select(x=1), {U}),
    "drop": (t.drop("s"), {*same("t", "a", "b", "c"), T}),
    "filter": (t.filter(t.a > 1), {PASSES, rows("t", "a", "filter")}),
    "order_by": (t.order_by(t.a + t.b), {PASSES, rows("t", "a", "order"), rows("t", "b", "order")}),
    "limit": (t.limit(3), {PASSES}),
    "limit of an expression": (t.limit(u.z.max()), {PASSES, rows("u", "z", "filter")}),
    "sample": (t.sample(0.5), {PASSES}),
    "distinct": (t.distinct(), {PASSES, rows("t", ALL, "group")}),
    "distinct of some": (
        t.select("a", "b").distinct(),
        {*same("t", "a", "b"), rows("t", "a", "group"), rows("t", "b", "group")},
    ),
    "view": (t.view(), {PASSES}),
    "alias": (t.alias("other"), {PASSES}),
    "fill_null": (t.fill_null({"a": 0}), {PASSES}),
    "drop_null": (t.drop_null(), {PASSES, rows("t", ALL, "filter")}),
    "drop_null of some": (t.drop_null("a"), {PASSES, rows("t", "a", "filter")}),
    "aggregate": (
        t.group_by("a").aggregate(n=t.count(), m=t.b.sum(where=t.c > 1)),
        {*same("t", "a"), value("m", "t", "b"), ("m", "t", "c", "filter"), rows("t", "a", "group")},
    ),
    "having": (
        t.group_by("a").having(t.b.max() > 1).aggregate(m=t.c.min()),
        {*same("t", "a"), value("m", "t", "c"), rows("t", "a", "group"), rows("t", "b", "filter")},
    ),
    "count": (t.count().as_table(), {T}),
    "count of a filter": (t.filter(t.a > 1).count().as_table(), {rows("t", "a", "filter")}),
    "argmax": (
        t.aggregate(m=t.a.argmax(t.b)), {value("m", "t", "a"), ("m", "t", "b", "order"), T},
    ),
    "collect in order": (
        t.aggregate(m=t.a.collect(order_by=t.b)),
        {value("m", "t", "a"), ("m", "t", "b", "order"), T},
    ),
    "window": (
        t.select(m=t.c.sum().over(w)),
        {value("m", "t", "c"), ("m", "t", "a", "group"), ("m", "t", "b", "order"), T},
    ),
    "row_number": (t.select(n=ibis.row_number()), {T}),
    "filter by a window": (
        t.filter(t.c.sum().over(w) > 1),
        {PASSES, *(rows("t", column, "filter") for column in "abc")},
    ),
    "inner join": (
        t.join(u, "a").select("b", "z"), {*same("t", "b"), *same("u", "z"), *KEYS},
    ),
    "left join": (
        t.left_join(u, "a").select("b", "z"), {*same("t", "b"), *same("u", "z"), *KEYS},
    ),
    "asof join": (
        t.asof_join(u, "a").select("b", "z"), {*same("t", "b"), *same("u", "z"), *KEYS},
    ),
    "semi join": (t.semi_join(u, "a"), {PASSES, *KEYS}),
    "anti join": (
        t.anti_join(u.filter(u.z > 1), "a"), {PASSES, *KEYS, rows("u", "z", "join")},
    ),
    "cross join": (t.cross_join(u).select("b"), {*same("t", "b"), T, U}),
    "join on inequality": (
        t.join(u, [t.a < u.z]).select("b"),
        {*same("t", "b"), rows("t", "a", "join"), rows("u", "z", "join")},
    ),
    "self join": (
        (lambda v: t.join(v, t.a == v.b).select(x=t.c, y=v.s))(t.view()),
        {value("x", "t", "c"), value("y", "t", "s"), *(rows("t", c, "join") for c in "ab")},
    ),
    "join of three": (
        t.join(u, "a").join(lists, "a").select("b", "z", "l"),
        {*same("t", "b"), *same("u", "z"), *same("lists", "l"), *KEYS, rows("lists", "a", "join")},
    ),
    "union": (
        t.select("a").union(u.select("a")), {value("a", "t", "a"), value("a", "u", "a"), T, U},
    ),
    "union of filters": (
        t.filter(t.a > 1).union(t.filter(t.b > 1)),
        {PASSES, rows("t", "a", "filter"), rows("t", "b", "filter")},
    ),
    "union distinct": (
        t.select("a").union(u.select("a"), distinct=True),
        {value("a", "t", "a"), value("a", "u", "a"), *(rows(s, "a", "group") for s in "tu")},
    ),
    "intersect": (t.select("a").intersect(u.select("a")), {*same("t", "a"), *KEYS}),
    "difference": (t.select("a").difference(u.select("a")), {*same("t", "a"), *KEYS}),
    "unnest": (lists.unnest("l"), {*same("lists", "a", "l"), rows("lists", "l", "join")}),
    "unnest with offset": (
        lists.unnest("l", offset="o"),
        {*same("lists", "a", "l"), value("o", "lists", "l"), rows("lists", "l", "join")},
    ),
    "unnest in a projection": (
        lists.select("a", x=lists.l.unnest()),
        {*same("lists", "a"), value("x", "lists", "l"), rows("lists", "l", "join")},
    ),
    "scalar subquery": (
        u.mutate(m=t.filter(t.c > 1).b.max()),
        {*same("u", "a", "z"), value("m", "t", "b"), ("m", "t", "c", "filter"), U},
    ),
    "count as a value": (u.select(m=t.count().as_scalar()), {("m", "t", NONE, "value"), U}),
    "isin": (
        t.select(x=t.a.isin(u.z)), {value("x", "t", "a"), value("x", "u", "z"), T},
    ),
    "filter by isin": (
        t.filter(t.a.isin(u.filter(u.a > 1).z)),
        {PASSES, rows("t", "a", "filter"), rows("u", "z", "filter"), rows("u", "a", "filter")},
    ),
    "exists": (
        t.filter((t.a == u.z).any()), {PASSES, rows("t", "a", "filter"), rows("u", "z", "filter")},
    ),
    "pivot_wider": (
        t.pivot_wider(id_cols="b", names_from="s", names=["x", "y"], values_from="a"),
        {
            *same("t", "b"), rows("t", "b", "group"), value("x", "t", "a"), value("y", "t", "a"),
            ("x", "t", "s", "filter"), ("y", "t", "s", "filter"),
        },
    ),
    "pivot_longer": (
        t.select("a", "b", "s").pivot_longer(["a", "b"]),
        {
            *same("t", "s"), value("value", "t", "a"), value("value", "t", "b"), T,
        },
    ),
    "pivot_longer, names alone": (
        t.pivot_longer(["a", "b"]).filter(ibis._.c > 1).select("name"), {rows("t", "c", "filter")},
    ),
    "field of a struct": (
        t.select("c", x=ibis.struct({"a": t.a, "b": t.b}))["x"]["a"].as_table(),
        {value("a", "t", "a"), T},
    ),
    "field of a struct in a list": (
        lists.select("a", x=ibis.array([ibis.struct({"y": lists.a, "l": lists.l})]).unnest())
        .unpack("x").select("y"),
        {value("y", "lists", "a"), ("", "lists", NONE, "value")},
    ),
    "a list that is written down": (
        lists.select(x=ibis.array([lists.a, 1]).unnest()),
        {value("x", "lists", "a"), ("", "lists", NONE, "value")},
    ),
    "memtable": (ibis.memtable({"x": [1]}).mutate(y=2), set()),
    "a table itself": (t, set()),
}  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS)
def test_edges_of_an_operation(operation):
    expr, expected = OPERATIONS[operation]
    assert edges(expr) == expected


def test_the_walk_ends_at_the_nearest_named_relations():
    view = t.filter(t.a > 1)
    names = {view.op(): "view_1", t.op(): "t"}
    result = view.group_by("s").aggregate(m=view.b.max())
    assert edges(result, names.get) == {
        value("s", "view_1", "s"), value("m", "view_1", "b"), rows("view_1", "s", "group"),
    }  # fmt: skip
    assert edges(view, names.get) == {PASSES, rows("t", "a", "filter")}


def test_deep_expressions_are_walked():
    total = t.a.op()
    for _ in range(2000):
        total = ops.Add(total, t.b.op())
    assert edges(ops.Project(t.op(), {"x": total}).to_expr()) == {
        value("x", "t", "a"), value("x", "t", "b"), T,
    }  # fmt: skip
    view, nested = t, t
    for _ in range(500):
        view = view.mutate(a=view.a + 1).filter(lambda v: v.c > 1)
        nested = t.filter(t.a > nested.b.mean())
    assert edges(view) == {*same("t", "a", "b", "c", "s"), rows("t", "c", "filter")}
    assert edges(nested) == {PASSES, rows("t", "a", "filter"), rows("t", "b", "filter")}


def test_shared_values_are_walked_once():
    total = t.a.op()
    for _ in range(100):
        total = ops.Add(total, total)
    assert edges(ops.Project(t.op(), {"x": total}).to_expr()) == {value("x", "t", "a"), T}


# In the engine.


def leaf_columns(found, tables):
    """Return the table columns of edges, ``*`` spelled out."""
    columns = {view.op().name: (table, view.columns) for table, view in tables.items()}
    return {
        (columns[edge.source][0], name)
        for edge in found
        for name in (columns[edge.source][1] if edge.column == ALL else [edge.column])
        if name != NONE
    }


SEEDS = range(150)


def test_clickhouse_reads_what_the_edges_say(ctx):
    tables = tables_of(ctx)
    names = {view.op().name: table for table, view in tables.items()}
    recorded, read = set(), set()
    for seed in SEEDS:
        view = Pipeline(seed, tables).view
        found = leaf_columns(column_edges(view.op(), name_of), tables)
        recorded |= {(seed, *column) for column in found}
        for table, column in columns_read(ctx.engine, ctx.backend.compile(view)):
            # `isNull(b)` reads b.null, which is a column of its own to ClickHouse; b to us.
            read.add((seed, names[table], column.removesuffix(".null")))
    correct = len(recorded & read)
    precision, recall = correct / len(recorded), correct / len(read)
    figures = f"precision {precision:.4f}, recall {recall:.4f}"
    print(f"{len(SEEDS)} pipelines, {len(read)} columns read: {figures}")  # noqa: T201
    assert (recorded - read, read - recorded) == (set(), set())
    assert precision == recall == 1.0


def spelled_out(found, columns):
    """Return edges with ``*`` spelled out."""
    return {
        (name if edge.output == ALL else edge.output, edge.source, name, edge.use)
        for edge in found
        for name in (columns[edge.source] if edge.column == ALL else [edge.column])
    }


def test_the_compiled_text_says_the_same(ctx):
    tables = tables_of(ctx)
    columns = {view.op().name: dict.fromkeys(view.columns, "Int64") for view in tables.values()}
    for seed in SEEDS:
        view = Pipeline(seed, tables).view
        text = ctx.backend.compile(view)
        of_text = sql_column_edges(text, columns, names=view.columns)
        of_expression = column_edges(view.op(), name_of)
        assert spelled_out(of_text, columns) == spelled_out(of_expression, columns), (seed, text)


def column_values(view):
    """Return the values of each column as a multiset."""
    values = view.to_pyarrow().to_pydict()
    return {name: Counter(map(repr, given)) for name, given in values.items()}


def test_a_column_that_is_not_named_changes_nothing(ctx):
    tables = tables_of(ctx)
    changed = {
        (table, name): tables_of(ctx, (table, name)) for table in DATA for name in DATA[table]
    }
    compared = differing = 0
    for seed in SEEDS[:40]:
        view = Pipeline(seed, tables).view
        found = column_edges(view.op(), name_of)
        before = None
        for column, others in random.Random(seed).sample(sorted(changed.items(), key=str), 3):
            free = [
                output for output in view.columns
                if column not in leaf_columns(
                    [edge for edge in found if edge.output in (NONE, ALL, output)
                     and not (edge.output == ALL and output != column[1])], tables
                )
            ]  # fmt: skip
            before = column_values(view) if before is None else before
            after = column_values(Pipeline(seed, others).view)
            for output in view.columns:
                if output in free:
                    assert after[output] == before[output], (seed, column, output)
                    compared += 1
                else:
                    differing += after[output] != before[output]
    print(f"{compared} columns unchanged; of the others {differing} changed")  # noqa: T201
    assert compared > 100
    assert differing > 100  # or the change would show nothing


# Ours: arrays, SQL text.


def named_in(*views):
    """Return a function that knows these views by number, and the tables by their names."""
    numbers = {id(view.op()): f"v{number}" for number, view in enumerate(views)}
    return lambda op: numbers.get(id(op)) or name_of(op)


def test_arrays_are_joined_by_position(ctx):
    x, y = ctx.create_object_from_value([1, 2, 3]), ctx.create_object_from_value([4, 5, 6])
    a, b = x.op().name, y.op().name
    assert edges(x * 2 + x) == {value("value", a, "value"), rows(a, NONE, "value")}
    found = edges(x + y)
    position = next(column for _, _, column, use in found if use == "join")
    assert position not in x.columns
    assert found == {
        value("value", a, "value"), value("value", b, "value"),
        rows(a, position, "join"), rows(b, position, "join"),
    }  # fmt: skip
    assert edges(x - x.max()) == {value("value", a, "value"), rows(a, NONE, "value")}


def test_text_is_read_over_the_leaves_that_it_names(ctx):
    tables = tables_of(ctx)
    t, u = (tables[name].op().name for name in "tu")
    view = ctx.sql(f"SELECT a + 1 AS x, y FROM {t} JOIN {u} ON {t}.k = {u}.k WHERE c > 1")
    expected = {
        value("x", t, "a"), value("y", u, "y"), rows(t, "k", "join"), rows(u, "k", "join"),
        rows(t, "c", "filter"),
    }  # fmt: skip
    assert edges(view) == expected
    assert edges(view.filter(view.y > 1)) == expected | {rows(u, "y", "filter")}
    assert edges(ctx.sql(f"SELECT a + 1 FROM {t}")) == {
        value("plus(a, 1)", t, "a"), rows(t, NONE, "value"),
    }  # fmt: skip
    unread = ctx.sql(f"SELECT COLUMNS('a') FROM {t}")
    assert edges(unread) is None
    assert edges(unread.limit(1)) is None
    assert edges(unread.limit(1), named_in(unread)) == {value(ALL, "v0", ALL)}


def test_text_over_a_view_is_read_over_what_that_is_made_of(ctx):
    t = tables_of(ctx)["t"]
    name = t.op().name
    below = t.mutate(m=t.a + t.b)
    view = below.alias("v").sql("SELECT m, c FROM v WHERE k > 1")
    assert edges(view) == {
        value("m", name, "a"), value("m", name, "b"), value("c", name, "c"),
        rows(name, "k", "filter"),
    }  # fmt: skip
    assert edges(view, named_in(below)) == {
        value("m", "v0", "m"), value("c", "v0", "c"), rows("v0", "k", "filter"),
    }  # fmt: skip
