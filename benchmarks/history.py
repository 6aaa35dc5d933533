"""A long history: the log of as many notebooks as it takes to have a million events.

One notebook of ten cells is run for real, and what the log has of it is written again and again
under ids, names and times of its own: what a million events take, and how long it takes to find
fifty of them, depends on how real ones look and where they lie.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from random import Random
from typing import TYPE_CHECKING

import pyarrow as pa

import aaiclick_ext as aai
from aaiclick_ext.engine import Role
from aaiclick_ext.ids import NODE_BITS, SEQUENCE_BITS, to_base36
from aaiclick_ext.oplog import Task
from aaiclick_ext.oplog.event import from_arrow, to_json
from aaiclick_ext.oplog.log_table import LOG_TABLE, ensure_log
from benchmarks.lineage_cases import DEPTH

if TYPE_CHECKING:
    from aaiclick_ext.engine import Engine

CELLS = DEPTH // 5

COLUMNS = """
year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay carrier flight
tailnum origin dest air_time distance hour minute time_hour
""".split()  # noqa: SIM905
_WORDS = """
airport amount area arrival balance batch block branch brand budget campaign cargo category
channel city claim class client code contract cost country customer day delay delivery density
deposit depth device discount distance district energy entry event factor fare fee flow fuel
gate grade gross group height hour humidity income index interest invoice item label latency
length level limit line load location longitude margin market median member metric mileage
minute model month network offer order origin output owner parcel partner payment peak phase
plan point policy population premium pressure price product profit quantity quarter rate rating
reading region rent revenue risk route sales sample score season segment sensor share shipment
signal size speed stage stock store subject supply surface target tax temperature term ticket
tonnage total traffic transfer unit usage user value vendor visit volume voltage warehouse
weight width wind yield zone
""".split()  # noqa: SIM905
_CONSTANT = 76543
_APART_MS = 600_000
_SESSIONS_PER_INSERT = 10

_CELL = f"""late = flights.filter(flights.dep_delay > {_CONSTANT})
late = late.mutate(gain=late.dep_delay - late.arr_delay)
late = late.drop("gain")
late = late.order_by("dep_delay")
flights = late.copy()
worst = flights.group_by("carrier").agg(n=flights.count(), delay=flights.dep_delay.mean())
worst.order_by("delay").limit(10)
"""


class Notebook:
    """What the log has of one notebook, and how to write it again.

    Parameters
    ----------
    lines
        Its events as JSON, a line for each.
    last
        The table that it ended with.
    """

    def __init__(self, lines: str, last: str) -> None:
        self.lines, self.last = lines, last
        self.events = lines.count("\n") + 1
        self._parts = _UNIQUE.split(lines)

    def again(self, number: int) -> str:
        """Return the events as those of another notebook, later and about other data."""
        others = {text: _other(text, number) for text in set(self._parts[1::2])}
        parts = list(self._parts)
        parts[1::2] = [others[text] for text in parts[1::2]]
        return "".join(parts)

    def last_of(self, number: int) -> str:
        """Return the table that another notebook ended with."""
        return _UNIQUE.sub(lambda match: _other(match[0], number), self.last)


# A hash, a Snowflake in decimal and in base 36, a time, a column, and the constant of a cell.
_UNIQUE = re.compile(
    r"(\b[0-9a-f]{64}\b|\b\d{18}\b|(?<=_)\d[0-9a-z]{11}(?![0-9a-z])"
    r"|\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\b"
    rf"|\b(?:{'|'.join(COLUMNS)})\b|\b{_CONSTANT}\b)"
)


def _other(text: str, number: int) -> str:
    later = (number + 1) * _APART_MS << NODE_BITS + SEQUENCE_BITS
    if text in COLUMNS:
        column = Random(f"{text} {number}")
        return f"{column.choice(_WORDS)}_{column.choice(_WORDS)}"
    if text == str(_CONSTANT):
        return str(number)
    if len(text) == 64:
        return hashlib.sha256(f"{text}{number}".encode()).hexdigest()
    if len(text) == 18:
        return str(int(text) + later)
    if len(text) == 12:
        return to_base36(int(text, 36) + later)
    moved = dt.datetime.fromisoformat(text) + dt.timedelta(milliseconds=(number + 1) * _APART_MS)
    return moved.isoformat(" ", "microseconds")


def run_notebook(context: aai.DataContext) -> Notebook:
    """Run the cells and return what the log has of them."""
    names: dict[str, object] = {
        "aai": aai,
        "flights": context.create_object_from_value(
            pa.table({name: pa.array([1, 2, 3]) for name in COLUMNS})
        ),
    }
    shown = None
    for number in range(CELLS):
        task = Task(execution_count=number + 1, source=_CELL, cell_id=f"{number:08x}-cell")
        context.begin_task(task)
        *statements, last = _CELL.splitlines()
        exec("\n".join(statements), names)
        shown = eval(last, names).data()
        context.end_task(task)
    context.flush(timeout_s=60)
    assert shown is not None
    last_table = names["flights"].table_name
    events = from_arrow(context.engine.query_arrow(f"SELECT * FROM {LOG_TABLE} ORDER BY id"))
    return Notebook("\n".join(to_json(event) for event in events), last_table)


def write_history(engine: Engine, notebook: Notebook, events: int) -> int:
    """Write at least so many events; return how many notebooks that took."""
    ensure_log(engine)
    count = -(-events // notebook.events)
    for start in range(0, count, _SESSIONS_PER_INSERT):
        numbers = range(start, min(start + _SESSIONS_PER_INSERT, count))
        rows = "\n".join(notebook.again(number) for number in numbers)
        engine.command(f"INSERT INTO {LOG_TABLE} FORMAT JSONEachRow\n{rows}", role=Role.LOG)
    return count
