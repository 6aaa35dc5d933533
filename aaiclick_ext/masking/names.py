"""Where ClickHouse takes secrets: names of arguments and settings, positions in functions.

The positions follow ClickHouse's own ``FunctionSecretArgumentsFinder.h``, which hides less than
we must: it leaves access key ids and presigned URLs readable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Place = Literal["function", "engine", "database"]

_LONG = re.compile(
    r"(?:password|passwd|passphrase|secret|token|apikey|accesskey|accesskeyid|secretkey|"
    r"secretaccesskey|accountkey|privatekey|signingkey|encryptionkey|sshkey|authorization|"
    r"proxyauthorization|credentials?|sharedaccesssignature|connectionstring|setcookie|"
    r"awsaccesskeyid|googleaccessid|xamzsignature|xgoogsignature)$"
)
_SHORT = re.compile(r"(?:^|_)(?:pwd|pw|pass|auth|authheader|cookie|sas|secrets|creds)$")
_QUERY_ONLY = frozenset({"sig", "signature", "hmac", "key"})
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_secret_name(name: str, *, in_query: bool = False) -> bool:
    """Say whether a value of this name is a secret.

    Parameters
    ----------
    name
        Of a variable, key, setting, column, header or parameter, in any case and style.
    in_query
        The name stands in a URL's query string, where ``sig``, ``signature`` and ``key`` are
        secrets too.

    Examples
    --------
    >>> [n for n in ("dbPassword", "AWS_SECRET_ACCESS_KEY", "max_tokens", "x-api-key", "passed")
    ...  if is_secret_name(n)]
    ['dbPassword', 'AWS_SECRET_ACCESS_KEY', 'x-api-key']
    """
    snake = _NOT_ALNUM.sub("_", _CAMEL.sub("_", name).lower()).strip("_")
    compact = snake.replace("_", "")
    if in_query and compact in _QUERY_ONLY:
        return True
    return bool(_LONG.search(compact) or _SHORT.search(snake))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HARMLESS_COLLECTION_KEYS = _words(
    "url host port hostname user username database db table format structure compression "
    "compression_method method filename schema collection region secure"
)
"""Keys of a named collection whose values may be kept; all others are hidden."""

HARMLESS_HEADERS = _words("accept acceptencoding acceptlanguage contenttype useragent range")

_FORMATS = _words(
    "arrow arrowstream auto avro avroconfluent bsoneachrow buffers capnproto csv csvwithnames "
    "csvwithnamesandtypes customseparated customseparatedwithnames "
    "customseparatedwithnamesandtypes "
    "form hivetext jsonasobject jsonasstring jsoncolumns jsoncolumnswithmetadata json jsoncompact "
    "jsoncompactcolumns jsoncompacteachrow jsoncompacteachrowwithnames "
    "jsoncompacteachrowwithnamesandtypes jsoncompactstringseachrow "
    "jsoncompactstringseachrowwithnames jsoncompactstringseachrowwithnamesandtypes jsoneachrow "
    "jsonlineseachrow jsonlines jsonobjecteachrow jsonstrings jsonstringseachrow lineasstring "
    "lineasstringwithnames lineasstringwithnamesandtypes msgpack mysqldump native ndjson npy null "
    "one orc parquet parquetmetadata prettyjsoneachrow prometheus protobuf protobuflist "
    "protobufsingle rawblob regexp rowbinary rowbinarywithdefaults rowbinarywithnames "
    "rowbinarywithnamesandtypes template templateignorespaces tabseparated tabseparatedraw "
    "tabseparatedrawwithnames tabseparatedrawwithnamesandtypes tabseparatedwithnames "
    "tabseparatedwithnamesandtypes tsv tsvraw tsvrawwithnames tsvrawwithnamesandtypes "
    "tsvwithnames tsvwithnamesandtypes tskv values xml"
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One positional argument as the scanner saw it."""

    text: str | None
    """Its decoded text when it is one literal or one identifier, else None."""
    is_string: bool = False
    is_call: bool = False
    is_dotted: bool = False
    """``database.table``, as two identifiers or inside one literal."""

    @property
    def is_format(self) -> bool:
        """It names a format, so that no key stands in its place."""
        return self.text is not None and self.text.lower() in _FORMATS


