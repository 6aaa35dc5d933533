"""What the table of the README beside other tools says, and what proves it."""

from __future__ import annotations
