"""Exports: every format gives back what went in; a file is there whole or not at all."""

from __future__ import annotations

import csv
import datetime as dt
import errno
import gzip
import io
import json
import os
import signal
import threading
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import (
    ContextError,
    EngineError,
    FileError,
    MissingFileError,
    SettingsError,
    UnsupportedTypeError,
)
from aaiclick_ext.objects import exports
from aaiclick_ext.objects.exports import write_whole
from tests.lifecycle.interrupting import interrupt_at

if TYPE_CHECKING:
    from pathlib import Path

UTC = dt.UTC
ROUND_TRIP = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def types_of(made) -> dict[str, str]:
    return dict(made._backend.services.schemas.get(made.table_name).types)


def unpacked(path: Path) -> bytes:
    """Return the content of a file, decompressed."""
    if path.suffix.lower() == ".gz":
        return gzip.decompress(path.read_bytes())
    with pa.OSFile(str(path)) as raw:
        return pa.CompressedInputStream(raw, "zstd").read()


# What text can be: nothing that only Python has (lone surrogates), and no NUL, which readers of
# CSV take for the end.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
COLUMNS = {
    "i": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "u": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "f": (pa.float64(), st.floats(allow_nan=False)),
    "s": (pa.string(), TEXT),
    "b": (pa.bool_(), st.booleans()),
    "d": (
        pa.decimal128(38, 10),
        st.decimals(-(10**20), 10**20, places=10, allow_nan=False, allow_infinity=False),
    ),
    "day": (pa.date32(), st.dates()),
    "t": (pa.timestamp("us"), st.datetimes()),
    "z": (
        pa.timestamp("us", "Asia/Tokyo"),
        st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29), timezones=st.just(UTC)),
    ),
    "uuid": (pa.uuid(), st.uuids()),
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, (_, values) in COLUMNS.items()}),
    min_size=1,
    max_size=6,
)


PLAIN = st.tuples(st.integers(), st.floats(allow_nan=False), st.booleans(), st.dates())


def table_of(rows: list[dict]) -> pa.Table:
    columns = {}
    for name, (type_, _) in COLUMNS.items():
        values = [row[name] for row in rows]
        if type_ == pa.uuid():
            storage = pa.array([v and v.bytes for v in values], pa.binary(16))
            columns[name] = pa.ExtensionArray.from_storage(type_, storage)
        else:
            columns[name] = pa.array(values, type_)
    return pa.table(columns)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".json", ".jsonl", ".ndjson.zst"])
@ROUND_TRIP
@given(rows=ROWS)
def test_text_gives_back_every_value(ctx, tmp_path, suffix, rows):
    made = ctx.create_object_from_value(table_of(rows))
    path = tmp_path / f"x{suffix}"
    made.export(path)
    read = ctx.read_csv if suffix.startswith((".csv", ".tsv")) else ctx.read_json
    again = read(path, schema=types_of(made))
    assert again.data() == made.data()


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
@ROUND_TRIP
@given(rows=ROWS)
def test_binary_formats_give_back_every_value_and_type(ctx, tmp_path, suffix, rows):
    made = ctx.create_object_from_value(table_of(rows))
    path = tmp_path / f"x{suffix}"
    made.export(path)
    if suffix == ".parquet":
        again = ctx.read_parquet(path)
        assert types_of(again) == types_of(made)
        assert again.data() == made.data()
    else:
        assert pa.ipc.open_file(path).read_all().equals(made.to_pyarrow())


@ROUND_TRIP
@given(rows=st.lists(PLAIN, min_size=1, max_size=6))
def test_types_of_text_are_found_again(ctx, tmp_path, rows):
    rows = [(i % 2**63, *others) for i, *others in rows]
    made = ctx.create_object_from_value(
        dict(zip("abcd", map(list, zip(*rows, strict=True)), strict=True))
    )
    for suffix, read in ((".csv", ctx.read_csv), (".json", ctx.read_json)):
        made.export(tmp_path / f"x{suffix}")
        if suffix == ".csv" or all(map(_is_finite, made.data()["b"])):
            again = read(tmp_path / f"x{suffix}")
            assert types_of(again) == types_of(made)
            assert again.data() == made.data()


def _is_finite(value: float) -> bool:
    return abs(value) != float("inf")


