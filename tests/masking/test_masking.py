"""Secrets in SQL, Python and messages: found wherever they may stand, masked in every spelling."""

from __future__ import annotations

import ast
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlglot.dialects.clickhouse import ClickHouse

from aaiclick_ext.masking import (
    MASK,
    mask_literals,
    mask_message,
    mask_source,
    mask_sql,
    mask_text,
    may_hold_secrets,
    secrets_of,
    secrets_of_source,
    secrets_of_sql,
)

S = "hunter2Secret"
T = "Tr0ub4dor"

SQL = {
    "s3": f"SELECT * FROM s3('https://b.s3.amazonaws.com/x', 'AKIA{T}', '{S}', 'CSV')",
    "s3 with a session token": f"SELECT * FROM s3('https://b/x', 'AKIAx', 'y{T}', '{S}', 'CSV')",
    "s3 upper case": f"SELECT * FROM S3('https://b/x', 'AKIAx', '{S}')",
    "s3 spread out": f"SELECT * FROM s3\n/* c */ -- d\n(\n'u',\n'k', /* e */ '{S}')",
    "s3 in backticks": f"SELECT * FROM `s3`('u', 'kkkk', '{S}')",
    "s3Cluster": f"SELECT * FROM s3Cluster('c', 'u', 'kkkk', '{S}')",
    "two arguments, no format": f"SELECT * FROM s3('u', '{S}')",
    "a key as an identifier": f"SELECT * FROM s3('u', kkkk, {S})",
    "a concatenated key": f"SELECT * FROM s3('u', 'kkkk', concat('{S}', 'x'))",
    "gcs": f"SELECT * FROM gcs('u', 'kkkk', '{S}')",
    "oss": f"SELECT * FROM oss('u', 'kkkk', '{S}')",
    "cosn": f"SELECT * FROM COSN('u', 'kkkk', '{S}')",
    "iceberg": f"SELECT * FROM icebergS3('u', 'kkkk', '{S}', 'Parquet')",
    "deltaLake": f"SELECT * FROM deltaLake('u', 'kkkk', '{S}')",
    "deltaLakeCluster": f"SELECT * FROM deltaLakeCluster('c', 'u', 'kkkk', '{S}')",
    "hudi": f"SELECT * FROM hudi('u', 'kkkk', '{S}')",
    "engine S3": f"CREATE TABLE t (a Int8) ENGINE = S3('u', 'kkkk', '{S}', 'CSV')",
    "engine S3Queue": f"CREATE TABLE t (a Int8) ENGINE=S3Queue('u', 'kkkk', '{S}', 'CSV')",
    "disk": f"CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = "
    f"disk(type = s3, endpoint = 'u', access_key_id = '{T}', secret_access_key = '{S}')",
    "backup": f"BACKUP TABLE t TO S3('u', 'kkkk', '{S}')",
    "azure": f"SELECT * FROM azureBlobStorage('https://a', 'c', 'p', 'account', '{S}', 'CSV')",
    "azure cluster": f"SELECT * FROM azureBlobStorageCluster('c', 'u', 'c', 'p', 'a', '{S}')",
    "azure connection string": "SELECT * FROM azureBlobStorage('DefaultEndpointsProtocol=https;"
    f"AccountName=a;AccountKey={S}/+==;EndpointSuffix=core', 'c', 'p')",
    "azure shared access": "SELECT * FROM azureBlobStorage('BlobEndpoint=https://a;"
    f"SharedAccessSignature=sv=2020&sig={S}', 'c', 'p')",
    "azure sas url": f"SELECT * FROM url('https://a.blob.core.windows.net/c/b?sv=1&sig={S}&se=2')",
    "icebergAzure": f"SELECT * FROM icebergAzure('https://a', 'c', 'p', 'account', '{S}')",
    "postgresql": f"SELECT * FROM postgresql('h:5432', 'd', 't', 'u', '{S}')",
    "postgresql with schema": f"SELECT * FROM postgresql('h', 'd', 't', 'u', '{S}', 'schema')",
    "postgresql with names": f"SELECT * FROM postgresql(nc, password = '{S}')",
    "postgresql database": f"CREATE DATABASE x ENGINE = PostgreSQL('h', 'd', 'u', '{S}', 's', 1)",
    "postgresql database if not exists":
        f"CREATE DATABASE IF NOT EXISTS x ENGINE = PostgreSQL('h', 'd', 'u', '{S}', 's', 1)",
    "mysql": f"SELECT * FROM mysql('h:3306', d, t, 'u', '{S}')",
    "mysql database": f"ATTACH DATABASE x ENGINE = MySQL('h', 'd', 'u', '{S}')",
    "mysql engine": f"CREATE TABLE t (a Int8) ENGINE = MySQL('h', 'd', 't', 'u', '{S}')",
    "mysql engine without sign": f"CREATE TABLE t (a Int8) ENGINE MySQL('h', 'd', 't', 'u', '{S}')",
    "mongodb": f"SELECT * FROM mongodb('h', 'd', 'c', 'u', '{S}', 'a Int8')",
    "mongodb uri": f"SELECT * FROM mongodb('mongodb://u:{S}@h:27017/d', 'c', 'a Int8')",
    "redis": f"SELECT * FROM redis('h:6379', 'key', 'key String, v Int8', 0, '{S}')",
    "redis engine": f"CREATE TABLE t (k String) ENGINE = Redis('h:6379', 0, '{S}') PRIMARY KEY k",
    "remote": f"SELECT * FROM remote('h', db.t, 'u', '{S}')",
    "remote with two names": f"SELECT * FROM remote('h', 'db', 't', 'u', '{S}')",
    "remote with one literal": f"SELECT * FROM remote('h', 'db.t', 'u', '{S}', rand())",
    "remoteSecure over a function": f"SELECT * FROM remoteSecure('h', numbers(10), 'u', '{S}')",
    "insert into function": f"INSERT INTO FUNCTION remote('h', db.t, 'u', '{S}') SELECT 1",
    "url userinfo": f"SELECT * FROM url('https://u:{S}@h/x.csv', 'CSV')",
    "url userinfo with at": f"SELECT * FROM url('https://u:{S}@{S}@h/x.csv')",
    "url userinfo with slash": f"SELECT * FROM url('https://u:a/{S}@h/x.csv')",
    "url token as user": "SELECT * FROM url('https://ghq_0123456789012345678901@h/x.csv')",
    "url headers": f"SELECT * FROM url('u', CSV, headers('X-Anything' = 'Bearer {S}'))",
    "url presigned": "SELECT * FROM url('https://b/x?X-Amz-Algorithm=A&X-Amz-Credential=" + T
    + f"%2F2026&X-Amz-Security-Token={S}1&X-Amz-Signature={S}')",
    "url presigned lower": f"SELECT * FROM url('https://b/x?x-amz-signature={S}')",
    "url old signature": f"SELECT * FROM url('https://b/x?AWSAccessKeyId={T}&Signature={S}&E=1')",
    "url google": f"SELECT * FROM url('https://b/x?GoogleAccessId={T}&X-Goog-Signature={S}')",
    "url token": f"SELECT * FROM url('https://b/x?a=1&access_token={S}#f')",
    "url api key": f"SELECT * FROM url('https://b/x?api_key={S}')",
    "url key": f"SELECT * FROM url('https://b/x?key={S}&a=1')",
    "url key in a url": f"SELECT * FROM url('https://b/x?to=https%3A%2F%2Fc%3Fkey%3D{S}')",
    "url apikey": f"SELECT * FROM url('https://b/x?ApiKey={S}')",
    "url in url": f"SELECT * FROM url('https://b/x?to=https%3A%2F%2Fc%3Ftoken%3D{S}%26a%3D1')",
    "url in a table name": f"SELECT * FROM `https://u:{S}@h/x`",
    "create user": f"CREATE USER u IDENTIFIED WITH sha256_password BY '{S}' HOST LOCAL",
    "create user, hash and salt": f"CREATE USER u IDENTIFIED WITH sha256_hash BY '{S}' SALT '{T}'",
    "create user, two ways": f"CREATE USER u IDENTIFIED BY '{T}', BY '{S}'",
    "alter user": f"ALTER USER u IDENTIFIED BY '{S}'",
    "named collection": f"CREATE NAMED COLLECTION c AS url = 'http://h', anything = '{S}'",
    "named collection, altered": f"ALTER NAMED COLLECTION c SET secret_access_key = '{S}'",
    "dictionary": "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(MYSQL("
    f"port 3306 user 'u' password '{S}' db 'x')) LAYOUT(FLAT()) LIFETIME(1)",
    "dictionary in capitals": f"CREATE DICTIONARY d (a UInt64) SOURCE(CLICKHOUSE(PASSWORD '{S}'))",
    "dictionary headers": "CREATE DICTIONARY d (a UInt64) SOURCE(HTTP(url 'u' "
    f"headers(header(name 'API-KEY' value '{S}'))))",
    "setting": f"SELECT 1 SETTINGS kafka_sasl_password = '{S}'",
    "json map": f"SELECT {{'password': '{S}'}}",
    "encrypt": f"SELECT encrypt('aes-256-gcm', x, '{S}')",
    "explain": f"EXPLAIN SELECT * FROM mysql('h', d, t, u, '{S}')",
    "show": f"SHOW TABLES LIKE 'x'; SELECT * FROM mysql('h', d, t, u, '{S}')",
    "template": f"SELECT * FROM mysql('{{{{ host }}}}', d, t, :user, '{S}') WHERE $x",
    "jdbc": f"SELECT * FROM jdbc('jdbc:mysql://h/d?user=u&password={S}', 't')",
    "odbc": f"SELECT * FROM odbc('DSN=x;UID=u;PWD={S};', 't')",
    "heredoc": f"SELECT * FROM mysql('h', d, t, u, $${S}$$)",
    "tagged heredoc": f"SELECT * FROM mysql('h', d, t, u, $x${S}$x$)",
    "escaped": f"SELECT * FROM mysql('h', d, t, u, 'it''s \\'{S}\\' \\\\')",
    "nested": f"SELECT * FROM (SELECT * FROM view(SELECT * FROM mysql('h', d, t, u, '{S}')))",
    "second of two": f"SELECT * FROM s3('u', 'CSV') JOIN mysql('h', d, t, u, '{S}') USING x",
    "in a comment": f"SELECT 1 -- was: mysql('h', d, t, u, '{S}')\n",
    "in a long comment": f"SELECT 1 /* mysql('h', d,\n t, u, '{S}') */ + 2",
    "in a comment that is no SQL": f"SELECT 1 -- don't s3('u', 'kkkk', '{S}')\n",
    "url in a comment": f"SELECT 1 # https://u:{S}@h\n",
    "cut off": f"SELECT * FROM mysql('h', d, t, u, '{S}'",
    "bearer": f"SELECT 'Authorization: Bearer {S}'",
    "private key": f"SELECT '-----BEGIN PRIVATE KEY-----\n{S}\n-----END PRIVATE KEY-----'",
    "the same literal elsewhere": f"SELECT '{S}' FROM mysql('h', d, t, u, '{S}') WHERE x = '{S}'",
    "the same, escaped": f"SELECT '\\x{ord(S[0]):x}{S[1:]}' FROM mysql(h, d, t, u, '{S}')",
}  # fmt: skip


