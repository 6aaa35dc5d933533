"""Secrets in plain text: URLs, connection strings, headers and tokens of well-known form."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aaiclick_ext.masking.names import is_secret_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK = "***"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_END_OF_URL = re.compile(r"\s")
_END_OF_QUOTED_URL = re.compile(r"[\s'\"`<>]")
_PORT = re.compile(r"[^:]*:\d*$")
_PAIR = re.compile(
    r"(?P<before>^|[\s?&;#,{(\[|-])(?P<quote>\\?[\"']?)(?P<name>[A-Za-z_][\w.%\-]*)(?P=quote)"
    r"(?P<sign>\s*[=:]\s*)"
)
_ENCODED_PAIR = re.compile(
    r"%(?:3[fF]|26)(?P<name>[\w.\-]+)%3[dD](?P<value>(?:(?!%26|%23)[^&#\s'\"`<>])*)"
)
_QUOTED_VALUE = re.compile(r"(\\?[\"'])((?:\\.|(?!\1).)*?)\1", re.DOTALL)
_ENDS = {
    "query": re.compile(r"[&#\s]"),
    "query in code": re.compile(r"[&#\s'\"`<>]"),
    "pairs": re.compile(r";|$"),
    "line": re.compile(r"[\r\n]"),
    "word": re.compile(r"\s"),
    "word in code": re.compile(r"[\s'\"`]"),
}
_KNOWN = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bxox[abprs]-[\w-]{10,}"
    r"|\baaishare_[\w-]{20,}|\bsk-[A-Za-z0-9_-]{20,}|\bAIza[\w-]{30,}"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*",
    re.DOTALL,
)
_BEARER = re.compile(r"\bbearer\s+([\w.~+/=-]{12,})", re.IGNORECASE)

_HINTS = (
    "s3", "azure", "postgres", "mysql", "mongo", "redis", "remote", "header", "iceberg", "alake",
    "hudi", "paimon", "arrowflight", "ytsaurus", "externald", "identified", "named", "pwd",
    "secret", "token", "cred", "accessid", "crypt", "hmac", "bearer", "cookie", "akia", "asia",
    "github_pat", "xox", "sk-", "aiza", "eyj", "connection", "aaishare",
)  # fmt: skip
# Letters that are part of harmless words too, with what makes them a hint.
_VAGUE_HINTS = {
    "key": re.compile(
        r"(?:api|access|secret|account|private|signing|encryption|ssh)[ _-]?key"
        r"|(?:[?&#]|%3f|%26)key(?:=|%3d)"
    ),
    "pass": re.compile(r"pass(?:w|phrase)|(?<![a-z])pass(?![a-z])"),
    "auth": re.compile(r"auth[_-]?header|authorization|(?<![a-z])auth(?![a-z])"),
    "sig": re.compile(r"sig(?:nature|ning|[=%])"),
    "pw": re.compile(r"(?<![a-z])pw(?![a-z])"),
    "sas": re.compile(r"(?<![a-z])sas(?![a-z])"),
    "oss": re.compile(r"(?<![a-z])oss(?:cluster)?(?![a-z])"),
    "gcs": re.compile(r"(?<![a-z])gcs(?:cluster)?(?![a-z])"),
    "cosn": re.compile(r"(?<![a-z])cosn(?:cluster)?(?![a-z])"),
    "gh": re.compile(r"gh[pousr]_"),
}


@lru_cache(maxsize=512)
def may_hold_secrets(text: str) -> bool:
    """Say, cheaply, whether a text could hold a secret; no means none that we can name."""
    lower = text.lower()
    for hint in _HINTS:  # a loop, and no regular expression: several times faster
        if hint in lower:
            return True
    if "://" in lower and "@" in lower:
        return True
    return any(hint in lower and sure.search(lower) for hint, sure in _VAGUE_HINTS.items())


def spans(text: str, *, in_code: bool = False) -> list[tuple[int, int]]:
    """Return where secrets stand in a text, in order and without overlaps.

    Parameters
    ----------
    text
        The decoded value of a literal, or any text.
    in_code
        The text is code around literals, where a quote ends a URL.
    """
    return list(_merged(_all_spans(text, in_code=in_code)))


def text_secrets(text: str, *, in_code: bool = False) -> frozenset[str]:
    """Return the secrets in a text, as they stand and percent-decoded."""
    found = {text[start:end] for start, end in _all_spans(text, in_code=in_code)}
    return frozenset({*found, *(unquote(value) for value in found)})


def mask_text(text: str, *, in_code: bool = False) -> str:
    """Return the text with each secret replaced."""
    for start, end in reversed(spans(text, in_code=in_code)):
        text = text[:start] + MASK + text[end:]
    return text


def _all_spans(text: str, *, in_code: bool) -> list[tuple[int, int]]:
    found = [*_userinfo(text, in_code=in_code), *_pairs(text, in_code=in_code)]
    found += [match.span() for match in _KNOWN.finditer(text)]
    found += [match.span(1) for match in _BEARER.finditer(text)]
    return [(start, end) for start, end in found if text[start:end].strip(MASK)]


def _merged(found: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    last: tuple[int, int] | None = None
    for start, end in sorted(found):
        if last is None or start > last[1]:
            if last is not None:
                yield last
            last = (start, end)
        else:
            last = (last[0], max(last[1], end))
    if last is not None:
        yield last


def _userinfo(text: str, *, in_code: bool) -> Iterator[tuple[int, int]]:
    """Passwords of ``scheme://user:password@host``, also ones that hold ``@`` or ``/``."""
    schemes = list(_SCHEME.finditer(text))
    for index, match in enumerate(schemes):
        start = match.end()
        limit = schemes[index + 1].start() if index + 1 < len(schemes) else len(text)
        stop = (_END_OF_QUOTED_URL if in_code else _END_OF_URL).search(text, start, limit)
        rest = text[start : stop.start() if stop else limit]
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        at = authority.rfind("@")
        if at < 0 and not _PORT.match(authority):
            at = rest.rfind("@") if ":" in authority else -1
        if at < 0:
            continue
        user, colon, _ = rest[:at].partition(":")
        if len(user) >= 20:  # a token in the place of the user, as Git hosts take it
            yield start, start + len(user)
        if colon:
            yield start + len(user) + 1, start + at
            last = re.split(r"[?#]", rest, maxsplit=1)[0].rfind("@")
            if last > at:  # the password, or the path: nobody can tell
                yield start + len(user) + 1, start + last


def _pairs(text: str, *, in_code: bool) -> Iterator[tuple[int, int]]:
    """Values of ``name=value`` and ``name: value`` whose name says secret."""
    for match in _PAIR.finditer(text):
        in_query = match["before"] in ("?", "&", "#")
        if not is_secret_name(unquote(match["name"]), in_query=in_query):
            continue
        start = match.end()
        if quoted := _QUOTED_VALUE.match(text, start):
            yield quoted.span(2)
            continue
        end = _ENDS[_ending(text, match, in_query=in_query, in_code=in_code)].search(text, start)
        yield start, end.start() if end else len(text)
    for match in _ENCODED_PAIR.finditer(text):  # of a URL inside a URL
        if is_secret_name(match["name"], in_query=True):
            yield match.span("value")


def _ending(text: str, match: re.Match[str], *, in_query: bool, in_code: bool) -> str:
    """Which characters end the value of a pair."""
    if in_query:
        return "query in code" if in_code else "query"
    if match["name"].lower().endswith(("authorization", "cookie")):
        return "line"
    if (
        "=" in match["sign"]
        and not in_code
        and (match["before"] == ";" or ";" in text[match.end() :])
    ):
        return "pairs"
    return "word in code" if in_code else "word"
