"""Which cells look at the last error."""

from __future__ import annotations

import pytest

from aaiclick_ext.notebook.last_error import looks_at_error


@pytest.mark.parametrize(
    "cell",
    [
        "%debug",
        "debug",
        "%tb",
        "  %tb Verbose",
        "%xmode Verbose",
        "x = 1\n%debug",
        "import pdb; pdb.pm()",
        "pdb.post_mortem()",
        "sys.last_traceback",
        "print(sys.last_value)",
    ],
)
def test_cells_about_the_error(cell):
    assert looks_at_error(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "1 + 1",
        "tb = 1",
        "tb.tb_next",
        "debug(x)",
        "debugger = 1",
        "table",
        "# last_value",
        "%time x",
    ],
)
def test_cells_about_something_else(cell):
    assert not looks_at_error(cell)