@pytest.mark.parametrize("sql", SQL.values(), ids=SQL.keys())
def test_no_secret_of_sql_remains(sql):
    masked = mask_sql(sql)
    assert masked is not None
    assert S not in masked
    assert T not in masked
    assert "ghq_" not in masked
    decoded = [token.text for token in ClickHouse().tokenize(masked.replace("$x", "x"))]
    assert not any(S in text or T in text for text in decoded)
    assert mask_sql(masked) == masked
    assert S not in "".join(secrets_of(masked))


HARMLESS = [
    "SELECT * FROM s3('https://b/x.csv', 'CSV', 'a Int32, b String', 'gzip')",
    "SELECT * FROM s3('https://b/x.csv', NOSIGN, 'CSV')",
    "SELECT * FROM s3Cluster('c', 'https://b/x.csv', CSV)",
    "SELECT * FROM url('https://host:8080/a/@scope/b.csv?page=2', 'CSV')",
    "SELECT * FROM url('https://h/x', CSV, headers('Accept' = 'text/csv'))",
    "SELECT secret, token, password FROM users ORDER BY token",
    "SELECT * FROM a CROSS JOIN b WHERE pass > 1 AND author != ''",
    "SELECT {password:String} FROM mysql('h', d, t, u, {password:String})",
    "SELECT * FROM azureBlobStorage('https://a', 'c', 'p', 'CSV', 'auto', 'a Int8')",
    "SELECT tokens('a b'), max_tokens FROM t WHERE key = 'abc' AND signature = 'x'",
    "SELECT * FROM remote('h', db.t)",
    "SELECT * FROM remote('h', db.t, 'u', sharding_key)",
    "SELECT 'mail me: bob@example.com', 'https://example.com/@me'",
    "SELECT * FROM t WHERE text = 'the password: was changed'".replace("password:", "word:"),
    "ALTER TABLE t DELETE WHERE x = 'it''s'",
    "",
]


