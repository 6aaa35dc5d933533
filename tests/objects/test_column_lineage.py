"""Columns of Ibis expressions: by table, against what ClickHouse reads, and by what changes."""

from __future__ import annotations

import random
from collections import Counter

import ibis
import ibis.expr.operations as ops
import pytest

from aaiclick_ext.objects.column_lineage import column_edges
from aaiclick_ext.oplog.columns import ALL, NONE
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
    "select": (t.select("a", x=t.b + t.c), {*same("t", "a"), value("x", "t", "b"), value("x", "t", "c"), T}),
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
        {value("x", "t", "c"), value("y", "t", "s"), rows("t", "a", "join"), rows("t", "b", "join")},
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
        {value("a", "t", "a"), value("a", "u", "a"), rows("t", "a", "group"), rows("u", "a", "group")},
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
            *same("t", "s"), *(value(o, "t", c) for o in ("name", "value") for c in "ab"),
            rows("t", "a", "join"), rows("t", "b", "join"),
        },
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

# Every column of numbers has a null: of one that cannot, ClickHouse folds `isnull` to a constant
# and reads nothing.
DATA = {
    "t": {
        "k": [1, 2, 3, 1, 2, 4, None], "a": [5, 3, None, 8, 1, 7, 2], "b": [2, 2, 9, None, 4, 1, 3],
        "c": [1, 6, 3, 2, 8, 5, None], "l": [[1], [2, 3], [], [4], [5, 1], [2], [6]],
    },
    "u": {"k": [1, 2, 2, 5, None], "x": [4, None, 6, 2, 3], "y": [3, 1, 2, 7, None]},
}  # fmt: skip

CHANGED = {
    "k": [2, 1, None, 4, 1, 1, 3], "a": [1, 9, 4, None, 6, 2, 5], "b": [7, None, 1, 5, 3, 8, 2],
    "c": [9, None, 7, 4, 1, 3, 2], "l": [[], [7], [8, 9], [1, 1], [3], [], [2]],
    "x": [None, 8, 1, 5, 7], "y": [9, 6, None, 4, 2],
}  # fmt: skip


def tables_of(ctx, changed=None):
    """Return both tables, with the values of one column changed."""
    made = {}
    for table, columns in DATA.items():
        values = {
            name: CHANGED[name][: len(given)] if (table, name) == changed else given
            for name, given in columns.items()
        }
        made[table] = ctx.create_object_from_value(values)
    return made


