"""%why of a table that several kernels hold."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel


def test_it_names_the_kernels_and_tokens_that_hold_a_table(connected):
    one, two = connected(), connected()
    one.check("x = aai.create_object_from_value([1])\ntoken, more = x.share(), x.share()")
    two.check(f"y = aai.open_ref({one.value('token')!r})")
    told = one.value("[c.text for c in aai.why(x).chains]")
    assert told[0] == "variable x"
    assert told[1].startswith("kernel ")
    assert f"process {two.pid}" in told[1]
    assert told[2] == "1 token of share() that may still be redeemed"
    assert f"process {one.pid}" in two.value("[c.text for c in aai.why(y).chains][1]")
    assert "let go of variable y" in two.check("%why --release y").stdout
    two.check("aai.context().flush()")
    assert one.value("len(aai.why(x).chains)") == 2
