"""Under nbval the notebooks run as a user runs them.

nbval asks kernels to keep no history, and then cells have no number and `Out` holds nothing:
lineage and ownership would show something else than what a reader sees.
"""

from __future__ import annotations

import os

from nbval.kernel import RunningKernel

os.environ["AAICLICK_PROGRESS"] = "off"  # on a slow machine more is shown than on a fast one


def _execute_cell_input(
    self: RunningKernel, cell_input: str, allow_stdin: bool | None = None
) -> str:
    message: str = self.kc.execute(
        cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False
    )
    return message


RunningKernel.execute_cell_input = _execute_cell_input
