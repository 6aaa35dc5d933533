"""Everything that knows IPython.

`extension` loads and unloads; `cell_hooks` turns a cell into a task of the operation log;
`output_history` and `last_error` let go of what IPython would keep; `magics`, `display` and
`config` are what a user sees of it.
"""

from __future__ import annotations
