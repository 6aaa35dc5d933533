"""``%%sql`` in a kernel: over variables, with values, bound to a name, kept as a view."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel


def failed(kernel, code):
    error = kernel.run(code).error
    assert error is not None, code
    return error


def test_sql_as_a_cell(kernel):
    kernel.load()
    kernel.check(
        "import pandas as pd, polars as pl, pyarrow as pa, datetime as dt\n"
        "flights = aai.create_object_from_value({'id': [1, 2, 3], 'delay': [5, 90, 70]})\n"
        "slow = flights.filter(flights.delay > 60)\n"
        "names = pd.DataFrame({'id': [2, 3], 'name': ['b', \"it's\"]})\n"
        'least, wanted, day = 80, "it\'s", dt.date(2026, 1, 2)'
    )
    shown = kernel.run("%%sql\nSELECT id, name FROM {slow} JOIN {names} USING (id) ORDER BY id")
    assert shown.error is None, shown.error
    assert "it's" in shown.text
    assert kernel.value("_.data()") == {"id": [2, 3], "name": ["b", "it's"]}
    assert (
        kernel.run("%%sql worst <<\nSELECT id FROM {flights} WHERE delay > {least:Int64}").data
        is None
    )
    assert kernel.value("worst.data()") == {"id": [2]}
    kernel.check(
        "%%sql found <<\nSELECT name, {day:Date} AS d, {least:UInt8} + 1 AS n\n"
        "FROM {names} -- {nothing}\nWHERE name = {wanted:String} AND '{x}' != ''"
    )
    assert kernel.value("str(found.data())") == str(
        {"name": ["it's"], "d": ["datetime.date(2026, 1, 2)"], "n": [81]}
    ).replace("'datetime.date(2026, 1, 2)'", "datetime.date(2026, 1, 2)")
    kernel.check("frame = pl.DataFrame({'a': [1]}); table = pa.table({'b': [2]})")
    kernel.check("%%sql both <<\nSELECT * FROM {frame}, {table}")
    assert kernel.value("both.data()") == {"a": [1], "b": [2]}
    shown = kernel.run("%%sql --view late\nSELECT id FROM {flights} WHERE delay > 60 ORDER BY id")
    assert shown.error is None, shown.error
    assert "2" in shown.text
    kernel.check("%%sql rest <<\nSELECT id FROM late")
    assert sorted(kernel.value("rest.data()")["id"]) == [2, 3]
    kernel.check("%%sql --view above\nSELECT id FROM {flights} WHERE delay > {least:Int64}\n")
    assert kernel.value("aai.table('above', least=80).data()") == {"id": [2]}
    error = failed(kernel, "%%sql --view late\nSELECT 1 AS a")
    assert error.ename == "ObjectExistsError"
    kernel.check("%%sql --view late --replace\nSELECT 1 AS a")
    assert kernel.value("aai.table('late').data()") == {"a": [1]}
    assert kernel.value("sorted(v.name for v in aai.list_views())") == ["above", "late"]

    assert failed(kernel, "%%sql\nDROP TABLE {flights}").ename == "SQLError"
    assert failed(kernel, "%%sql\nSELECT {frame:Int8}").ename == "UnsupportedTypeError"
    kernel.check("x = %sql SELECT max(id) AS id FROM {flights}")
    assert kernel.value("x.data()") == {"id": [3]}
    shown = kernel.run("%%sql --profile\nSELECT max(id) FROM {flights}")
    assert "Peak memory" in shown.text
    assert shown.stdout == ""

    kernel.check(
        "%%sql\nCREATE TABLE mine (id Int64) ENGINE = MergeTree ORDER BY id;"
        "INSERT INTO mine SELECT id FROM {flights}"
    )
    kernel.check("kept = aai.table('mine').copy()")
    kernel.check("%sql INSERT INTO mine VALUES (9)")
    (stale,) = kernel.value("[str(s) for s in aai.stale_results(kept)]")
    assert "mine changed" in stale
    error = failed(kernel, "%%sql\nSELECT 1;\nSELECT throwIf(1);\nDROP TABLE mine")
    assert "statement 2 of 3: SELECT throwIf(1)" in error.evalue
    assert kernel.value("aai.table('mine').count().execute()") == 4

    kernel.check("%unload_ext aaiclick_ext")
    assert "Cell magic `%%sql` not found" in kernel.run("%%sql\nSELECT 1").stderr
    assert "Line magic function `%sql` not found" in kernel.run("%sql SELECT 1").stderr
