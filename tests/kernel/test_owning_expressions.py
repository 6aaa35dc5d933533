"""An expression alone owns the tables below it, however it was made."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel

OTHER = "o = aai.create_object_from_value({'a': [1, 2, 3], 'b': [7, 8, 9]})\n"


@pytest.mark.parametrize(
    ("hold", "reach"),
    [
        ("k = x.a", "k"),
        ("k = x['a']", "k"),
        ("k = x.a.sum()", "k"),
        ("k = x.a.sum().as_scalar()", "k"),
        ("k = -(x.a - 1) + 1", "2 - k"),
        ("k = ibis.row_number().over(order_by=x.a)", "k + 1"),
        ("k = x.a.max() + x.a.min() + x.a.mean()", "k"),
        ("k = ibis.cases((x.a > 1, x.a), else_=1)", "k"),
        ("k = ibis.ifelse(x.a > 1, x.a, 1)", "k"),
        ("k = ibis.struct({'a': x.a})", "k['a']"),
        ("k = x.a.name('b')", "k"),
        ("k = x.a.desc()", "k.op().arg.to_expr()"),
        ("k = x.a.collect()", "k.sums()"),
        ("k = x.count()", "k + 3"),
        ("k = x.a.value_counts()", "k.a"),
        ("k = x.a.topk(3)", "k.a"),
        ("k = x.a.as_table()", "k"),
        ("k = x.op()", "k.to_expr()"),
        ("k = x.a.op().rel", "k.to_expr()"),
        ("k = x", "k"),
        ("k = x.view()", "k"),
        ("k = x.alias('q')", "k"),
        ("k = x.alias('q').sql('SELECT a FROM q')", "k"),
        ("k = x.sql(f'SELECT a FROM {x.table_name}')", "k"),
        ("k = aai.sql(f'SELECT a FROM {x.table_name}')", "k"),
        ("k = aai.sql(f'SELECT s.a FROM (SELECT * FROM {x.table_name}) AS s')", "k"),
        ("k = aai.sql(f'WITH {x.table_name} AS s SELECT a FROM {x.table_name}')", "k"),
        ("k = aai.sql(f'SELECT a FROM `{x.table_name}` -- {1}')", "k"),
        ("k = aai.sql(f'SELECT 6 AS a WHERE 2 IN {x.table_name}')", "k"),
        ("k = aai.sql(f'SELECT sum(a) AS a FROM {x.table_name}').filter(True).a", "k"),
        ("k = aai.table(x.table_name)", "k"),
        ("k = aai.table('default.' + x.table_name)", "k"),
        ("k = aai.table(f'`default`.`{x.table_name}`')", "k"),
        ("k = x.get_backend().table(x.table_name)", "k"),
        ("k = x.get_backend().table(x.table_name, database='default')", "k"),
        ("k = x.get_backend().sql(f'SELECT a FROM {x.table_name}')", "k"),
        ("k = x.filter(x.a > 0).order_by('a').limit(9).select('a').mutate(b=1).drop('b')", "k"),
        ("k = x\nfor n in range(100): k = k.mutate(**{f'b{n}': k.a})", "k"),
        ("k = x.group_by('a')", "k"),
        ("k = x.group_by('a').having(x.count() > 0)", "k"),
        ("k = x.group_by('a').agg(n=x.count())", "k"),
        ("k = x.group_by('a').mutate(n=x.a.sum())", "k"),
        ("k = x.join(x.view(), 'a')", "k"),
        ("k = x.join(x.view(), 'a').join(x.view(), 'a')", "k"),
        ("k = x.semi_join(x.view(), 'a')", "k"),
        ("k = ibis.union(x, x.filter(False))", "k"),
        ("k = aai.view(ibis.union(x, x, distinct=True))", "k"),
        ("k = x.filter(x.a.isin(x.view().a))", "k"),
        ("k = x.filter(x.a <= x.view().a.max())", "k"),
        ("k = x.select(b=x.a).rename(a='b')", "k"),
        ("k = x.nunique() + 3", "k"),
        ("k = x.pipe(lambda t: t.a)", "k"),
        ("k = x.to_pyarrow_batches()", "ibis.literal(6)"),
        ("k = aai.concat(x.filter(x.a > 1), x.filter(x.a == 1)); del x", "k"),
        ("k = x.copy(); del x", "k"),
        ("k = x.filter(True).cache(); del x", "k"),
        ("k = ibis.memtable(x.to_pandas()); aai.view(k).data(); del x", "aai.view(k)"),
    ],
)  # fmt: skip
def test_an_expression_alone(owns, hold, reach):
    owns(hold, reach, "del k")


def test_views_of_views_let_go_in_any_order(used_kernel):
    kernel = used_kernel
    make = "x = aai.create_object_from_value({'a': [1, 2, 3]})\nv = [x]\n"
    make += "for n in range(6): v.append(v[-1].filter(v[-1].a > 0).mutate(b=n))"
    for order in (
        "v.reverse()",
        "v.sort(key=id)",
        "v[::2], v[1::2] = v[1::2] + v[-1:], v[::2][:-1]",
    ):
        kernel.check(make + f"\n{order}\ndel x")
        for _ in range(6):
            kernel.check("del v[0]")
            assert len(kernel.accounts()) == 1
            assert kernel.value("probe.total(v[0])") == 6
        kernel.check("v.clear()")
        assert kernel.accounts() == {}


@pytest.mark.parametrize(
    "join",
    [
        "x.join(o, 'a')",
        "x.left_join(o, 'a')",
        "x.cross_join(o.select('b'))",
        "x.filter(x.a.isin(o.a))",
        "x.filter(x.a < o.b.min())",
        "x.mutate(b=o.b.max().as_scalar())",
        "ibis.union(x, o.select('a'))",
        "x.asof_join(o, on='a', predicates='a')",
        "aai.sql(f'SELECT a FROM {x.table_name} JOIN {o.table_name} USING a')",
        "x.alias('q').sql(f'SELECT q.a FROM q JOIN {o.table_name} USING a')",
        "x.join(o.alias('q').sql('SELECT * FROM q'), 'a')",
    ],
)
def test_an_expression_over_two_tables_keeps_both(used_kernel, join):
    kernel = used_kernel
    kernel.check(f"x = aai.create_object_from_value({{'a': [1, 2, 3]}})\n{OTHER}k = {join}")
    kernel.check("del x")
    assert len(kernel.accounts()) == 2
    kernel.check("del o")
    assert len(kernel.accounts()) == 2
    assert kernel.value("int(k.count().execute())") > 0
    kernel.check("k = k.filter(k.a > 0).a")
    assert len(kernel.accounts()) == 2
    kernel.check("del k")
    assert kernel.accounts() == {}


def test_a_copy_owns_only_itself(used_kernel):
    kernel = used_kernel
    kernel.check("x = aai.create_object_from_value({'a': [1, 2, 3]}); k = x.filter(x.a > 0)")
    kernel.check("c = k.copy()")
    kernel.check("del x, k")
    assert kernel.value("[c.table_name]") == list(kernel.accounts())
    kernel.check("del c")
    assert kernel.accounts() == {}
