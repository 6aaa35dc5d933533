"""SQL over named views as SQL over what they read: a view may be gone, or another by now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot.tokens import TokenType

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.oplog.graph import view_made
from aaiclick_ext.oplog.renaming import name_of_token, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aaiclick_ext.oplog.event import OperationEvent

_BEFORE = {TokenType.FROM, TokenType.JOIN}
_ALIAS = {TokenType.ALIAS, TokenType.VAR, TokenType.IDENTIFIER}


def over_tables(
    event: OperationEvent, events: Mapping[str, Sequence[OperationEvent]]
) -> OperationEvent:
    """Return an event with its SQL over what the views that it read were made of then.

    Parameters
    ----------
    events
        By result, those of views among them.
    """
    if not event.sql_template:
        return event

    def select_of(name: str) -> str | None:
        view = view_made(events.get(name, ()), event.id)
        return None if view is None else view.sql_template

    return replace(event, sql_template=with_views(event.sql_template, select_of))


def with_views(sql: str, select_of: Callable[[str], str | None]) -> str:
    r"""Return SQL with subqueries in place of views; of those that are called, with none.

    Examples
    --------
    >>> with_views('SELECT * FROM "late" AS t', {"late": "SELECT 1"}.get)
    'SELECT * FROM (SELECT 1\n) AS t'
    >>> with_views("SELECT late.a FROM late JOIN late(n = 1)", {"late": "SELECT 1 AS a"}.get)
    'SELECT late.a FROM (SELECT 1 AS a\n) AS `late` JOIN late(n = 1)'
    """
    tokens = tokens_of(sql) or []
    parts, done = [], 0
    for at, token in enumerate(tokens[1:], 1):
        after = tokens[at + 1].token_type if at + 1 < len(tokens) else None
        if tokens[at - 1].token_type not in _BEFORE or after in (TokenType.L_PAREN, TokenType.DOT):
            continue
        select = select_of(name_of_token(token, sql))
        if select is None:
            continue
        alias = "" if after in _ALIAS else f" AS {quote_identifier(name_of_token(token, sql))}"
        parts += [sql[done : token.start], f"({with_views(select, select_of)}\n){alias}"]
        done = token.end + 1
    return "".join([*parts, sql[done:]])
