"""What is said of the cell that loads the extension."""

from __future__ import annotations

import pytest

from aaiclick_ext.notebook.loading_cell import imports_others


@pytest.mark.parametrize(
    ("cell", "imports"),
    [
        ("import aaiclick_ext as aai, os.path", False),
        ("from aaiclick_ext import View\n%time 1", False),
        ("import aaiclick_ext.objects", True),
        ("from aaiclick_ext.widgets import LiveWidget", True),
        ("try:\n    import pandas as pd\nexcept ImportError: pass", True),
        ("1 / 1", False),
    ],
)
def test_which_cells_import_what_may_be_half_made(ip, cell, imports):
    ip.user_ns["asked"] = lambda: imports_others(ip)
    done = ip.run_cell(f"_found = asked()\n{cell}")
    done.raise_error()
    assert ip.user_ns["_found"] is imports
