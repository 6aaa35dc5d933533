"""A kernel that is killed: checks that nothing is left of the one before, then works at random.

``python tests/lifecycle/victim.py DIRECTORY URL SEED ACKNOWLEDGED`` prints a line of JSON for each
thing that it has done; ACKNOWLEDGED is what those before it have said. What it finds wrong, it
says and ends with status 3.
"""

from __future__ import annotations

import json
import random
import sys
import warnings
from pathlib import Path

import numpy as np

import aaiclick_ext as aai
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.settings import Settings

SMALL, LARGE = 100, 20_000


def say(**words):
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def check(context, folder, acknowledged):
    """Return what is wrong, once the reaper has been through."""
    assert context._opened.reaping.wait(60), "the reaper did not end"
    done = context._opened.reaping.done
    if done is None or not done.is_complete:
        return [f"the reaper did not finish: {done}"]
    services = context.backend.services
    wrong = [*tables_wrong(services), *registry_wrong(services), *data_wrong(context, acknowledged)]
    scratch = list((folder / "scratch").glob("*")) if (folder / "scratch").exists() else []
    if len(scratch) > services.engine.creds.is_scratch:
        wrong.append(f"scratch directories are left: {scratch}")
    say(
        reaped=sum(fate.is_removed for fate in done.fates),
        kernels=len(done.kernels),
        scratch=len(done.scratch),
    )
    return wrong


def tables_wrong(services):
    found = services.engine.query_rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
    )
    names = [name for (name,) in found if name.startswith("aai_")]
    kept = [TableName.parse(name) for name in names]
    wrong = [
        f"table {name} is left"
        for name, parsed in zip(names, kept, strict=True)
        if parsed is None or parsed.scope is not Scope.GLOBAL
    ]
    labels = [parsed.name for parsed in kept if parsed is not None]
    wrong += [f"two tables are named {label}" for label in {*labels} if labels.count(label) > 1]
    if ("mine",) not in found:
        wrong.append("a table that is not ours is gone")
    return wrong


def registry_wrong(services):
    registry, job = services.registry, services.job_id
    there = {name for (name,) in services.engine.query_rows("SELECT name FROM system.tables")}
    wrong = [
        f"a row of table_registry is left: {row.table_name}"
        for row in registry.tables(services.engine.identity)
        if row.table_name not in there
    ]
    for table, column in (
        ("sessions", "session_id"), ("node_leases", "job_id"), ("session_databases", "session_id"),
    ):  # fmt: skip
        with registry.statements() as statements:
            found = [value for (value,) in statements.rows(f"SELECT {column} FROM {table}")]
        if found != [job]:
            wrong.append(f"{table} has {found}, and this kernel is {job}")
    return wrong


def data_wrong(context, acknowledged):
    names = {info.name for info in context.list_objects()}
    wrong = [
        f"{name} is gone"
        for name in ("ledger", "best")
        if acknowledged.get(name) is not None and name not in names
    ]
    if "ledger" in names:
        wrong += ledger_wrong(context.open_object("ledger"), acknowledged.get("ledger") or 0)
    if "best" in names and acknowledged.get("best"):
        version = context.open_object("best").to_pyarrow()["a"][0].as_py()
        if version < acknowledged["best"]:
            wrong.append(f"best has version {version}, {acknowledged['best']} was acknowledged")
    logged = 0
    if acknowledged.get("logged"):
        ((logged,),) = context.engine.query_rows(
            "SELECT count() FROM operation_log WHERE NOT ignore(*)"
        )
    if logged < acknowledged.get("logged", 0):
        wrong.append(f"the log has {logged} events of {acknowledged['logged']}")
    return wrong


def ledger_wrong(ledger, acknowledged):
    """Say which batches are missing or torn: each has as many rows as its number says."""
    rows = ledger.to_pyarrow()
    batches, counts = np.unique(rows["a"].to_numpy(), return_counts=True)
    torn = [
        (int(batch), int(count))
        for batch, count in zip(batches, counts, strict=True)
        if count != size_of(batch)
    ]
    missing = {*range(1, acknowledged + 1)} - {int(batch) for batch in batches}
    wrong = [f"batches are torn: {torn}"] if torn else []
    return wrong + ([f"batches are lost: {sorted(missing)}"] if missing else [])


def size_of(batch):
    return 1 + int(batch) * 37 % 500


class Worker:
    """Does one random thing after another, and says what is done for good."""

    def __init__(self, context, seed, acknowledged):
        self.context = context
        self.random = random.Random(seed)
        self.held = []
        self.best = acknowledged.get("best") or 0
        self.logged = acknowledged.get("logged") or 0
        name = "ledger"
        if name in {info.name for info in context.list_objects()}:
            self.ledger = context.open_object(name)
            self.batch = int(self.ledger.a.max().execute() or 0)
        else:
            self.ledger = context.create_object({"a": "Int64"}, name=name)
            self.batch = 0
            say(ledger=0)

    def step(self):
        self.random.choice(
            [self.create, self.create, self.copy, self.append, self.append, self.insert,
             self.drop, self.session, self.replace, self.sql, self.log]
        )()  # fmt: skip

    def values(self):
        size = self.random.choice([SMALL, LARGE])
        return {"a": np.arange(size), "b": np.random.default_rng(1).random(size)}

    def create(self):
        self.held.append(self.context.create_object_from_value(self.values()))

    def copy(self):
        if self.held:
            source = self.random.choice(self.held)
            self.held.append(source.filter(source.a % 2 == 0).copy())

    def append(self):
        batch = self.batch + 1
        self.ledger.insert({"a": np.full(size_of(batch), batch)})
        self.batch = batch
        say(ledger=batch)

    def insert(self):
        alike = [each for each in self.held if "b" in each.columns]  # not what is named best
        if alike:
            self.random.choice(alike).insert(self.values())

    def drop(self):
        self.random.shuffle(self.held)
        del self.held[: len(self.held) // 2]

    def session(self):
        name = self.random.choice(["one", "two"])
        self.context.create_object_from_value(self.values(), name=name, scope="session")

    def replace(self):
        self.best += 1
        value = {"a": np.full(self.random.choice([SMALL, LARGE]), self.best)}
        if self.random.random() < 0.5:
            self.held.append(self.context.create_object_from_value(value, name="best"))
        else:
            self.context.create_object_from_value(value, name="best")
        say(best=self.best)

    def sql(self):
        if self.held:
            table = self.random.choice(self.held).table_name
            view = self.context.sql(f"SELECT a, (SELECT max(a) FROM {table}) AS m FROM {table}")
            view.limit(3).to_pyarrow()

    def log(self):
        self.context.flush()
        ((self.logged,),) = self.context.engine.query_rows("SELECT count() FROM operation_log")
        say(logged=self.logged)


def main(folder, url, seed, acknowledged):
    warnings.simplefilter("ignore")  # a global object in a scratch database
    settings = Settings(
        state_dir=folder / "state", scratch_dir=folder / "scratch", memory_table_bytes=10_000
    )
    context = aai.DataContext(url, settings=settings)
    context.engine.command("CREATE TABLE IF NOT EXISTS mine (a UInt8) ENGINE = Memory")
    wrong = check(context, folder, acknowledged)
    if wrong:
        say(wrong=wrong)
        context.close()
        sys.exit(3)
    say(ready=True)
    if seed < 0:
        context.close()
        return
    worker = Worker(context, seed, acknowledged)
    while True:
        worker.step()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
