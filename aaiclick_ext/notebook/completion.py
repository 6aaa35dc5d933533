"""Completion of our magics, as registered with a shell's completer.

What is asked for is found in a thread, for which Tab waits no longer than a second: a server that
does not answer costs that, and the kernel goes on.
"""

from __future__ import annotations

import contextlib
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher

from aaiclick_ext.logs import logger_of
from aaiclick_ext.notebook.completion_columns import listed_columns
from aaiclick_ext.notebook.completion_options import option_candidates, text_behind_options
from aaiclick_ext.notebook.completion_tokens import cut_at
from aaiclick_ext.notebook.line_magic import LineMagic, magic_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.completer import CompletionContext, SimpleMatcherResult

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.notebook.completion_sql import Candidate, SqlCompletion
    from aaiclick_ext.notebook.completion_words import Names

logger = logger_of("notebook")

PATIENCE_S = 1.0
_CELL = re.compile(r"\s*%%(\w+)(?=[ \t\n])[^\n]*(?:\n|\Z)")
_LINE = re.compile(r"(?:[^\n]*?=)?[ \t]*%(\w+)[ \t]")


@dataclass(frozen=True, slots=True)
class Call:
    """A magic that is being written, and where in it the cursor is.

    Attributes
    ----------
    kind, name
        ``"line"`` or ``"cell"``, and the magic's name.
    text
        What follows the name: the rest of the line, and the lines of a cell.
    cursor
        A number of characters of that text.
    """

    kind: str
    name: str
    text: str
    cursor: int


def call_at(text: str, cursor: int) -> Call | None:
    r"""Return the magic around a cursor in the text of a cell, whoever defines it.

    Examples
    --------
    >>> call_at("x = %sql SELECT 1", 12)
    Call(kind='line', name='sql', text='SELECT 1', cursor=3)
    >>> call_at("%%time\n%%sql\nSELECT 1", 17)
    Call(kind='cell', name='sql', text='\nSELECT 1', cursor=5)
    """
    start = 0
    found: Call | None = None
    while (cell := _CELL.match(text, start)) and cell.start(1) < cursor:
        behind = cell.end(1)
        if behind >= cursor:
            return None  # in the name itself
        found = Call("cell", cell[1], text[behind:], cursor - behind)
        start = cell.end()
    return _line_call(text, cursor) or found


def _line_call(text: str, cursor: int) -> Call | None:
    joined = text.replace("\\\n", "  ")  # a line that goes on, with every character in its place
    start = joined.rfind("\n", 0, cursor) + 1
    end = joined.find("\n", cursor)
    line = joined[start : None if end < 0 else end]
    found = _LINE.match(line)
    if found is None or start + found.end() > cursor:
        return None
    return Call("line", found[1], line[found.end() :], cursor - start - found.end())


class Completion:
    """The matcher, as registered with a shell.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    def __init__(self, ip: Any, context: DataContext) -> None:
        self._ip = ip
        self._context = context
        self._names: Names | None = None
        self._thread: threading.Thread | None = None
        self._matcher = self.match
        ip.Completer.custom_matchers.append(self._matcher)

    def close(self) -> None:
        """Take the matcher back."""
        with contextlib.suppress(ValueError):
            self._ip.Completer.custom_matchers.remove(self._matcher)
        self._wait()

    def _wait(self) -> None:
        with contextlib.suppress(KeyboardInterrupt):  # nothing is offered then
            if self._thread is not None:
                self._thread.join(PATIENCE_S)

    @context_matcher(identifier="aaiclick_ext")  # type: ignore[untyped-decorator]
    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Complete at a cursor inside a magic of ours; nothing anywhere else."""
        before = context.full_text.split("\n")[: context.cursor_line]
        cursor = sum(len(line) + 1 for line in before) + context.cursor_position
        call = call_at(context.full_text, cursor)
        function = None if call is None else self._function(call)
        if call is None or function is None:
            return self._in_python(context.full_text[:cursor])
        return _result(*self._candidates(call, function))

    def _in_python(self, before: str) -> SimpleMatcherResult:
        self.prepare()
        listed = listed_columns(self._ip, before) if self._context.imported.done() else None
        if listed is None:
            return {"completions": []}
        return _result(listed[0], [(name, "column") for name in listed[1]])

    def _function(self, call: Call) -> Callable[..., Any] | None:
        function = self._ip.magics_manager.magics[call.kind].get(call.name)
        return function if isinstance(magic_of(function), LineMagic) else None

    def _candidates(self, call: Call, function: Any) -> tuple[str, list[Candidate]]:
        magic, parser = magic_of(function), function.parser
        assert magic is not None
        text, cursor = call.text, call.cursor
        if not self._context.imported.wait(PATIENCE_S):  # before this looks at views
            return "", []
        line = text.partition("\n")[0]
        is_on_line = cursor <= len(line)
        if not magic.takes_text or (
            is_on_line and text_behind_options(parser, line[:cursor]) == cursor
        ):
            return option_candidates(magic, parser, text[:cursor])
        start = text_behind_options(parser, line)
        text, cursor = text[start:], cursor - start
        return self._sql_candidates(text, cursor)

    def _sql_candidates(self, text: str, cursor: int) -> tuple[str, list[Candidate]]:
        answers: list[tuple[str, list[Candidate]]] = []
        self._wait()
        if self._begin(lambda: answers.append(self._sql().candidates(text, cursor))):
            self._wait()
        return answers[0] if answers else (cut_at(text, cursor).fragment, [])

    def prepare(self) -> None:
        """Ask for the words of ClickHouse before they are needed; returns at once."""
        if self._names is None and self._context.is_open:
            self._begin(lambda: self._sql().prepare())

    def _begin(self, work: Callable[[], object]) -> bool:
        """Do something in a thread; return False where the one before waits still."""
        if self._thread is not None and self._thread.is_alive():
            return False

        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001  nobody waits for a traceback while typing
                logger.debug("completion failed: %s", error)

        self._thread = threading.Thread(target=run, name="aai-completion", daemon=True)
        self._thread.start()
        return True

    def _sql(self) -> SqlCompletion:
        self._context.imported.wait()
        from aaiclick_ext.notebook.completion_sql import SqlCompletion
        from aaiclick_ext.notebook.completion_variables import Variables
        from aaiclick_ext.notebook.completion_words import Names

        self._names = self._names or Names(self._context)
        return SqlCompletion(self._names, Variables(self._ip))


class _Nothing(list[SimpleCompletion]):
    """No completions, and yet some: IPython lets only a matcher that has some silence the others.

    Else Python names would be offered in the place of SQL and options.
    """

    def __len__(self) -> int:
        return 1


def _result(fragment: str, found: list[Candidate]) -> SimpleMatcherResult:
    completions = [SimpleCompletion(text=text, type=kind) for text, kind in found]
    return {
        "completions": completions or _Nothing(),
        "matched_fragment": fragment,
        "suppress": True,
        "ordered": True,
    }
