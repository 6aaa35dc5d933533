"""One open DataContext per module, and a way to see which tables live."""

from __future__ import annotations

import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.lifecycle.collection import collect_garbage


@pytest.fixture(scope="module")
def ctx(tmp_path_factory):
    from aaiclick_ext.settings import Settings

    folder = tmp_path_factory.mktemp("state")
    with DataContext(settings=Settings(state_dir=folder)) as context:
        yield context


@pytest.fixture
def tables(ctx):
    """Return a function that gives our tables in ClickHouse once everything queued is done."""

    def living() -> set[str]:
        collect_garbage()
        ctx.flush()
        rows = ctx.engine.query_rows(
            "SELECT name FROM system.tables "
            "WHERE database = currentDatabase() AND startsWith(name, 'aai_')"
        )
        return {name for (name,) in rows}

    return living


@pytest.fixture
def gone(ctx, tables):
    """Let go of objects, given in a list, and return the names of their tables."""

    def let_go(objects):
        names = [made.table_name for made in objects]
        objects.clear()
        assert not tables() & set(names)
        return names

    return let_go
