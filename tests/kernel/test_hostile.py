"""Names, values, cell sources and errors that would act, through every display of a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile import TEXTS, wrong_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Result

pytestmark = pytest.mark.kernel

PREPARE = """
from tests.hostile import TEXTS
names = [text for text in TEXTS.values() if text.strip() and chr(0) not in text]
t = aai.create_object_from_value({'k': list(range(len(TEXTS))), 'text': list(TEXTS.values())})
w = aai.create_object_from_value({name: [number, None] for number, name in enumerate(names)})
"""

DISPLAYS = """
t
w
t.group_by('text').agg(n=t.count())
w[names[0]]
aai.trace(t.filter(t.k < 30).copy(), where={'k': 1})
aai.why_not(t.filter(t.k > 30), t, where={'k': 1})
%tables
%why t
%sessions
%lineage w
%lineage w --columns --all
%lineage w --as mermaid
%lineage w --as dot
%lineage w --sql
%lineage w --python
%lineage --stale
%lineage t --history
aai.live(t.filter(t.k >= 0))
aai.live(t.text.max(), 'number')
aai.list_views()
aai.validate_views()
aai.system.operations
t.describe()
w.describe()
t.profile()
w.profile()
w[names[:6]].profile()
t.plot('bar', x='text')
t.plot('scatter', x='k', y='k', color='text', title=TEXTS['markup'])
w.plot('line', x=names[0], y=names[1:6])
w.plot('bar', x=names[3], y=names[10])
t.show()
%browse w
%sql SELECT * FROM {w}
%sql SELECT text, count() AS `<b>owned</b>` FROM {t} GROUP BY text
w.explain()
w.dry_run()
w.profile_query()
%sql --explain SELECT * FROM {w}
%aaiclick
aai.status()
"""

IN_ERRORS = (
    "markup",
    "end",
    "template",
    "sql",
    "terminal",
    "control",
    "lines",
    "direction",
    "long",
)

ERRORS = """
t.filter(t[{text!r}] > 1)
aai.table({text!r})
aai.sql({text!r})
aai.open_object({text!r})
aai.sql('SELECT throwIf(text = ' + repr({text!r}) + ') FROM {{t}}', t=t).data()
%lineage {line}
%why {line}
%tables {line}
%browse {line}
%aaiclick set {line}
t.plot({text!r}, x={text!r})
%sql {line}
%sql SELECT {line} FROM {{t}}
%%sql\\n{text}
"""


def shown_by(result: Result) -> Iterator[tuple[str, object]]:
    for data in [result.data or {}, *result.displays, *result.updates]:
        yield from data.items()
    yield "stream stdout", result.stdout
    yield "stream stderr", result.stderr
    if result.error is not None:
        yield "error", "\n".join([*result.error.traceback, result.error.ename])


def wrong_in(code: str, result: Result) -> Iterator[tuple[str, str, list[str]]]:
    for mime, content in shown_by(result):
        if found := wrong_with(mime, content):
            yield code, mime, found


def test_nothing_that_is_shown_acts(kernel):
    kernel.check(PREPARE)
    for number, text in enumerate(TEXTS.values()):  # cells of such sources are in the log
        source = text.replace("\x00", "")
        kernel.check(f'made_{number} = [t.filter(t.text == {text!r}).copy(), r""" {source} """][0]')
    kernel.check(f"made_of_all = aai.concat({', '.join(f'made_{n}' for n in range(len(TEXTS)))})")
    kernel.check("aai.create_view('hostile', w.mutate(x=1))")
    wrong = []
    for code in [
        *DISPLAYS.strip().splitlines(),
        "%lineage made_of_all",
        "%lineage made_1 --python",
    ]:
        result = kernel.check(code)
        assert any(content for _, content in shown_by(result)), code
        wrong += wrong_in(code, result)
    for kind in IN_ERRORS:
        text = TEXTS[kind]
        line = " ".join(text.splitlines())
        for template in ERRORS.strip().splitlines():
            code = template.replace("\\n", "\n").format(text=text, line=line)
            wrong += wrong_in(f"{kind}: {template}", kernel.run(code))
    assert not wrong, "\n".join(map(str, wrong))
