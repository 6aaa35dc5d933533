"""Pages: rows of a look by their place in its order, keyset-paged, as exact text.

A page takes two statements. The first finds which rows are on it: it reads the columns that are
sorted and filtered by alone, and goes on from the nearest row whose place is known (where ``(keys,
number) > (its keys, its number)``), forward or backward; where none is near, it counts from an end,
an offset, and says so. The second reads the cells that are asked for, of these rows alone. Where
nothing is filtered or sorted, places are numbers, and the first is left out.

The keys of a known row are looked up by its number within the first statement. So no value of a key
leaves ClickHouse and comes back changed. Ties, nulls and NaN: every order ends with the number,
which no two rows share; nulls come last and NaN before them, in both directions.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.engine.type_tree import ChType, parse
from aaiclick_ext.errors import ContextError, DroppedTableError
from aaiclick_ext.objects.browsing import check_sorts, conditions_of
from aaiclick_ext.objects.row_keys import hidden_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aaiclick_ext.engine import QueryStats
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.browsing import BrowsedColumn, Look
    from aaiclick_ext.objects.browsing_rows import FixedRows

MAX_CELL = 256
"""Characters of a cell on a page; what is cut says so."""

MAX_TEXT = 1_000_000
"""Characters of a cell that is asked for alone, or copied."""

MAX_COPIED = 200_000
"""Cells that are copied at a time."""

NEAR = 1_000
"""Rows from a known one that cost no more than a page."""

_MOST_KNOWN = 20_000
_PAGES_KEPT = 256
_NARROWED_KEPT = 64


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as text; None is null.

    Attributes
    ----------
    is_cut
        Whether there is more of it.
    """

    text: str | None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer took; None is not known.

    Attributes
    ----------
    how
        ``number``: rows found by their numbers. ``keyset``: from a row nearby. ``offset``: counted
        from an end of the order.
    """

    read_rows: int | None
    elapsed_s: float
    how: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a look.

    Attributes
    ----------
    cells
        By row, then by column, in the order in which columns were asked for. Fewer rows than were
        asked for where the look ends.
    """

    start: int
    cells: list[list[Cell]]
    cost: Cost


