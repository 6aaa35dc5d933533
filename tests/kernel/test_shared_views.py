"""Named views that several kernels on one server read, make and drop."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel


def test_a_view_of_one_kernel_keeps_tables_of_another(connected):
    one, two = connected(), connected()
    one.check(
        "best = aai.create_object_from_value({'a': [1, 2]}, name='best')\n"
        "shared = aai.create_object_from_value({'b': [3, 4]})\n"
        "token, names = shared.share(), [best.table_name, shared.table_name]"
    )
    token, names = one.value("token"), one.value("names")
    two.check(
        "best = aai.open_object('best')\n"
        f"shared = aai.open_ref({token!r})\n"
        "view = aai.create_view('both', best.join(shared, best.a + 2 == shared.b))\n"
        "del best, shared"
    )
    one.check("del best, shared\naai.delete_object('best')\naai.context().flush()")
    assert set(names) <= set(one.tables())
    why = one.run(f"%why {names[1]}").displays[0]["text/plain"]
    assert "aai.drop_view('both')" in why
    assert one.value("aai.table('both').data()") == {"a": [1, 2], "b": [3, 4]}
    one.shutdown()
    two.check("aai.context().flush()")
    assert two.value("view.data()") == {"a": [1, 2], "b": [3, 4]}
    refused = two.run("aai.create_view('m', aai.table('both'), materialized=True)").error
    assert refused is not None
    assert refused.ename == "ViewError"
    two.check(
        "aai.drop_view('both')\n"
        "assert aai.context()._opened.reaping.wait(60)\n"
        "aai.context().flush()"
    )
    assert set(names) & set(two.tables()) == {names[0]}  # whose name this kernel opened
    two.shutdown()
    three = connected()
    three.check("assert aai.context()._opened.reaping.wait(60)")
    assert not set(names) & set(three.tables())


def test_the_maker_drops_what_views_of_others_let_go_of(connected):
    one, two = connected(), connected()
    one.check("x = aai.create_object_from_value([1, 2])\ntoken, table = x.share(), x.table_name")
    token, table = one.value("token"), one.value("table")
    two.check(f"view = aai.create_view('v', aai.open_ref({token!r}))")
    one.check("del x\naai.context().flush()")
    assert table in one.tables()
    two.check("aai.drop_view('v')\naai.context().flush()")
    one.check("aai.context().backend.services.kept.refresh()")  # as after each heartbeat
    one.check("aai.context().flush()")
    assert table not in one.tables()