class Pipeline:
    """A chain of random operations; the same seed makes the same chain over any tables."""

    def __init__(self, seed, tables):
        self.random = random.Random(seed)
        self.u = tables["u"]
        self.view = tables["t"]
        self.joins = 0
        for step in range(self.random.randint(1, 6)):
            self.step = step
            getattr(self, self.random.choice(STEPS))()
            if len(self.view.columns) > 9:
                self.select()

    def numbers(self):
        return [n for n, kind in self.view.schema().items() if kind.is_integer()]

    def column(self):
        numbers = self.numbers()
        return self.view[self.random.choice(numbers)] if numbers else ibis.literal(1)

    def select(self):
        names = list(self.view.columns)
        self.view = self.view.select(*self.random.sample(names, self.random.randint(1, len(names))))

    def compute(self):
        x, y = self.column(), self.column()
        made = self.random.choice(
            [x + y, x * 2, ibis.ifelse(x > 3, y, 0), x.coalesce(y), ibis.literal(7), x.isnull()]
        )
        self.view = self.view.mutate(**{f"m{self.step}": made})

    def window(self):
        over = ibis.window(group_by=self.column(), order_by=self.keys())
        whole = ibis.window(group_by=self.column())
        made = self.random.choice(
            [self.column().sum().over(whole), self.column().max().over(over),
             ibis.row_number().over(over), self.column().count().over(whole),
             ibis.rank().over(over)]
        )  # fmt: skip
        self.view = self.view.mutate(**{f"w{self.step}": made})

    def keys(self):
        """Return every column to order by, in some order, so that nothing is left to chance."""
        names = list(self.view.columns)
        return self.random.sample(names, len(names))

    def subquery(self):
        made = self.random.choice([self.u.x.max(), self.u.filter(self.u.y > 1).x.sum()])
        # Plus 1, because Ibis writes the alias into a bare subquery wherever it is used again.
        self.view = self.view.mutate(**{f"q{self.step}": made.as_scalar() + 1})

    def filter(self):
        x = self.column()
        keep = [x > self.random.randint(0, 5), x.isin(self.u.y), x > self.u.x.mean(),
                x.notnull() | (self.column() > 2), (x == self.u.k).any()]  # fmt: skip
        self.view = self.view.filter(self.random.choice(keep))

    def top(self):
        self.view = self.view.order_by(self.keys())
        self.view = self.view.limit(self.random.choice([2, 4]))

    def order_by(self):
        self.view = self.view.order_by(self.column())

    def distinct(self):
        self.view = self.view.distinct()

    def aggregate(self):
        x = self.column()
        metrics = [x.sum(), x.max(where=self.column() > 2), self.view.count(), x.nunique(),
                   x.min(), self.view.count(where=self.column() > 1)]  # fmt: skip
        chosen = self.random.sample(metrics, 2)
        keys = {f"g{self.step}": self.column()} if self.random.random() < 0.8 else {}
        metrics = {f"s{self.step}_{i}": metric for i, metric in enumerate(chosen)}
        self.view = self.view.group_by(**keys).aggregate(**metrics) if keys else (
            self.view.aggregate(**metrics)
        )

    def join(self):
        if self.joins == 2 or not self.numbers():
            return
        self.joins += 1
        right = self.u.filter(self.u.y > 1) if self.random.random() < 0.5 else self.u
        right = right.rename(f"{{name}}_{self.step}")
        how = self.random.choice(["inner", "left", "right", "outer", "semi", "anti", "cross"])
        if how == "cross":
            self.view = self.view.cross_join(right)
        else:
            on = self.column() == right[f"k_{self.step}"]
            self.view = self.view.join(right, [on], how=how)

    def self_join(self):
        if self.joins == 2 or not self.numbers():
            return
        self.joins += 1
        other = self.view.view()
        name = self.random.choice(self.numbers())
        self.view = self.view.join(other, [self.view[name] == other[name]], rname=f"{{name}}_{self.step}r")

    def sets(self):
        names = self.numbers()
        if not names:
            return
        left = self.view.select(*names)
        right = left.filter(left[names[0]] > self.random.randint(1, 4))
        kind = self.random.choice(["union", "intersect", "difference"])
        self.view = getattr(left, kind)(right, distinct=self.random.random() < 0.5 or kind != "union")

    def drop_null(self):
        names = self.numbers()
        self.view = self.view.drop_null(self.random.choice(names) if names else None)

    def fill_null(self):
        names = self.numbers()
        if names:
            self.view = self.view.fill_null({self.random.choice(names): 0})

    def unnest(self):
        if "l" in self.view.columns and self.view.schema()["l"].is_array():
            self.view = self.view.unnest("l")


STEPS = ("select", "compute", "window", "subquery", "filter", "top", "order_by", "distinct",
         "aggregate", "join", "self_join", "sets", "drop_null", "fill_null", "unnest")  # fmt: skip


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
    print(f"{len(SEEDS)} pipelines, {len(read)} columns read: ", end="")
    print(f"precision {precision:.4f}, recall {recall:.4f}")
    assert (recorded - read, read - recorded) == (set(), set())
    assert precision == recall == 1.0


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
    for seed in SEEDS[:100]:
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
    print(f"{compared} columns unchanged; of the others {differing} changed")
    assert compared > 100
    assert differing > 100  # or the change would show nothing
