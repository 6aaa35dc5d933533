"""A variable, and whatever a variable can hold, owns the tables that can be reached through it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(
    ("hold", "reach", "let_go"),
    [
        ("y = x", "y", "del y"),
        ("y = x", "y", "y = None"),
        ("y = x", "y", "y = aai.create_object_from_value([1]); del y"),
        ("y = x", "y", "%reset -f"),
        ("y = x", "y", "%reset_selective -f ^y$"),
        ("y = x", "y", "%xdel y"),
        ("y = z = x", "z", "del y; z = 5"),
        ("y = x", "y", "for y in range(3): pass"),
        ("y = x", "y", "import math as y"),
        ("y, *_rest = x, 1, 2", "y", "del y"),
        ("if (y := x) is not None: pass", "y", "del y"),
        ("globals()['odd name'] = x", "globals()['odd name']", "del globals()['odd name']"),
        ("import types; types.mine = x", "types.mine", "del types.mine"),
        ("import builtins; builtins.mine = x", "mine", "del builtins.mine"),
        ("get_ipython().user_ns['y'] = x", "y", "%xdel y"),
        ("get_ipython().push({'y': x})", "y", "%reset -f"),
        ("ip = get_ipython(); ip.run_cell('y = x')", "y", "del y, ip"),
    ],
)
def test_variables(owns, hold, reach, let_go):
    owns(hold, reach, let_go)


@pytest.mark.parametrize(
    ("hold", "reach", "let_go"),
    [
        ("k = [1, x]", "k[1]", "del k[1]"),
        ("k = [x] * 3", "k[2]", "k.clear()"),
        ("k = [[[x]]]", "k[0][0][0]", "k.pop();"),
        ("k = [x]", "k[0]", "k[0] = 1"),
        ("k = [y for y in [x]]", "k[0]", "k += k; k[:] = []"),
        ("k = (x, 2)", "k[0]", "del k"),
        ("k = {'a': x}", "k['a']", "del k['a']"),
        ("k = {'a': {'b': [x]}}", "k['a']['b'][0]", "k.clear()"),
        ("k = {x: 1}", "next(iter(k))", "k.popitem();"),
        ("k = {x: x}", "k[next(iter(k))]", "del k"),
        ("k = {x}", "next(iter(k))", "k.clear()"),
        ("k = frozenset([(1, x)])", "next(iter(k))[1]", "k = None"),
        ("k = {x.op(): 1}", "next(iter(k)).to_expr()", "del k"),
        ("from collections import deque; k = deque([x], 1)", "k[0]", "k.append(5)"),
        ("from collections import defaultdict; k = defaultdict(list); k[1].append(x)", "k[1][0]",
         "k[1].remove(k[1][0])"),
        ("from collections import ChainMap; k = ChainMap({}, {'a': x})", "k['a']", "del k"),
        ("import itertools; k = itertools.chain([x], [2]); j, k = itertools.tee(k)",
         "next(copy.copy(j))", "del j, k"),
        ("k = iter([x])", "__import__('copy').copy(k).__next__()", "list(k);"),
        ("k = zip([x], [1])", "next(iter([k.__reduce__()[1][0].__reduce__()[1][0][0]]))", "del k"),
        ("k = []; k += [k, x]", "k[1]", "del k; gc.collect()"),
        ("import numpy; k = numpy.empty(1, object); k[0] = x", "k[0]", "k[0] = None"),
        ("import pandas; k = pandas.Series([1], dtype=object); k.attrs['x'] = x",
         "k.attrs['x']", "del k"),
        ("import weakref; k = weakref.WeakKeyDictionary(); y = x; k[y] = 1", "next(iter(k))",
         "del y"),
    ],
)  # fmt: skip
def test_containers(owns, hold, reach, let_go):
    owns(hold, reach, let_go)


PLAIN = "class K: pass\n"
DATA = "from dataclasses import dataclass, field\n@dataclass{0}\nclass K:\n    t: object\n"


@pytest.mark.parametrize(
    ("hold", "reach", "let_go"),
    [
        (DATA.format("") + "k = K(x)", "k.t", "k.t = None"),
        (DATA.format("(frozen=True)") + "k = K(x)", "k.t", "del k"),
        (DATA.format("(slots=True)") + "k = K(x)", "k.t", "del k"),
        (DATA.format("(eq=False)") + "k = {K(x): 1}", "next(iter(k)).t", "del k"),
        (PLAIN + "k = K(); k.t = x", "k.t", "del k.t"),
        (PLAIN + "k = K(); k.me = k; k.t = x", "k.me.t", "del k; gc.collect()"),
        (PLAIN + "K.t = x; k = K()", "k.t", "del K.t"),
        (PLAIN + "K.t = x", "K.t", "del K; gc.collect()"),
        ("class K:\n    t = x\nclass L(K): pass", "L().t", "del K, L; gc.collect()"),
        ("class K:\n    __slots__ = ('t',)\nk = K(); k.t = x", "k.t", "k.t = 1"),
        (
            (
                "from functools import cached_property\nclass K:\n"
                "    @cached_property\n    def t(self): return made.pop()\n"
                "made = [x]; k = K(); k.t.columns"
            ),
            "k.t",
            "del k.t",
        ),
        ("from collections import namedtuple\nk = namedtuple('K', 't')(x)", "k.t", "del k"),
        ("from types import SimpleNamespace\nk = SimpleNamespace(t=x)", "k.t", "del k.t"),
        ("import enum\nclass K(enum.Enum):\n    T = [x]", "K.T.value[0]", "del K; gc.collect()"),
    ],
)
def test_instances_and_classes(owns, hold, reach, let_go):
    owns(hold, reach, let_go)


@pytest.mark.parametrize(
    ("hold", "reach", "let_go"),
    [
        ("def outer(t):\n    def f(): return t\n    return f\nf = outer(x)", "f()", "del f"),
        ("f = (lambda t: lambda: t)(x)", "f()", "f = None"),
        (
            (
                "def outer(t):\n    def f(new): nonlocal t; t = new\n"
                "    return f, lambda: t\nf, g = outer(x)"
            ),
            "g()",
            "f(None)",
        ),
        (
            "def outer(t):\n    def f(n): return f(n - 1) if n else t\n    return f\nf = outer(x)",
            "f(3)",
            "del f; gc.collect()",
        ),
        ("def f(t=x): return t", "f()", "del f"),
        ("def f(*, t=x): return t", "f()", "f.__kwdefaults__ = None"),
        ("f = lambda t=x: t", "f()", "f.__defaults__ = (5,)"),
        ("def f(kept=[]): return kept\nf().append(x)", "f()[0]", "f().clear()"),
        ("def f(): pass\nf.t = x", "f.t", "del f.t"),
        ("from functools import partial\nf = partial(lambda t, n: t, x)", "f(1)", "del f"),
        ("from functools import partial\nf = partial(lambda t: t, t=x)", "f()", "del f"),
        (
            "from functools import partial\nf = partial(partial(lambda *t: t, x), 1)",
            "f()[0]",
            "f = 1",
        ),
        ("f = x.filter", "f(True)", "del f"),
        ("import operator\nf = operator.methodcaller('union', x)", "f.__reduce__()[1][1]", "del f"),
        (
            (
                "from functools import lru_cache\n@lru_cache\ndef f(n): return made.pop()\n"
                "made = [x]; f(1).columns"
            ),
            "f(1)",
            "f.cache_clear()",
        ),
        (
            (
                "from functools import lru_cache\nmade = [x, None]; f = lru_cache(1)(made.pop)\n"
                "f(0).columns"
            ),
            "f(0)",
            "f(-1);",
        ),
        (
            "from functools import lru_cache\n@lru_cache\ndef f(t): return 1\nf(x)",
            "next(t for k in gc.get_referents(f) if isinstance(k, dict) for (t,) in k)",
            "f.cache_clear()",
        ),
        ("def f(t: x): pass", "f.__annotations__['t']", "del f"),
    ],
)
def test_functions(owns, hold, reach, let_go):
    owns(hold, reach, let_go)


@pytest.mark.parametrize(
    "look",
    [
        "import weakref; r = weakref.ref(x)",
        "import weakref; r = weakref.WeakValueDictionary(); r['x'] = x",
        "import weakref; r = weakref.WeakSet([x])",
        "import weakref; _proxy = weakref.proxy(x)",
        "import weakref; weakref.finalize(x, print, 'gone')",
        "r = id(x), repr(x), str(x), x.table_name, x.columns, x.schema(), x.a.type()",
        "r = x.data(), x.to_pandas(), x.to_polars(), x.to_pyarrow(), x.a.to_pandas(), len(x)",
        "r = aai.backward_oplog(x), aai.oplog_subgraph(x)",
        "r = ibis.to_sql(x.filter(x.a > 1)), x.compile()",
        "r = ibis._.a + 1, ibis.selectors.all(); x.mutate(r[0]);",
        "%who\n%whos",
        "%lineage x",
        "get_ipython().inspector.info(x); get_ipython().run_line_magic('pinfo', 'x')",
        "import sys; r = sys.getsizeof(x), hash(x), x == x, x is x, bool('a' in x)",
        "for t in x.to_pyarrow_batches(): pass",
        "import json, logging; logging.getLogger('mine').error('of %r', x)",
        "import warnings; warnings.warn(f'of {x!r}')",
    ],
)  # fmt: skip
def test_looking_at_a_table_owns_nothing(used_kernel, look):
    kernel = used_kernel
    kernel.check("x = aai.create_object_from_value({'a': [1, 2, 3]})")
    kernel.check(look)
    kernel.check("del x")
    assert kernel.accounts() == {}


def test_a_dead_proxy_disturbs_no_cell(used_kernel):
    kernel = used_kernel
    kernel.check("import weakref\nx = aai.create_object_from_value({'a': [1, 2, 3]})")
    kernel.check("proxy, proxies = weakref.proxy(x), [weakref.proxy(x)]")
    kernel.check("[weakref.proxy(x)]")
    kernel.check("del x")
    assert kernel.accounts() == {}
    result = kernel.check("y = aai.create_object_from_value({'a': [1, 2, 3]})\ny")
    assert result.stderr == result.stdout == ""
    kernel.check("y = aai.create_object_from_value({'a': [1, 2, 3]})\ny")
    kernel.check("del y, proxy, proxies\n%reset -f out")
    assert kernel.accounts() == {}
