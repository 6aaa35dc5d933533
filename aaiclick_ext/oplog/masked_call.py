"""The texts of one operation, masked together: what is secret in one is secret in all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from aaiclick_ext.masking import (
    MASK,
    is_secret_name,
    mask_literals,
    mask_message,
    mask_sql,
    may_hold_secrets,
    secrets_of_sql,
    text_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from aaiclick_ext.oplog.cell import CellRecord

_is_secret_name = lru_cache(maxsize=1024)(is_secret_name)


@dataclass(frozen=True, slots=True)
class MaskedCall:
    """What may be stored of one operation."""

    params: dict[str, str]
    sql_template: str | None
    error: str | None


def mask_call(
    cell: CellRecord, params: Mapping[str, str], sql_template: str | None, error: str | None
) -> MaskedCall:
    """Mask an operation's texts, and teach the cell what was secret in them."""
    doubtful = {
        name for name, value in params.items() if may_hold_secrets(value) or _is_secret_name(name)
    }
    is_doubtful = sql_template is not None and may_hold_secrets(sql_template)
    if doubtful or is_doubtful:
        found = set(secrets_of_sql(sql_template or ""))
        for name in doubtful:
            value = params[name]
            found |= (
                {value} if _is_secret_name(name) else secrets_of_sql(value) | text_secrets(value)
            )
        cell.learn(found)
    secrets = cell.secrets
    masked = mask_sql(sql_template) if sql_template is not None and is_doubtful else sql_template
    return MaskedCall(
        params={
            name: _masked_param(name, value, secrets, is_doubtful=name in doubtful)
            for name, value in params.items()
        },
        sql_template=None if masked is None else mask_literals(masked, secrets),
        error=None if error is None else mask_message(error, secrets),
    )


def _masked_param(name: str, value: str, secrets: AbstractSet[str], *, is_doubtful: bool) -> str:
    if not is_doubtful:
        return mask_literals(value, secrets)
    return MASK if _is_secret_name(name) else mask_message(value, secrets)
