"""Calls own while they run or can go on; copies claim for themselves; pickled bytes own nothing."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel

MAKE = "x = aai.create_object_from_value({'a': [1, 2, 3]})"


@pytest.mark.parametrize(
    ("hold", "reach", "let_go"),
    [
        ("def f(t): return t.filter(t.a > 0)\nk = f(x)", "k", "del k"),
        ("def f(t): return t, t.copy\nk, _copy = f(x)", "_copy.__self__", "del k, _copy"),
        ("def f(*t, **n): return t, n\nk = f(x, n=x)", "k[1]['n']", "del k"),
        ("def f(t, *, n=None): return locals()\nk = f(x)", "k['t']", "del k"),
        ("def f(t): return f(t[t.a > 0]) if t is x else t\nk = f(x)", "k", "del k"),
        ("k = (lambda t: t)(x)", "k", "k = None"),
        ("k = list(map(lambda t: t.a, [x]))", "k[0]", "del k"),
        ("k = sorted([x, x.view()], key=id)", "k[1]", "del k"),
        ("def f(t):\n    try: return t\n    finally: del t\nk = f(x)", "k", "del k"),
        ("k = [y for y in [x] if y is not None]", "k[0]", "del k"),
        ("k = x.pipe(lambda t: t.mutate(b=1))", "k", "del k"),
        ("class C:\n    def __call__(s, t): s.t = t; return s\nk = C()(x)", "k.t", "del k"),
        ("k = property(lambda self: 1, doc=x)", "k.__doc__", "del k"),
        ("import contextlib\nk = contextlib.ExitStack(); k.callback(x.count);",
         "k._exit_callbacks[0][1].__wrapped__.__self__", "k.close()"),
        ("from contextlib import *; k = ExitStack(); k.enter_context(nullcontext(x));",
         "k._exit_callbacks[0][1].__self__.enter_result", "k.close()"),
    ],
)  # fmt: skip
def test_arguments_and_results(owns, hold, reach, let_go):
    owns(hold, reach, let_go)


GENERATOR = "def g(t):\n    n = 0\n    while True:\n        n = yield (t if n is None else n)\n"
DELEGATING = GENERATOR + "def d(t):\n    yield from g(t)\n"


@pytest.mark.parametrize(
    ("hold", "reach", "let_go"),
    [
        (GENERATOR + "k = g(x)", "k.gi_frame.f_locals['t']", "del k"),
        (GENERATOR + "k = g(x); next(k)", "k.send(None)", "del k"),
        (GENERATOR + "k = g(x); next(k)", "k.send(None)", "k.close()"),
        (GENERATOR + "k = g(x); next(k)", "next(k)", "try: k.throw(KeyError)\nexcept KeyError: 1"),
        (GENERATOR + "k = [g(x), 1]; next(k[0])", "next(k[0])", "k.reverse(); k.pop();"),
        (DELEGATING + "k = d(x); next(k)", "next(k)", "k.close()"),
        (DELEGATING + "k = d(x); next(k)", "next(k)", "del k"),
        ("def g(t):\n    yield 1\n    yield t\nk = g(x); next(k)", "k.gi_frame.f_locals['t']",
         "list(k);"),
        ("def g(t):\n    try: yield t\n    finally: done.append(t)\ndone = []; k = g(x); next(k);",
         "k.gi_frame.f_locals['t']", "k.close(); done.clear()"),
        ("from contextlib import *\n@contextmanager\ndef g(t): yield t\nk = g(x); k.__enter__();",
         "k.gen.gi_frame.f_locals['t']", "k.__exit__(None, None, None);"),
        ("k = (t.a for t in [x] * 5)", "next(k)", "del k"),
        ("k = enumerate(t for t in [x] * 5)", "next(k)[1]", "del k"),
        ("k = map(lambda t: t.a, [x] * 5)", "next(k)", "del k"),
        ("import itertools\nk = itertools.cycle([x])", "next(k)", "del k"),
        ("import itertools\nk = itertools.repeat(x)", "next(k)", "k = 5"),
    ],
)  # fmt: skip
def test_generators(owns, hold, reach, let_go):
    owns(hold, reach, let_go)


@pytest.mark.parametrize(
    "ending",
    [
        "def f(t): return t.a.sum().execute()\nf(x)",
        "def f(t):\n    u = t.filter(t.a > 1); v = [u, u.copy()]\n    return len(v)\nf(x)",
        "def f(t):\n    try: raise ValueError(t)\n    except ValueError: pass\nf(x)",
        "def f(t):\n    try: raise ValueError(t)\n    except ValueError as e: k = str(e)\nf(x)",
        "def f(t):\n    with contextlib.suppress(KeyError): {}[t]\nf(x)",
        "def f(n, t): return n if n == 0 else f(n - 1, t.mutate(b=n))\nf(20, x)",
        "for t in [x, x.copy()]: t.data()\ndel t",
        "[t.data() for t in [x, x.copy()]];",
        "{t: t.data() for t in [x, x.copy()]};",
        "assert x.copy().count().execute() == 3",
        "x.copy().copy().copy();",
        "match x:\n    case t: t.data()\ndel t",
        "exec('t = x.copy(); u = t.a; del t, u')",
        "eval('x.copy()', {'x': x});",
        "with contextlib.closing(iter_(x)) as k: next(k)\ndel k",
        ("class C:\n    def __init__(s, t): s.t = t.copy()\n    def __del__(s): s.t.data()\n"
        "c = C(x); del c"),
        "class C:\n    t = x.copy()\ndel C; gc.collect()",
        "print(x.copy())",
        "f'{x.copy()!r}';",
        "%time y = x.copy()\ndel y",
        "%timeit -n 2 -r 2 x.copy()",
        "%prun -q x.copy()",
        "%%time\nx.copy();",
        "%%timeit -n 1 -r 1\nx.copy()",
        "%env X={x.table_name}",
        "!echo {x.table_name} >/dev/null",
    ],
)  # fmt: skip
def test_a_call_that_has_ended_owns_nothing(used_kernel, ending):
    kernel = used_kernel
    kernel.check("import contextlib\ndef iter_(t): yield t")
    kernel.check(MAKE)
    kernel.check(ending)
    assert kernel.value("[x.table_name]") == list(kernel.accounts())
    kernel.check("del x")
    assert kernel.accounts() == {}


@pytest.mark.parametrize(
    "copied",
    [
        "copy.copy(x)",
        "copy.deepcopy(x)",
        "copy.deepcopy([x, {'k': x.a}])[1]['k']",
        "copy.copy(x.a)",
        "copy.deepcopy(x.a.sum())",
        "copy.deepcopy(x.group_by('a'))",
        "copy.copy(x.filter(x.a > 0).join(x.view(), 'a'))",
        "pickle.loads(pickle.dumps(x))",
        "pickle.loads(pickle.dumps(x.a))",
        "pickle.loads(pickle.dumps(x.a.sum()))",
        "pickle.loads(pickle.dumps(x.filter(x.a > 0).mutate(b=x.a)))",
        "pickle.loads(pickle.dumps(x.group_by('a')))",
        "pickle.loads(pickle.dumps(x.join(x.view(), 'a')))",
        "pickle.loads(pickle.dumps(aai.sql(f'SELECT a FROM {x.table_name}')))",
        "pickle.loads(pickle.dumps(x.op())).to_expr()",
        "pickle.loads(pickle.dumps([x, (x.a, x)], protocol=2))[1][1]",
        "x.op().copy().to_expr()",
        "x.op().replace({}).to_expr()",
        "type(x.op()).__recreate__(dict(zip(x.op().argnames, x.op().args))).to_expr()",
    ],
)
def test_copies_claim_for_themselves(owns, copied):
    owns(f"import pickle\nk = {copied}", "k", "del k")


def test_bytes_own_nothing_and_say_so(used_kernel):
    kernel = used_kernel
    kernel.check(
        f"import pickle\n{MAKE}\n"
        "texts = [pickle.dumps(v) for v in (x, x.a, x.filter(x.a > 1), x.op(), [x],"
        " aai.sql(f'SELECT a FROM {x.table_name}'))]\n"
        "k = [pickle.loads(text) for text in texts]; del x"
    )
    assert len(kernel.accounts()) == 1
    assert kernel.value("[pickle.loads(text) is None for text in texts]") == [False] * 6
    kernel.check("del k")
    assert kernel.accounts() == {}
    for number in range(6):
        error = kernel.run(f"pickle.loads(texts[{number}])").error
        assert error is not None
        assert error.ename == "DroppedTableError"
        assert "has been dropped" in error.evalue
        assert kernel.accounts() == {}


def test_a_pickle_of_another_kernel_says_what_to_do(used_kernel, tmp_path):
    kernel = used_kernel
    path = tmp_path / "x.pickle"
    kernel.check(f"{MAKE}\nimport pickle, pathlib\npath = pathlib.Path({str(path)!r})")
    kernel.check("path.write_bytes(pickle.dumps(x));")
    found = kernel.check(
        "import subprocess, sys\n"
        "code = 'import pickle, sys; pickle.load(open(sys.argv[1], \"rb\"))'\n"
        "print(subprocess.run([sys.executable, '-c', code, path], capture_output=True).stderr)"
    ).stdout
    assert "ContextError" in found
    assert "pickle data instead" in found
    kernel.check("del x")
    assert kernel.accounts() == {}
