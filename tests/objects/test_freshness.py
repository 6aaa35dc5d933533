"""What a display calls stale, and that the log says the same."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from aaiclick_ext.objects.freshness import Freshness


def text_of(view):
    return view._repr_mimebundle_()["text/plain"]


def stale_tables(ctx):
    return {result.table for result in ctx.stale_results()}


def test_a_copy_is_stale_once_its_source_has_more_rows(ctx):
    source = ctx.create_object_from_value({"a": [1, 2]})
    view = source.filter(source.a > 1)
    copy = view.copy()
    further = ctx.concat([copy, copy]).filter(lambda t: t.a > 0)
    for fresh in (source, view, copy, further):
        assert "stale" not in text_of(fresh)
    source.insert({"a": [3]})
    assert "stale" not in text_of(source)
    assert "stale" not in text_of(view)  # computed when it is shown
    expected = "(stale: a table it was made of got rows later, outside a numbered cell)"
    assert text_of(copy).endswith(expected)
    assert text_of(further).endswith(expected)
    assert text_of(view.copy()).endswith("(2 rows, 1 column)")
    shown = copy._repr_mimebundle_()["text/html"]
    assert '<span class="aaiclick-stale" role="status">stale: a table' in shown
    assert copy.table_name in stale_tables(ctx)
    assert ctx.stale_results(copy)[0].changes[0].source == source.table_name


def test_it_stays_stale_when_the_source_is_gone(ctx):
    source = ctx.create_object_from_value({"a": [1, 2]})
    copy = source.copy()
    source.insert({"a": [3]})
    del source
    gc.collect()
    ctx.flush()
    assert "stale" in text_of(copy)
    assert copy.table_name in stale_tables(ctx)


def test_an_insert_makes_what_it_brought_part_of_the_target(ctx):
    source = ctx.create_object_from_value({"a": [1]})
    target = ctx.create_object_from_value({"a": [5]})
    target.insert(source, {"a": [7]})
    assert "stale" not in text_of(target)
    source.insert({"a": [2]})
    assert "stale" in text_of(target)
    assert {target.table_name} == {t for t in stale_tables(ctx) if t == target.table_name}


def test_a_file_that_changed_after_it_was_read(ctx, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a\n1\n")
    read = ctx.read_csv(path)
    copy = read.filter(read.a > 0).copy()
    for fresh in (read, copy):
        assert "stale" not in text_of(fresh)
    path.write_text("a\n1\n2\n")
    again = ctx.read_csv(path)
    for old in (read, copy, copy.filter(copy.a > 0)):
        assert f"(stale: changed after it was read: {path})" in text_of(old)
    assert "stale" not in text_of(again)
    del read
    gc.collect()
    ctx.flush()
    assert "stale" in text_of(copy)
    path.unlink()
    assert "stale" not in text_of(copy)


def test_a_restored_table_whose_source_had_grown(ctx):
    source = ctx.create_object_from_value({"a": [1, 2]})
    objects = [source.copy(), source.mutate(b=source.a).copy()]
    names = [made.table_name for made in objects]
    source.insert({"a": [3]})
    objects.clear()
    gc.collect()
    for name in names:
        restored = ctx.restore(name).object
        assert "stale: a table it was made of got rows later" in text_of(restored)
        assert restored.table_name in stale_tables(ctx)


def test_a_failed_insert_changes_nothing(ctx):
    source = ctx.create_object_from_value({"a": [1]})
    copy = source.copy()
    try:
        source.insert({"b": [1]})
    except Exception:
        pass
    assert "stale" not in text_of(copy)
    assert copy.table_name not in stale_tables(ctx)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("made"), st.integers(0, 5), st.sets(st.integers(0, 5), max_size=3)),
        st.tuples(st.just("changed"), st.integers(0, 5)),
        st.tuples(st.just("forget"), st.integers(0, 5)),
    ),
    max_size=30,
)


@given(STEPS)
def test_it_agrees_with_a_plain_model(steps):
    """The model keeps all links for ever, and asks anew at each change."""
    freshness, links, changes = Freshness(), {}, {}
    names: dict[int, str] = {}
    for number, step in enumerate(steps):
        kind, slot = step[:2]
        name = names.setdefault(slot, f"t{slot}")
        if kind == "made":
            sources = {names.setdefault(s, f"t{s}") for s in step[2]}
            freshness.made(name, sources)
            for source in sources:
                changes.setdefault(name, []).extend(changes.get(source, []))
            links.setdefault(name, set()).update(sources)
        elif kind == "changed":
            freshness.changed(name, str(number))
            todo, seen = [name], {name}
            while todo:
                below = todo.pop()
                for result, sources in links.items():
                    if below in sources and result not in seen:
                        seen.add(result)
                        todo.append(result)
                        changes.setdefault(result, []).append(str(number))
        else:
            freshness.forget([name])
            changes.pop(name, None)
            names[slot] = f"t{slot}_{number}"  # names are not used again
        for table in names.values():
            assert set(freshness.changes_below([table])) == set(changes.get(table, []))
