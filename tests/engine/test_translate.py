"""Messages: one useful sentence, the right class, and no credentials."""

from __future__ import annotations

import subprocess
import sys
import traceback

import pytest

from aaiclick_ext.engine.translate import sentence, translate
from aaiclick_ext.errors import (
    ConnectError,
    ContextError,
    EngineError,
    MemoryLimitError,
    QueryTimeoutError,
    UnknownColumnError,
    UnknownTableError,
)


def raw(code: int, text: str) -> str:
    """Return a message as ClickHouse words it."""
    return f"Code: {code}. DB::Exception: {text}"


STACK = ", Stack trace (always include the lines below):\n\n0. DB::X @ 0x0"
MESSAGES = [
    (
        raw(60, "Table d.t does not exist. (UNKNOWN_TABLE) (version 26.9.2.1)"),
        "Table d.t does not exist.",
    ),
    (raw(60, "No t. Maybe you meant d.tt?. (UNKNOWN_TABLE)"), "No t. Maybe you meant d.tt?"),
    (
        raw(
            47,
            "No `x` in scope x. Maybe: ['y']. (UNKNOWN_IDENTIFIER) (version 25 (official))",
        ),
        "No `x` in scope x. Maybe: ['y'].",
    ),
    (
        raw(115, raw(115, "Unknown 'x'. (UNKNOWN_SETTING) (version 1). (UNKNOWN_SETTING)")),
        "Unknown 'x'.",
    ),
    (
        raw(241, f"Would use 1 GiB: While executing AggregatingTransform. (MEMORY_LIMIT){STACK}"),
        "Would use 1 GiB.",
    ),
    (
        raw(
            62,
            "Syntax error: failed at 7 (1): 1. Expected one of: token, Dot. (SYNTAX_ERROR)",
        ),
        "Syntax error: failed at 7 (1): 1.",
    ),
    (
        f"Received: {raw(60, 'No t. (UNKNOWN_TABLE)')} (for url http://h:8123)",
        "No t.",
    ),
    (f"Streaming insert failed: {raw(349, 'No NULL. (CANNOT_INSERT) (version 1)')}", "No NULL."),
    ("something else", "something else."),
]


@pytest.mark.parametrize(("text", "said"), MESSAGES)
def test_the_useful_sentence(text, said):
    assert sentence(text) == said


def test_a_very_long_message_is_cut_and_says_so():
    said = sentence("x" * 100_000)
    assert len(said) < 2100
    assert "98000 more characters" in said


@pytest.mark.parametrize(
    ("sql", "kind", "code", "text"),
    [
        ("SELECT * FROM no_such", UnknownTableError, 60, "no_such"),
        ("SELECT * FROM no_such_db.t", UnknownTableError, 81, "no_such_db"),
        ("SELECT no_such FROM system.one", UnknownColumnError, 47, "no_such"),
        (
            "SELECT sleep(3) SETTINGS max_execution_time = 0.3",
            QueryTimeoutError,
            159,
            "max_execution_time",
        ),
        (
            "SELECT groupArray(number) FROM numbers(100000000) SETTINGS max_memory_usage = 1000000",
            MemoryLimitError,
            241,
            "max_memory_usage",
        ),
        ("SELECT throwIf(1, 'told you')", EngineError, 395, "told you"),
        ("SELEC 1", EngineError, 62, "Syntax error"),
    ],
)
def test_real_errors(engine, sql, kind, code, text):
    with pytest.raises(kind) as raised:
        engine.query_arrow(sql)
    error = raised.value
    assert (type(error), error.code, error.sql) == (kind, code, sql)
    assert text in str(error)
    for noise in ("DB::Exception", "version", "Code:", "Stack trace"):
        assert noise not in str(error)
    assert error.__cause__ is not None
    assert error.__context__ is None or error.__context__ is error.__cause__


def test_ours_passes_through():
    error = ContextError("closed")
    assert translate(error) is error


def test_an_unreachable_server():
    from clickhouse_connect.driver.exceptions import OperationalError

    error = OperationalError("Error HTTPConnectionPool(...): Max retries exceeded")
    error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    translated = translate(error)
    assert type(translated) is ConnectError
    assert str(translated) == "the server does not answer (connection refused)."


def test_a_secret_in_the_chain_drops_the_chain():
    inner = ValueError("password is pa55word")
    outer = RuntimeError("Code: 36. DB::Exception: Bad 'pa55word' here. (BAD_ARGUMENTS)")
    outer.__context__ = inner
    error = translate(outer, sql="SELECT 'pa55word'", secrets=("pa55word",))
    assert str(error) == "Bad '***' here."
    assert error.sql == "SELECT '***'"
    assert error.__cause__ is None
    assert "pa55word" not in "".join(traceback.format_exception(error))
    kept = translate(
        RuntimeError("Code: 36. DB::Exception: Bad. (BAD_ARGUMENTS)"), secrets=("pa55word",)
    )
    assert kept.__cause__ is not None


