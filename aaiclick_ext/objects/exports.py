"""Views into files: streamed, and there whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import secrets
import stat
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from aaiclick_ext.errors import AaiclickError, FileError, MissingFileError, SettingsError
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.export_formats import (
    Writer,
    csv_writer,
    write_arrow,
    write_json,
    write_json_lines,
    write_parquet,
)
from aaiclick_ext.oplog.paths import recorded_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    import ibis.expr.types as ir

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.view import View

T = TypeVar("T")

_TEXTS: dict[str, Writer] = {
    ".csv": csv_writer(",", "CSV"),
    ".tsv": csv_writer("\t", "TSV"),
    ".json": write_json,
    ".jsonl": write_json_lines,
    ".ndjson": write_json_lines,
}
_BINARIES: dict[str, Writer] = {
    ".parquet": write_parquet,
    ".arrow": write_arrow,
    ".feather": write_arrow,
}
WRITERS = {**_BINARIES, **_TEXTS}
_COMPRESSIONS = (".gz", ".zst")


def export(view: View, path: str | os.PathLike[str]) -> None:
    """Write a view to a file whose format follows from its extension; see `View.export`."""
    backend = view._backend  # noqa: SLF001
    source = backend.provenance.name_of(view.op())
    params = {"path": os.fsdecode(path)}
    with attempted(backend, "export", kwargs={"source": source}, params=params):
        suffix, compression = _format(Path(os.fsdecode(path)))
    write_file(backend, view, path, suffix, compression)


def write_file(
    backend: Backend,
    expr: ir.Expr,
    path: str | os.PathLike[str],
    suffix: str,
    compression: str = "",
    *,
    params: Mapping[Any, Any] | None = None,
) -> None:
    """Run an expression into a file. Runs one query; records one event.

    Parameters
    ----------
    suffix
        One of `WRITERS`.
    compression
        ``.gz``, ``.zst`` or nothing.
    params
        Values of `ibis.param` scalars.
    """
    backend.services.check_open()
    target = Path(os.path.expanduser(os.fsdecode(path)))  # noqa: PTH111 -- of bytes, too
    logged = {**recorded_path(target), "format": f"{suffix}{compression}".removeprefix(".")}
    op, plan = backend.relation_of(expr), None
    started = time.perf_counter()

    def write(file: IO[bytes]) -> int:
        nonlocal plan
        with _compressed(file, compression) as stream:
            schema, batches, plan = backend.stream(expr, params=params)
            with contextlib.closing(batches):
                return WRITERS[suffix](stream, schema, batches)

    try:
        rows = write_whole(target, write)
    except BaseException as error:
        backend.record_fetch("export", op, plan, started, params=logged, error=error)
        raise
    backend.record_fetch("export", op, plan, started, params=logged, rows=rows)


def _format(path: Path) -> tuple[str, str]:
    """Return the extensions of the format and of the compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in _COMPRESSIONS else ""
    suffix = suffixes[-1] if suffixes else ""
    if suffix in _TEXTS or (suffix in _BINARIES and not compression):
        return suffix, compression
    if suffix in _BINARIES:
        raise SettingsError(f"{path.name}: {suffix} is compressed within; leave {compression} out")
    raise SettingsError(
        f"{path.name!r} has no extension of a format that can be written; there are "
        f"{', '.join(WRITERS)}; {', '.join(_TEXTS)} also with {' or '.join(_COMPRESSIONS)} after it"
    )


def write_whole(path: Path, write: Callable[[IO[bytes]], T]) -> T:
    """Have a file written that takes the place of `path` at the end, or leaves no trace.

    It is written beside it, with its permissions, and is on the disk when it is renamed. A link
    is followed. This is no context manager: Ctrl-C between its code and that of ``with`` would
    leave the part of a file.

    Raises
    ------
    MissingFileError
        If its directory does not exist.
    FileError
        If it cannot be written.
    """
    target = Path(os.path.realpath(path))
    mode = _mode_of(path, target)
    try:
        made = _write_beside(target, mode, write)
        _sync_directory(target.parent)
    except AaiclickError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path} cannot be written: there is no directory {target.parent}; make it first"
        ) from error
    except OSError as error:
        if error.errno is None:
            raise
        raise FileError(f"{path} cannot be written: {error.strerror}") from error
    return made


def _write_beside(target: Path, mode: int | None, write: Callable[[IO[bytes]], T]) -> T:
    part = target.with_name(f".aaiclick-{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb", buffering=1 << 20) as file:  # noqa: PTH123
            if mode is not None:
                os.chmod(part, mode)  # noqa: PTH101
            made = write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    return made


def _mode_of(path: Path, target: Path) -> int | None:
    """Return the permissions of a file that is to be replaced, or None where there is none."""
    try:
        mode = target.stat().st_mode
    except OSError:
        return None
    if stat.S_ISDIR(mode):
        raise FileError(f"{path} is a directory; add the name of a file")
    if not stat.S_ISREG(mode):
        raise FileError(f"{path} is not a regular file, and only those can be replaced whole")
    if not os.access(target, os.W_OK):
        raise FileError(f"{path} cannot be written: it is read-only")
    return stat.S_IMODE(mode)


def _sync_directory(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system can; the file itself is safe
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _compressed(file: IO[bytes], compression: str) -> Generator[IO[bytes], None, None]:
    if compression == ".gz":
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
            yield cast("IO[bytes]", packed)
    elif compression == ".zst":
        import pyarrow as pa

        with pa.CompressedOutputStream(pa.PythonFile(_KeptOpen(file), "w"), "zstd") as packed:
            yield cast("IO[bytes]", packed)
    else:
        yield file


class _KeptOpen(io.RawIOBase):
    """A file that stays open when the stream above it is closed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)
