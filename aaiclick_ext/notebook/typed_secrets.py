"""Passwords that were typed in a cell: taken out of the input history again."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aaiclick_ext.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Callable


def forget_secret(ip: Any, url: str) -> None:
    """Put ``***`` in the place of a URL's password in what IPython keeps of the running cell.

    That is ``In``, ``_i`` and their like, and the history in the profile. The notebook itself is
    the front end's. Nothing happens where the cell does not have the URL, but a variable.

    Parameters
    ----------
    ip
        The IPython shell.
    url
        As it was typed.
    """
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if not password:
        return
    typed, shown = f":{password}@", f":{MASK}@"

    def masked(text: Any) -> Any:
        return text.replace(typed, shown) if isinstance(text, str) else text

    history = ip.history_manager
    for inputs in (history.input_hist_raw, history.input_hist_parsed):
        inputs[-1:] = [masked(text) for text in inputs[-1:]]
    for name in ("_i00", "_i", "_ii", "_iii"):
        if hasattr(history, name):
            setattr(history, name, masked(getattr(history, name)))
    for name in list(ip.user_ns):
        if name.startswith("_i") and not name.strip("_i0123456789"):
            ip.user_ns[name] = masked(ip.user_ns[name])
    _mask_saved(history, masked, typed, shown)


def _mask_saved(history: Any, masked: Callable[[Any], Any], typed: str, shown: str) -> None:
    """Do so in what is written to the profile, or waits for it."""
    if not history.enabled:
        return
    with history.db_input_cache_lock:  # who writes it holds this, too
        history.db_input_cache = [
            (line, masked(source), masked(raw)) for line, source, raw in history.db_input_cache
        ]
        with contextlib.suppress(sqlite3.Error), history.db:
            history.db.execute(
                "UPDATE history SET source = replace(source, ?, ?), "
                "source_raw = replace(source_raw, ?, ?) WHERE session = ?",
                (typed, shown, typed, shown, history.session_number),
            )
