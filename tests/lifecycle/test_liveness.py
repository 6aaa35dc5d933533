"""Who lives: by process on this host, by heartbeat elsewhere, and nobody by guess."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from aaiclick_ext.lifecycle.liveness import ProcessIdentity, Verdict, judge

GRACE_S = 120.0
HERE = ProcessIdentity.current()
SHOW = (
    "from aaiclick_ext.lifecycle.liveness import ProcessIdentity\n"
    "print(repr(ProcessIdentity.current()), flush=True)\n"
    "import sys; sys.stdin.read()"
)


def verdict(owner, age_s=0.0):
    return judge(owner, age_s, here=HERE, grace_s=GRACE_S)


@pytest.fixture
def other():
    """Another process, and the identity that it gave itself."""
    with subprocess.Popen(
        [sys.executable, "-c", SHOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process, eval(process.stdout.readline())
        process.kill()


def test_this_process_lives_whatever_its_heartbeat():
    assert verdict(HERE) is Verdict.ALIVE
    assert verdict(HERE, 1e6) is Verdict.ALIVE
    assert verdict(HERE, None) is Verdict.ALIVE
    assert HERE.process_started is not None
    assert HERE.host_id
    assert HERE.user_name


def test_a_process_of_this_host_lives_until_it_is_killed(other):
    process, identity = other
    assert identity.pid == process.pid
    assert verdict(identity) is Verdict.ALIVE
    os.kill(process.pid, signal.SIGSTOP)
    assert verdict(identity, 1e6) is Verdict.ALIVE
    process.kill()
    deadline = time.monotonic() + 20
    while verdict(identity) is not Verdict.DEAD:  # also while it is a zombie, as it is now
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.wait()
    assert verdict(identity) is Verdict.DEAD


def test_a_process_id_that_was_given_again_is_another_process():
    earlier = replace(HERE, process_started=HERE.process_started - 1)
    assert verdict(earlier) is Verdict.DEAD


def test_a_start_time_does_not_move_with_the_clock(other):
    """psutil gives it since 1970, which another setting of the clock moves."""
    _, identity = other
    if sys.platform == "linux":
        uptime_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        assert 0 <= uptime_s - identity.process_started < 300


@pytest.mark.parametrize(
    ("changes", "age_s", "expected"),
    [
        # Another host, and another container of this one.
        ({"host_id": "other"}, 0, Verdict.ALIVE),
        ({"host_id": "other"}, GRACE_S, Verdict.ALIVE),
        ({"host_id": "other"}, GRACE_S + 1, Verdict.DEAD),
        ({"host_id": "other"}, None, Verdict.UNKNOWN),
        ({"host_id": "other"}, -5, Verdict.ALIVE),
        ({"host_id": "other"}, -GRACE_S - 1, Verdict.UNKNOWN),
        ({"pid_namespace": "pid:[1]"}, GRACE_S, Verdict.ALIVE),
        ({"pid_namespace": "pid:[1]"}, GRACE_S + 1, Verdict.DEAD),
        ({"pid_namespace": None}, GRACE_S, Verdict.ALIVE),
        # An earlier boot of this host, or a copy of its machine id.
        ({"boot_id": "other"}, 1e9, Verdict.DEAD),
        ({"boot_id": "other"}, 1, Verdict.ALIVE),
        ({"boot_id": "other"}, None, Verdict.UNKNOWN),
        ({"boot_id": None}, 1, Verdict.ALIVE),
        # What was not recorded.
        ({"host_id": None}, 1e9, Verdict.UNKNOWN),
        ({"pid": None}, 1e9, Verdict.UNKNOWN),
        ({"pid": 0}, 1e9, Verdict.UNKNOWN),
        ({"pid": -1}, 1e9, Verdict.UNKNOWN),
        ({"pid": 1 << 40}, 1e9, Verdict.UNKNOWN),
        ({"process_started": None}, 1e9, Verdict.UNKNOWN),
    ],
)
def test_what_is_judged_and_what_is_kept(changes, age_s, expected):
    assert verdict(replace(HERE, **changes), age_s) is expected


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs to become another user")
def test_a_process_of_another_user_is_seen(other):
    _, identity = other
    code = (
        "import os\n"
        "from aaiclick_ext.lifecycle.liveness import *\n"
        "here = ProcessIdentity.current()\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"print(judge({identity!r}, 0.0, here=here, grace_s=1.0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "alive"
