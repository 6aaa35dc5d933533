"""A process with an embedded ClickHouse of its own that runs scripts, each in a fresh database.

Reads a job from each line of stdin and writes a line of what came out:
``{"statements": […], "loads": {table: Parquet file}, "after": number, "query": "…"}``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from aaiclick_ext.engine import ClickHouseCreds, Engine, quote_identifier, quote_literal
from aaiclick_ext.settings import Settings


def rebuild(engine: Engine, job: dict) -> list[str]:
    for number, statement in enumerate([*job["statements"], ""]):
        for table, path in job["loads"].items() if number == job["after"] else ():
            source = f"file({quote_literal(path)}, Parquet)"
            columns = ", ".join(
                quote_identifier(row[0]) for row in engine.query_rows(f"DESCRIBE {source}")
            )
            engine.command(
                f"INSERT INTO {quote_identifier(table)} ({columns}) SELECT {columns} FROM {source}"
            )
        if statement:
            engine.command(statement)
    return [repr(row) for row in engine.query_rows(job["query"])]


def main(folder: Path) -> None:
    settings = Settings(state_dir=folder / "state", scratch_dir=folder / "db")
    engine = Engine(ClickHouseCreds(), settings)
    for number, line in enumerate(sys.stdin):
        engine.command(f"CREATE DATABASE fresh_{number}")
        engine.command(f"USE fresh_{number}")
        try:
            answer = {"rows": rebuild(engine, json.loads(line))}
        except Exception as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    engine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
