"""SQL given as text: statements in order in one session, what they may change, what is logged."""

from __future__ import annotations

import threading

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import EngineError, SQLError, UnknownTableError
from aaiclick_ext.objects import Object
from aaiclick_ext.objects.query_text import QueryText
from aaiclick_ext.oplog.columns import ColumnUse
from aaiclick_ext.settings import Settings


@pytest.fixture
def sales(ctx):
    return ctx.create_object_from_value({"item": ["a", "b", "a"], "n": [1, 2, 3]})


@pytest.fixture
def clean(ctx):
    """Drop what tests made by SQL."""
    yield
    for (name,) in ctx.engine.query_rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        "AND NOT startsWith(name, 'aai_') AND name != 'operation_log'"
    ):
        ctx.engine.command(f"DROP TABLE IF EXISTS `{name}` SYNC")


def events(ctx, table):
    ctx.oplog.flush()
    rows = ctx.engine.query_rows(
        "SELECT operation, status, rows, kwargs FROM operation_log "
        "WHERE result_table = {table:String} ORDER BY id",
        {"table": table},
    )
    return [row[:3] for row in rows], [row[3] for row in rows]


@pytest.mark.usefixtures("clean")
class TestOneStatement:
    def test_a_select_is_a_lazy_view(self, ctx, sales):
        view = ctx.raw_sql(
            "SELECT item, n FROM {sales} WHERE n > {least:Int8};", sales=sales, least=1
        )
        assert not isinstance(view, Object)
        sales.insert({"item": ["c"], "n": [9]})
        assert sorted(view.data()["n"]) == [2, 3, 9]

    @pytest.mark.parametrize(
        "value",
        [pd.DataFrame({"n": [1, 2]}), pl.DataFrame({"n": [1, 2]}), pa.table({"n": [1, 2]})],
    )
    def test_frames_and_arrow(self, ctx, value):
        assert ctx.raw_sql("SELECT sum(n) AS s FROM {frame}", frame=value).data() == {"s": [3]}

    def test_a_name_can_be_given(self, ctx, sales):
        text = "SELECT {column:Identifier} AS c FROM {sales} ORDER BY c LIMIT 1"
        assert ctx.raw_sql(text, sales=sales, column="item").data() == {"c": ["a"]}
        with pytest.raises(UnknownTableError):
            ctx.raw_sql("SELECT * FROM {t:Identifier}", t="x` -- ")

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("UInt64", 2**64 - 1),
            ("Int256", -(2**200)),
            ("String", "\\'; DROP TABLE mine --"),
            ("Array(String)", ["it's", "\u540d"]),
            ("Map(String, Int8)", {"a": 1}),
            ("Nullable(Int8)", None),
        ],
    )
    def test_values_arrive_as_they_are(self, ctx, kind, value):
        assert ctx.raw_sql(f"SELECT {{x:{kind}}} AS v", x=value).data() == {"v": [value]}

    def test_what_cannot_be_parsed_runs(self, ctx, sales):
        ctx.raw_sql("CREATE TABLE mine ENGINE = Memory AS SELECT * FROM {sales}", sales=sales)
        view = ctx.raw_sql(
            "SELECT COLUMNS('n') EXCEPT (item) FROM mine m JOIN {sales} s ON s.n = m.n", sales=sales
        )
        made = view.copy()
        assert made.columns
        (event,) = [e for e in ctx.backward_oplog(view) if e.operation == "sql"]
        assert set(event.kwargs.values()) == {"mine", sales.table_name}
        assert event.columns == ()

    def test_what_shows_something(self, ctx, sales):
        ctx.raw_sql("CREATE TABLE mine (a Int8) ENGINE = Memory")
        described = ctx.raw_sql("DESCRIBE {sales}", sales=sales)
        assert described.select("name", "type").data() == {
            "name": ["item", "n"],
            "type": ["String", "Int64"],
        }
        assert "mine" in ctx.raw_sql("SHOW TABLES").data()["name"]
        plan = ctx.raw_sql("EXPLAIN SELECT sum(n) FROM {sales}", sales=sales)
        assert isinstance(plan, QueryText)
        assert "Aggregating" in plan
        created = ctx.raw_sql("SHOW CREATE TABLE mine")
        assert repr(created).splitlines()[0] == "CREATE TABLE default.mine"
        assert ctx.raw_sql("EXISTS TABLE nothing").data() == {"result": [0]}

    def test_kill_shows_what_it_found(self, ctx):
        assert ctx.raw_sql("KILL QUERY WHERE query_id = 'none'") is None
        ended = []

        def count():
            try:
                ctx.engine.query_rows("SELECT count() FROM numbers(1000000000000) WHERE number % 7")
            except EngineError as error:
                ended.append(error.code)

        thread = threading.Thread(target=count)
        thread.start()
        found = None
        while found is None:
            found = ctx.raw_sql("KILL QUERY WHERE query LIKE 'SELECT count()%' ASYNC")
        assert found.data()["query"][0].startswith("SELECT count() FROM numbers")
        thread.join()
        assert ended == [394]

    def test_text_is_harmless(self):
        text = QueryText("<b>\x1b[31m\nx")
        assert repr(text) == "<b>\\x1b[31m\nx"
        assert "&lt;b&gt;" in text._repr_html_()

    @pytest.mark.parametrize("text", ["", " ; ", "-- nothing"])
    def test_nothing_to_run(self, ctx, text):
        with pytest.raises(SQLError, match="empty"):
            ctx.raw_sql(text)