class Pages:
    """The rows of one look, by place. Any thread may ask.

    Parameters
    ----------
    rows
        The rows, held by this.
    columns
        Of the view.

    Raises
    ------
    SchemaError, ValueRangeError
        If the look is none of these columns.
    """

    def __init__(
        self, backend: Backend, rows: FixedRows, columns: Sequence[BrowsedColumn], look: Look
    ) -> None:
        check_sorts(look, columns)
        table = rows.relation.to_expr()
        conditions = conditions_of(table, look, columns)
        filtered = table.filter(*conditions) if conditions else table
        self.look = look
        self._backend = backend
        self._rows = rows
        self._columns = {column.name: column for column in columns}
        # In one statement with the view's columns, and so with no name of one.
        self._key, self._number, self._text = hidden_names(rows.relation, 3)
        self._narrowed: dict[tuple[ops.Relation, tuple[str, ...]], str] = {}
        keys = [sort.column for sort in look.sorts]
        self._with_keys = self._only(rows.relation, keys)
        self._filtered = self._only(filtered.op(), keys)
        self._booleans = {
            name
            for name, dtype in rows.relation.schema.items()
            if dtype.is_boolean() and name in self._columns
        }
        self._keys = [_Key(self._columns[sort.column], sort.is_descending) for sort in look.sorts]
        self._is_natural = rows.is_dense and not conditions and not self._keys
        self._total = rows.size if rows.is_dense and not conditions else None
        self._known: OrderedDict[int, int] = OrderedDict()
        self._pages: OrderedDict[tuple[int, int], list[int]] = OrderedDict()
        self._lock = threading.Lock()  # of what is known; never held across a query

    def total(self) -> tuple[int, Cost]:
        """Return how many rows there are; counts them once, where that is not known."""
        if self._total is not None:
            return self._total, Cost(0, 0.0, "number")
        data, stats = self._fetch(f"SELECT count() AS n FROM ({self._filtered})")
        self._total = int(data.column("n")[0].as_py())
        return self._total, Cost(stats.read_rows, stats.elapsed_s, "count")

    def page(self, start: int, count: int, columns: Sequence[str], *, most: int = MAX_CELL) -> Page:
        """Return rows from a place on.

        Parameters
        ----------
        most
            Characters of a cell.

        Raises
        ------
        DroppedTableError
            If ClickHouse merged the rows meanwhile; it does where stopping that is not allowed.
        """
        started = time.perf_counter()
        numbers, read, how = self._numbers(start, count)
        cells, read_cells = self._cells(numbers, columns, most) if numbers and columns else ({}, 0)
        if columns and len(cells) < len(numbers):
            raise DroppedTableError(
                "the rows were merged by ClickHouse meanwhile, and are not where they were; "
                "press Refresh"
            )
        known = None if read is None or read_cells is None else read + read_cells
        cost = Cost(known, time.perf_counter() - started, how)
        return Page(start, [cells.get(number, []) for number in numbers], cost)

    # Which rows.

    def _numbers(self, start: int, count: int) -> tuple[list[int], int | None, str]:
        """Return the numbers of the rows at some places, rows read for it, and how."""
        if self._is_natural:
            return list(range(start, min(start + count, self._rows.size))), 0, "number"
        with self._lock:
            if (found := self._pages.get((start, count))) is not None:
                self._pages.move_to_end((start, count))
                return found, 0, "keyset"
            way = self._way(start, count)
        data, stats = self._fetch(self._numbers_sql(way, count))
        numbers: list[int] = data.column(self._number).to_pylist()
        if way.is_backward:
            numbers.reverse()
        with self._lock:
            self._pages[start, count] = numbers
            while len(self._pages) > _PAGES_KEPT:
                self._pages.popitem(last=False)
            for place in {0, len(numbers) - 1} if numbers else ():
                self._known[start + place] = numbers[place]
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        how = "keyset" if way.skipped <= NEAR else "offset"
        return numbers, stats.read_rows, how

    def _way(self, start: int, count: int) -> _Way:
        """Return the shortest way to some places."""
        ways = [_Way(None, start, is_backward=False)]
        end = start + count - 1
        if self._total is not None and end < self._total:
            ways.append(_Way(None, self._total - 1 - end, is_backward=True))
        places = sorted(self._known)
        if (at := bisect_left(places, start + 1)) > 0:
            place = places[at - 1]
            ways.append(_Way(self._known[place], start - place, is_backward=False))
        if (at := bisect_left(places, end)) < len(places):
            place = places[at]
            ways.append(_Way(self._known[place], place - end, is_backward=True))
        return min(ways, key=lambda way: (way.skipped, way.is_backward))

    def _numbers_sql(self, way: _Way, count: int) -> str:
        number = self._rows.number_sql()
        keys = [key.order_sql(is_backward=way.is_backward) for key in self._keys]
        order = ", ".join([*keys, f"{self._number}{' DESC' if way.is_backward else ''}"])
        scalars, condition = "", ""
        if way.from_number is not None:
            row = self._rows.condition_sql([way.from_number])
            found = [
                f"(SELECT {quote_identifier(key.name)} FROM ({self._with_keys}) WHERE {row}) "
                f"AS {self._key}_{place}"
                for place, key in enumerate(self._keys)
            ]
            scalars = f"WITH {', '.join(found)} " if found else ""
            sign = "<=" if way.is_backward else ">="
            condition = f"{number} {sign} {way.from_number}"
            for place, key in reversed(list(enumerate(self._keys))):
                beyond, tie = key.compare_sql(f"{self._key}_{place}", is_backward=way.is_backward)
                condition = f"({beyond} OR ({tie} AND ({condition})))"
            condition = f" WHERE {condition}"
        offset = f" OFFSET {way.skipped}" if way.skipped else ""
        return (
            f"{scalars}SELECT {number} AS {self._number} FROM ({self._filtered}){condition} "
            f"ORDER BY {order} LIMIT {count}{offset}"
        )

    # What is in them.

    def _cells(
        self, numbers: Sequence[int], columns: Sequence[str], most: int
    ) -> tuple[Mapping[int, list[Cell]], int | None]:
        texts = [
            f"leftUTF8({self._text_sql(self._columns[name])}, {most + 1}) AS {self._text}_{place}"
            for place, name in enumerate(columns)
        ]
        data, stats = self._fetch(
            f"SELECT {self._rows.number_sql()} AS {self._number}, {', '.join(texts)} "
            f"FROM ({self._only(self._rows.relation, columns)}) "
            f"WHERE {self._rows.condition_sql(numbers)}"
        )
        found = [
            _cut(data.column(f"{self._text}_{place}").to_pylist(), most)
            for place in range(len(columns))
        ]
        rows = zip(*found, strict=True)
        return dict(zip(data.column(self._number).to_pylist(), map(list, rows), strict=True)), (
            stats.read_rows
        )

    def _text_sql(self, column: BrowsedColumn) -> str:
        """Return the SQL of a column's values as text that holds all of them."""
        name, type_ = quote_identifier(column.name), parse(column.type).inner
        if column.name in self._booleans and type_.name == "UInt8":
            text = f"multiIf(isNull({name}), NULL, {name} != 0, 'true', 'false')"
        elif type_.name == "Decimal":
            text = f"toDecimalString({name}, {type_.params[1]})"
        elif type_.name == "AggregateFunction":
            return "'(aggregate state)'"
        else:
            text = f"toString({name})"
        return f"if(isValidUTF8({text}), {text}, concat('0x', hex({text})))"

    def _only(self, op: ops.Relation, columns: Sequence[str]) -> str:
        """Return the SQL of some columns, and of what tells a row: wide tables cost time to parse.

        Not recorded: neither the table nor what is made of it is a `View`.
        """
        names = tuple(dict.fromkeys([*columns, self._rows.part, self._rows.offset]))
        known = self._narrowed.get((op, names))
        if known is None:
            if isinstance(op, ops.Project):
                only = ops.Project(op.parent, {name: op.values[name] for name in names})
            else:
                only = ops.Project(op, {name: ops.Field(op, name) for name in names})
            known = str(self._backend.compile(only.to_expr()))
            if len(self._narrowed) >= _NARROWED_KEPT:
                self._narrowed.clear()
            self._narrowed[op, names] = known
        return known

    def _fetch(self, sql: str) -> tuple[Any, QueryStats]:
        if self._backend.services.closed:
            raise ContextError("the DataContext of this table was closed; run the cell again")
        return self._backend.services.engine.fetch(sql)