NESTED = pa.table(
    {
        "list": pa.array([[1, None], [], [3]], pa.list_(pa.int64())),
        "struct": [{"x": 1, "y": ['a"\n']}, {"x": None, "y": []}, None],
        "map": pa.array(
            [[("k", 1), ('l"', None)], [], [("é", 2)]], pa.map_(pa.string(), pa.int64())
        ),
        "deep": [[{"q": [1.5]}], [], [{"q": []}, {"q": [0.0]}]],
    }
)


def test_json_is_what_others_read(ctx, tmp_path):
    made = ctx.create_object_from_value(NESTED)
    made.export(tmp_path / "x.json")
    rows = json.loads((tmp_path / "x.json").read_text())
    assert rows == [
        {"list": [1, None], "struct": {"x": 1, "y": ['a"\n']}, "map": {"k": 1, 'l"': None},
         "deep": [{"q": [1.5]}]},
        {"list": [], "struct": {"x": None, "y": []}, "map": {}, "deep": []},
        {"list": [3], "struct": None, "map": {"é": 2}, "deep": [{"q": []}, {"q": [0.0]}]},
    ]  # fmt: skip
    made.export(tmp_path / "x.jsonl")
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()] == rows
    again = ctx.read_json(tmp_path / "x.json", schema={"map": "Map(String, Nullable(Int64))"})
    assert again.data() == made.data()
    made.export(tmp_path / "x.parquet")
    assert ctx.read_parquet(tmp_path / "x.parquet").data() == made.data()


