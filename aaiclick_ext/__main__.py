"""``python -m aaiclick_ext``: the same as ``aaiclick-ext``, where no scripts are on the path."""

from __future__ import annotations

import sys

from aaiclick_ext.cli import main

if __name__ == "__main__":
    sys.exit(main())