@pytest.mark.parametrize(
    ("sql", "hidden", "kept"),
    [
        (
            "SELECT * FROM s3('https://b.s3.amazonaws.com/k.parquet', 'AKIAKEY', 'wJalrSecret')",
            ["AKIAKEY", "wJalrSecret"],
            ["https://b.s3.amazonaws.com/k.parquet"],
        ),
        ("SELECT * FROM postgresql('h:5432', 'db', 't', 'bob', 'it''s')", ["it''s", "it's"], []),
        ("SELECT * FROM remote('h', 'd', 't', 'bob', 'a\\'b')", ["a\\'b", "a'b"], []),
        ("SELECT * FROM url('https://bob:pw1@h/x.csv')", ["pw1"], ["https://bob:***@h/x.csv"]),
        ("SELECT 'postgres://u:topsecret@h/db'", ["topsecret"], ["postgres://u:***@h/db"]),
        (
            "SELECT * FROM url('https://h/x?X-Amz-Signature=abcdef&X-Amz-Date=1')",
            ["abcdef"],
            ["X-Amz-Date=1"],
        ),
        ("CREATE USER u IDENTIFIED WITH plaintext_password BY 'qwerty'", ["qwerty"], []),
        ("SELECT encrypt('aes-256-ofb', x, 'keykeykey') FROM t", ["keykeykey"], []),
        ("SELECT * FROM t WHERE a = 'plain' AND b = 'text'", [], ["'plain'", "'text'"]),
    ],
)
def test_credentials_in_sql(sql, hidden, kept):
    for repeated in (sql, "", *hidden):
        error = translate(RuntimeError(raw(36, f"Bad <{repeated}>. (BAD_ARGUMENTS)")), sql=sql)
        shown = "".join(traceback.format_exception(error)) + str(error.sql)
        for secret in hidden:
            assert secret not in shown
        for text in kept:
            assert text in error.sql
        assert (error.__cause__ is None) == bool(hidden and repeated)
        if not hidden:
            assert error.sql == sql
            assert str(error) == f"Bad <{repeated}>."


UNREADABLE = "SELECT * FROM mysql('h', d, t, u, 'pa55word"


def test_sql_that_cannot_be_masked_is_not_shown():
    text = raw(62, f"Syntax error: failed at 35: {UNREADABLE}. (SYNTAX_ERROR)")
    error = translate(RuntimeError(text), sql=UNREADABLE)
    assert error.sql is None
    assert error.code == 62
    assert error.__cause__ is None
    assert "withheld" in str(error)
    assert "pa55word" not in str(error)


def test_a_real_error_of_sql_that_cannot_be_masked(engine):
    with pytest.raises(EngineError) as raised:
        engine.query_arrow(UNREADABLE)
    error = raised.value
    assert (error.sql, error.code) == (None, 62)
    assert "pa55" not in str(error) + repr(error) + repr(error.__cause__)


def test_a_secret_that_only_the_message_holds():
    text = raw(499, "Cannot read s3('https://b/x', 'AKIAKEY', 'wJalrSecret', 'CSV'). (S3_ERROR)")
    error = translate(RuntimeError(text), sql="SELECT * FROM v")
    assert str(error) == "Cannot read s3('https://b/x', '***', '***', 'CSV')."
    assert error.__cause__ is None


def test_no_part_of_a_secret_is_left_where_a_message_is_cut():
    secret = "S3cretS3cret"
    for length in range(1980, 2005):
        error = translate(RuntimeError("x" * length + secret), secrets=(secret,))
        assert "S3c" not in str(error)


def test_the_maskers_are_imported_by_the_first_error():
    code = (
        "import sys; import aaiclick_ext.engine as e; from aaiclick_ext.engine import translate\n"
        "names = {'sqlglot', 'aaiclick_ext.masking'}\n"
        "print(sorted(names & set(sys.modules)))\n"
        "translate.translate(ValueError('x'))\n"
        "print(sorted(names & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['aaiclick_ext.masking', 'sqlglot']"]


def test_a_credential_that_clickhouse_repeats_is_masked(engine):
    secret = "wJalr-Secret"  # in no line of source that a traceback shows
    with pytest.raises(EngineError) as raised:
        engine.query_rows(f"SELECT * FROM s3('{secret}', 'AKIAKEY', '{secret}', 'NoSuchFormat')")
    error = raised.value
    shown = "".join(traceback.format_exception(error)) + error.sql + repr(error)
    assert secret not in shown
