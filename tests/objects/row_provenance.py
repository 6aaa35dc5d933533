"""Pipelines that are run twice: by Ibis on ClickHouse, and row by row in Python with provenance.

Every relation of a pipeline has the columns ``k`` and ``v``. A row in Python is these two with the
set of source rows that it is made of, each the number of the source in the pipeline (from left to
right, a table that is read twice has two) and the ``id`` of the row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import ibis
from hypothesis import strategies as st
from ibis import _

SCHEMA = {
    "id": "Int64", "k": "Nullable(Int64)", "v": "Nullable(Int64)", "l": "Array(Int64)",
}  # fmt: skip
JOINS = ("inner", "left", "right", "outer", "semi", "anti", "cross")
FILTERS = ("v > 0", "k is null", "v is not null", "v <= k")


@dataclass(frozen=True)
class Node:
    """A step of a pipeline: its kind, what else it needs, and its inputs."""

    kind: str
    option: Any = None
    inputs: tuple[Node, ...] = ()


NO_OPTION = st.none()


def _one(kind, options=NO_OPTION):
    return lambda below: st.builds(lambda o, a: Node(kind, o, (a,)), options, below)


def _two(kind, options=NO_OPTION):
    return lambda below: st.builds(lambda o, a, b: Node(kind, o, (a, b)), options, below, below)


SOURCES = st.builds(Node, st.sampled_from(["table", "unnested"]), st.integers(0, 1))
STEPS = (
    _one("filter", st.sampled_from(FILTERS)),
    _one("plus"),
    _one("halves"),
    _one("group"),
    _one("total"),
    _one("distinct"),
    _one("limit", st.tuples(st.integers(0, 4), st.integers(0, 2))),
    _one("window"),
    _one("top"),
    _one("above"),
    _two("join", st.tuples(st.sampled_from(JOINS), st.sampled_from(["kv", "kw", "jw"]))),
    _two("union", st.booleans()),
    _two("difference"),
    _two("intersection"),
    _two("isin", st.booleans()),
)
PIPELINES = st.recursive(
    SOURCES, lambda below: st.one_of(*(step(below) for step in STEPS)), max_leaves=4
)


def inputs_of(walk, node: Node):
    """Return a node's inputs; both sides of a union with itself are one source."""
    inputs, start = [], walk.numbered
    for each in node.inputs:
        if node.kind == "union" and inputs and each == node.inputs[0]:
            walk.numbered = start
        inputs.append(walk.of(each))
    return inputs


# What Ibis makes of a pipeline.


class Builder:
    """Builds a pipeline over tables, or over other tables for each source in turn."""

    def __init__(self, tables) -> None:
        self.tables = tables
        self.numbered = 0

    def of(self, node: Node):
        if not node.inputs:
            table = self.tables(self.numbered, node.option)
            self.numbered += 1
            return table.select("k", "v") if node.kind == "table" else unnested(table)
        return getattr(self, node.kind)(node.option, *inputs_of(self, node))

    def filter(self, which, x):
        return x.filter(
            {
                "v > 0": _.v > 0, "k is null": _.k.isnull(), "v is not null": _.v.notnull(),
                "v <= k": _.v <= _.k,
            }[which]
        )  # fmt: skip

    def plus(self, _option, x):
        return x.mutate(v=_.v + 1)

    def halves(self, _option, x):
        return x.mutate(k=_.k % 2, v=_.v)

    def group(self, _option, x):
        return x.group_by("k").agg(v=_.v.sum())

    def total(self, _option, x):
        return x.agg(v=_.v.sum()).mutate(k=ibis.null("int64")).select("k", "v")

    def distinct(self, _option, x):
        return x.distinct()

    def limit(self, how, x):
        return x.order_by(_.v.desc(), "k").limit(how[0], offset=how[1])

    def window(self, _option, x):
        return x.mutate(v=_.v.sum().over(ibis.window(group_by="k")))

    def top(self, _option, x):
        return x.filter(ibis.row_number().over(ibis.window(group_by="k", order_by="v")) == 0)

    def above(self, _option, x):
        mean = _.v.mean().over(ibis.window())
        return x.mutate(mean=mean).filter(_.v >= _.mean).select("k", "v")

    def join(self, option, x, y):
        how, columns = option
        y = y.rename(j="k", w="v")
        joined = x.cross_join(y) if how == "cross" else x.join(y, x.k == y.j, how=how)
        if how in ("semi", "anti"):
            columns = "kv"
        return joined.select(k=columns[0], v=columns[1])

    def union(self, distinct, x, y):
        return x.union(y, distinct=distinct)

    def difference(self, _option, x, y):
        return x.difference(y)

    def intersection(self, _option, x, y):
        return x.intersect(y)

    def isin(self, negated, x, y):
        return x.filter(~x.k.isin(y.k) if negated else x.k.isin(y.k))


def unnested(table):
    return table.select("k", v=table.l.unnest()).mutate(v=ibis.coalesce(_.v, ibis.null("int64")))


# What Python makes of it.


@dataclass(frozen=True)
class Row:
    k: Any
    v: Any
    made_of: frozenset[tuple[int, int]]

    @property
    def values(self):
        return self.k, self.v


