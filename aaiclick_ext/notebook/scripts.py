"""Scripts: IPython keeps the module of every script that ``%run`` ran, and so its tables."""

from __future__ import annotations

from typing import Any

from aaiclick_ext.notebook.reach import reaches_table


def forget_scripts(ip: Any) -> None:
    """Take modules that keep a table of ours, or may, out of IPython's cache.

    Their names are the user's variables now, which own from here on. A function of the script keeps
    the script's globals itself.
    """
    cache = getattr(ip, "_main_mod_cache", {})
    for path, module in list(cache.items()):
        if reaches_table([*vars(module).values()], budget=5_000) is not False:
            del cache[path]
