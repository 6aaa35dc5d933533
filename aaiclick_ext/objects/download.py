"""Files of http and https URLs, downloaded to a temporary file."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from base64 import b64encode
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from aaiclick_ext.errors import FileError, MissingFileError
from aaiclick_ext.masking import mask_text
from aaiclick_ext.objects.file_sources import SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANSWER_WITHIN_S = 20
_NOT_THERE = (404, 410)


@contextlib.contextmanager
def downloaded(url: str) -> Iterator[SourceFile]:
    """Download a URL for the length of the block.

    A user and password in the URL go into the request's header, and into no message. Proxies are
    those of the environment. One attempt; a server that is silent for 20 s is given up.

    Raises
    ------
    MissingFileError
        If the server says that there is no such file.
    FileError
        If it cannot be had for another reason.
    """
    shown = mask_text(url)
    with tempfile.NamedTemporaryFile(prefix="aaiclick-") as file:
        try:
            with (
                build_opener(_Redirects).open(_request(url), timeout=_ANSWER_WITHIN_S) as answer,
                Path(file.name).open("wb") as target,
            ):
                shutil.copyfileobj(answer, target, 1 << 20)
                _check_length(shown, answer.length)
        except HTTPError as error:
            error.close()
            kind = MissingFileError if error.code in _NOT_THERE else FileError
            refused = kind(f"{shown}: the server says {error.code} {error.reason}")
        except FileError:
            raise
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            refused = FileError(f"{shown} cannot be downloaded: {mask_text(str(reason))}")
        else:
            yield SourceFile(shown, Path(file.name))
            return
        raise refused  # outside the handler: what urllib raises may hold the password


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, but takes no password to another host."""

    def redirect_request(self, req: Request, *args: object) -> Request | None:
        new = super().redirect_request(req, *args)  # type: ignore[arg-type]
        if new is not None and new.host != req.host:
            new.remove_header("Authorization")
        return new


def _request(url: str) -> Request:
    parts = urlsplit(url)
    place = parts.hostname or ""
    if ":" in place:
        place = f"[{place}]"
    if parts.port is not None:
        place = f"{place}:{parts.port}"
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    request = Request(  # noqa: S310 -- the caller checked the scheme
        urlunsplit((parts.scheme, place, path, query, "")), headers={"User-Agent": "aaiclick_ext"}
    )
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", f"Basic {b64encode(pair.encode()).decode()}")
    return request


def _check_length(shown: str, missing: int | None) -> None:
    if missing:
        raise FileError(f"{shown} cannot be downloaded: the connection ended {missing} bytes early")
