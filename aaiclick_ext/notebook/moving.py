"""Moving a kernel to another database: what would be lost, and who takes whose place."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import AaiclickError, ContextError
from aaiclick_ext.notebook.variables import views_in_variables

if TYPE_CHECKING:
    from aaiclick_ext.context import DataContext
    from aaiclick_ext.engine import ClickHouseCreds

_SHOWN = 10


def creds_of(context: DataContext, url: str) -> tuple[ClickHouseCreds, ClickHouseCreds]:
    """Return where a context is, and where a URL points.

    Raises
    ------
    SettingsError
        If it is no URL of a database.
    """
    context.imported.wait()
    from aaiclick_ext.engine import ClickHouseCreds

    return ClickHouseCreds.from_url(context.settings.ch_url), ClickHouseCreds.from_url(url)


def check_nothing_lost(ip: Any, context: DataContext) -> None:
    """Return where closing a context drops no table that somebody still holds.

    Raises
    ------
    ContextError
        Which says what would go, who holds it, and how to keep it.
    """
    try:
        context.flush()
    except AaiclickError:  # it never opened, or is lost: it holds nothing
        return
    lost = _mortal_tables(context)
    if not lost:
        return
    holders = _variables_over(ip, context, lost)
    named = ", ".join(holders[:_SHOWN]) + (" and more" if len(holders) > _SHOWN else "")
    who = f"variables: {named}" if named else "no variable, but %tables says what"
    count = "1 table" if len(lost) == 1 else f"{len(lost)} tables"
    kept = "x.export(path) keeps what you need"
    if not context.engine.creds.is_scratch:
        kept = "aai.pin(x) or a global name keeps what you need there"
    raise ContextError(
        f"connect would drop {count} that this kernel holds ({who}). {kept}; `del` the others, or "
        "say that they may go: %aaiclick connect URL --drop, aai.connect(url, drop=True)"
    )


def _mortal_tables(context: DataContext) -> set[str]:
    """Return the tables that go with a context."""
    from aaiclick_ext.lifecycle.names import Scope, TableName

    live = context.live_tables()
    names = {table: TableName.parse(table) for table in live}
    mortal = {table for table, name in names.items() if name and name.scope is not Scope.GLOBAL}
    if context.engine.creds.is_scratch:
        return set(live)  # the database ends with it
    kept = context._opened.services.kept.kept(sorted(mortal))  # noqa: SLF001
    return mortal - set(kept)


def _variables_over(ip: Any, context: DataContext, tables: set[str]) -> list[str]:
    found = []
    for variable, view in views_in_variables(ip).items():
        with contextlib.suppress(AaiclickError):  # of another context
            if tables.intersection(context.tables_below(view)):
                found.append(variable)
    return found