@pytest.mark.usefixtures("clean")
class TestSeveralStatements:
    def test_they_run_in_order_and_are_logged(self, ctx, sales):
        view = ctx.raw_sql(
            "CREATE TABLE orders (item String, n Int64) ENGINE = MergeTree ORDER BY n;\n"
            "INSERT INTO orders (n, item) SELECT n * 10, item FROM {sales}; -- ;\n"
            "INSERT INTO orders VALUES ('x;', 5);\n"
            "SELECT item, n FROM orders ORDER BY n",
            sales=sales,
        )
        assert not isinstance(view, Object)
        assert view.data() == {"item": ["x;", "a", "b", "a"], "n": [5, 10, 20, 30]}
        done, inputs = events(ctx, "orders")
        assert done[:2] == [("create_table", "ok", 0), ("insert", "ok", 3)]
        assert inputs[1] == {"sales": sales.table_name}
        kept = view.copy()
        assert ColumnUse(sales.table_name, "n", "value") in ctx.backward_columns(kept, "n")
        script = ctx.oplog_subgraph(kept).to_sql()
        assert (
            "\nCREATE TABLE orders (item String, n Int64) ENGINE = MergeTree ORDER BY n;" in script
        )
        assert "not made here" not in script

    def test_a_session_holds_for_them_alone(self, ctx, sales):
        made = ctx.raw_sql(
            "SET join_use_nulls = 0;"
            "CREATE TEMPORARY TABLE passing AS SELECT n + 1 AS m FROM {sales};"
            "INSERT INTO passing VALUES (7);"
            "SELECT s.n AS n, p.m AS m FROM {sales} s LEFT JOIN passing p ON p.m = s.n ORDER BY n",
            sales=sales,
        )
        assert isinstance(made, Object)
        assert made.data() == {"n": [1, 2, 3], "m": [0, 2, 3]}
        assert ColumnUse(sales.table_name, "n", "value") in ctx.backward_columns(made, "m")
        with pytest.raises(UnknownTableError):
            ctx.raw_sql("SELECT * FROM passing")
        again = ctx.raw_sql("CREATE TEMPORARY TABLE passing (a String); SELECT * FROM passing")
        assert again.columns == ("a",)
        same = "SELECT toTypeName(sum(n)) AS t FROM {sales} WHERE n > 9"
        inside = ctx.raw_sql(f"SET aggregate_functions_null_for_empty = 0; {same}", sales=sales)
        outside = ctx.raw_sql(same, sales=sales)
        assert (inside.data(), outside.data()) == ({"t": ["Int64"]}, {"t": ["Nullable(Int64)"]})

    def test_another_database(self, ctx, sales):
        ctx.raw_sql("CREATE DATABASE elsewhere; CREATE TABLE elsewhere.t (n Int64) ENGINE = Memory")
        made = ctx.raw_sql(
            "USE elsewhere; INSERT INTO t SELECT n FROM {sales}; SELECT max(n) AS n FROM t",
            sales=sales,
        )
        assert made.data() == {"n": [3]}
        assert events(ctx, "elsewhere.t")[0] == [("create_table", "ok", 0), ("insert", "ok", 3)]
        assert "elsewhere.t" in {n for e in ctx.backward_oplog(made) for n in e.kwargs.values()}
        shown = ctx.raw_sql("USE elsewhere; SHOW TABLES")
        assert shown.data() == {"name": ["t"]}
        ctx.raw_sql("CREATE TABLE t (other String) ENGINE = Memory")
        with pytest.raises(EngineError):
            ctx.raw_sql("USE elsewhere; SELECT throwIf(n > 0) FROM t; SELECT n FROM t")
        assert ctx.table("t").columns == ("other",)
        ctx.raw_sql("DROP DATABASE elsewhere; DROP TABLE t")

    def test_one_that_fails_says_which(self, ctx):
        with pytest.raises(EngineError, match="non-zero") as failed:
            ctx.raw_sql(
                "CREATE TABLE mine (n UInt8) ENGINE = Memory; INSERT INTO mine VALUES (1);"
                "SELECT throwIf(1); INSERT INTO mine VALUES (2)"
            )
        said = str(failed.value)
        assert "statement 3 of 4: SELECT throwIf(1)" in said
        assert "Before it ran: CREATE TABLE mine" in said
        assert "Not run: the 1 after it" in said
        assert ctx.table("mine").data() == {"n": [1]}

    def test_what_is_shown_before_the_last(self, ctx):
        shown = []
        last = ctx.run_statements("EXPLAIN SELECT 1; SELECT 2; EXISTS TABLE x", {}, shown.append)
        assert [type(text) for text in shown] == [QueryText]
        assert last.data() == {"result": [0]}

    def test_what_is_shown_can_be_read_there(self, ctx):
        shown = []
        text = "USE system; EXISTS TABLE one; SELECT count() AS n FROM one"
        last = ctx.run_statements(text, {}, lambda view: shown.append(view.data()))
        assert (shown, last.data()) == ([{"result": [1]}], {"n": [1]})

    def test_a_changed_schema_and_stale_results(self, ctx):
        ctx.raw_sql("CREATE TABLE mine (n UInt8) ENGINE = MergeTree ORDER BY n")
        assert ctx.raw_sql("SELECT * FROM mine").columns == ("n",)
        made = ctx.sql("SELECT n FROM mine").copy()
        assert ctx.stale_results(made) == []
        ctx.raw_sql("ALTER TABLE mine ADD COLUMN m String; INSERT INTO mine VALUES (1, 'x')")
        assert ctx.table("mine").columns == ("n", "m")
        (stale,) = ctx.stale_results(made)
        assert {change.source for change in stale.changes} == {"mine"}
        assert "stale" in made._repr_mimebundle_()["text/plain"]
        ctx.raw_sql("DROP TABLE mine")
        assert events(ctx, "mine")[0][-1][0] == "drop_table"

    def test_rows_that_views_got_are_not_counted(self, ctx):
        ctx.raw_sql(
            "CREATE TABLE mine (n UInt8) ENGINE = Memory;"
            "CREATE TABLE fed (n UInt8) ENGINE = Memory;"
            "CREATE MATERIALIZED VIEW feeds TO fed AS SELECT n FROM mine;"
            "INSERT INTO mine VALUES (1)"
        )
        assert events(ctx, "mine")[0][-1] == ("insert", "ok", None)

    def test_what_statements_read_stays(self, ctx, tables):
        made = ctx.create_object_from_value({"n": [1]})
        before = tables()
        ctx.raw_sql(
            "CREATE TABLE mine ENGINE = MergeTree ORDER BY n AS SELECT n FROM {made};"
            "ALTER TABLE mine DELETE WHERE n IN (SELECT n FROM {made})", made=made,
        )  # fmt: skip
        assert tables() == before
        assert events(ctx, "mine")[1][-1] == {"made": made.table_name}

    def test_on_a_thread(self, ctx):
        found = []
        text = "CREATE TEMPORARY TABLE p AS SELECT 1 AS a; SELECT a FROM p"
        thread = threading.Thread(target=lambda: found.append(ctx.raw_sql(text).data()))
        thread.start()
        thread.join()
        assert found == [{"a": [1]}]


