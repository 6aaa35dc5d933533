"""Credentials found and replaced: in SQL, Python source, messages, URLs and connection strings.

Nothing is imported until it is asked for: errors are rare, and the tokenizer of SQL is large.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aaiclick_ext.masking.masks import (
        mask_message,
        mask_source,
        mask_sql,
        secrets_of,
        secrets_of_source,
        secrets_of_sql,
    )
    from aaiclick_ext.masking.names import is_secret_name
    from aaiclick_ext.masking.spellings import mask_literals
    from aaiclick_ext.masking.text import MASK, mask_text, may_hold_secrets, text_secrets

__all__ = [
    "MASK",
    "is_secret_name",
    "mask_literals",
    "mask_message",
    "mask_source",
    "mask_sql",
    "mask_text",
    "may_hold_secrets",
    "secrets_of",
    "secrets_of_source",
    "secrets_of_sql",
    "text_secrets",
]

_HOME = {
    "MASK": "text",
    "is_secret_name": "names",
    "mask_literals": "spellings",
    "mask_message": "masks",
    "mask_source": "masks",
    "mask_sql": "masks",
    "mask_text": "text",
    "may_hold_secrets": "text",
    "secrets_of": "masks",
    "secrets_of_source": "masks",
    "secrets_of_sql": "masks",
    "text_secrets": "text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
