"""System tables of a server that several kernels use."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel

REFS = "{(r['job_id'], r['what']) for r in aai.system.refs.to_pyarrow().to_pylist()}"
SETTINGS = "set(aai.system.settings.data()['job_id'])"


def test_what_is_everyones_and_what_is_a_kernels_own(connected):
    one, two = connected(), connected()
    one.check("x = aai.create_object_from_value([1])")
    one.check("aai.create_object_from_value([1], name='shared', scope='global')")
    one.check("aai.create_object_from_value([1], name='mine', scope='session')")
    two.check("y = aai.create_object_from_value([2])")
    first, second = (kernel.value("aai.context().job_id") for kernel in (one, two))
    x, y = one.value("x.table_name"), two.value("y.table_name")

    assert one.value("sorted(aai.system.objects.data()['name'])") == ["mine", "shared"]
    assert two.value("sorted(aai.system.objects.data()['name'])") == ["mine", "shared"]
    assert {first, second} <= set(two.value("aai.system.jobs.data()['job_id']"))
    for kernel in (one, two):
        assert {x, y} <= set(kernel.value("aai.system.tables.data()['name']"))
    assert (first, x) in one.value(REFS)
    assert {(first, x), (second, y)} <= two.value(REFS)
    assert one.value(SETTINGS) == {first}
    assert two.value(SETTINGS) == {first, second}

    one.check("del x\naai.delete_object('shared')")
    one.check("aai.context().flush()")
    assert x not in two.value("aai.system.tables.data()['name']")
    assert one.value("aai.system.objects.data()['name']") == ["mine"]
    assert (first, x) not in one.value(REFS)
    one.kill()
    three = connected()
    third = three.value("aai.context().job_id")
    assert three.value(SETTINGS) == {second, third}
    assert first not in {job for job, _ in three.value(REFS)}
