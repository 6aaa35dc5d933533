"""Kernels that are killed at random points of random work, and what the next one finds."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

ROOT = Path(__file__).parents[2]
VICTIM = Path(__file__).with_name("victim.py")
SHORT, LONG = {"kept": 2, "scratch": 1, "server": 3}, 100
FOREVER = -1


class Victim:
    """A kernel that works until it is killed."""

    def __init__(self, folder, url, seed, acknowledged):
        self.said = {}
        self.wrong = None
        self.reaped = {}
        self.is_ready = threading.Event()
        self._errors = (folder / "stderr.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(VICTIM), str(folder), url, str(seed), json.dumps(acknowledged)],
            cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break  # killed as it wrote
            words = json.loads(line)
            if "reaped" in words:
                self.reaped = words
            elif "wrong" in words:
                self.wrong = words["wrong"]
            elif "ready" in words:
                self.is_ready.set()
            else:
                self.said |= words
        self.is_ready.set()

    def end(self):
        """Wait for its end; return what it said on stderr."""
        self.process.wait(120)
        self._reader.join(60)
        self.process.stdout.close()
        self._errors.seek(0)
        text = self._errors.read()
        self._errors.close()
        return text

    def kill(self, how):
        self.process.send_signal(how)


@pytest.fixture
def places(tmp_path):
    """Return the URL of a new database of a kind: a kept one, a scratch one, or a server's."""
    servers = []

    def place(kind):
        if kind != "server":
            return "chdb://" if kind == "scratch" else f"chdb://{tmp_path}/db"
        server = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/gateway.py"), str(tmp_path / "server"), "a", "b"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,  # of connections that killed kernels have reset
        )  # fmt: skip
        servers.append(server)
        return f"clickhouse://a:{quote('b')}@127.0.0.1:{int(server.stdout.readline())}/default"

    yield place
    for server in servers:
        server.stdin.close()
        server.wait(20)
        server.stdout.close()


def run(folder, url, kills, seed):
    """Kill as many kernels; return how many tables and directories their successors removed."""
    chance, acknowledged, removed = random.Random(seed), {}, {"tables": 0, "scratch": 0}
    is_kept = url != "chdb://"
    for number in range(kills + 1):
        is_last = number == kills
        victim = Victim(folder, url, FOREVER if is_last else seed + number, acknowledged)
        try:
            if not is_last:
                if chance.random() < 0.85:
                    assert victim.is_ready.wait(120)
                time.sleep(chance.random() * 1.5)
                victim.kill(signal.SIGTERM if chance.random() < 0.1 else signal.SIGKILL)
            errors = victim.end()
        finally:
            if victim.process.poll() is None:
                victim.process.kill()
        where = f"kernel {number} of seed {seed}"
        assert victim.wrong is None, f"{where}: {victim.wrong}\n{errors}"
        expected = (0,) if is_last else (-signal.SIGKILL, -signal.SIGTERM)
        assert victim.process.returncode in expected, f"{where}\n{errors}"
        if is_kept:
            acknowledged |= victim.said
        removed["tables"] += victim.reaped.get("reaped", 0)
        removed["scratch"] += victim.reaped.get("scratch", 0)
    return removed, acknowledged


@pytest.mark.parametrize("kind", SHORT)
def test_nothing_is_left_of_killed_kernels(kind, tmp_path, places):
    run(tmp_path, places(kind), SHORT[kind], seed=1000)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ["kept", "server"])
def test_nothing_is_left_of_two_hundred_killed_kernels(kind, tmp_path, places):
    seed = int(os.environ.get("AAICLICK_TEST_SEED", "0")) * 10_000
    started = time.monotonic()
    removed, acknowledged = run(tmp_path, places(kind), LONG, seed=seed)
    print(  # noqa: T201
        f"\n{LONG} kernels killed on a {kind} database: {removed['tables']} orphan tables and "
        f"{removed['scratch']} directories removed by the next start, none left; "
        f"{acknowledged['ledger']} acknowledged inserts, none lost; "
        f"{time.monotonic() - started:.0f} s"
    )
    assert removed["tables"] > 0
