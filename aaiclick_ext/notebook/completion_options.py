"""Completion of a magic's line: its options, and the values of its arguments.

All is read off the parser that ``magic_arguments`` made of the magic: a magic says nothing twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from aaiclick_ext.notebook.completion_sql import Candidate
    from aaiclick_ext.notebook.line_magic import LineMagic

HELP = "--help"
_WORD = re.compile(r"\S+")
_BOUND = re.compile(r"\s*\w+\s*<<\s?")


def option_candidates(
    magic: LineMagic, parser: argparse.ArgumentParser, before: str
) -> tuple[str, list[Candidate]]:
    """Return the word that is being typed on the line of a magic, and what can take its place.

    Parameters
    ----------
    before
        The line behind the magic's name, up to the cursor.
    """
    words = before.split()
    fragment = "" if not before or before[-1].isspace() else words.pop()
    option, given, positional = _read(parser, words)
    found: list[Candidate] = []
    if option is None and fragment.startswith("--") and "=" in fragment:
        name, _, value = fragment.partition("=")
        option = _options(parser).get(name)
        if option is not None:
            values = _values(magic, option, words, value)
            return value, [(v, "value") for v in values if v.startswith(value)]
    if option is not None:
        found += [(value, "value") for value in _values(magic, option, words, fragment)]
    else:
        if not fragment.startswith("-") and positional is not None:
            found += [(value, "value") for value in _values(magic, positional, words, fragment)]
        found += [(name, "option") for name in (*_options(parser), HELP) if name not in given]
    fitting = {text: kind for text, kind in found if text.startswith(fragment)}
    return fragment, list(fitting.items())


def text_behind_options(parser: argparse.ArgumentParser, line: str) -> int:
    """Return where the text begins that follows the options of a line, and a ``name <<``.

    Examples
    --------
    >>> import argparse
    >>> parser = argparse.ArgumentParser()
    >>> _ = parser.add_argument("--view")
    >>> text_behind_options(parser, " --view late x << SELECT 1")
    18
    """
    options, at = _options(parser), 0
    while True:
        if bound := _BOUND.match(line, at):
            at = bound.end()
        word = _WORD.search(line, at)
        if word is None:
            return len(line)
        if not word[0].startswith("-"):
            return word.start()
        at = word.end()
        action = options.get(word[0])
        if action is not None and action.nargs != 0:
            value = _WORD.search(line, at)
            at = len(line) if value is None else value.end()


def is_help_asked(parser: argparse.ArgumentParser, line: str, *, takes_text: bool) -> bool:
    """Whether ``--help`` is among the options of a line, not in the text behind them."""
    options = line[: text_behind_options(parser, line)] if takes_text else line
    return HELP in options.split()


def described_arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, str]]:
    """Yield the arguments of a magic: how each is written, its name as an option, what it does."""
    for action in parser._actions:  # noqa: SLF001  argparse has no other way to list them
        if HELP in action.option_strings:
            continue
        named = action.dest.upper() if action.option_strings else action.dest
        choices = "|".join(map(str, action.choices or ()))
        shown = "" if action.nargs == 0 else str(action.metavar or choices or named)
        name = ", ".join(action.option_strings)
        yield " ".join(filter(None, (name, shown))), name, action.help or ""


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    actions = parser._actions  # noqa: SLF001
    return {name: action for action in actions for name in action.option_strings}


def _read(
    parser: argparse.ArgumentParser, words: Sequence[str]
) -> tuple[argparse.Action | None, set[str], argparse.Action | None]:
    """Return the option that waits for a value, the names given, and the argument that is next."""
    options = _options(parser)
    positionals = [a for a in parser._actions if not a.option_strings]  # noqa: SLF001
    waiting: argparse.Action | None = None
    given: set[str] = set()
    for word in words:
        if waiting is not None:
            waiting = None
        elif word.partition("=")[0] in options:
            action = options[word.partition("=")[0]]
            given |= set(action.option_strings)
            waiting = action if action.nargs != 0 and "=" not in word else None
        elif not word.startswith("-") and positionals and positionals[0].nargs in (None, "?"):
            positionals.pop(0)
    return waiting, given, positionals[0] if positionals else None


def _values(
    magic: LineMagic, action: argparse.Action, words: Sequence[str], start: str
) -> Iterable[Any]:
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    return magic.values_of(action.dest, words, start)