def test_how_values_are_spelled(ctx, tmp_path):
    table = pa.table(
        {
            "f": [1.0, float("nan"), float("-inf"), 1e16, -0.0, None],
            "g": pa.array([0.1, None, None, None, None, None], pa.float32()),
            "s": ["", 'a"b,c\n', "é\x01\t\\", " x ", "null", None],
            "t": pa.array([0, None, 1, 2, 3, None], pa.timestamp("ms")),
            "z": pa.array([0, None, 1, 2, 3, None], pa.timestamp("s", "Asia/Tokyo")),
            "d": pa.array([Decimal("0.0000001")] + [None] * 5, pa.decimal128(10, 7)),
            "u": pa.array([uuid.UUID(int=1).bytes] + [None] * 5, pa.uuid()),
            "time": pa.array([1] + [None] * 5, pa.time64("us")),
        }
    )
    made = ctx.create_object_from_value(table)
    made.export(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_bytes().decode() == (
        '"f","g","s","t","z","d","u","time"\n'
        '1.0,0.1,"",1970-01-01 00:00:00.000,1970-01-01 00:00:00Z,0.0000001,'
        "00000000-0000-0000-0000-000000000001,00:00:00.000001\n"
        'nan,,"a""b,c\n",,,,,\n'
        '-inf,,"é\x01\t\\",1970-01-01 00:00:00.001,1970-01-01 00:00:01Z,,,\n'
        '1e+16,," x ",1970-01-01 00:00:00.002,1970-01-01 00:00:02Z,,,\n'
        '-0.0,,"null",1970-01-01 00:00:00.003,1970-01-01 00:00:03Z,,,\n'
        ",,,,,,,\n"
    )
    made.export(tmp_path / "x.jsonl")
    lines = (tmp_path / "x.jsonl").read_bytes().decode().split("\n")
    assert lines[0] == (
        '{"f":1.0,"g":0.1,"s":"","t":"1970-01-01T00:00:00.000","z":"1970-01-01T00:00:00Z",'
        '"d":0.0000001,"u":"00000000-0000-0000-0000-000000000001","time":"00:00:00.000001"}'
    )
    assert lines[1].startswith('{"f":"NaN","g":null,"s":"a\\"b,c\\n"')
    assert lines[2].startswith('{"f":"-Infinity","g":null,"s":"é\\u0001\\t\\\\"')


def test_csv_is_what_python_reads(ctx, tmp_path):
    texts = ["", "a,b", 'say "x"', "two\nlines", "\r", "é😀", " ", "'", "#", "=1+1"]
    made = ctx.create_object_from_value({"k": range(len(texts)), "s": texts})
    made.order_by("k").export(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["k", "s"]] + [[str(i), t] for i, t in enumerate(texts)]


def test_types_that_only_clickhouse_has(ctx, tmp_path):
    view = ctx.sql(
        "SELECT toInt256('-7') AS i, CAST('a' AS Enum8('a' = 1)) AS e, toIPv4('1.2.3.4') AS ip, "
        "CAST('{\"k\": [1, null]}' AS JSON) AS j, toFixedString('ab', 2) AS fs, "
        "toLowCardinality('x') AS lc, toDate('2013-01-01') AS d, toInt128('-1') AS i128"
    )
    view.export(tmp_path / "x.json")
    (row,) = json.loads((tmp_path / "x.json").read_text())
    assert row == {
        "i": "-7", "e": "a", "ip": "1.2.3.4", "j": {"k": [1, None]}, "fs": "ab", "lc": "x",
        "d": "2013-01-01", "i128": -1,
    }  # fmt: skip
    view.export(tmp_path / "x.csv")
    assert '"a","1.2.3.4","{""k"":[' in (tmp_path / "x.csv").read_text()
    view.export(tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").column("e").to_pylist() == ["a"]


@pytest.mark.parametrize(
    ("select", "suffix", "message"),
    [
        ("[1] AS a", ".csv", r"column 'a': CSV has no place for list<.*JSON and Parquet have"),
        ("map('k', 1) AS a", ".tsv", "TSV has no place for map"),
        ("tuple(1) AS a", ".csv", "CSV has no place for struct"),
        ("INTERVAL 1 SECOND AS a", ".json", r"no place for duration.*cast it to int64"),
    ],
)
def test_what_a_format_has_no_place_for(ctx, tmp_path, select, suffix, message):
    path = tmp_path / f"x{suffix}"
    path.write_text("before")
    with pytest.raises(UnsupportedTypeError, match=message):
        ctx.sql(f"SELECT {select}").export(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_are_no_text(ctx, tmp_path):
    made = ctx.create_object_from_value({"a": [b"\xff"]})
    for suffix in (".csv", ".jsonl"):
        with pytest.raises(UnsupportedTypeError, match=r"binary.*x\.mutate\(a="):
            made.export(tmp_path / f"x{suffix}")
    made.export(tmp_path / "x.parquet")
    assert ctx.read_parquet(tmp_path / "x.parquet").data() == {"a": [b"\xff"]}


# Order, emptiness, size.


def test_arrays_keep_their_order_and_hide_their_row_numbers(ctx, tmp_path):
    values = [(i * 7919) % 200_003 for i in range(200_000)]
    array = ctx.create_object_from_value(values)
    array.export(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text().split() == ['"value"', *map(str, values)]
    (array * 2).filter(ibis._.value > 10).export(tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.column_names == ["value"]
    assert table["value"].to_pylist() == [2 * v for v in values if 2 * v > 10]
    array.sum().export(tmp_path / "x.json")
    (row,) = json.loads((tmp_path / "x.json").read_text())
    assert list(row.values()) == [sum(values)]


def test_nothing_has_columns_too(ctx, tmp_path):
    empty = ctx.create_object_from_value({"a": [1], "b": ["x"]}).filter(ibis._.a > 1)
    for suffix in exports.WRITERS:
        empty.export(tmp_path / f"x{suffix}")
    assert (tmp_path / "x.csv").read_text() == '"a","b"\n'
    assert (tmp_path / "x.json").read_text() == "[]\n"
    assert (tmp_path / "x.jsonl").read_text() == ""
    assert pq.read_table(tmp_path / "x.parquet").schema.names == ["a", "b"]
    assert pa.ipc.open_file(tmp_path / "x.arrow").read_all().num_rows == 0
    assert ctx.read_csv(tmp_path / "x.csv").data() == {"a": [], "b": []}
    assert ctx.read_parquet(tmp_path / "x.parquet").data() == {"a": [], "b": []}


def test_nulls_of_one_column(ctx, tmp_path):
    made = ctx.create_object_from_value(["x", None, "", "y", None])
    made.export(tmp_path / "x.csv")
    assert ctx.read_csv(tmp_path / "x.csv").data() == {"value": ["x", None, "", "y", None]}


def test_a_result_is_streamed(ctx, tmp_path):
    rows = 3_000_000
    view = ctx.sql(f"SELECT number AS a, toString(number) AS s FROM numbers({rows})")
    held = pa.total_allocated_bytes()
    peak = []

    class Watched(io.BytesIO):
        def write(self, data) -> int:
            peak.append(pa.total_allocated_bytes() - held)
            return len(data)

    schema, batches, _ = ctx.backend.stream(view)
    assert exports.WRITERS[".jsonl"](Watched(), schema, batches) == rows
    assert max(peak) < 50_000_000  # the whole is 50 MB in Arrow, and 90 MB of text
    view.export(tmp_path / "x.parquet")
    written = pq.ParquetFile(tmp_path / "x.parquet")
    assert written.metadata.num_rows == rows
    assert written.metadata.num_row_groups == 3


def test_wide_rows_are_cut_to_size(ctx, tmp_path, monkeypatch):
    from aaiclick_ext.objects import export_formats

    monkeypatch.setattr(export_formats, "_TEXT_BYTES", 1000)
    texts = [str(i) * 100 for i in range(100)]
    made = ctx.create_object_from_value(texts)
    made.export(tmp_path / "x.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [row["value"] for row in rows] == texts


# Whole or not at all.


def test_a_failing_query_leaves_what_was_there(ctx, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("before")
    view = ctx.sql("SELECT throwIf(number = 3000000, 'no more') AS a FROM numbers(5000000)")
    with pytest.raises(EngineError, match="no more"):
        view.export(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    assert ctx.engine.query_rows("SELECT 1") == [(1,)]


def test_ctrl_c_leaves_what_was_there(ctx, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("before")
    view = ctx.sql("SELECT number AS a FROM numbers(100000000000)")
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        view.export(path)
    timer.join()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    assert ctx.engine.query_rows("SELECT 1") == [(1,)]
    ctx.oplog.flush()
    assert ctx.engine.query_rows(
        "SELECT status, error FROM operation_log WHERE params['path'] = {path:String}",
        {"path": str(path)},
    ) == [("error", "KeyboardInterrupt")]


def test_a_full_disk_leaves_what_was_there(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("before")

    def fill(file) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FileError, match=r"x\.csv cannot be written: No space left"):
        write_whole(path, fill)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_appears_at_the_end(tmp_path):
    path = tmp_path / "x.csv"

    def write(file) -> int:
        file.write(b"a")
        file.flush()
        assert not path.exists()
        return 1

    assert write_whole(path, write) == 1
    assert path.read_bytes() == b"a"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # file not closed
def test_an_interrupt_anywhere_leaves_no_part(tmp_path):
    path = tmp_path / "x.csv"

    def write(file) -> None:
        file.write(b"after")

    code, place = {f.__code__ for f in (write_whole, exports._write_beside, write)}, 1
    while True:
        path.write_text("before")
        if not interrupt_at(place, code, lambda: write_whole(path, write)):
            break
        assert list(tmp_path.iterdir()) == [path]
        assert path.read_text() in ("before", "after")
        place += 1
    assert place > 10
    assert path.read_text() == "after"


def test_permissions_and_links_stay(ctx, tmp_path):
    made = ctx.create_object_from_value([1])
    made.export(tmp_path / "new.csv")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "new.csv").stat().st_mode & 0o777 == 0o666 & ~umask
    (tmp_path / "old.csv").touch(0o600)
    (tmp_path / "link.csv").symlink_to("old.csv")
    made.export(tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "old.csv").read_text() == '"value"\n1\n'
    assert (tmp_path / "old.csv").stat().st_mode & 0o777 == 0o600


def test_where_nothing_can_be_written(ctx, tmp_path, monkeypatch):
    made = ctx.create_object_from_value([1])
    (tmp_path / "dir.csv").mkdir()
    with pytest.raises(FileError, match=r"dir\.csv is a directory"):
        made.export(tmp_path / "dir.csv")
    with pytest.raises(MissingFileError, match=r"there is no directory .*/no/such; make it"):
        made.export(tmp_path / "no/such/x.csv")
    (tmp_path / "null.csv").symlink_to("/dev/null")
    with pytest.raises(FileError, match="not a regular file"):
        made.export(tmp_path / "null.csv")
    for name in ("x.xlsx", "x", ".csv", "x.gz"):
        with pytest.raises(SettingsError, match=r"there are \.parquet, .*\.ndjson also with"):
            made.export(tmp_path / name)
    with pytest.raises(SettingsError, match=r"leave \.gz out"):
        made.export(tmp_path / "x.parquet.gz")
    monkeypatch.setenv("HOME", str(tmp_path))
    made.export("~/X.CSV")
    assert (tmp_path / "X.CSV").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["X.CSV", "dir.csv", "null.csv"]


# The log, Ibis, servers.


def test_an_export_is_one_event(ctx, tmp_path):
    made = ctx.create_object_from_value({"a": [1, 2]})
    path = tmp_path / "x.csv.gz"
    made.export(path)
    with pytest.raises(MissingFileError):
        made.export(tmp_path / "no/x.json")
    ctx.oplog.flush()
    events = ctx.engine.query_rows(
        "SELECT operation, params, rows, status, startsWith(result_table, 'fetch_') "
        "FROM operation_log WHERE kwargs['source'] = {table:String} ORDER BY id",
        {"table": made.table_name},
    )
    assert events == [
        ("export", {"path": str(path), "format": "csv.gz"}, 2, "ok", 1),
        ("export", {"path": str(tmp_path / "no/x.json"), "format": "json"}, None, "error", 1),
    ]


def test_ibis_writes_through_us(ctx, tmp_path):
    made = ctx.create_object_from_value(
        pa.table({"a": [1, None], "u": pa.array([uuid.UUID(int=1).bytes, None], pa.uuid())})
    )
    made.to_csv(tmp_path / "x.csv")
    assert ctx.read_csv(tmp_path / "x.csv", schema=types_of(made)).data() == made.data()
    made.to_json(tmp_path / "x.json")
    assert ctx.read_json(tmp_path / "x.json", schema=types_of(made)).data() == made.data()
    made.to_parquet(tmp_path / "x.parquet")
    assert ctx.read_parquet(tmp_path / "x.parquet").data() == made.data()
    view = made.select("a")
    import pyarrow.csv as pacsv

    view.to_csv(tmp_path / "y.csv", write_options=pacsv.WriteOptions(delimiter=";"))
    assert (tmp_path / "y.csv").read_text() == '"a"\n1\n\n'
    view.to_parquet(tmp_path / "y.parquet", compression="gzip")
    assert (
        pq.ParquetFile(tmp_path / "y.parquet").metadata.row_group(0).column(0).compression == "GZIP"
    )
    view.to_parquet_dir(tmp_path / "d")
    assert pq.read_table(tmp_path / "d").to_pydict() == {"a": [1, None]}
    assert sum(len(frame) for frame in view.to_pandas_batches()) == 2
    least = ibis.param("int64")
    view.filter(view.a >= least).to_csv(tmp_path / "z.csv", params={least: 1})
    assert (tmp_path / "z.csv").read_text() == '"a"\n1\n'


def test_compressed_files(ctx, tmp_path):
    made = ctx.create_object_from_value(list(range(1000)))
    text = '"value"\n' + "".join(f"{i}\n" for i in range(1000))
    for name in ("x.csv.gz", "x.csv.zst", "X.CSV.GZ"):
        made.export(tmp_path / name)
        assert unpacked(tmp_path / name).decode() == text
        assert (tmp_path / name).stat().st_size < len(text) / 2
    made.export(tmp_path / "1.csv.gz")
    made.export(tmp_path / "2.csv.gz")
    assert (tmp_path / "1.csv.gz").read_bytes() == (tmp_path / "2.csv.gz").read_bytes()


def test_a_server_exports_here(server_url, settings, tmp_path):
    with DataContext(server_url, settings=settings) as remote:
        made = remote.create_object_from_value({"a": [1, None], "b": ["x", ""]})
        made.export(tmp_path / "x.csv")
        assert remote.read_csv(tmp_path / "x.csv").data() == made.data()
        made.export(tmp_path / "x.parquet")
        assert pq.read_table(tmp_path / "x.parquet").to_pydict() == {"a": [1, None], "b": ["x", ""]}


def test_a_closed_context_exports_nothing(settings, tmp_path, ctx):
    path = tmp_path / "x.csv"
    with DataContext(settings=settings) as other:
        made = other.create_object_from_value([1])
    with pytest.raises(ContextError):
        made.export(path)
    assert not list(tmp_path.iterdir())