@pytest.mark.parametrize("sql", HARMLESS)
def test_what_is_no_secret_is_left_as_it_was(sql):
    assert mask_sql(sql) == sql


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT * FROM mysql('h', d, t, u, '{S}",
        f"SELECT * FROM mysql(‘h’, d, t, u, ‘{S}’)",  # noqa: RUF001
        f"SELECT * FROM mysql('h', d, t, u, $x${S}",
    ],
)
def test_sql_that_cannot_be_read_is_not_stored(sql):
    assert mask_sql(sql) is None


def test_only_the_secret_goes():
    sql = f"SELECT *\nFROM s3('https://b/x?X-Amz-Date=1&X-Amz-Signature={S}', 'CSV') -- note"
    assert mask_sql(sql) == sql.replace(S, MASK)


SOURCES = {
    "assignment": f'password = "{S}"',
    "annotated": f'password: str = "{S}"',
    "attribute": f'config.api_key = "{S}"',
    "key": f'config["AWS_SECRET_ACCESS_KEY"] = "{S}"',
    "environment": f'os.environ["DB_PASSWORD"] = "{S}"',
    "default": f'os.environ.setdefault("DB_PASSWORD", "{S}")',
    "fallback": f'password = os.environ.get("DB_PASSWORD", "{S}")',
    "either": f'token = given or "{S}"',
    "condition": f'token = "{S}" if x else "{T}"',
    "keyword": f'connect("host", password="{S}")',
    "dict": f'options = {{"user": "u", "secretKey": "{S}"}}',
    "dict call": f'options = dict(user="u", client_secret="{S}")',
    "pair": f'options = [("user", "u"), ("password", "{S}")]',
    "argument default": f'def connect(host, token="{S}", *, pwd="{T}"): ...',
    "several": f'user, password = "u", "{S}"',
    "chained": f'a = b = secret = "{S}"',
    "walrus": f'if (token := "{S}"): pass',
    "comparison": f'assert password == "{S}"',
    "bytes": f'secret = b"{S}"',
    "raw": f'secret = r"{S}"',
    "triple": f"secret = '''{S}'''",
    "encoded": f'secret = "{S}".encode()',
    "number": "token = 12345678",
    "implicit concatenation": f'password = "{S[:5]}" "{S[5:]}"',
    "escapes": "password = '" + "".join(f"\\x{ord(c):02x}" for c in S) + "'",
    "unicode before": f'naïve = "日本語"; password = "{S}"',
    "several lines": f'password = (\n    "{S[:4]}"\n    "{S[4:]}"\n)',
    "url": f'read_csv("https://u:{S}@h/x.csv")',
    "presigned": f'read_csv("https://b/x?X-Amz-Signature={S}")',
    "sql": f"sql(\"SELECT * FROM s3('u', 'kkkk', '{S}')\")",
    "sql in triple quotes": f'sql("""\nSELECT *\nFROM mysql(\'h\', d, t, u,\n \'{S}\')\n""")',
    "f-string": f"x = 1\nsql(f\"SELECT * FROM mysql('h', d, t, u, '{S}') WHERE a = {{x}}\")",
    "into an f-string": f"p = \"{S}\"\nsql(f\"SELECT * FROM mysql('h', d, t, u, '{{p}}')\")",
    "into an f-string through two": f'a = "{S}"\np = a\nsql(f"FROM mysql(h, d, t, u, \'{{p}}\')")',
    "used before bound": f'def f():\n    sql(f"FROM mysql(h, d, t, u, \'{{p}}\')")\np = "{S}"',
    "concatenated": f'p = "{S}"\nsql("SELECT * FROM mysql(h, d, t, u, \'" + p + "\')")',
    "percent": f'p = "{S}"\nsql("SELECT * FROM mysql(h, d, t, u, \'%s\')" % p)',
    "percent tuple": f'p = "{S}"\nsql("SELECT %d FROM mysql(h, d, t, u, \'%s\')" % (1, p))',
    "percent dict": f"p = \"{S}\"\nsql(\"SELECT * FROM mysql(h, d, t, u, '%(p)s')\" % {{'p': p}})",
    "format": f'p = "{S}"\nsql("SELECT * FROM mysql(h, d, t, u, \'{{}}\')".format(p))',
    "format by name": f'p = "{S}"\nsql("SELECT * FROM mysql(h, d, t, u, \'{{x}}\')".format(x=p))',
    "into a url": f'p = "{S}"\nread_csv(f"https://u:{{p}}@h/x")',
    "into a keyword": f'p = "{S}"\nconnect(password=p)',
    "printed": f'password = "{S}"\nprint("{S}", len("{S}"))',
    "comment": f'x = 1  # password = "{S}"',
    "comment with sql": f"x = 1\n# SELECT * FROM mysql('h', d,\n#   t, u, '{S}')",
    "comment with a url": f"x = 1  # https://u:{S}@h",
    "docstring": f'def f():\n    """Call mysql(h, d, t, u, \'{S}\')."""',
    "await at top level": f'await connect(password="{S}")',
    "sql cell": f"%%sql\nSELECT * FROM mysql('h', d, t, u, '{S}')",
    "sql cell with options": f"%%sql --connect postgresql://u:{S}@h/d\nSELECT 1",
    "our sql cell": f"%%aaisql x\nSELECT * FROM mysql('h', d, t, u, '{S}')",
    "timed cell": f'%%time\npassword = "{S}"',
    "sql line": f"%sql SELECT * FROM mysql('h', d, t, u, '{S}')\nx = 1",
    "assigned sql line": f"x = %sql SELECT * FROM mysql('h', d, t, u, '{S}')\ny = 1",
    "env line": f"%env DB_PASSWORD={S}\nx = 1",
    "shell line": f"!PGPASSWORD={S} psql -c 'select 1'\nx = 1",
    "shell line in a block": f"if x:\n    !curl -H 'Authorization: Bearer {S}' h\ny = 1",
    "magic and Python": f'%matplotlib inline\npassword = "{S}"\nprint("{S}")',
    "help": f'password = "{S}"\nprint?\n',
    "windows lines": f'x = 1\r\npassword = "{S}"\r\ny = 2\r\n',
    "form feed": f'x = "\x0c\u2028"\npassword = "{S}"',
    "authorization": f'headers = {{"Authorization": "Bearer {S}"}}',
    "json in text": f'payload = \'{{"password": "{S}"}}\'',
    "cut-off sql": f"q = \"SELECT * FROM mysql('h', d, t, u, '{S}\"",
    "prose that could be sql": f"x = \"don't call s3('u', 'k', '{S}')\"",
    "a comment that could be sql": f"x = 1  # don't call s3('u', 'k', '{S}')",
    "prose in an f-string": f"p = '{S}'\nx = f\"don't call s3('u', 'k', '{{p}}')\"",
    "dsn": f'connect("host=h user=u password={S} dbname=d")',
    "odbc": f'connect("Driver=x;Server=h;Uid=u;Pwd={S};")',
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_no_secret_of_a_cell_remains(source):
    masked = mask_source(source)
    assert masked is not None
    for secret in (S, T, "12345678"):
        assert secret not in masked
    assert MASK in masked
    assert mask_source(masked) == masked
    if not any(sign in source for sign in ("%sql", "%%", "!", "%env", "%mat", "?")):
        texts = [n.value for n in ast.walk(_parse(masked)) if isinstance(n, ast.Constant)]
        assert not any(isinstance(text, str) and S in text for text in texts)


def _parse(source):
    return compile(source, "", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize(
    "source",
    [
        f'password = "{S}',
        f"df.filter(password == '{S}'",
        f"%%bash\nexport PASSWORD={S}",
        f"%%sql\nSELECT * FROM mysql('h', d, t, u, '{S}",
    ],
)
def test_a_cell_that_cannot_be_read_is_not_stored(source):
    assert mask_source(source) is None


@pytest.mark.parametrize(
    "source",
    [
        "x = 1",
        'flights = aai.read_parquet("https://host/a.parquet")\nflights.filter(flights.delay > 10)',
        "tokens = text.split()\nmax_tokens = 100\nkey = tokens[0]",
        'password = os.environ["DB_PASSWORD"]',
        "password = getpass.getpass()",
        "connect(password=password, token=None)",
        "token: str",
        "df.groupby('key').agg(secret=df.x.sum())",
        "%%time\nx = 1",
        "!ls\n%matplotlib inline",
        "this is no python at all (",
        "",
    ],
)
def test_a_cell_without_secrets_is_left_as_it_was(source):
    assert mask_source(source) == source


def test_prose_costs_only_itself():
    source = 'x = 1\n\ndef f():\n    """Don\'t use remote (servers)."""\n    return x\n'
    assert mask_source(source) == source.replace("Don't use remote (servers).", MASK).replace(
        "Don\\'t use remote (servers).", MASK
    )


def test_the_rest_of_a_cell_is_left_as_it_was():
    source = f'x = "日本"  # note\nconnect(\n    "h", password="{S}",  # this\n)\nprint(f"{{x}}")\n'
    assert mask_source(source) == source.replace(S, MASK)


@pytest.mark.parametrize(
    "text",
    [
        f"Code: 210. DB::NetException: Connection refused (https://u:{S}@h:80/x?sig={S})",
        f"In scope SELECT * FROM s3('u', 'kkkk', '{S}'). (UNKNOWN_TABLE)",
        f"can't read s3('u', 'kkkk', '{S}')",
        f"password={S} is wrong",
    ],
)
def test_messages_lose_their_secrets(text):
    assert S not in mask_message(text)


def test_a_message_keeps_what_is_no_secret():
    text = "Code: 60. DB::Exception: Table default.token doesn't exist. (UNKNOWN_TABLE)"
    assert mask_message(text) == text
    assert mask_message(f"wrong: {S}", {S}) == f"wrong: {MASK}"


def test_plain_text_loses_passwords_and_signatures():
    assert mask_text("at http://u:p@h/x?sig=1&a=2") == "at http://u:***@h/x?sig=***&a=2"
    assert mask_text("at http://h:80/x") == "at http://h:80/x"
    assert mask_text("https://h/x?key=abc&a=1") == "https://h/x?key=***&a=1"
    assert mask_text("run --password=abc --db-token=def -v") == (
        "run --password=*** --db-token=*** -v"
    )


@pytest.mark.parametrize(
    "secret", ["it's", 'a"b', "a\\b", "a\nb", "a b&c=d/é", "日本語", "ab'';--"]
)
def test_literals_are_masked_in_every_spelling(secret):
    sql = secret.replace("\\", "\\\\").replace("'", "\\'")
    for spelled in (secret, sql, repr(secret)[1:-1], ascii(secret)[1:-1], quote(secret, safe="")):
        assert mask_literals(f"<{spelled}>", {secret}) == f"<{MASK}>"


def test_a_short_literal_is_masked_only_where_it_stands_alone():
    assert mask_literals("pw: 'ab', cabin, ab", {"ab"}) == f"pw: '{MASK}', cabin, {MASK}"


def test_longer_secrets_go_first():
    assert mask_literals("abcdefgh", {"abcd", "abcdefgh"}) == MASK


SECRETS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=4, max_size=20
).map(lambda text: f"Zq{text}7x")
QUOTINGS = {
    "backslash": lambda s: "'" + s.replace("\\", "\\\\").replace("'", "\\'") + "'",
    "doubled": lambda s: "'" + s.replace("\\", "\\\\").replace("'", "''") + "'",
    "heredoc": lambda s: f"$q1${s}$q1$",
}
CALLS = [
    "mysql('h', d, t, u, {})",
    "MySQL /* x */ ( 'h' , d , t , u , {} )",
    "s3('u', 'kkkk', {}, 'CSV')",
    "postgresql(c, password = {})",
    "remote('h', db.t, 'u', {})",
    "url('u', CSV, headers('k' = {}))",
    "redis('h', 'k', 's', 0, {})",
]


@given(SECRETS, st.sampled_from(sorted(QUOTINGS)), st.sampled_from(CALLS))
@settings(max_examples=400, deadline=None)
def test_no_quoting_hides_a_secret_of_sql(secret, quoting, call):
    assume("$" not in secret and "*" not in secret)
    sql = f"SELECT a, {QUOTINGS['backslash'](secret)} FROM {call.format(QUOTINGS[quoting](secret))}"
    assume(any(token.text == secret for token in ClickHouse().tokenize(sql)))
    masked = mask_sql(sql)
    if masked is not None:
        assert secret not in masked
        assert not any(secret in token.text for token in ClickHouse().tokenize(masked))
        assert mask_sql(masked) == masked


@given(SECRETS, st.sampled_from(["repr", "ascii", "json", "split"]), st.booleans())
@settings(max_examples=400, deadline=None)
def test_no_spelling_hides_a_secret_of_python(secret, spelling, in_sql):
    assume("*" not in secret)
    text = f"SELECT * FROM mysql(h, d, t, u, {QUOTINGS['backslash'](secret)})" if in_sql else secret
    literal = ascii(text) if spelling == "ascii" else repr(text)
    if spelling == "split":
        literal = f"{text[:5]!r} {text[5:]!r}"
    source = f"name = 1\n{'sql' if in_sql else 'password'} = {literal}\nprint({secret!r})\n"
    masked = mask_source(source)
    if masked is not None:
        assert secret not in masked
        texts = [n.value for n in ast.walk(ast.parse(masked)) if isinstance(n, ast.Constant)]
        assert not any(isinstance(t, str) and secret in t for t in texts)
        assert masked.startswith("name = 1\n")


def test_what_a_hole_stands_for_is_not_taken_for_one():
    secret = "Zq0\U000f0000\U000f000007x"
    assert mask_source(f"sql = \"SELECT * FROM mysql(h, d, t, u, '{secret}')\"\n") is None
    assert mask_source(f"plain = {secret!r}\n") == f"plain = {secret!r}\n"


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_at_all_is_masked_or_refused_without_an_error(text):
    for mask in (mask_sql, mask_source, mask_message):
        mask(text)
        mask(f"s3({text}")
    secrets_of(f"password = {text}")


@given(st.text(st.sampled_from("'\"`$\\(){}[],;:=-#/*@%!\n sS3pw*é"), max_size=60))
@settings(max_examples=500, deadline=None)
def test_what_is_masked_holds_no_secret(text):
    sql = mask_sql(f"SELECT * FROM mysql(h, d, t, u, {text})")
    assert sql is None or not secrets_of_sql(sql)
    source = mask_source(f"password = {text}")
    assert source is None or not secrets_of_source(source)


@pytest.mark.parametrize(
    "text", ["SELECT passengers, delay_key FROM flights", "SELECT loss, across"]
)
def test_words_that_only_look_alike_are_no_hint(text):
    assert not may_hold_secrets(text)
