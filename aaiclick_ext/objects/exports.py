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
from typing import IO, TYPE_CHECKING, Any, cast

from aaiclick_ext.errors import AaiclickError, FileError, MissingFileError, SettingsError
from aaiclick_ext.objects.export_formats import (
    Writer,
    csv_writer,
    write_arrow,
    write_json,
    write_json_lines,
    write_parquet,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import ibis.expr.types as ir

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.view import View

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
    suffix, compression = _format(Path(os.fsdecode(path)))
    write_file(view._backend, view, path, suffix, compression)  # noqa: SLF001


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
    logged = {"path": str(target), "format": f"{suffix}{compression}".removeprefix(".")}
    op, plan = backend.relation_of(expr), None
    started = time.perf_counter()
    try:
        with replaced_whole(target) as file, _compressed(file, compression) as stream:
            schema, batches, plan = backend.stream(expr, params=params)
            with contextlib.closing(batches):
                rows = WRITERS[suffix](stream, schema, batches)
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


@contextlib.contextmanager
def replaced_whole(path: Path) -> Generator[IO[bytes], None, None]:
    """Give a file to write that takes the place of `path` at the end, or leaves no trace.

    It is written beside it, with its permissions, and is on the disk when it is renamed. A link
    is followed.

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
        with _written_beside(target, mode) as file:
            yield file
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


@contextlib.contextmanager
def _written_beside(target: Path, mode: int | None) -> Generator[IO[bytes], None, None]:
    part = target.with_name(f".aaiclick-{secrets.token_hex(8)}.part")
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        with os.fdopen(descriptor, "wb", buffering=1 << 20) as file:
            if mode is not None:
                os.chmod(part, mode)  # noqa: PTH101
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


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
