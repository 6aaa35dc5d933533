"""Tables that several kernels on one server hold."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.kernel


def exists(kernel, table):
    kernel.check("aai.context().flush(timeout_s=30)")
    return table in kernel.tables()


def held(kernel):
    """Return how many tables a kernel holds, as `%sessions` says."""
    kernel.check("aai.context().flush(timeout_s=30)")
    return kernel.value("[k.tables for k in aai.sessions() if k.is_current][0]")


def test_a_table_goes_when_the_last_kernel_lets_go(connected):
    one, two = connected(), connected()
    one.check("x = aai.create_object_from_value({'a': [1, 2, 3]})\ntoken = x.share()")
    token, table = one.value("token"), one.value("x.table_name")
    two.check(f"y = aai.open_ref({token!r})")
    assert two.value("y.table_name") == table
    assert two.value("y.data()") == {"a": [1, 2, 3]}
    assert (held(one), held(two)) == (1, 1)
    one.check("del x")
    assert exists(one, table)
    assert (held(one), held(two)) == (0, 1)
    assert two.value("(y.a + 1).sum().execute()") == 9
    two.check("z = y.filter(y.a > 1)\ndel y")
    assert exists(two, table)
    two.check("del z")
    assert not exists(two, table)


def test_a_token_is_good_once_and_holds_the_table_until_then(connected):
    one, two = connected(), connected()
    one.check("x = aai.create_object_from_value([1, 2])\ntoken, table = x.share(), x.table_name")
    token, table = one.value("token"), one.value("table")
    one.check("del x")
    assert exists(one, table)
    two.check(f"y = aai.open_ref({token!r})")
    assert two.value("y.data()") == [1, 2]
    for kernel in (one, two):
        error = kernel.run(f"aai.open_ref({token!r})").error
        assert error is not None
        assert error.ename == "ShareError"
        assert "redeemed before" in error.evalue
    sources = two.value("probe.log('cell_source')") + one.value("probe.log('cell_source')")
    assert token not in str(sources)
    two.check("del y")
    assert not exists(two, table)


def test_an_expired_token_holds_nothing(connected):
    one = connected()
    one.check("x = aai.create_object_from_value([1])\ntable = x.table_name")
    one.check("short, long = x.share(expires_s=2), x.share(expires_s=60)\ndel x")
    table, long = one.value("table"), one.value("long")
    two = connected()
    two.check(f"y = aai.open_ref({long!r})\nshort = y.share(expires_s=3)\ndel y")
    assert exists(two, table)
    deadline = time.monotonic() + 30
    while exists(two, table) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not exists(two, table)
    error = one.run("aai.open_ref(short)").error
    assert error is not None
    assert "has expired" in error.evalue


def test_the_giver_may_end_first(connected):
    one, two = connected(), connected()
    one.check("x = aai.create_object_from_value([1, 2])\ntoken = x.share()")
    token, table = one.value("token"), one.value("x.table_name")
    two.check(f"y = aai.open_ref({token!r})")
    one.shutdown()
    assert two.value("y.data()") == [1, 2]
    two.check("y = y.insert([3])")
    assert two.value("y.data()") == [1, 2, 3]
    two.check("del y")
    assert not exists(two, table)


def test_what_cannot_be_shared_says_why(connected, kernel):
    kernel.load()
    kernel.check("x = aai.create_object_from_value([1])")
    for code in ("x.share()", "aai.open_ref('aaishare_of_nobody')"):
        error = kernel.run(code).error
        assert error is not None
        assert error.ename == "ShareError"
        assert "embedded" in error.evalue
    server = connected()
    server.check("x = aai.create_object_from_value([1])")
    for code, said in {
        "aai.open_ref('aaishare_of_nobody')": "redeemed before",
        "aai.open_ref(x)": "the text that x.share() returned",
        "x.share(expires_s=0)": "more than 0",
        "x.share(expires_s=float('nan'))": "more than 0",
    }.items():
        error = server.run(code).error
        assert error is not None
        assert said in error.evalue
