"""Files into Objects: Parquet, CSV and JSON, from paths, globs, archives and URLs.

The bytes are read by this process and go to the engine as Arrow, so an embedded engine and a
server see the same rows, and what no ClickHouse type can hold is refused here, by value.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any, Literal

from aaiclick_ext.lifecycle.names import Scope
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.csv_files import Dialect, object_from_csv
from aaiclick_ext.objects.file_sources import SourceFile, is_url, source_files
from aaiclick_ext.objects.staging import Reading
from aaiclick_ext.objects.text_casts import canonical_types
from aaiclick_ext.oplog.file_changes import FilesRead, facts_of
from aaiclick_ext.oplog.paths import recorded_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.object import Object

Kind = Literal["parquet", "csv", "json"]
# Of the members of a zip archive, which are all read.
SUFFIXES = {
    "csv": (".csv", ".tsv", ".tab", ".txt", ""),
    "json": (".json", ".jsonl", ".ndjson", ".txt", ""),
    "parquet": (".parquet", ".pq", ".parq", ""),
}

_MOST_WATCHED = 16  # files of one read that each display looks at; of more the log tells


def object_from_file(
    backend: Backend,
    path: str | os.PathLike[str],
    kind: Kind,
    *,
    schema: Mapping[str, str] | None = None,
    scope: Scope = Scope.TEMP,
    name: str | None = None,
    **options: Any,
) -> Object:
    """Make an Object of the files that a path, a glob or a URL stands for.

    Nothing is left behind where it fails.

    Parameters
    ----------
    schema
        Column to ClickHouse type, for columns whose type is not to be found out.
    **options
        Of CSV: the fields of `Dialect`.

    Raises
    ------
    MissingFileError, FileError, FileContentError
        If there is no such file, or it cannot be read.
    SchemaError
        If the files' columns do not go together, or with `schema`.
    ValueRangeError, UnsupportedTypeError
        If a value does not fit its type, or a type has no place in ClickHouse.
    """
    given = os.fsdecode(path)
    return read_files(backend, given, kind, schema=schema, scope=scope, name=name, **options)[0]


def read_files(
    backend: Backend,
    path: str,
    kind: Kind,
    *,
    schema: Mapping[str, str] | None = None,
    scope: Scope = Scope.TEMP,
    name: str | None = None,
    **options: Any,
) -> tuple[Object, dict[str, str]]:
    """Return an Object as `object_from_file` makes it, and what the files are known by.

    That is how many there are, their size, and of local ones when the newest was written.
    """
    operation = f"read_{kind}"
    params = {**recorded_path(path), "format": kind}
    with attempted(backend, operation, params=params):
        types = canonical_types(backend.services.engine, schema or {})
        with source_files(path, SUFFIXES[kind]) as files:
            reading = Reading(backend, operation, files, types, scope, name, params)
            facts = _facts(path, files)
            params |= facts
            params |= {f"schema.{column}": type_ for column, type_ in types.items()}
            params |= _noted(options)
            made = _read(reading, kind, options)
            if "modified" in facts and len(files) <= _MOST_WATCHED:
                paths = tuple({file.path.absolute() for file in files})
                known = {name: facts[name] for name in ("bytes", "modified")}
                read = FilesRead(params["path"], paths, known)
                backend.services.freshness.read(made.table_name, read)
            return made, facts


def _noted(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the options that are not the usual ones, as JSON."""
    usual = {spec.name: spec.default for spec in dataclasses.fields(Dialect)}
    return {
        f"option.{name}": json.dumps(given)
        for name, given in options.items()
        if given != usual[name]
    }


def _facts(path: str, files: Sequence[SourceFile]) -> dict[str, str]:
    facts = {"files": str(len(files)), **facts_of({file.path for file in files})}
    if is_url(path):
        del facts["modified"]  # of the download
    return facts


def _read(reading: Reading, kind: Kind, options: dict[str, Any]) -> Object:
    if kind == "csv":
        return object_from_csv(reading, Dialect(**options))
    if kind == "json":
        from aaiclick_ext.objects.json_files import object_from_json

        return object_from_json(reading)
    from aaiclick_ext.objects.parquet_files import object_from_parquet

    return object_from_parquet(reading)
