"""The statements of a SQL text: where each ends, of what kind it is, and what it would change.

From tokens alone, as every statement of ClickHouse has them. Of a statement that is not known here,
each name is taken for something that it changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlglot.tokens import Token, TokenType

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import SQLError
from aaiclick_ext.masking import mask_sql
from aaiclick_ext.objects.sql_text import refuse_python, tokens_of
from aaiclick_ext.oplog.renaming import name_of_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Kind = Literal["select", "show", "session", "change"]

_SELECTS = frozenset({"SELECT", "WITH", "FROM"})
_SHOWS = frozenset({"SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK", "KILL"})
_OF_SESSIONS = frozenset({"SET", "USE"})
_WITHOUT_TARGETS = frozenset({"BACKUP", "GRANT", "REVOKE", "SYSTEM", "BEGIN", "COMMIT"})
_OF_ROWS = frozenset({"INSERT", "DELETE", "UPDATE", "OPTIMIZE"})
_MAKING = frozenset({"CREATE", "REPLACE", "ATTACH"})
_TABLES = frozenset({"TABLE", "TABLES", "VIEW", "DICTIONARY", "DICTIONARIES"})
_BEFORE_KIND = frozenset({"OR", "REPLACE", "TEMPORARY", "MATERIALIZED", "LIVE", "WINDOW"})
_BEHIND_WITH = frozenset({"TOTALS", "ROLLUP", "CUBE", "FILL", "TIES"})
_VALUES = frozenset({TokenType.STRING, TokenType.NUMBER})
_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})


@dataclass(frozen=True, slots=True)
class Target:
    """What a statement changes: a table or view, or a whole database, where there is no name."""

    database: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes
    ----------
    text
        Without the semicolon.
    verb
        Its first word in capitals; of ``WITH … INSERT`` it is INSERT.
    what
        The kind of thing that it makes, changes or drops: TABLE, VIEW, DATABASE…, or empty.
    targets
        What it changes.
    columns
        Those that an INSERT lists.
    select
        Where the SELECT begins from which it takes rows; None where it has none, or where that is
        no text of its own.
    """

    text: str
    verb: str
    kind: Kind
    tokens: tuple[Token, ...]
    what: str = ""
    targets: tuple[Target, ...] = ()
    columns: tuple[str, ...] = ()
    select: int | None = None
    is_temporary: bool = False

    @property
    def used_database(self) -> str | None:
        """The database that USE makes the current one; None of another statement."""
        if self.verb != "USE" or len(self.tokens) < 2:
            return None
        return name_of_token(self.tokens[-1], self.text)

    @property
    def engine_tokens(self) -> list[Token]:
        """What stands behind ENGINE, up to a SELECT."""
        engine = next((t.start for t in self.tokens if t.text.upper() == "ENGINE"), len(self.text))
        end = len(self.text) if self.select is None else self.select
        return [token for token in self.tokens if engine < token.start < end]

    @property
    def settings(self) -> list[str]:
        """The names of what SET sets, or SETTINGS, in small letters."""
        words = [token.text.upper() for token in self.tokens]
        start = 0 if self.verb == "SET" else [*words, "SETTINGS"].index("SETTINGS")
        return [
            name_of_token(self.tokens[at], self.text).lower()
            for at in range(start + 1, len(words) - 1)
            if words[at - 1] in ("SET", "SETTINGS", ",") and words[at + 1] == "="
        ]

    @property
    def keeps_state(self) -> bool:
        """Whether statements after it mean something else in its session than outside."""
        return self.kind == "session" or self.is_temporary

    def __str__(self) -> str:
        """Return its beginning, without secrets, for messages."""
        return self.shown({})

    def shown(self, variables: Mapping[str, str]) -> str:
        """Return its beginning, without secrets, with variables where their tables stand."""
        text = mask_sql(self.text) or self.verb
        for table, variable in variables.items():
            quoted = quote_identifier(table)
            alias = f"{quoted} AS {quote_identifier(variable)}"
            text = text.replace(alias, f"{{{variable}}}").replace(quoted, f"{{{variable}}}")
        shown = " ".join(text.split())
        return shown if len(shown) <= 60 else f"{shown[:59]}…"


def statements_of(text: str) -> list[Statement]:
    """Return the statements of a text, in order.

    Raises
    ------
    SQLError
        If the text cannot be read, or calls the table function ``Python`` anywhere.

    Examples
    --------
    >>> [str(s) for s in statements_of("SET a = 1; SELECT ';' -- ;")]
    ['SET a = 1', "SELECT ';' -- ;"]
    >>> statements_of("DROP TABLE a, db.`b c`")[0].targets
    (Target(database=None, name='a'), Target(database='db', name='b c'))
    """
    tokens = tokens_of(text)
    refuse_python(tokens, text)
    ends = [token.start for token in tokens if token.token_type is TokenType.SEMICOLON]
    parts = [text[start:end] for start, end in _bounds(ends, len(text))]
    return [read for part in parts if (read := _statement(part.strip())) is not None]


