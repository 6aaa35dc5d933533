"""A cell that failed or was stopped leaves nothing half made: no table, row, file or claim."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.kernel

SLOW = "SELECT sipHash64(a.number, b.number) AS a FROM numbers(1000000) a, numbers(100000) b"
NEVER = f"{SLOW} WHERE a = 1"


@pytest.fixture
def held(used_kernel):
    """A kernel with one table of three rows, in the variable x."""
    kernel = used_kernel
    kernel.check("%reset -f out")
    kernel.check("x = aai.create_object_from_value({'a': [1, 2, 3]}); name = x.table_name")
    kernel.check(f"never = aai.sql({NEVER!r})\nslow = aai.sql({SLOW!r})")
    yield kernel
    kernel.check("del x, never, slow")
    assert kernel.accounts() == {}


def nothing_left(kernel, rows=3):
    """Check that the table x is as it was, that nothing else is there, and that all goes on."""
    kernel.check("None")
    assert list(kernel.accounts()) == [kernel.value("name")]
    assert kernel.value("[int(x.count().execute()), x.shape[0]]") == [rows, rows]
    assert kernel.value("probe.total(x.copy())") == 6
    assert list(kernel.accounts()) == [kernel.value("name")]
    assert kernel.value("sorted(aai.context()._opened.services.names)") == []
    left = kernel.value("[str(p) for p in __import__('pathlib').Path().glob('.aaiclick-*')]")
    assert left == []


FAILING = {
    "create": "y = aai.create_object_from_value({'a': [1, object]}, objects=False)",
    "create refused": "y = aai.create_object_from_value({'a': [1, 2], 'b': [1]})",
    "create late": "y = aai.create_object_from_value({'a': range(10**6), 'a\\0': 1})",
    "create named": "y = aai.create_object_from_value({'a': [1], 'b': [1, 2]}, name='y', "
    "scope='session')",
    "schema": "y = aai.create_object({'a': 'Nonsense(3)'})",
    "schema named": "y = aai.create_object({'a': 'Int64', 'b': 'Enum8(1)'}, name='y', "
    "scope='session')",
    "copy": "y = aai.sql('SELECT throwIf(number = 900000) AS a FROM numbers(1000000)').copy()",
    "copy of nothing": "y = x.filter(x.nosuch > 1).copy()",
    "concat": "y = aai.concat(x, aai.sql('SELECT throwIf(number = 9) AS a FROM numbers(10)'))",
    "insert": "x.insert({'a': [4, 5]}, {'a': ['text']})",
    "insert out of range": "x.insert({'a': [4]}, {'a': [2**70]})",
    "insert unknown": "x.insert({'a': [4]}, {'b': [5]})",
    "insert of a query": "x.insert({'a': [4]}, aai.sql('SELECT toInt64(throwIf(number = 9)) AS a "
    "FROM numbers(10)'))",
    "insert late": "x.insert(aai.sql('SELECT toInt64(throwIf(number = 900000)) AS a "
    "FROM numbers(1000000)'))",
    "csv": "y = aai.read_csv(bad)",
    "json": "y = aai.read_json(bad)",
    "parquet": "y = aai.read_parquet(bad)",
    "no file": "y = aai.read_csv('nosuch.csv')",
    "second file": "y = aai.read_csv([good, bad])",
    "fetch": "aai.sql('SELECT throwIf(number = 900000) AS a FROM numbers(1000000)').data()",
    "export": "aai.sql('SELECT throwIf(number = 900000) AS a FROM numbers(1000000)')"
    ".export('out.parquet')",
    "export over": "aai.sql('SELECT throwIf(number = 9) AS a FROM numbers(10)').export(good)",
    "append": "aai.create_object_from_value({'b': [4]}, name='x', if_exists='nonsense')",
    "batches": "for batch in aai.sql('SELECT throwIf(number = 900000) AS a FROM numbers(1000000)')"
    ".to_pyarrow_batches(chunk_size=10): pass",
    "memtable": "aai.view(ibis.memtable({'a': [1, 2]})).mutate(b=ibis.literal('x').cast('int'))"
    ".data()",
    "in a loop": "for n in range(5): y = x.mutate(b=n).copy(); 1 / (3 - n)",
    "in a comprehension": "[x.mutate(b=n).copy().a / (1 // (3 - n)) for n in range(5)]",
    "in a generator": "sum(x.mutate(b=n).copy().count().execute() / (3 - n) for n in range(5))",
}


@pytest.mark.parametrize("what", list(FAILING))
def test_a_failed_cell(held, what):
    held.check(
        "import pathlib\ngood, bad = pathlib.Path('good.csv'), pathlib.Path('bad.csv')\n"
        "good.write_text('a\\n1\\n2\\n')\n"
        "bad.write_text('a,b\\n' + '1,2\\n' * 1000 + '3,4,5,\"6\\n');"
    )
    result = held.run(FAILING[what])
    assert result.error is not None
    held.check("y = n = batch = None; globals().pop('_', None);")
    nothing_left(held)
    assert held.value("good.read_text()") == "a\n1\n2\n"
    assert held.value("pathlib.Path('out.parquet').exists()") is False


STOPPED = {
    "copy": "y = never.copy()",
    "copy that fills": "y = slow.copy()",
    "insert": "x.insert(never)",
    "insert that fills": "x.insert(slow.mutate(a=1))",
    "insert of several": "x.insert({'a': [9]}, slow.filter(slow.a < 9).mutate(a=1))",
    "concat": "y = aai.concat(x, slow.mutate(a=1))",
    "named": "y = None\naai.context().create_object_from_value\nname_ = never.copy()",
    "fetch": "never.data()",
    "fetch that fills": "slow.limit(10**9).to_pyarrow()",
    "export": "slow.export('out.parquet')",
    "export of text": "slow.export('out.csv.gz')",
    "batches": "for batch in slow.to_pyarrow_batches(chunk_size=1000): pass",
    "count": "len(never)",
    "display": "never",
    "sql": "aai.sql('SELECT count() FROM numbers(100000000000)').data()",
    "create": "while True: y = aai.create_object_from_value({'a': range(100000)})",
    "join": "slow.join(slow.view(), 'a').count().execute()",
}


@pytest.mark.parametrize("what", list(STOPPED))
def test_a_stopped_cell(held, what):
    request = held.begin(STOPPED[what])
    time.sleep(0.7)
    held.interrupt()
    result = held.finish(request)
    assert result.error is not None
    assert result.error.ename == "KeyboardInterrupt"
    held.check("y = batch = None")
    nothing_left(held)
    assert held.value("__import__('os').path.exists('out.parquet')") is False
    assert held.value("__import__('os').path.exists('out.csv.gz')") is False
