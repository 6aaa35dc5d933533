"""Named views over kernels: in a database that is kept, after kills, with other registries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.objects.test_kept_tables import another, opened, settings, url  # noqa: F401  fixtures

MAKES = """
    context = opened()
    source = context.create_object_from_value({{"a": [1, 2, 3]}})
    assert context.backend.services.schemas.get(source.table_name).engine == "Memory"
    context.create_view("large", source.filter(source.a > 1))
    context.create_view("rows", source.mutate(b=source.a + 1), materialized=True)
    print(source.table_name, context.list_views()[1].target, sep="\\n")
    source.insert({{"a": [4]}})
    {end}
"""
FINDS = """
    context = opened()
    source, target = {names!r}
    assert tables(context) == {{source, target}}, tables(context)
    reasons = reaped(context)
    if {is_reaped}:
        assert reasons[source].startswith("views large, rows read it: aai.drop_view('large')")
        assert reasons[target] == "view rows read it: aai.drop_view('rows')"
    assert context.validate_views() == []
    assert sorted(context.table("large").data()["a"]) == [2, 3, 4]
    assert sorted(context.table("rows").data()["b"]) == [2, 3, 4, 5]
    made = context.open_object(source)
    made.insert({{"a": [9]}})
    assert sorted(context.table("rows").data()["b"]) == [2, 3, 4, 5, 10]
    del made
    context.drop_view("large")
    context.flush()
    assert tables(context) == {{source, target}}
    context.close()
    context = opened()
    assert tables(context) == {{source, target}}
    context.drop_view("rows")
    context.flush()
    assert reaped(context) is not None
    assert tables(context) == set(), tables(context)
    assert context.list_views() == []
    assert context.backend.services.registry.tables() == []
    context.close()
    print("done")
"""


@pytest.mark.parametrize("how", ["closed", "killed, moved, with another registry", "on a server"])
def test_a_view_keeps_its_tables_over_kernels(another, url, tmp_path, how):  # noqa: F811
    end = "context.close()" if how == "closed" else "os.kill(os.getpid(), 9)"
    place, folder = url if how == "on a server" else f"chdb://{tmp_path}/db", tmp_path
    names = another(MAKES.format(end=end), place)
    if "moved" in how:
        place = f"chdb://{Path(tmp_path / 'db').rename(tmp_path / 'moved')}"
        folder = tmp_path / "other"
    finds = FINDS.format(names=names, is_reaped=how == "on a server")
    assert another(finds, place, folder) == ["done"]