@dataclass(frozen=True, slots=True)
class _Way:
    """How rows are reached: from a known row or an end, past so many others."""

    from_number: int | None
    skipped: int
    is_backward: bool


class _Key:
    """A column of the order, in SQL."""

    def __init__(self, column: BrowsedColumn, is_descending: bool) -> None:
        self.name = column.name
        self._is_descending = is_descending
        self._type: ChType = parse(column.type)

    def order_sql(self, *, is_backward: bool) -> str:
        is_down = self._is_descending is not is_backward
        last = "FIRST" if is_backward else "LAST"
        return f"{quote_identifier(self.name)} {'DESC' if is_down else 'ASC'} NULLS {last}"

    def compare_sql(self, other: str, *, is_backward: bool) -> tuple[str, str]:
        """Return the SQL of whether a row comes after another one, and of whether they tie."""
        column = quote_identifier(self.name)
        sign = "<" if self._is_descending is not is_backward else ">"
        beyond, tie = f"{column} {sign} {other}", f"{column} = {other}"
        is_float = self._type.inner.name in ("Float32", "Float64", "BFloat16")
        if not (self._type.nullable or is_float):
            return beyond, tie
        rank, other_rank = self._rank(column, is_float), self._rank(other, is_float)
        later = "<" if is_backward else ">"
        beyond = (
            f"({rank} {later} {other_rank} OR "
            f"({rank} = 0 AND {other_rank} = 0 AND ifNull({beyond}, 0)))"
        )
        return beyond, f"({rank} = {other_rank} AND ({rank} != 0 OR ifNull({tie}, 0)))"

    def _rank(self, value: str, is_float: bool) -> str:
        nan = f"isNaN({value}), 1, " if is_float else ""
        return f"multiIf(isNull({value}), 2, {nan}0)"


def _cut(texts: Iterable[str | None], most: int) -> list[Cell]:
    return [
        Cell(text) if text is None or len(text) <= most else Cell(text[:most], is_cut=True)
        for text in texts
    ]
