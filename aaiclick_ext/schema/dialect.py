"""sqlglot's ClickHouse as Ibis has it, whose failed attempts at parsing keep nothing alive."""

from __future__ import annotations

from typing import Any

from ibis.backends.sql import dialects
from sqlglot.errors import ParseError


class ClickHouse(dialects.ClickHouse):  # type: ignore[misc]
    """As Ibis's takes the place of sqlglot's, so this one does of Ibis's.

    The parser tries one reading of a text after another. In sqlglot (30.30) an attempt that fails
    leaves an error and the frame that raised it, which refer to each other; and a frame keeps those
    of its callers, with the tables in their variables, until Python collects the cycle.
    """

    class Parser(dialects.ClickHouse.Parser):  # type: ignore[misc]  # noqa: D106
        def raise_error(self, *arguments: Any, **keywords: Any) -> None:  # noqa: D102
            try:
                super().raise_error(*arguments, **keywords)
            except ParseError as error:
                raise error.with_traceback(None)  # noqa: B904  the same error, without that frame
