"""A table lives exactly as long as something can reach it."""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
import queue
import threading
from pathlib import Path

import ibis
import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import AaiclickError, ContextError, DroppedTableError
from aaiclick_ext.lifecycle import RefKind


@pytest.fixture
def rows(ctx):
    return ctx.create_object_from_value({"k": [1, 2, 3], "v": [10, 20, 30]})


def test_del_drops_the_table(ctx, tables):
    x = ctx.create_object_from_value([1, 2, 3])
    name = x.table_name
    assert name in tables()
    del x
    assert name not in tables()


def test_rebinding_drops_the_table(ctx, tables):
    x = ctx.create_object_from_value([1, 2, 3])
    name = x.table_name
    x = ctx.create_object_from_value([4])
    assert name not in tables()
    assert x.table_name in tables()


@pytest.mark.parametrize(
    "derive",
    [
        lambda t: t.v,
        lambda t: t.v.sum(),
        lambda t: t.filter(t.k > 1),
        lambda t: t.filter(t.k > 1).select("v").order_by("v"),
        lambda t: t.group_by("k"),
        lambda t: t.group_by("k").agg(s=t.v.sum()),
        lambda t: t.join(t.view(), "k"),
        lambda t: t.view(),
        lambda t: [t.v + 1],
        lambda t: {"deep": (t.mutate(w=t.v * 2),)},
        lambda t: t.v.value_counts(),
        lambda t: ibis.union(t, t),
        lambda t: t.v.sum().over(order_by=t.k),
        lambda t: t.filter(t.v > t.v.mean()).v.max().as_scalar(),
        lambda t: ibis.case().when(t.k > 1, t.v).else_(0).end() if hasattr(ibis, "case") else t.k,
        copy.copy,
        copy.deepcopy,
        lambda t: pickle.loads(pickle.dumps(t.filter(t.k > 1))),
        lambda t: t.alias("named").sql("SELECT v FROM named"),
        lambda t: t.op(),
    ],
)
def test_whatever_reaches_the_table_keeps_it(ctx, tables, derive):
    source = ctx.create_object_from_value({"k": [1, 2, 3], "v": [10, 20, 30]})
    name = source.table_name
    kept = derive(source)
    del source
    assert name in tables()
    del kept
    assert name not in tables()


def test_sql_text_keeps_the_tables_it_names(ctx, tables, rows):
    name = rows.table_name
    view = ctx.sql(f"SELECT k, v * 2 AS w FROM {name} WHERE v > 10")
    del rows
    gc.collect()
    ctx.flush()
    assert view.data() == {"k": [2, 3], "w": [40, 60]}
    # the fixture's own reference keeps it besides; what matters is the leaf of the text
    assert [leaf.name for leaf in view.op().leaves.tables] == [name]


def test_a_queue_owns_what_is_in_it(ctx, tables):
    channel = queue.Queue()
    channel.put(ctx.create_object_from_value([1]))
    assert len(tables()) >= 1
    name = channel.queue[0].table_name
    taken = channel.get()
    assert name in tables()
    del taken
    assert name not in tables()


def test_a_suspended_generator_owns_its_locals(ctx, tables):
    def steps():
        inner = ctx.create_object_from_value([1, 2])
        yield inner.table_name
        yield inner.data()

    generator = steps()
    name = next(generator)
    assert name in tables()
    generator.close()
    assert name not in tables()


def test_execution_does_not_pin(ctx, tables):
    x = ctx.create_object_from_value({"a": [1, 2]})
    name = x.table_name
    view = x.filter(x.a > 1)
    view.to_pyarrow()
    view.to_pyarrow()
    repr(view)
    view._repr_mimebundle_()
    del x, view
    assert name not in tables()


def test_a_batch_reader_keeps_its_table(ctx, tables):
    x = ctx.create_object_from_value({"a": list(range(1000))})
    name = x.table_name
    reader = x.to_pyarrow_batches(chunk_size=100)
    del x
    assert name in tables()
    assert reader.read_all().num_rows == 1000
    del reader
    assert name not in tables()


def test_a_failed_creation_leaves_nothing(ctx, tables):
    before = tables()
    with pytest.raises(Exception, match="value"):
        ctx.create_object_from_value({"a": [1, object()]})
    view = ctx.sql("SELECT throwIf(number = 5, 'stop') AS a FROM numbers(10)")
    with pytest.raises(Exception, match="stop"):
        view.copy()
    del view
    assert tables() == before


def test_unpickling_after_the_drop_raises(ctx, tables):
    x = ctx.create_object_from_value([1])
    text = pickle.dumps(x)
    del x
    tables()
    with pytest.raises(DroppedTableError):
        pickle.loads(text)


def test_threads_deriving_and_deleting(ctx, tables):
    before = tables()
    source = ctx.create_object_from_value({"a": list(range(10))})
    errors = []

    def work():
        try:
            for _ in range(20):
                view = source.filter(source.a > 3)
                made = view.copy()
                assert len(made.data()["a"]) == 6
                cycle = [made]
                cycle.append(cycle)
                del made, view, cycle
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert tables() == before | {source.table_name}


