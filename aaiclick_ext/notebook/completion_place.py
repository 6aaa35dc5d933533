"""What can stand at the cursor in SQL: a column, a table, a type, a setting, a keyword."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from aaiclick_ext.notebook.completion_sources import is_table_due
from aaiclick_ext.notebook.completion_tokens import Group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaiclick_ext.notebook.completion_tokens import Cut, Item

_BEFORE_EXPRESSIONS = frozenset(
    {
        "SELECT", "DISTINCT", "WHERE", "PREWHERE", "AND", "OR", "NOT", "ON", "BY", "HAVING",
        "QUALIFY", "WHEN", "THEN", "ELSE", "CASE", "IN", "LIKE", "ILIKE", "BETWEEN", "LIMIT",
        "OFFSET", "VALUES", "WITH", "USING", "IS", "SET", "FROM", "COLUMN", "APPLY", "EXCEPT",
        "REPLACE",
    }
)  # fmt: skip
_BEFORE_DATABASES = ("USE", "DATABASE")
_TYPED = ("ADD", "MODIFY", "ALTER")


class Kind(Enum):
    """What can stand at a place."""

    NOTHING = auto()
    KEYWORD = auto()
    EXPRESSION = auto()
    COLUMN = auto()
    TABLE = auto()
    DATABASE = auto()
    TYPE = auto()
    SETTING = auto()
    VARIABLE = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """What can stand at a cursor.

    Attributes
    ----------
    qualifier
        The names before the dots in front of it.
    is_table
        Whether it is a table's place; of a variable, too.
    """

    kind: Kind
    qualifier: tuple[str, ...] = ()
    is_table: bool = False


def place_of(cut: Cut) -> Place:
    """Return what can stand at the cursor."""
    if not cut.is_code:
        return Place(Kind.NOTHING)
    groups = [
        (group.items, _cursor_in(group, cut.path[at + 1 : at + 2]))
        for at, group in enumerate(cut.path)
    ]
    befores = [items[:end] for items, end in groups]
    before, group = befores[-1], cut.path[-1]
    if cut.quote == "{":
        return Place(Kind.VARIABLE, is_table=_is_table_place(group, before))
    if group.opener == "{":
        is_value = len(before) > 1 and before[0].kind == "word" and before[1].text == ":"
        return Place(Kind.TYPE if is_value else Kind.NOTHING)
    if _is_type(cut.path, befores):
        return Place(Kind.TYPE)
    if (qualifier := _qualifier(before)) is not None:
        head = before[: len(before) - 2 * len(qualifier)]
        if _is_table_place(group, head):
            return Place(Kind.TABLE, qualifier)
        return Place(Kind.COLUMN, qualifier)
    return Place(_kind(cut, befores), is_table=False)


def _kind(cut: Cut, befores: Sequence[Sequence[Item]]) -> Kind:
    before, group = befores[-1], cut.path[-1]
    last = before[-1] if before else None
    if _is_setting(group, before):
        return Kind.SETTING
    if last is not None and last.is_word(*_BEFORE_DATABASES):
        return Kind.DATABASE
    if _is_table_place(group, before):
        return Kind.TABLE
    if len(befores) > 1 and (listed := _listed(befores[-2], group, before)) is not None:
        return listed
    if last is None:
        return Kind.KEYWORD if len(befores) == 1 else Kind.EXPRESSION
    if last.is_word("AS"):
        is_name = not before[0].is_word("CREATE", "REPLACE", "EXPLAIN")
        return Kind.NOTHING if is_name else Kind.KEYWORD
    return Kind.EXPRESSION if _is_expression_due(before) else Kind.KEYWORD


def _listed(outside: Sequence[Item], group: Group, before: Sequence[Item]) -> Kind | None:
    """Return what stands in brackets that hold a list of columns, None where they do not."""
    if group.is_query or not outside:
        return None
    last = outside[-1]
    if last.is_word("USING"):
        return Kind.COLUMN
    words = [item.text.upper() for item in outside if item.kind == "word"]
    if words[:1] == ["INSERT"] and last.is_name and not last.is_word("VALUES"):
        return Kind.COLUMN if "VALUES" not in words and "SELECT" not in words else None
    if _makes_table(outside):
        return Kind.NOTHING if not before or before[-1].text == "," else Kind.KEYWORD
    return None


def _makes_table(outside: Sequence[Item]) -> bool:
    """Whether brackets behind these items hold the columns of a new table."""
    words = [item.text.upper() for item in outside if item.kind == "word"]
    return (
        words[:1] in (["CREATE"], ["ATTACH"])
        and "TABLE" in words
        and not {"ENGINE", "AS", "SELECT", "BY"} & set(words)
    )


def _is_type(path: Sequence[Group], befores: Sequence[Sequence[Item]]) -> bool:
    """Whether a type stands behind the innermost items."""
    before = befores[-1]
    last = before[-1] if before else None
    if last is not None and last.kind == "sign" and last.text == "::":
        return True
    outside = befores[-2] if len(befores) > 1 else []
    caller = outside[-1] if outside else None
    if caller is not None and path[-1].opener == "(":
        if caller.is_word("CAST", "ACCURATECAST") and last is not None and last.is_word("AS"):
            return True
        if caller.kind == "word" and (last is None or last.text == ","):
            inside = [*befores[:-2], outside[:-1]]  # Array(…), where a type stands
            return bool(outside[:-1]) and _is_type(path[:-1], inside)
    if last is None or not last.is_name:
        return False
    if outside and path[-1].opener == "(" and _makes_table(outside):
        return len(before) == 1 or before[-2].text == ","
    words = [item.text.upper() for item in before if item.kind == "word"]
    if words[:2] != ["ALTER", "TABLE"] or not last.is_name:
        return False
    at = next((i for i, item in enumerate(before) if item.is_word("COLUMN")), None)
    if at is None or not before[at - 1].is_word(*_TYPED):
        return False
    named = [item for item in before[at + 1 :] if not item.is_word("IF", "NOT", "EXISTS")]
    return len(named) == 1


def _is_setting(group: Group, before: Sequence[Item]) -> bool:
    starts = [at for at, item in enumerate(before) if item.is_word("SETTINGS")]
    if group.opener == "" and before and before[0].is_word("SET"):
        starts.append(0)
    if not starts:
        return False
    given = before[starts[-1] + 1 :]
    return not given or (given[-1].kind == "sign" and given[-1].text == ",")


def _qualifier(before: Sequence[Item]) -> tuple[str, ...] | None:
    """Return the names before the dots that a text ends with, None where it ends with no dot."""
    names: list[str] = []
    at = len(before) - 1
    while at > 0 and before[at].kind == "sign" and before[at].text == ".":
        owner = before[at - 1]
        if not (owner.is_name or owner.kind == "variable"):
            break
        names.insert(0, owner.text)
        at -= 2
    if names:
        return tuple(names)
    is_dot = bool(before) and before[-1].kind == "sign" and before[-1].text == "."
    return () if is_dot else None


def _is_table_place(group: Group, before: Sequence[Item]) -> bool:
    is_clause = group.opener == "" or group.is_query or _is_nested(before)
    return is_clause and is_table_due(_arm_end(before))


def _is_nested(before: Sequence[Item]) -> bool:
    return any(item.is_word("SELECT") for item in before)


def _arm_end(before: Sequence[Item]) -> Sequence[Item]:
    """Return the items of the last SELECT of those that are united."""
    *_, arm = Group(list(before)).arms()
    return arm


def _is_expression_due(before: Sequence[Item]) -> bool:
    last = before[-1]
    if isinstance(last, Group) or last.kind in (
        "quoted",
        "string",
        "number",
        "variable",
        "parameter",
    ):
        return False
    if last.kind == "word":
        return last.text.upper() in _BEFORE_EXPRESSIONS
    if last.text == "*" and len(before) > 1:
        ahead = before[-2]
        return not (ahead.text in (",", ".") or ahead.is_word("SELECT", "DISTINCT"))
    return True


def _cursor_in(group: Group, inner: Sequence[Group]) -> int:
    for at, item in enumerate(group.items):
        if item.kind == "cursor" or (inner and item is inner[0]):
            return at
    return len(group.items)
