"""Completion in a shell: SQL, options of magics, columns of views."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from aaiclick_ext.notebook.completion_tokens import cut_at

SETUP = """
import aaiclick_ext as aai, pandas as pd, polars as pl, pyarrow as pa
flights = aai.create_object_from_value(
    {"delay": [1], "my col": [2], "größe": [3], "from": [4], "carrier": ["a"], "de`l": [5]}
)
late = flights.filter(flights.delay > 60)
listed = [flights]
grouped = flights.group_by("carrier")
frame = pd.DataFrame({"id": [1], "name": ["x"], 3: [1]})
bears = pl.DataFrame({"fur": [1]})
arrow = pa.table({"tip": [1]})
least, title = 80, "x"
best = aai.create_object_from_value({"score": [1]}, name="best", scope="session")
odd = aai.create_object_from_value({'it"s': [1], "it's": [2], "new\\nline": [3], "class": [4]})
command = aai.context().engine.command
command("CREATE DATABASE shop")
command("CREATE TABLE shop.orders (oid Int64, amount Float64) ENGINE = Memory")
command("CREATE TABLE shop.`odd table` (x Int8) ENGINE = Memory")
"""


@pytest.fixture(scope="module", autouse=True)
def _filled(ip):
    assert ip.run_cell(SETUP, silent=True).success
    yield
    ip.run_cell("command('DROP DATABASE shop SYNC')\n%reset -f", silent=True)


@pytest.fixture
def complete(ip):
    """Complete at the ``|`` of a text; return what is replaced, and by what."""

    def complete(text):
        at = text.index("|")
        code = text[:at] + text[at + 1 :]
        with provisionalcompleter():
            found = list(ip.Completer.completions(code, at))
        assert all(completion.end == at for completion in found)
        return {code[c.start : at] for c in found}, [c.text for c in found]

    return complete


@pytest.mark.parametrize(
    ("sql", "first"),
    [
        # columns, under every name that a table can have
        ("SELECT | FROM {flights}", ["delay", "`my col`", "`größe`", "`from`", "carrier"]),
        ("SELECT de| FROM {flights}", ["delay", "`de\\`l`"]),
        ("SELECT de|lay FROM {flights}", ["de"]),
        ("SELECT 'a''b', \"c\", `d``e`, de| FROM {flights}", ["delay"]),
        ("SELECT GR| FROM {flights}", ["`größe`", "GROUP BY"]),
        ("SELECT my| FROM {flights}", ["`my col`"]),
        ("SELECT `my| FROM {flights}", ["`my col`"]),
        ("SELECT `my|` FROM {flights}", ["`my col"]),
        ('SELECT "my| FROM {flights}', ['"my col"']),
        ("SELECT '😀', gr| FROM {flights}", ["`größe`"]),
        ("SELECT (de|", ["desc"]),
        ("SELECT sum(de|) FROM {late}", ["delay"]),
        ("SELECT id, | FROM {frame}", ["id", "name"]),
        ("SELECT fu| FROM {bears}", ["fur"]),
        ("SELECT ti| FROM {arrow}", ["tip"]),
        ("SELECT {frame}.| FROM {frame}", ["id", "name"]),
        ("SELECT frame.n| FROM {frame}", ["name"]),
        ("SELECT o.| FROM shop.orders AS o", ["oid", "amount"]),
        ("SELECT shop.orders.a| FROM shop.orders", ["amount"]),
        ("SELECT orders.a| FROM shop.orders", ["amount"]),
        ("SELECT sc| FROM best", ["score"]),
        ("SELECT * FROM shop.orders o JOIN {frame} f ON o.oid = f.|", ["id", "name"]),
        ("SELECT * FROM shop.orders o JOIN {frame} USING (|", ["oid", "amount", "id", "name"]),
        ("SELECT delay FROM {flights} WHERE delay IN (SELECT o| FROM shop.orders)", ["oid"]),
        ("SELECT * FROM {flights} f WHERE EXISTS (SELECT 1 FROM {frame} WHERE f.de|", ["delay"]),
        ("SELECT 1 FROM {flights} UNION ALL SELECT o| FROM shop.orders", ["oid"]),
        ("SELECT 1 FROM {flights}; SELECT o| FROM shop.orders; SELECT 2", ["oid"]),
        ("SELECT * FROM {flights}\nWHERE 'a; {b}' = '-- no' AND de|\nORDER BY 1", ["delay"]),
        ("SELECT extract(year FROM de|) FROM {flights}", ["delay"]),
        ("INSERT INTO shop.orders (am|", ["amount"]),
        ("INSERT INTO shop.orders (oid, am|) SELECT id, id FROM {frame}", ["amount"]),
        ("INSERT INTO shop.orders SELECT | FROM {frame}", ["id", "name", "frame"]),
        ("EXPLAIN SELECT del| FROM {flights}", ["delay"]),
        ("CREATE VIEW v AS SELECT | FROM {frame}", ["id", "name", "frame"]),
        ("FROM {flights} SELECT del|", ["delay"]),
        ("ALTER TABLE shop.orders MODIFY COLUMN am|", ["amount"]),
        ("SELECT delay AS doubtful, dou| FROM {flights}", ["doubtful"]),
        # what WITH and subqueries give
        (
            "WITH w AS (SELECT delay AS d, carrier FROM {flights}) SELECT w.| FROM w",
            ["d", "carrier"],
        ),
        ("WITH w (a, b) AS (SELECT 1, 2) SELECT w.| FROM w", ["a", "b"]),
        ("WITH w AS (SELECT * EXCEPT (id) FROM {frame}) SELECT x.| FROM w x", ["name"]),
        ("WITH w AS (SELECT * FROM w) SELECT w.| FROM w", []),
        (
            "SELECT x.| FROM (SELECT 1 + 1 AS two, {frame}.* FROM {flights}, {frame}) x",
            ["two", "id"],
        ),
        ("WITH one AS (SELECT 1) SELECT * FROM on|", ["one"]),
        # tables
        ("SELECT * FROM fl|", ["{flights}"]),
        ("SELECT * FROM {fl|", ["{flights}"]),
        ("SELECT * FROM {fl|}", ["{flights"]),
        ("SELECT * FROM {|}", ["{odd", "{best", "{arrow", "{bears", "{frame"]),
        ("SELECT * FROM be|", ["{best}", "{bears}", "best"]),
        ("SELECT * FROM sho|", ["shop"]),
        ("SELECT * FROM shop.|", ["`odd table`", "orders"]),
        ("SELECT * FROM {flights}, shop.or|", ["orders"]),
        ("DROP TABLE IF EXISTS shop.`odd|", ["`odd table`"]),
        ("SELECT * FROM aai.tab|", ["tables"]),
        ("SELECT * FROM number|", ["numbers", "numbers_mt"]),
        ("SELECT * FROM pyth|", []),
        ("USE sho|", ["shop"]),
        # functions, keywords, types, settings, parameters
        ("SELECT quantileTDig|", ["quantileTDigest", "quantileTDigestWeighted"]),
        ("SELECT sumI|", ["sumIf"]),
        ("sel|", ["select"]),
        ("SEL|", ["SELECT"]),
        ("SELECT * FROM {flights} wher|", ["where"]),
        ("SELECT count() FROM {flights} GROUP|", ["GROUP BY", "GROUPING SETS", "GROUPS"]),
        ("SELECT delay::LowC| FROM {flights}", ["LowCardinality"]),
        ("SELECT CAST(delay AS Nulla|) FROM {flights}", ["Nullable"]),
        ("SELECT delay::Array(LowC| FROM {flights}", ["LowCardinality"]),
        ("SELECT {least:UInt25|} FROM {flights}", ["UInt256"]),
        ("SELECT {lea|", ["{least:Int64}"]),
        ("SELECT {tit|}", ["{title:String"]),
        ("CREATE TABLE t (a LowC|", ["LowCardinality"]),
        ("CREATE TABLE t (a Int8, b Array(LowC|", ["LowCardinality"]),
        ("ALTER TABLE shop.orders ADD COLUMN x LowC|", ["LowCardinality"]),
        ("SELECT 1 SETTINGS max_thr|", ["max_threads"]),
        ("SELECT 1 SETTINGS max_threads = 1, max_insert_thr|", ["max_insert_threads"]),
        ("SET max_thr|", ["max_threads"]),
        # nothing, and then nothing of Python either
        ("SELECT 'de| FROM {flights}", []),
        ("SELECT 1 -- de|", []),
        ("SELECT 1 /* de| */", []),
        ("SELECT delay AS de|", []),
        ("SELECT nothing.lat|", []),
        ("SELECT oid FROM nosuch.table WHERE fligh|", []),
    ],
)
def test_sql(complete, sql, first):
    fragments, found = complete(f"%%sql\n{sql}")
    assert found[: len(first)] == first
    assert len(fragments) == bool(found)
    assert first or not found


def test_what_is_rare_does_not_hide_columns(complete):
    """JupyterLab sorts what is offered by the alphabet."""
    _, found = complete("%%sql\nSELECT max(de|) FROM {flights}")
    assert {"delay", "desc", "degrees", "deltaSum"} <= set(found)
    assert {"deallocate", "decrypt"}.isdisjoint(found)
    for start, offered in (("dea", "deallocate"), ("dec", "decrypt")):
        assert offered in complete(f"%%sql\nSELECT max({start}|) FROM {{flights}}")[1]


def test_a_text_however_broken_is_no_error(complete):
    whole = "WITH a AS (SELECT {x:Int8}, `b``c`) SELECT [1, {'k': \"v\"}] :: T, f.* FROM {t} f, (u)"
    for end in range(len(whole) + 1):
        for start in (0, 7, 30):
            cut = cut_at(whole[start:end] + whole[end:], max(end - start, 0))
            assert cut.path
    for end in range(0, len(whole), 7):
        complete(f"%%sql\n{whole[:end]}|{whole[end + 3 :]}")


def test_what_a_statement_changes_is_known(ip, complete):
    command = ip.user_ns["command"]
    assert complete("%%sql\nSELECT t.| FROM shop.fresh t")[1] == []
    command("CREATE TABLE shop.fresh (one Int8) ENGINE = Memory")
    assert complete("%%sql\nSELECT t.| FROM shop.fresh t")[1] == ["one"]
    command("ALTER TABLE shop.fresh ADD COLUMN two Int8")
    assert complete("%%sql\nSELECT t.| FROM shop.fresh t")[1] == ["one", "two"]
    command("RENAME TABLE shop.fresh TO shop.stale")
    assert complete("%%sql\nSELECT * FROM shop.sta|")[1] == ["stale"]
    assert complete("%%sql\nSELECT * FROM shop.fre|")[1] == []
    command("DROP TABLE shop.stale SYNC")
    assert complete("%%sql\nSELECT my_own_fun|")[1] == []
    command("CREATE FUNCTION my_own_function AS x -> x")
    assert complete("%%sql\nSELECT my_own_fun|")[1] == ["my_own_function"]
    command("DROP FUNCTION my_own_function")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("%%sql --vi|\nSELECT 1", ["--view"]),
        ("%%sql --view --he|\nSELECT 1", []),
        ("%%sql --view x --he|", ["--help"]),
        ("x = %sql --expl|", ["--explain"]),
        ("x = %sql SELECT carr| FROM {flights}", ["carrier"]),
        ("%sql SELECT \\\n carr| FROM {flights}", ["carrier"]),
        ("y = 1\n%sql late << SELECT carr| FROM {flights}\nz = 2", ["carrier"]),
        ("%%sql --profile SELECT carr| FROM {flights}", ["carrier"]),
        ("%%sql --profile SELECT carr|\nFROM {flights}", ["carrier"]),
        ("%%sql late <<\nSELECT carr|\nFROM {flights}", ["carrier"]),
        ("%sql SELECT 1 --expl|", []),
        ("%lineage late --as me|", ["mermaid"]),
        ("%lineage late --as=me|", ["mermaid"]),
        ("%lineage fli|", ["flights"]),
        ("%lineage fli| --columns", ["flights"]),
        ("%lineage flights.ca|", ["flights.carrier"]),
        ("%lineage late --from fl|", ["flights"]),
        ("%why flights.filter(fli|", ["flights.filter(flights"]),
        ("%why flights.filter(flights.ca|", ["flights.filter(flights.carrier"]),
        ("%why flights.filter(flights.delay > late.ca|", ["late.carrier"]),
        ("%why nothing.ca|", []),
        ("%lineage late --forward --fo|", []),
        ("x = %tables --fra|", ["--frame"]),
        ("%why --rel|", ["--release"]),
        ("%%time\n%lineage fli|", ["flights"]),
        ("a = 1\n%lineage fli|\nb = 2", ["flights"]),
        ("%%time\n%%sql --vi|", ["--view"]),
    ],
)
def test_lines_of_magics(complete, line, found):
    assert complete(line)[1] == found


def test_magics_of_others_and_python_are_left_alone(complete):
    assert "%%sql" in complete("%%sq|")[1]
    assert complete("y = flig|")[1] == ["flights"]
    assert complete("%timeit flig|")[1] == ["flights"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("flights.dela|", "delay"),
        ("flights.größ|", "größe"),
        ("late.dela|", "delay"),
        ("grouped.dela|", "delay"),
        ("listed[0].dela|", "delay"),
        ("flights.filter(flights.dela|", "delay"),
        ('flights["my|', "my col"),
        ('late["gr|', "größe"),
        ("odd['it|", 'it"s'),
        ('odd["it|', r"it\"s"),
        ('odd["new|', r"new\nline"),
        ('odd["cla|', "class"),
        ('flights[["delay", "my|', "my col"),
        ("x = flights[['delay', \"gr|", "größe"),
        ("odd[['it|", 'it"s'),
        ("odd[['it|", r"it\'s"),
        ('odd[["new|', r"new\nline"),
    ],
)
def test_columns_of_views(complete, code, found):
    assert found in [text.removeprefix(".") for text in complete(code)[1]]


def test_columns_of_views_where_jedi_completes(ip, complete):
    ip.Completer.use_jedi = True
    try:
        assert complete("late.größ|")[1] == ["größe"]
        assert complete('late["my|')[1] == ["my col"]
        assert complete('late[["delay", "my|')[1] == ["my col"]
        assert complete("%%sql\nSELECT carr| FROM {late}")[1] == ["carrier"]
    finally:
        ip.Completer.use_jedi = False


def test_names_that_are_no_identifiers_are_no_attributes(ip):
    views = ip.user_ns["flights"], ip.user_ns["odd"]
    for name in ("my col", "de`l", "it's", "new\nline", "class", "from"):
        assert all(name not in dir(view) for view in views)
