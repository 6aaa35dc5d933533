"""Credentials inside SQL and messages, made unreadable."""

from __future__ import annotations

import re

MASK = "***"
# Table functions, engines and clauses whose string arguments can be credentials.
_CARRIERS = re.compile(
    r"\b(?:s3|s3Cluster|gcs|oss|cosn|azureBlobStorage\w*|deltaLake\w*|iceberg\w*|hudi\w*|"
    r"postgresql|MaterializedPostgreSQL|mysql|mongodb|redis|remote|remoteSecure|url|urlCluster|"
    r"jdbc|odbc|sqlite|hdfs\w*|ytsaurus|arrowflight|encrypt|decrypt|tryDecrypt|aes_\w+|"
    r"PASSWORD|IDENTIFIED|access_key_id|secret_access_key|api_key|token)\b",
    re.IGNORECASE,
)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_USERINFO = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^\s/'\"@:]*):(?P<secret>[^\s/'\"@]+)@"
)
_SIGNATURE = re.compile(
    r"(?P<name>[?&](?:X-Amz-(?:Signature|Credential|Security-Token)|X-Goog-(?:Signature|Credential)|"
    r"Signature|sig|AWSAccessKeyId|token|key|password|access_token|api_key)=)(?P<secret>[^&\s'\"]+)",
    re.IGNORECASE,
)
_PLAIN_URL = re.compile(r"'[A-Za-z][A-Za-z0-9+.-]*://[^\s']*'|'[\w.*/{}-]+\.\w{2,8}'")


def mask_sql(sql: str) -> tuple[str, tuple[str, ...]]:
    """Return SQL with credentials masked, and the secrets that were found.

    Passwords and signatures in URLs go wherever they stand. In a statement that calls a table
    function or uses a clause that takes credentials, every other text literal goes too: better
    one literal too many than a key in a log.
    """
    found: list[str] = []

    def hide(match: re.Match[str]) -> str:
        found.append(match["secret"])
        whole, start = match.group(), match.start()
        return (
            f"{whole[: match.start('secret') - start]}{MASK}{whole[match.end('secret') - start :]}"
        )

    masked = _SIGNATURE.sub(hide, _USERINFO.sub(hide, sql))
    if _CARRIERS.search(masked):

        def hide_literal(match: re.Match[str]) -> str:
            text = match.group()
            if _PLAIN_URL.fullmatch(text) or len(text) <= 2:
                return text
            found.append(text[1:-1])
            return f"'{MASK}'"

        masked = _LITERAL.sub(hide_literal, masked)
    return masked, tuple(secret for secret in found if len(secret) > 2)


def mask_text(text: str, secrets: tuple[str, ...]) -> str:
    """Return text without the secrets, and without passwords and signatures in its URLs."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return mask_urls(text)


def mask_urls(text: str) -> str:
    """Return text with the passwords and signatures of its URLs masked."""
    text = _USERINFO.sub(rf"\g<scheme>\g<user>:{MASK}@", text)
    return _SIGNATURE.sub(rf"\g<name>{MASK}", text)
