"""A collector of its own log for each test; the database is the process's."""

from __future__ import annotations

import pytest

from aaiclick_ext.ids import Snowflake
from aaiclick_ext.oplog import OplogCollector
from aaiclick_ext.oplog.log_table import LOG_TABLE


@pytest.fixture
def no_log(engine):
    """Start and end without a log."""
    engine.command(f"DROP TABLE IF EXISTS {LOG_TABLE}")
    yield
    engine.command(f"DROP TABLE IF EXISTS {LOG_TABLE}")


@pytest.fixture
def new_collector(engine, settings, no_log):
    """Return a function that makes collectors, which are closed at the end."""
    snowflake, collectors = Snowflake(1), []

    def new(run_id=1, engine=engine, job_id=10, **changes):
        changed = settings.replace(**{"oplog_interval_s": 3600, **changes})
        collector = OplogCollector(
            engine, changed, snowflake, job_id=job_id, run_id=run_id, node_id=1
        )
        collectors.append(collector)
        return collector

    yield new
    for collector in collectors:
        collector.close()


@pytest.fixture
def collector(new_collector):
    return new_collector()
