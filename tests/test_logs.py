"""Every record of ours says which node and session it is of."""

from __future__ import annotations

import logging
import pkgutil
from importlib import import_module

import pytest

import aaiclick_ext
from aaiclick_ext import logs
from aaiclick_ext.lifecycle.lease import Lease
from aaiclick_ext.settings import Settings

FORMAT = "node %(node)s session %(session)s: %(message)s"


@pytest.fixture
def shown():
    """What a handler with both in its format shows."""
    lines = []

    class Handler(logging.Handler):
        def emit(self, record):
            lines.append(self.format(record))

    handler = Handler()
    handler.setFormatter(logging.Formatter(FORMAT, defaults={"node": "-", "session": "-"}))
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


def test_records_have_node_and_session_while_there_is_a_lease(shown, tmp_path):
    lease = Lease.take(Settings(state_dir=tmp_path))
    owner = f"node {lease.node_id} session {lease.job_id}"
    logging.getLogger("aaiclick_ext").warning("of the package")
    logs.logger_of("lifecycle").warning("of a part")
    logging.getLogger("others").warning("of others")
    lease.end()
    logs.logger_of("lifecycle").warning("after")
    assert shown == [
        f"{owner}: of the package",
        f"{owner}: of a part",
        "node - session -: of others",
        "node - session -: after",
    ]


def test_what_a_caller_gives_counts():
    record = logging.LogRecord("aaiclick_ext", logging.INFO, "", 0, "", (), None)
    record.node, record.session = 1, 2
    assert logs.OwnerFilter().filter(record)
    assert (record.node, record.session) == (1, 2)


def test_every_logger_of_the_package_has_the_filter():
    for module in pkgutil.walk_packages(aaiclick_ext.__path__, "aaiclick_ext."):
        if not module.name.rsplit(".", 1)[-1][0].isdigit() and not module.name.endswith(".env"):
            import_module(module.name)
    found = {
        name: logger
        for name, logger in logging.root.manager.loggerDict.items()
        if name.partition(".")[0] == logs.ROOT and isinstance(logger, logging.Logger)
    }
    assert {"aaiclick_ext", "aaiclick_ext.lifecycle", "aaiclick_ext.oplog"} <= set(found)
    bare = [
        name
        for name, logger in found.items()
        if not any(isinstance(each, logs.OwnerFilter) for each in logger.filters)
    ]
    assert not bare, f"made by logging.getLogger, not by logger_of: {bare}"