def _bounds(ends: Sequence[int], length: int) -> Iterator[tuple[int, int]]:
    start = 0
    for end in ends:
        yield start, end
        start = end + 1
    yield start, length


def _statement(text: str) -> Statement | None:
    tokens = tuple(tokens_of(text))
    return _Reader(text, tokens).statement() if tokens else None


class _Reader:
    """One pass over the tokens of one statement."""

    def __init__(self, text: str, tokens: tuple[Token, ...]) -> None:
        self.text = text
        self.tokens = tokens

    def statement(self) -> Statement:
        start = next((i for i in range(len(self.tokens)) if self._type(i) not in _OPENING), 0)
        verb = self._word(start)
        parts = self._parts()
        if len(parts) > 1:
            self._check_changing(parts)
        if verb == "WITH" and (insert := self._find(("INSERT",))) is not None:
            targets, _ = self._insert(insert)
            return Statement(self.text, "INSERT", "change", self.tokens, "TABLE", tuple(targets))
        for kind, verbs in _KINDS.items():
            if verb in verbs:
                return Statement(self.text, verb, kind, self.tokens)
        targets = [target for part in parts for target in self._targets(part)]
        return Statement(
            self.text,
            verb,
            "change",
            self.tokens,
            "TABLE" if verb in _OF_ROWS else self._what(start),
            tuple(targets),
            self._listed_columns() if verb == "INSERT" else (),
            self._select(verb) if len(parts) == 1 else None,
            self._word(start + 1) == "TEMPORARY" or self._word(start + 3) == "TEMPORARY",
        )

    # What stands where.

    def _type(self, index: int) -> TokenType | None:
        return self.tokens[index].token_type if 0 <= index < len(self.tokens) else None

    def _word(self, index: int) -> str:
        """Return a keyword in capitals; nothing for what is quoted, or not there."""
        if self._type(index) in (None, TokenType.IDENTIFIER, TokenType.STRING):
            return ""
        return self.tokens[index].text.upper()

    def _find(self, words: Sequence[str], start: int = 0) -> int | None:
        """Return where words follow each other, outside parentheses."""
        depth = 0
        for index in range(start, len(self.tokens)):
            kind = self._type(index)
            depth += (kind in _OPENING) - (kind in _CLOSING)
            if depth == 0 and all(self._word(index + n) == word for n, word in enumerate(words)):
                return index
        return None

    def _parts(self) -> list[int]:
        """Return where the statements of PARALLEL WITH begin."""
        found, start = [0], 0
        while (at := self._find(("PARALLEL", "WITH"), start)) is not None:
            start = at + 2
            if self._word(start) not in _BEHIND_WITH:  # or a column is called so
                found.append(start)
        return found

    def _check_changing(self, parts: Sequence[int]) -> None:
        """Raise where PARALLEL WITH joins something else than what only changes tables."""
        for verb in map(self._word, parts):
            if not verb.isalpha() or any(verb in verbs for verbs in _KINDS.values()):
                raise SQLError("PARALLEL WITH joins statements that change tables; use semicolons")

    def _skipped(self, index: int, words: frozenset[str]) -> int:
        while self._word(index) in words:
            index += 1
        return index

    def _behind_kind(self, index: int) -> int:
        """Return the index behind TABLE or VIEW, which only some statements need to have there.

        One such word alone: a table can be called ``tables``.
        """
        return index + 1 if self._word(index) in _TABLES else index

    def _behind_condition(self, index: int) -> int:
        """Return the index behind IF EXISTS and its kind."""
        if self._word(index) != "IF" or self._word(index + 1) not in ("NOT", "EXISTS", "EMPTY"):
            return index
        return index + (3 if self._word(index + 1) == "NOT" else 2)

    def _name(self, index: int) -> tuple[Target | None, int]:
        """Return what is named at an index, and the index behind it."""
        token = self.tokens[index] if index < len(self.tokens) else None
        if token is None or token.token_type in _VALUES | _OPENING | _CLOSING:
            return None, index
        first = name_of_token(token, self.text)
        if self._type(index + 1) is TokenType.DOT and index + 2 < len(self.tokens):
            return Target(first, name_of_token(self.tokens[index + 2], self.text)), index + 3
        return Target(None, first), index + 1

    def _what(self, start: int) -> str:
        """Return what a statement is about: the first word that says it."""
        return self._word(self._skipped(start + 1, _BEFORE_KIND))

    # What each statement changes.

    def _targets(self, start: int) -> list[Target]:
        verb = self._word(start)
        if verb == "INSERT":
            return self._insert(start)[0]
        if verb in _WITHOUT_TARGETS:
            return []
        if verb == "RESTORE":
            return self._every_name(start + 1)
        if verb in ("DELETE", "UPDATE"):
            return self._named(start + (2 if self._word(start + 1) == "FROM" else 1))
        if verb == "OPTIMIZE":
            return self._named(self._behind_kind(start + 1))
        kind_at = self._skipped(start + 1, _BEFORE_KIND)
        what = self._word(kind_at)
        if verb == "TRUNCATE" and what in ("ALL", "TABLES"):
            at = self._find(("FROM",), start)
            return [] if at is None else _databases(self._named(self._behind_condition(at + 1)))
        if what == "DATABASE":
            return _databases(self._all_named(kind_at + 1)) if verb != "CREATE" else []
        if what == "INDEX" and (at := self._find(("ON",), start)) is not None:
            return self._named(at + 1)
        if what in _TABLES or verb in ("TRUNCATE", "RENAME", "EXCHANGE"):
            return self._of_tables(verb, self._behind_kind(kind_at))
        known = verb in _MAKING | {"DROP", "ALTER", "DETACH", "MOVE", "UNDROP"}
        return [] if known else self._every_name(start + 1)

    def _insert(self, index: int) -> tuple[list[Target], int]:
        index = self._skipped(index + 1, frozenset({"INTO", "OVERWRITE", "TABLE"}))
        if self._word(index) == "FUNCTION":
            return self._named_in_call(index + 2), index
        target, after = self._name(index)
        return ([] if target is None else [target]), after

    def _named_in_call(self, index: int) -> list[Target]:
        """Return what a table function may write to: every name and text in its parentheses."""
        found: list[Target] = []
        depth = 0
        while index < len(self.tokens):
            kind = self._type(index)
            depth += (kind in _OPENING) - (kind in _CLOSING)
            if depth == 0:
                return found
            target, after = self._name(index) if kind is not TokenType.COMMA else (None, index)
            if kind is TokenType.STRING:
                target = Target(None, self.tokens[index].text.rpartition(".")[2])
            found += [] if target is None else [target]
            index = max(after, index + 1)
        return found

    def _of_tables(self, verb: str, index: int) -> list[Target]:
        if verb in _MAKING:
            found = self._named(self._behind_condition(index))
            end = self._select_after_as(index)
            at = self._find(("TO",), index) if self._word(index - 1) == "VIEW" else None
            if at is not None and (end is None or at < end) and self._word(at + 1) != "INNER":
                found += self._named(at + 1)
            return found
        if verb == "ALTER":
            found = self._named(self._behind_condition(index))
            for at in range(index, len(self.tokens) - 2):  # MOVE PARTITION … TO TABLE …
                if self._word(at) == "TO" and self._word(at + 1) == "TABLE":
                    found += self._named(at + 2)
            return found
        return self._all_named(index)

    def _named(self, index: int) -> list[Target]:
        target, _ = self._name(index)
        return [] if target is None else [target]

    def _all_named(self, index: int) -> list[Target]:
        """Return names in a list, and pairs of them: ``a, b``, ``a TO b``, ``a AND b``."""
        found = []
        index = self._behind_condition(index)
        while True:
            target, index = self._name(index)
            if target is not None:
                found.append(target)
            is_more = self._type(index) is TokenType.COMMA or self._word(index) in ("TO", "AND")
            if not is_more:
                return found
            index += 1

    def _every_name(self, start: int) -> list[Target]:
        found = []
        index = start
        while index < len(self.tokens):
            target, after = self._name(index)
            if target is not None:
                found.append(target)
            index = max(after, index + 1)
        return found

    # Where rows come from.

    def _select(self, verb: str) -> int | None:
        if verb == "INSERT":
            _, index = self._insert(0)
            depth = 0
            for at in range(index, len(self.tokens)):
                if depth == 0 and self._begins_select(at):
                    return self.tokens[at].start
                if depth == 0 and self._word(at) in ("VALUES", "FORMAT", "FROM"):
                    return None
                depth += (self._type(at) in _OPENING) - (self._type(at) in _CLOSING)
        begins = self._select_after_as(0) if verb in _MAKING else None
        return None if begins is None else self.tokens[begins].start

    def _listed_columns(self) -> tuple[str, ...]:
        """Return the columns that an INSERT lists; none where it has a pattern for them."""
        _, index = self._insert(0)
        if self._type(index) is not TokenType.L_PAREN or self._begins_select(index):
            return ()
        found = []
        while self._type(index) in (TokenType.L_PAREN, TokenType.COMMA):
            target, index = self._name(index + 1)
            if target is None or target.name is None:
                return ()
            found.append(target.name if target.database is None else "")
        return tuple(found) if self._type(index) is TokenType.R_PAREN and all(found) else ()

    def _select_after_as(self, start: int) -> int | None:
        depth = 0
        for at in range(start, len(self.tokens)):
            depth += (self._type(at) in _OPENING) - (self._type(at) in _CLOSING)
            if depth == 0 and self._word(at) == "AS" and self._begins_select(at + 1):
                return at + 1
        return None

    def _begins_select(self, index: int) -> bool:
        while self._type(index) is TokenType.L_PAREN:
            index += 1
        return self._word(index) in ("SELECT", "WITH")


_KINDS: dict[Kind, frozenset[str]] = {
    "select": _SELECTS,
    "show": _SHOWS,
    "session": _OF_SESSIONS,
}


def _databases(named: Sequence[Target]) -> list[Target]:
    return [Target(target.name, None) for target in named]