@pytest.mark.usefixtures("clean")
class TestWhatIsOurs:
    @pytest.mark.parametrize(
        ("text", "instead"),
        [
            ("DROP TABLE {x}", r"variable x owns.*`del x`"),
            ("SELECT 1; DROP TABLE IF EXISTS {x} SYNC", "`del x`"),
            ("INSERT INTO {x} VALUES (1)", r"x\.insert"),
            ("DELETE FROM {x} WHERE 1", r"x\.filter"),
            ("TRUNCATE TABLE {x}", r"x\.limit"),
            ("ALTER TABLE {x} DELETE WHERE 1", r"x\.mutate"),
            ("RENAME TABLE {x} TO y", "name="),
            ("EXCHANGE TABLES mine AND {x}", "copy"),
            ("DETACH TABLE {x}", "pin"),
            ("CREATE OR REPLACE TABLE {x} ENGINE = Memory AS SELECT 1", "copy"),
            ("CREATE TABLE b (a Int64) ENGINE = Alias({x})", r"%%sql --view"),
            ("INSERT INTO FUNCTION remote('localhost', default, {x}) SELECT 1", r"x\.insert"),
            ("CREATE MATERIALIZED VIEW v TO {x} AS SELECT 1 AS a", r"variable x owns"),
            ("ALTER TABLE mine MOVE PARTITION 1 TO TABLE {x}", r"variable x owns"),
        ],
    )
    def test_tables_of_variables(self, ctx, text, instead):
        x = ctx.create_object_from_value({"a": [1]})
        with pytest.raises(SQLError, match=instead):
            ctx.raw_sql(text, x=x)
        with pytest.raises(SQLError):
            ctx.raw_sql(text.replace("{x}", f"`{x.table_name}`"))
        with pytest.raises(SQLError):
            ctx.raw_sql(text.replace("{x}", f'default."{x.table_name}"'))
        assert x.data() == {"a": [1]}

    @pytest.mark.parametrize(
        "text",
        [
            "DROP TABLE operation_log", "TRUNCATE operation_log", "DROP DATABASE default",
            'DELETE FROM "default".`operation_log` WHERE 1', "INSERT INTO aai.tables SELECT 1",
            "DROP DATABASE aai", "USE aai; DROP TABLE tables", "TRUNCATE ALL TABLES FROM default",
            "CREATE TABLE z ENGINE = Memory AS SELECT 1 PARALLEL WITH DROP TABLE operation_log",
            "RENAME TABLE operation_log TO mine", "RENAME DATABASE default TO other",
            r"DROP TABLE `operation\x5flog`",
        ],
    )  # fmt: skip
    def test_the_log_and_system_tables(self, ctx, text):
        with pytest.raises(SQLError, match=r"holds|written by"):
            ctx.raw_sql(text)

    def test_named_views_and_objects(self, ctx, sales):
        ctx.create_view("large", sales.filter(sales.n > 1))
        for text in ("DROP VIEW large", "DROP TABLE default.large"):
            with pytest.raises(SQLError, match=r"drop_view\('large'\)"):
                ctx.raw_sql(text)
        with pytest.raises(SQLError, match=r"--view NAME --replace"):
            ctx.raw_sql("CREATE OR REPLACE VIEW large AS SELECT 1 AS a")
        ctx.drop_view("large")
        table = ctx.create_object_from_value({"a": [1]}, name="best", scope="session").table_name
        with pytest.raises(SQLError, match=r"delete_object\('best'\)"):
            ctx.raw_sql(f"DROP TABLE {table}")
        assert ctx.raw_sql("SELECT * FROM best").data() == {"a": [1]}
        ctx.delete_object("best")

    def test_a_view_made_by_sql_keeps_what_it_reads(self, ctx, tables):
        x = ctx.create_object_from_value({"a": [1]})
        name = x.table_name
        ctx.raw_sql("CREATE VIEW over_it AS SELECT a FROM {x}", x=x)
        del x
        assert name in tables()
        assert ctx.raw_sql("SELECT a FROM over_it").data() == {"a": [1]}
        ctx.raw_sql("DROP VIEW over_it")
        assert name not in tables()

    @pytest.mark.parametrize(
        "text",
        [
            "SELECT 1 PARALLEL WITH TRUNCATE TABLE {x}; SELECT 2",
            "USE default PARALLEL WITH TRUNCATE TABLE {x}",
            "DROP TABLE IF EXISTS a PARALLEL WITH TRUNCATE TABLE {x}",
        ],
    )
    def test_nor_beside_another_statement(self, ctx, sales, text):
        with pytest.raises(SQLError, match=r"PARALLEL WITH joins|owns"):
            ctx.raw_sql(text, x=sales)
        assert len(sales) == 3

    def test_a_table_whose_engine_names_one_in_a_string(self, ctx, sales):
        for name in (
            f"'{sales.table_name}'",
            f"'{sales.table_name.replace('_', chr(92) + 'x5f')}'",
        ):
            with pytest.raises(SQLError, match="would read aai_t_"):
                ctx.raw_sql(
                    "CREATE TABLE a (item String, n Int64) ENGINE = "
                    f"Buffer(currentDatabase(), {name}, 1, 0, 0, 1, 1, 1, 1)"
                )

    @pytest.mark.parametrize("setting", ["limit", "OFFSET", "`dialect`", "log_comment"])
    def test_settings_that_would_change_what_we_add(self, ctx, setting):
        with pytest.raises(SQLError, match="cannot be set here"):
            ctx.raw_sql(f"SET {setting} = 1; SELECT 1")

    def test_nor_a_statement_that_could_not_be_found_to_stop_it(self, ctx):
        text = "CREATE TABLE a ENGINE = Memory AS SELECT 1 AS b SETTINGS max_threads = 1, {}"
        with pytest.raises(SQLError, match="log_comment cannot be set here"):
            ctx.raw_sql(text.format("log_comment = 'mine'"))
        ctx.raw_sql(text.format("limit = 1"))

    def test_nothing_runs_where_one_is_refused(self, ctx, sales):
        with pytest.raises(SQLError):
            ctx.raw_sql("CREATE TABLE mine (a Int8) ENGINE = Memory; DROP TABLE {x}", x=sales)
        assert ctx.raw_sql("EXISTS TABLE mine").data() == {"result": [0]}