def test_closing_drops_temp_and_session_tables_and_objects_raise(tmp_path):
    from aaiclick_ext.settings import Settings

    settings = Settings(state_dir=tmp_path)
    context = DataContext(settings=settings)
    temp = context.create_object_from_value([1])
    session = context.create_object_from_value([2], name="s", scope="session")
    names = {temp.table_name, session.table_name}
    context.close()
    with pytest.raises(ContextError, match="closed"):
        temp.data()
    with pytest.raises(ContextError, match="closed"):
        (temp + 1).data()
    del temp, session
    gc.collect()
    with DataContext(settings=settings) as again:
        assert not names & set(again.backend.list_tables())


def test_threads_end_with_the_context(tmp_path):
    from aaiclick_ext.settings import Settings

    def ours():
        return {t.name for t in threading.enumerate() if t.name.startswith("aai-")}

    before = ours()
    with DataContext(settings=Settings(state_dir=tmp_path)) as context:
        context.create_object_from_value([1])
    assert ours() == before


def test_registry_has_one_row_per_living_table(ctx, tables):
    x = ctx.create_object_from_value([1, 2])
    alive = tables()
    registry = ctx._opened.services.registry
    rows = {row.table_name for row in registry.tables(ctx.engine.identity)}
    assert {name for name in alive if name.startswith("aai_t_")} <= rows
    name = x.table_name
    del x
    tables()
    assert name not in {row.table_name for row in registry.tables(ctx.engine.identity)}


def test_many_deleted_at_once_leave_no_table_row_or_byte(tmp_path):
    from aaiclick_ext.settings import Settings

    settings = Settings(state_dir=tmp_path, memory_table_bytes=0)  # each on disk
    with DataContext(settings=settings) as context:
        made = [context.create_object_from_value({"a": [n, n + 1]}) for n in range(60)]
        view = made[7].filter(made[7].a > 7)
        names, kept = {each.table_name for each in made}, made[7].table_name
        context.flush()
        engine, services = context.engine, context._opened.services
        paths = {
            name: [Path(path) for path in data]
            for name, data in engine.query_rows(
                "SELECT name, data_paths FROM system.tables "
                "WHERE database = currentDatabase() AND name IN {names:Array(String)}",
                {"names": list(names)},
            )
        }
        assert len(paths) == 60
        assert all(path.exists() for path in paths[kept])
        made.clear()
        context.flush()
        left = {name for name, data in paths.items() if any(path.exists() for path in data)}
        assert left == {kept}
        assert {row.table_name for row in services.registry.tables(engine.identity)} == {kept}
        assert len(services.refs.refs(RefKind.TABLE)) == 1
        assert view.data() == {"a": [8]}


@pytest.fixture
def no_collection():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    "use",
    [
        lambda c, x: c.sql(f"WITH {x.table_name} AS s SELECT k FROM {x.table_name}").data(),
        lambda c, x: c.sql("WITH 1 AS one SELECT k + one AS k FROM {x}", x=x).copy().data(),
        lambda c, x: c.sql("SELECT k FROM {x} WHERE k IN nowhere.at_all", x=x),
        lambda c, x: c.sql("SELECT k FROM {x} ORDER BY k LIMIT 1 BY k", x=x)._repr_mimebundle_(),
        lambda c, x: x.get_backend().sql(f"SELECT k FROM {x.table_name} AS a JOIN b USING k"),
        lambda c, x: x.alias("q").sql("WITH q.k AS s SELECT s FROM q").data(),
        lambda c, x: c.sql("SELECT nosuch FROM {x}", x=x),
        lambda c, x: c.sql("SELECT k FROM {x} WHERE WHERE", x=x),
        lambda c, x: x.mutate(a=x.s.cast("int64")).data(),
        lambda c, x: x.mutate(a=x.s.cast("int64"))._repr_mimebundle_(),
        lambda c, x: x.mutate(a=x.s.cast("int64")).copy(),
        lambda c, x: x.insert({"k": ["no"]}),
        lambda c, x: c.concat(x, x.drop("s")),
        lambda c, x: c.trace(x.filter(x.k > 1).copy(), depth=None),
        lambda c, x: (c.backward_oplog(x.filter(x.k > 1)), c.stale_results(x), c.why(x)),
        lambda c, x: c.create_object_from_value({"k": [x]}),
        lambda c, x: x.export("nowhere/at/all.parquet"),
    ],
)  # fmt: skip
def test_no_collection_is_needed_to_let_go(ctx, use):
    def used():
        x = ctx.create_object_from_value({"k": [1, 2], "s": ["a", "b"]})
        with contextlib.suppress(AaiclickError):
            use(ctx, x)
        return x.table_name

    name = used()
    ctx.flush()
    assert not ctx.backend.services.worker.is_live(name)
