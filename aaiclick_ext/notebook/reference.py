"""One page with every setting and every magic, made of what the code says.

``python -m aaiclick_ext.notebook.reference docs/reference.md`` writes it.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from aaiclick_ext.notebook import extension  # noqa: F401  defines the magics
from aaiclick_ext.notebook.completion_options import described_arguments
from aaiclick_ext.notebook.config import SECTION
from aaiclick_ext.notebook.line_magic import LineMagic
from aaiclick_ext.settings import PREFIX, READ_WHEN_USED, Settings, type_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEAD = f"""# Settings and magics

Made of the code by `make reference`; a test compares.

## Settings

A setting is what a default says, unless the environment says otherwise, unless the configuration
of IPython does (`c.{SECTION}.display_rows = 20` in `ipython_config.py`, or
`%config {SECTION}.display_rows = 20`), unless `DataContext(settings=…)` does.
`%aaiclick set display_rows 20` and `aai.change_settings(display_rows=20)` change one in a running
kernel. One that is read when a context opens takes effect with `%reload_ext aaiclick_ext`, which
drops what only variables hold; for `ch_url` there is `%aaiclick connect URL`.
"""
_MAGICS = """## Magics

Each has `--help`, and completes its options and what they take with Tab. In Python the same are
functions of `import aaiclick_ext as aai` and methods of a `view`.
"""


def magic_classes() -> list[type[LineMagic]]:
    """Return every magic of ours, by name."""
    return sorted(LineMagic.__subclasses__(), key=lambda magic: magic.name)


def reference_page() -> str:
    """Return the page as Markdown."""
    parts = [_HEAD, *_settings(), _MAGICS]
    for magic in magic_classes():
        parts += _magic(magic)
    return "\n".join(parts).rstrip() + "\n"


def _settings() -> Iterator[str]:
    hints = get_type_hints(Settings)
    rows = [
        (
            f"`{spec.name}`",
            f"`{type_name(hints[spec.name])}`",
            f"`{spec.default}`",
            f"`{PREFIX}{spec.metadata['environment']}`",
            "used" if spec.name in READ_WHEN_USED else "a context opens",
            _meaning(spec.metadata),
        )
        for spec in fields(Settings)
    ]
    yield from _table(("setting", "type", "default", "environment", "read when", "what"), rows)


def _meaning(metadata: Any) -> str:
    choices = f" ({', '.join(metadata['choices'])})" if metadata["choices"] else ""
    return f"{metadata['doc']}{choices}"


def _magic(magic: type[LineMagic]) -> Iterator[str]:
    parser = getattr(magic, magic.name).parser
    signs = {"line": "%", "cell": "%%"}
    names = [f"`{signs[kind]}{magic.name}`" for kind in magic.kind.split("_")]
    description = (parser.description or "").partition("Examples\n")[0]
    yield f"### {', '.join(names)}\n"
    for paragraph in description.strip().split("\n\n"):
        yield " ".join(paragraph.replace("``", "`").split()) + "\n"
    rows = [
        (f"`{written}`", _python(magic.functions.get(option)) if option else "", doc)
        for written, option, doc in described_arguments(parser)
    ]
    whole = {name: f for name, f in magic.functions.items() if not name.startswith("-")}
    said = ", ".join(f"{_python(f)}{f' ({name})' if name else ''}" for name, f in whole.items())
    yield f"In Python: {said}\n"
    yield from _table(("argument", "in Python", "what"), rows)


def _python(function: str | None) -> str:
    return f"`{function}`" if function else ""


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _row(titles)
    yield _row(["---"] * len(titles))
    yield from map(_row, rows)
    yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference_page())