_OBJECT_STORES = _words(
    "s3 s3queue gcs cosn oss iceberg icebergs3 deltalake deltalakes3 hudi hudis3 paimon paimons3"
)
_AZURE = _words("azureblobstorage azurequeue icebergazure deltalakeazure paimonazure")
_FIXED: dict[str, dict[Place, int]] = {
    "postgresql": {"function": 4, "engine": 4, "database": 3},
    "materializedpostgresql": {"function": 4, "engine": 4, "database": 3},
    "mysql": {"function": 4, "engine": 4, "database": 3},
    "materializedmysql": {"function": 4, "engine": 4, "database": 3},
    "mongodb": {"function": 4, "engine": 4, "database": 4},
    "redis": {"function": 4, "engine": 2, "database": 2},
    "arrowflight": {"function": 3, "engine": 3, "database": 3},
    "ytsaurus": {"function": 2, "engine": 2, "database": 2},
    "datalakecatalog": {"function": 2, "engine": 2, "database": 2},
    "externaldistributed": {"function": 5, "engine": 5, "database": 5},
    "hmac": {"function": 2, "engine": 2, "database": 2},
}
_REMOTE = frozenset({"remote", "remotesecure"})
_CRYPTO = _words("encrypt decrypt tryencrypt trydecrypt aes_encrypt_mysql aes_decrypt_mysql")
SECRET_FUNCTIONS = frozenset({*_OBJECT_STORES, *_AZURE, *_FIXED, *_REMOTE, *_CRYPTO, "url"})


def base_name(name: str) -> tuple[str, int]:
    """Return a function's name without ``Cluster``, and how many arguments that puts first."""
    lower = name.lower()
    if lower.endswith("cluster") and lower[:-7] in SECRET_FUNCTIONS:
        return lower[:-7], 1
    return lower, 0


def takes_secrets(name: str) -> bool:
    """Say whether a table function, engine or function of this name takes secrets."""
    return base_name(name)[0] in SECRET_FUNCTIONS


def secret_positions(name: str, arguments: Sequence[Argument], place: Place) -> frozenset[int]:
    """Return which positional arguments are secrets.

    Parameters
    ----------
    name
        Of the function or engine, in any case.
    arguments
        The positional arguments in order; ``headers(…)`` and named ones are left out.
    place
        Whether it is called as a function, or names a table's or a database's engine.
    """
    base, shift = base_name(name)
    rest = arguments[shift:]
    if base in _OBJECT_STORES:
        found = _store_positions(rest)
    elif base in _AZURE:
        found = _azure_positions(rest)
    elif base in _REMOTE:
        found = _remote_positions(rest)
    elif base in _CRYPTO:
        found = range(1, len(rest))
    elif base in _FIXED:
        if len(rest) == 4:  # too few for a table: a database's engine, cut out of its statement
            place = "database"
        found = range(_FIXED[base][place], _FIXED[base][place] + 1)
    else:
        found = range(0)
    return frozenset(index + shift for index in found)


def _store_positions(rest: Sequence[Argument]) -> range:
    """``(url [, key, secret [, session token]] [, format] …)``; ``(url, format …)`` has none."""
    if len(rest) < 2 or rest[1].is_format or (rest[1].text or "").upper() == "NOSIGN":
        return range(0)
    has_session_token = len(rest) > 3 and not rest[3].is_format
    return range(1, 4 if has_session_token else 3)


def _azure_positions(rest: Sequence[Argument]) -> range:
    """``(url, container, path [, account, key] …)``; a connection string is found by its text."""
    return range(0) if len(rest) < 5 or rest[3].is_format else range(4, 5)


def _remote_positions(rest: Sequence[Argument]) -> range:
    """``(addresses, table, user [, password] …)``; the table is one argument or two.

    What is no string there is the sharding key.
    """
    if len(rest) < 4:
        return range(0)
    password = 3 if rest[1].is_call or rest[1].is_dotted else 4
    is_password = len(rest) > password and rest[password].is_string
    return range(password, password + 1) if is_password else range(0)
