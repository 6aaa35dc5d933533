"""The likely fix of an error of ClickHouse, from what is there: columns, tables, functions, casts.

ClickHouse names near misses itself where it finds some. What is here is for where it does not, and
for what it cannot know: our tables, who dropped them, and Ibis.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import difflib
import re
from typing import TYPE_CHECKING

from aaiclick_ext.engine import Role, quote_identifier
from aaiclick_ext.engine.error_places import marked_line, name_in, with_names
from aaiclick_ext.errors import AaiclickError, EngineError
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.masking import mask_sql
from aaiclick_ext.objects.sql_text import tokens_of
from aaiclick_ext.oplog.graph import DROP_TABLE
from aaiclick_ext.oplog.log_table import LOG_TABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from aaiclick_ext.objects.adoption import Reference
    from aaiclick_ext.objects.services import Services

_MEANT = " Maybe you meant"
_SHOWN = 12
_NEAR = 0.6

_UNKNOWN_COLUMN = frozenset({10, 16, 47})
_UNKNOWN_TABLE = 60
_SYNTAX = 62
_WRONG_TYPE = frozenset({43, 53, 386})
_UNREADABLE = frozenset({6, 27, 38, 41, 72})
_FOR_CODES = {
    44: "Give each column a name of its own, with AS.",
    57: "CREATE OR REPLACE TABLE makes it anew; CREATE TABLE IF NOT EXISTS leaves what is there.",
    215: "Add the column to GROUP BY, or take one value of each group, as any(column) does.",
}
_LISTS = {
    46: "SELECT name FROM system.functions",
    81: "SELECT name FROM system.databases",
    115: "SELECT name FROM system.settings",
}
"""By code of what is unknown (function, database, setting), the query for what there is."""

_KEYWORDS = (
    "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "JOIN", "UNION", "WITH", "OVER",
    "DISTINCT", "INSERT", "CREATE", "VALUES", "SETTINGS", "BETWEEN",
)  # fmt: skip
_WORD = re.compile(r"\b[A-Za-z]{4,}\b")
_WRITTEN_OUT = re.compile(r"\b(?:FORMAT\s+\w+|INTO\s+OUTFILE\b)", re.IGNORECASE)
_OTHER_MARKS = re.compile(r"\{\{|(?<![:\w]):[A-Za-z]|\$[A-Za-z]")
"""How other SQL magics mark what comes from Python."""
_TYPE = re.compile(
    r"\b(?:U?Int\d+|Float\d+|FixedString|String|DateTime64|DateTime|Date32|Date|Decimal\w*|Bool|UUID)\b"
)
_READ_AS = re.compile(r"'FUNCTION \w+\(__table\d+\.(\w+).*?-> .*? (?:Nullable\()?(\w+)", re.DOTALL)
_IBIS = {"Bool": "boolean", "DateTime": "timestamp", "DateTime64": "timestamp", "Date32": "date"}


def add_fix(services: Services, error: EngineError) -> None:
    """Add the likely fix of an error to its notes, if there is one. May run small queries."""
    with contextlib.suppress(Exception):  # the error itself must come through, whatever this meets
        fix = _fix(services, error)
        if fix:
            error.add_note(fix)


def nearest(name: str, names: Collection[str], *, what: str) -> str:
    """Return which names are near to one that does not exist, or which there are.

    Examples
    --------
    >>> nearest("dely", ["delay", "carrier"], what="columns")
    'Did you mean delay?'
    >>> nearest("x", ["delay", "carrier"], what="columns")
    'The columns are delay, carrier.'
    """
    near = _near(name, names)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    shown = ", ".join(list(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return f"The {what} are {shown}." if names else ""


@contextlib.contextmanager
def as_written(query: str, references: Mapping[str, Reference]) -> Iterator[None]:
    """Let errors of ClickHouse show SQL as the user wrote it: ``{x}``, and not what it reads.

    Parameters
    ----------
    references
        What the names in braces stand for; a column that is unknown may be one of theirs.
    """
    try:
        yield
    except EngineError as error:
        with contextlib.suppress(Exception):
            _show_as_written(error, query, references)
            if error.code in _UNKNOWN_COLUMN:
                relations = [reference.relation for reference in references.values()]
                if not _note_value(error, query, references):
                    note_columns(error, [name for each in relations for name in each.schema.names])
            if error.code == _SYNTAX and _OTHER_MARKS.search(query):
                error.add_note(
                    "Python's names stand in braces: {x} for a table, {n:Int64} a value."
                )
        raise


def _note_value(error: EngineError, query: str, references: Mapping[str, Reference]) -> bool:
    """Say how a value is written, if a name in braces stands where one has to."""
    name = next((name for name in references if f"{{{name}}}" in str(error)), None)
    if name is None:
        return False
    notes = getattr(error, "__notes__", [])
    notes[:] = [note for note in notes if not note.startswith("The columns are")]
    shown = mask_sql(query) or ""
    if place := marked_line(f"identifier '{{{name}}}'", shown, shown):
        notes[:] = [place, *(note for note in notes if "^" not in note)]
    error.add_note(f"{{{name}}} stands for a table; a value has its type, as in {{{name}:Int64}}.")
    return True


def _show_as_written(error: EngineError, query: str, references: Mapping[str, Reference]) -> None:
    """Mark the place in the user's text, or in ours under the user's names."""
    notes, masked = getattr(error, "__notes__", []), mask_sql(query)
    names = written_names(references)
    message = str(error)
    for ours, theirs in names.items():
        message = message.replace(ours, theirs)
    error.args = (message, *error.args[1:])
    if not notes or "^" not in notes[0]:
        return
    place = None
    if error.code != _SYNTAX and masked is not None:  # its position is in ours
        place = marked_line(str(error.__cause__ or error), masked, masked)
    notes[0] = with_names(notes[0], names) if place is None else place


def written_names(references: Mapping[str, Reference]) -> dict[str, str]:
    """Return by what stands in SQL for a name in braces how the user wrote it."""
    names = {}
    for name, reference in references.items():
        names[f"{reference.text} AS {quote_identifier(name)}"] = f"{{{name}}}"
        names[reference.text] = f"{{{name}}}"
        bare = reference.text.replace("`", "")  # as messages have it
        if TableName.parse(bare.rpartition(".")[2]) is not None:
            names[f"{bare} AS {name}"] = names[bare] = f"{{{name}}}"
    return names


def note_columns(error: EngineError, columns: Collection[str]) -> None:
    """Add to an error that a column is unknown which one was meant, unless that was said."""
    name, notes = name_in(str(error)), getattr(error, "__notes__", [])
    if name is None or _MEANT in str(error) or any(n.startswith("Did you mean") for n in notes):
        return
    near = nearest(name.rpartition(".")[2], list(dict.fromkeys(columns)), what="columns")
    if near:
        notes[:] = [note for note in notes if not note.startswith("The columns are")]
        error.add_note(near)


def story_of(services: Services, table: str) -> str:
    """Return who dropped a table of ours, when and why, as the log knows it, and what to do."""
    with contextlib.suppress(AaiclickError):
        services.oplog.flush()
    rows = services.engine.query_rows(
        "SELECT operation, toUnixTimestamp64Milli(created_at), execution_count, user_name, "
        f"params['reason'] FROM {LOG_TABLE} WHERE result_table = {{table:String}} "
        "AND error IS NULL ORDER BY created_at",
        {"table": table},
        role=Role.WORKER,
    )
    if not rows:
        return ""
    is_ours = TableName.parse(table) is not None
    restore = f' aai.restore("{table}") makes it again.' if is_ours else ""
    operation, at_ms, count, user, reason = rows[-1]
    at = f"{dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    if operation != DROP_TABLE:
        return f"It was there at {at}; something other than aaiclick_ext dropped it.{restore}"
    where = "".join([f" by {user}" if user else "", f" in cell {count}" if count else ""])
    why = f": {reason}" if reason else ""
    return f"It was dropped at {at}{where}{why}.{restore}"


def _fix(services: Services, error: EngineError) -> str:
    message, sql = str(error), error.sql or ""
    name = name_in(message)
    if error.code == _UNKNOWN_TABLE and name is not None:
        return _for_table(services, error, name)
    if _MEANT in message:
        return ""
    if error.code in _FOR_CODES and (error.code != 44 or "already exists" in message):
        return _FOR_CODES[error.code]
    if error.code in _UNKNOWN_COLUMN and name is not None:
        columns = _columns_in(services, sql)
        return nearest(name.rpartition(".")[2], list(columns), what="columns")
    if error.code in _LISTS and name is not None:
        rows = services.engine.query_rows(_LISTS[error.code], role=Role.WORKER)
        near = _near(name, [row[0] for row in rows])
        return f"Did you mean {' or '.join(near)}?" if near else ""
    if error.code in _WRONG_TYPE:
        return _cast(message, _columns_in(services, sql))
    if error.code in _UNREADABLE:
        return _null_instead(str(error.__cause__ or message))
    return _keyword(message, sql) if error.code == _SYNTAX else ""


def note_missing_table(services: Services, error: AaiclickError, name: str) -> None:
    """Add to an error that a table is missing where it went, or which one was meant."""
    with contextlib.suppress(Exception):
        fix = _for_table(services, error, name)
        if fix:
            error.add_note(fix)


def _for_table(services: Services, error: AaiclickError, name: str) -> str:
    bare = name.rpartition(".")[2]
    if TableName.parse(bare) is not None:
        error.args = (str(error).partition(_MEANT)[0],)  # its neighbours are no help
        return story_of(services, bare)
    if story := story_of(services, bare):  # a table of the user's own, dropped by SQL
        error.args = (
            (str(error).partition(_MEANT)[0] + ".",) if _MEANT in str(error) else error.args
        )
        return story
    if _MEANT in str(error):
        return ""
    rows = services.engine.query_rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        "AND NOT startsWith(name, 'aai_')",
        role=Role.WORKER,
    )
    near = _near(bare, [row[0] for row in rows])
    if not isinstance(error, EngineError) or error.sql is None:
        return f"Did you mean {' or '.join(near)}?" if near else ""
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    return f"{meant}A variable stands in braces: FROM {{{bare}}}."


def _columns_in(services: Services, sql: str) -> dict[str, str]:
    """Return the columns of the tables that a statement names."""
    found: dict[str, str] = {}
    names = list(dict.fromkeys(token.text for token in tokens_of(sql)))
    for schema in map(services.schemas.known, names):
        found.update({} if schema is None else schema.types)
    return found or dict(
        services.engine.query_rows(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() "
            "AND table IN {names:Array(String)}",
            {"names": names},
            role=Role.WORKER,
        )
    )


def _cast(message: str, columns: Mapping[str, str]) -> str:
    types = list(dict.fromkeys(_TYPE.findall(message.partition(" because ")[0])))
    if not types:
        return ""
    source = "String" if "String" in types else types[0]
    target = next((found for found in types if found != source), "Float64")
    if "Int" in target:
        target = "Int64"  # that of a literal is as small as its value
    named = re.search(r"__table\d+\.(\w+) ", message)
    candidates = [name for name, type_ in columns.items() if source in type_]
    if named:
        candidates = [named[1]]
    column = candidates[0] if len(candidates) == 1 else "column"
    return (
        f'Cast one to the type of the other: x.{column}.cast("{_ibis(target)}") in Ibis, '
        f"CAST({column} AS {target}) in SQL."
    )


def _null_instead(text: str) -> str:
    found = _READ_AS.search(text)
    column, target = (found[1], found[2]) if found else ("column", "Int64")
    return (
        f'Null where it is none: x.{column}.try_cast("{_ibis(target)}") in Ibis, '
        f"accurateCastOrNull({column}, '{target}') in SQL."
    )


def _keyword(message: str, sql: str) -> str:
    """Return which keyword a word before the place of a syntax error was to be."""
    if "Unrecognized token" in message:
        return "A name of other letters than A to Z goes in backticks, as in `größe`."
    if _WRITTEN_OUT.search(sql):
        return 'A result has no FORMAT: x.export("x.json") writes a file, x.data() gives values.'
    found = re.search(r"failed at position (\d+)", message)
    words = _WORD.findall(sql[: int(found[1]) + 20] if found else sql)[-3:]
    for word in reversed(words):
        near = difflib.get_close_matches(word.upper(), _KEYWORDS, 1, 0.7)
        if near and word.upper() not in _KEYWORDS:
            return f"Did you mean {near[0]} for {word}?"
    return ""


def _near(name: str, names: Collection[str]) -> list[str]:
    alike = [each for each in names if abs(len(each) - len(name)) <= 3]  # comparing takes time
    folded = {each.lower(): each for each in alike}
    return [folded[each] for each in difflib.get_close_matches(name.lower(), folded, 3, _NEAR)]


def _ibis(type_: str) -> str:
    return _IBIS.get(type_, type_.lower())
