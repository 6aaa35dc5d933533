"""A PostgreSQL server of one test run, from the programs that are installed.

``python tests/postgresql.py`` makes an empty cluster, prints the directory of its socket and serves
until its standard input ends. The server listens nowhere else and keeps nothing.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

USER = "tests"
DEBIAN = Path("/usr/lib/postgresql")
OPTIONS = {
    "listen_addresses": "",
    "max_connections": "300",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "log_min_messages": "panic",
}
START_TIMEOUT_S = 30
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def programs() -> Path | None:
    """The directory of the newest PostgreSQL's programs, or None where there is none."""
    debian = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    found = shutil.which("initdb")
    return None if found is None else Path(found).resolve().parent


def identity() -> dict[str, object]:
    """Who runs the server: it refuses to run as root."""
    if os.geteuid():
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def main() -> None:
    binaries = programs()
    if binaries is None:
        raise SystemExit("no programs of PostgreSQL were found")
    who = identity()
    folder = Path(tempfile.mkdtemp(prefix="aai-pg-"))  # a socket's path has to be short
    if who:
        os.chown(folder, who["user"], who["group"])
    try:
        subprocess.run(
            [binaries / "initdb", "-D", folder / "data", "-U", USER, "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-sync"],
            stdout=subprocess.DEVNULL, cwd=folder, check=True, **who,
        )  # fmt: skip
        options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        server = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", "-k", folder, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=folder,
            start_new_session=True,  # Ctrl-C in a terminal is for the tests
            preexec_fn=end_with_parent,
            **who,
        )  # fmt: skip
        try:
            wait_ready(binaries, folder, server)
            print(folder, flush=True)  # noqa: T201
            sys.stdin.read()
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nothing is kept
            server.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def end_with_parent() -> None:
    """Let Linux end the server when this process is killed; elsewhere it then stays."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def wait_ready(binaries: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while subprocess.run(
        [binaries / "pg_isready", "-q", "-h", folder, "-U", USER, "-d", "postgres"], check=False
    ).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("PostgreSQL did not start")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
