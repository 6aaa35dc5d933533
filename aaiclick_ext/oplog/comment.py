"""Comment lines of scripts, of text that anybody may have written."""

from __future__ import annotations


def comment(mark: str, text: str) -> str:
    r"""Return text as one line of comment: what could end the line is written out.

    Examples
    --------
    >>> comment("--", "path: a\nDROP TABLE b")
    '-- path: a\\nDROP TABLE b'
    """
    return f"{mark} {one_line(text)}".rstrip()


def one_line(text: str) -> str:
    r"""Return text with everything that does not print as Python's escapes.

    Examples
    --------
    >>> print(one_line("größe\u2028\x1b[1m\ud800"))
    größe\u2028\x1b[1m\ud800
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