@pytest.mark.usefixtures("clean")
class TestPlans:
    @pytest.mark.parametrize("kind", ["AST", "SYNTAX", "QUERY TREE"])
    def test_explain_tells_no_password(self, ctx, kind):
        source = "s3('http://127.0.0.1:1/bucket/a', 'key', 'pa55w0rd', 'CSV', 'a Int8')"
        text = ctx.raw_sql(f"EXPLAIN {kind} SELECT a FROM {source}")
        assert "s3" in text
        assert "pa55w0rd" not in text

    def test_explain_and_profile(self, ctx, sales):
        view = ctx.sql("SELECT item, sum(n) AS n FROM {sales} GROUP BY item", sales=sales)
        assert "Aggregating" in view.explain()
        assert "Aggregating" in sales.group_by("item").agg(n=sales.n.sum()).explain()
        report = view.profile_query()
        assert all(part in report for part in ("Time:", "Read:", "Peak memory:", "Aggregating"))
        with pytest.raises(EngineError, match="throwIf"):
            ctx.sql("SELECT throwIf(n > 0) AS a FROM {sales}", sales=sales).profile_query()

    def test_an_older_server_tells_less(self, ctx):
        from aaiclick_ext.objects.query_plans import _profile_by_summary

        report = _profile_by_summary(ctx.engine, "SELECT sum(number) FROM numbers(1000)")
        assert "Read: 1,000 rows" in report
        assert "no EXPLAIN ANALYZE" in report

    def test_a_dry_run(self, ctx):
        ctx.raw_sql(
            "CREATE TABLE mine (a Int64) ENGINE = MergeTree ORDER BY a "
            "SETTINGS index_granularity = 10;"
            "INSERT INTO mine SELECT number FROM numbers(100)"
        )
        run = ctx.sql("SELECT a, 'x' AS s FROM (SELECT a FROM mine) WHERE a < 10").dry_run()
        assert run.types == {"a": "Int64", "s": "String"}
        (cost,) = run.tables
        assert (cost.table, cost.total_rows, cost.rows, cost.parts, cost.marks) == (
            "mine",
            100,
            10,
            1,
            1,
        )
        assert "Nothing was run" in repr(run)

    @pytest.mark.parametrize(
        "text",
        [
            "SELECT a FROM mine WHERE a > (SELECT max(throwIf(1)) FROM mine)",
            "SELECT a FROM mine WHERE a IN (SELECT throwIf(a >= 0) FROM mine)",
            "WITH (SELECT max(throwIf(1)) FROM mine) AS x SELECT a + x AS b FROM mine",
            "SELECT * FROM seen",
        ],
    )
    def test_a_dry_run_runs_no_subquery(self, ctx, text):
        ctx.raw_sql(
            "CREATE TABLE mine ENGINE = MergeTree ORDER BY a AS SELECT 1 AS a;"
            "CREATE VIEW seen AS SELECT a FROM mine WHERE a = (SELECT max(throwIf(1)) FROM mine)"
        )
        run = ctx.sql(text).dry_run()
        assert "EXPLAIN would run" in run.reason
        assert all(cost.rows is None for cost in run.tables)


def test_on_a_server(server_url, tmp_path):
    with DataContext(server_url, settings=Settings(state_dir=tmp_path)) as ctx:
        x = ctx.create_object_from_value({"n": [1, 2]})
        made = ctx.raw_sql(
            "CREATE TABLE mine (n Int64) ENGINE = MergeTree ORDER BY n;"
            "INSERT INTO mine VALUES (5); INSERT INTO mine SELECT n FROM {x}; SET max_threads = 1;"
            "CREATE TEMPORARY TABLE p AS SELECT * FROM mine; SELECT sum(n) AS s FROM p", x=x,
        )  # fmt: skip
        assert made.data() == {"s": [8]}
        assert "Sorting" in ctx.sql("SELECT n FROM mine ORDER BY n DESC").explain()
        assert ctx.raw_sql("EXISTS TABLE mine").data() == {"result": [1]}
        with pytest.raises(SQLError):
            ctx.raw_sql("DROP TABLE {x}", x=x)
        ctx.raw_sql("DROP TABLE mine")