class Evaluator:
    """Runs a pipeline over lists of ``(id, k, v, l)``."""

    def __init__(self, tables) -> None:
        self.tables = tables
        self.numbered = 0

    def of(self, node: Node) -> list[Row]:
        if not node.inputs:
            number, self.numbered = self.numbered, self.numbered + 1
            return [
                Row(k, value, frozenset([(number, at)]))
                for at, k, v, elements in self.tables[node.option]
                for value in ([v] if node.kind == "table" else elements)
            ]
        return getattr(self, node.kind)(node.option, *inputs_of(self, node))

    def filter(self, which, x):
        keep = {
            "v > 0": lambda r: r.v is not None and r.v > 0,
            "k is null": lambda r: r.k is None,
            "v is not null": lambda r: r.v is not None,
            "v <= k": lambda r: r.v is not None and r.k is not None and r.v <= r.k,
        }[which]
        return [row for row in x if keep(row)]

    def plus(self, _option, x):
        return [Row(r.k, None if r.v is None else r.v + 1, r.made_of) for r in x]

    def halves(self, _option, x):
        return [Row(None if r.k is None else r.k % 2, r.v, r.made_of) for r in x]

    def group(self, _option, x):
        return [Row(k, total(rows), union(rows)) for k, rows in grouped(x, lambda r: r.k).items()]

    def total(self, _option, x):
        return [Row(None, total(x), union(x))]

    def distinct(self, _option, x):
        return [Row(*v, union(rows)) for v, rows in grouped(x, lambda r: r.values).items()]

    def limit(self, how, x):
        n, offset = how
        return sorted(x, key=limit_order)[offset : offset + n]

    def window(self, _option, x):
        groups = grouped(x, lambda r: r.k)
        return [Row(r.k, total(groups[r.k]), union(groups[r.k])) for r in x]

    def top(self, _option, x):
        firsts = []
        for rows in grouped(x, lambda r: r.k).values():
            first = min(rows, key=lambda r: (r.v is None, r.v or 0))
            firsts.append(Row(*first.values, union(rows)))
        return firsts

    def above(self, _option, x):
        known = [r.v for r in x if r.v is not None]
        mean = sum(known) / len(known) if known else None
        everything = union(x)
        return [
            Row(*r.values, everything)
            for r in x
            if mean is not None and r.v is not None and r.v >= mean
        ]

    def join(self, option, x, y):
        how, columns = option
        pairs = [(a, b) for a in x for b in y if how == "cross" or (a.k is not None and a.k == b.k)]
        with_partner = {id(a) for a, _b in pairs} | {id(b) for _a, b in pairs}
        if how == "semi":
            partners = grouped(pairs, lambda pair: id(pair[0]))
            return [
                Row(*a.values, a.made_of | union(b for _a, b in partners[id(a)]))
                for a in x
                if id(a) in partners
            ]
        if how == "anti":
            return [a for a in x if id(a) not in with_partner]
        nobody = Row(None, None, frozenset())
        if how in ("left", "outer"):
            pairs += [(a, nobody) for a in x if id(a) not in with_partner]
        if how in ("right", "outer"):
            pairs += [(nobody, b) for b in y if id(b) not in with_partner]
        named = [
            {"k": a.k, "v": a.v, "j": b.k, "w": b.v, "of": a.made_of | b.made_of} for a, b in pairs
        ]
        return [Row(row[columns[0]], row[columns[1]], row["of"]) for row in named]

    def union(self, distinct, x, y):
        return self.distinct(None, x + y) if distinct else x + y

    def difference(self, _option, x, y):
        there = {r.values for r in y}
        return [r for r in self.distinct(None, x) if r.values not in there]

    def intersection(self, _option, x, y):
        there = grouped(y, lambda r: r.values)
        return [
            Row(*r.values, r.made_of | union(there[r.values]))
            for r in self.distinct(None, x)
            if r.values in there
        ]

    def isin(self, negated, x, y):
        keys = grouped(y, lambda r: r.k)
        if not negated:
            return [
                Row(*r.values, r.made_of | union(keys[r.k]))
                for r in x
                if r.k is not None and r.k in keys
            ]
        return [r for r in x if r.k is not None and r.k not in keys]  # ClickHouse's NOT IN


def limit_order(row: Row):
    return (row.v is None, -(row.v or 0), row.k is None, row.k or 0)


def grouped(rows, key):
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def union(rows) -> frozenset:
    return frozenset().union(*(row.made_of for row in rows))


def total(rows):
    known = [row.v for row in rows if row.v is not None]
    return sum(known) if known else None


def counted(columns) -> Counter:
    """Return how often each row is in fetched columns."""
    return Counter(zip(columns["k"], columns["v"], strict=True))


class Descent(Evaluator):
    """An evaluator whose rows are made of what became them, not of what they were computed from."""

    def window(self, _option, x):
        return [Row(r.k, w.v, r.made_of) for r, w in zip(x, super().window(None, x), strict=True)]

    def above(self, _option, x):
        known = [r.v for r in x if r.v is not None]
        return [r for r in x if r.v is not None and r.v >= sum(known) / len(known)]

    def top(self, _option, x):
        groups = grouped(x, lambda r: r.k).values()
        return [min(rows, key=lambda r: (r.v is None, r.v or 0)) for rows in groups]

    def isin(self, negated, x, y):
        return super().isin(negated, x, [Row(*r.values, frozenset()) for r in y])
