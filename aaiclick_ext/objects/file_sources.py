"""Which files a path stands for, and their bytes, decompressed and unpacked.

Everything is read by this process: a server need not see the files, no path or URL becomes part
of an SQL statement, and no character in a file's name means anything to ClickHouse.
"""

from __future__ import annotations

import bz2
import contextlib
import glob
import gzip
import io
import lzma
import os
import shutil
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from aaiclick_ext.errors import AaiclickError, FileContentError, FileError, MissingFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAGIC_BYTES = 8
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_SHOWN = 5
_COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to read.

    Attributes
    ----------
    label
        How messages call it; without credentials.
    path
        Where its bytes are; of a URL, where they were downloaded to.
    member
        Its name inside `path`, a zip archive.
    """

    label: str
    path: Path
    member: str | None = None

    @property
    def suffix(self) -> str:
        """The extension that says the format, without that of a compression."""
        return format_suffix(self.member or self.label)

    @property
    def is_packed(self) -> bool:
        """Whether it holds more than its size says."""
        if self.member is not None:
            return True
        with self.explained(), self.path.open("rb") as raw:
            return raw.read(_MAGIC_BYTES).startswith(_PACKED)

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it for reading, decompressed whatever its name says.

        Raises
        ------
        FileError
            If it cannot be read.
        FileContentError
            If its compressed data is damaged or cut.
        """
        with self.explained(), contextlib.ExitStack() as stack:
            raw: IO[bytes] = stack.enter_context(self.path.open("rb"))
            if self.member is not None:
                archive = stack.enter_context(zipfile.ZipFile(raw))
                raw = stack.enter_context(self._unpacked(archive, self.member))
            yield cast("BinaryIO", stack.enter_context(_decompressed(raw)))

    @contextlib.contextmanager
    def open_seekable(self) -> Iterator[BinaryIO]:
        """Open it so that any part can be read: a packed one is unpacked to disk first."""
        if not self.is_packed:
            with self.explained(), self.path.open("rb") as raw:
                yield raw
            return
        with tempfile.TemporaryFile() as unpacked:
            with self.open() as packed:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
            unpacked.seek(0)
            yield cast("BinaryIO", unpacked)

    def _unpacked(self, archive: zipfile.ZipFile, member: str) -> IO[bytes]:
        try:
            return archive.open(member)
        except (RuntimeError, NotImplementedError) as error:  # encrypted; an unknown method
            raise FileContentError(f"{self.label}: {error}") from error

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what reading raises into errors that name the file."""
        try:
            yield
        except AaiclickError:
            raise
        except (EOFError, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
            raise FileContentError(
                f"{self.label}: the compressed data is damaged or cut ({error})"
            ) from error
        except OSError as error:
            if error.errno is None:  # Arrow and bz2, about data
                raise FileContentError(f"{self.label}: damaged or cut ({error})") from error
            raise FileError(f"{self.label} cannot be read: {error.strerror}") from error


def format_suffix(name: str) -> str:
    """Return the lower-case extension of a name without its compression's.

    Examples
    --------
    >>> format_suffix("a/b.CSV.gz"), format_suffix("b")
    ('.csv', '')
    """
    path = Path(name.partition("?")[0] if "://" in name else name)
    if path.suffix.lower() in _COMPRESSIONS:
        path = path.with_suffix("")
    return path.suffix.lower()


def is_url(path: str) -> bool:
    """Say whether a path is one that is downloaded."""
    return path.lower().startswith(("http://", "https://"))


@contextlib.contextmanager
def source_files(
    path: str | os.PathLike[str], suffixes: Sequence[str]
) -> Iterator[list[SourceFile]]:
    """Give the files of a path, a glob or a URL, in the order of their names.

    Parameters
    ----------
    suffixes
        Extensions that members of a zip archive may have.

    Raises
    ------
    MissingFileError
        If there is none, with what there is instead.
    FileError
        If it is a directory, or cannot be reached.
    FileContentError
        If an archive has members of other formats.
    """
    text = os.fsdecode(path)
    with contextlib.ExitStack() as stack:
        if is_url(text):
            from aaiclick_ext.objects.download import downloaded

            files = [stack.enter_context(downloaded(text))]
        else:
            files = [SourceFile(str(found), found) for found in _matches(text)]
        yield [member for file in files for member in _members(file, suffixes)]


def _matches(text: str) -> list[Path]:
    """Return the regular files that a local path or glob stands for."""
    if not text or "\0" in text:
        raise MissingFileError(f"{text!r} is no path; give the path of a file")
    if text.lower().startswith("file://"):
        raise FileError(f"{text} is a URL of a local file; give its path")
    if "://" in text:
        scheme = text.partition("://")[0]
        raise FileError(
            f"{scheme}:// cannot be read; there are paths, globs, http:// and https:// "
            f'(and SQL: context().sql("SELECT * FROM {scheme}(…)"))'
        )
    expanded = os.path.expanduser(text)  # noqa: PTH111 -- a Path would drop a trailing slash
    if os.path.lexists(expanded):  # before globbing: a name may have stars and brackets in it
        return [_regular(Path(expanded), text)]
    found = sorted(glob.glob(expanded, recursive=True))  # noqa: PTH207 -- takes absolute patterns
    files = [Path(name) for name in found if Path(name).is_file()]
    if not files:
        raise MissingFileError(_nothing_there(expanded, text, found))
    return [_regular(file, str(file)) for file in files]


def _regular(path: Path, text: str) -> Path:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{text} is a link to {path.readlink()}, which is not there"
        ) from error
    except OSError as error:
        raise FileError(f"{text} cannot be read: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise FileError(
            f"{text} is a directory; give a pattern, as in {text.rstrip(os.sep)}/*.csv. "
            + _listing(path)
        )
    if not stat.S_ISREG(mode):
        raise FileError(f"{text} is not a regular file; copy what it gives to one")
    return path


def _nothing_there(expanded: str, text: str, directories: Sequence[str]) -> str:
    if directories:
        return f"{text} matches only directories: {', '.join(directories[:_SHOWN])}"
    is_pattern = glob.has_magic(expanded)
    what = f"no file matches {text}" if is_pattern else f"there is no file {text}"
    folder = Path(expanded).parent
    while glob.has_magic(str(folder)) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        return f"{what}: {folder} is not a directory (the current one is {Path.cwd()})"
    return f"{what}. {_listing(folder)}"


def _listing(folder: Path) -> str:
    try:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    except OSError:
        return ""
    if not names:
        return f"{folder.resolve()} is empty"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"In {folder.resolve()} there are: {', '.join(names[:_SHOWN])}{more}"


def _members(file: SourceFile, suffixes: Sequence[str]) -> list[SourceFile]:
    """Return the members of a zip archive, or the file itself."""
    with file.explained(), file.path.open("rb") as raw:
        if not raw.read(_MAGIC_BYTES).startswith((_ZIP, _EMPTY_ZIP)):
            return [file]
        with zipfile.ZipFile(raw) as archive:
            names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    names = [n for n in names if not n.startswith("__MACOSX/") and not Path(n).name.startswith(".")]
    if "[Content_Types].xml" in names:
        raise FileContentError(
            f"{file.label} is an Office document; save the sheet as CSV, or read it with pandas"
        )
    if not names:
        raise FileContentError(f"{file.label} is a zip archive without files")
    others = [name for name in names if format_suffix(name) not in suffixes]
    if others:
        raise FileContentError(
            f"{file.label} has members of another format, {', '.join(others[:_SHOWN])}; "
            f"every one has to end in {' or '.join(filter(None, suffixes))}"
        )
    return [SourceFile(f"{file.label} :: {name}", file.path, name) for name in names]


def _decompressed(raw: IO[bytes]) -> contextlib.AbstractContextManager[Any]:
    """Return a stream that can be peeked into, of what the first bytes say is in there."""
    if isinstance(raw, io.BufferedReader):
        stream = raw
    else:
        stream = io.BufferedReader(cast("io.RawIOBase", raw))
    magic = stream.peek(_MAGIC_BYTES)[:_MAGIC_BYTES]
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(stream)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return io.BufferedReader(_Zstandard(stream), 1 << 20)
    return contextlib.nullcontext(stream)


class _Zstandard(io.RawIOBase):
    """The decompressed bytes of a stream of Zstandard frames."""

    def __init__(self, stream: IO[bytes]) -> None:
        import pyarrow as pa

        self._stream = pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer)).cast("B")
        data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)
