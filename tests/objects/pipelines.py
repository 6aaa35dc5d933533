"""Random pipelines over two small tables, the same for the same seed."""

from __future__ import annotations

import random

import ibis

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
        self.view = (
            self.view.group_by(**keys).aggregate(**metrics)
            if keys
            else (self.view.aggregate(**metrics))
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
        self.view = self.view.join(
            other, [self.view[name] == other[name]], rname=f"{{name}}_{self.step}r"
        )

    def sets(self):
        names = self.numbers()
        if not names:
            return
        left = self.view.select(*names)
        right = left.filter(left[names[0]] > self.random.randint(1, 4))
        kind = self.random.choice(["union", "intersect", "difference"])
        self.view = getattr(left, kind)(
            right, distinct=self.random.random() < 0.5 or kind != "union"
        )

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
