"""Real Jupyter kernels for tests: each with a home, state and scratch directory of its own."""

from __future__ import annotations

import ast
import os
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from jupyter_client import BlockingKernelClient, KernelManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 90.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

PROBE = '''
"""What a test asks a kernel about itself, without touching the user's names."""
import gc, os, threading


def tables():
    """Tables of ours that exist, once everything queued is done."""
    import aaiclick_ext as aai

    context = aai.context()
    context.flush(timeout_s=30)
    found = context.engine.query_rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
    )
    return sorted(name for (name,) in found if name.startswith('aai_'))


def threads():
    return sorted(t.name for t in threading.enumerate())


def native_threads():
    import psutil

    return psutil.Process().num_threads()


def fds():
    """Open descriptors, without those through which ClickHouse's pool threads count their work."""
    if not os.path.isdir("/proc/self/fd"):
        return 0
    targets = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    return len([target for target in targets if "/task/" not in target])


def registrations():
    """Everything that an extension can leave in a shell."""
    ip = get_ipython()
    manager = ip.magics_manager
    formatters = {**ip.display_formatter.formatters}
    formatters["bundle"] = ip.display_formatter.mimebundle_formatter
    return {
        "events": {name: len(found) for name, found in ip.events.callbacks.items()},
        "line": sorted(manager.magics["line"]),
        "cell": sorted(manager.magics["cell"]),
        "user_magics": sorted(vars(manager.user_magics)),
        "configurables": sorted(type(c).__name__ for c in ip.configurables),
        "formatters": {
            name: sorted(map(str, [*f.type_printers, *f.deferred_printers]))
            for name, f in formatters.items()
        },
        "matchers": len(ip.Completer.custom_matchers),
    }


def log(columns="*", where="1"):
    """Rows of the operation log."""
    import aaiclick_ext as aai

    context = aai.context()
    context.flush(timeout_s=30)
    return context.engine.query_rows(
        f"SELECT {columns} FROM operation_log WHERE {where} ORDER BY created_at, id"
    )
'''


@dataclass(frozen=True)
class KernelError:
    """An error as a front end gets it."""

    ename: str
    evalue: str
    traceback: list[str]

    @property
    def text(self) -> str:
        """All that a user sees of it."""
        return _COLOUR.sub("", "\n".join(self.traceback))


@dataclass
class Result:
    """What came of running one cell."""

    stdout: str = ""
    stderr: str = ""
    data: dict[str, Any] | None = None
    displays: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    error: KernelError | None = None
    execution_count: int | None = None
    elapsed_s: float = 0.0

    @property
    def text(self) -> str:
        """The text of the displayed result."""
        assert self.data is not None, f"nothing was displayed; stderr: {self.stderr}"
        return str(self.data["text/plain"])


class Kernel:
    """A running kernel and a client of it."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        (directory / "kernel_probe.py").write_text(PROBE)
        self._environment = kernel_environment(directory) | environment
        self.manager = KernelManager(kernel_name="python3", transport="tcp")
        self.manager.start_kernel(
            env=self._environment,
            cwd=str(directory),
            extra_arguments=["--HistoryManager.enabled=True"],
        )
        self._connect()

    def _connect(self) -> None:
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT_S)
        self.check("import kernel_probe as probe", silent=True)

    @property
    def pid(self) -> int:
        """Process id of the kernel."""
        pid = self.manager.provisioner.pid
        assert pid is not None
        return int(pid)

    def start(
        self,
        code: str,
        *,
        silent: bool = False,
        store_history: bool = True,
        cell_id: str | None = None,
    ) -> str:
        """Ask for a cell to be run; return the request's id."""
        content = {
            "code": code,
            "silent": silent,
            "store_history": store_history and not silent,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        message = self.client.session.msg("execute_request", content)
        if cell_id is not None:
            message["metadata"]["cellId"] = cell_id
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def finish(
        self, request: str, timeout_s: float = TIMEOUT_S, *, reply_may_be_lost: bool = False
    ) -> Result:
        """Wait until a cell has ended; return what came of it.

        ipykernel (7.4) sends no reply when Ctrl-C comes just before or after it runs the code of a
        cell, with any code ("KeyboardInterrupt caught in kernel"); it says that it is idle then.
        """
        result, started = Result(), time.monotonic()
        deadline = started + timeout_s
        while True:
            message = self._next(deadline, request)
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            _collect(result, kind, content)
        result.elapsed_s = time.monotonic() - started
        patience_s = 1 if reply_may_be_lost else max(deadline - time.monotonic(), 1)
        while True:
            try:
                reply = self.client.get_shell_msg(timeout=patience_s)
            except Empty:
                assert reply_may_be_lost, f"kernel {self.pid}: idle without a reply"
                return result
            if reply["parent_header"].get("msg_id") == request:
                result.execution_count = reply["content"].get("execution_count")
                return result

    def _next(self, deadline: float, request: str) -> Any:
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=max(deadline - time.monotonic(), 0.01))
            except Empty:
                raise TimeoutError(f"kernel {self.pid}: no end of the cell in time") from None
            if message["parent_header"].get("msg_id") == request:
                return message

    def run(self, code: str, *, timeout_s: float = TIMEOUT_S, **options: Any) -> Result:
        """Run a cell."""
        return self.finish(self.start(code, **options), timeout_s)

    def check(self, code: str, **options: Any) -> Result:
        """Run a cell that must not fail."""
        result = self.run(code, **options)
        assert result.error is None, result.error and result.error.text
        return result

    def value(self, expression: str, **options: Any) -> Any:
        """Return the value of an expression that has a literal representation."""
        return ast.literal_eval(self.check(f"print(repr({expression}))", **options).stdout)

    def tables(self) -> list[str]:
        """Return the tables of ours that exist."""
        found: list[str] = self.value("probe.tables()")
        return found

    def load(self) -> None:
        """Load the extension and import it the documented way."""
        self.check("%load_ext aaiclick_ext\nimport aaiclick_ext as aai")

    def complete(self, code: str) -> Any:
        """Ask for completions at the end of a piece of code."""
        request = self.client.complete(code)
        while True:
            reply = self.client.get_shell_msg(timeout=TIMEOUT_S)
            if reply["parent_header"].get("msg_id") == request:
                return reply["content"]

    def interrupt(self) -> None:
        """Send what a front end's stop button sends."""
        self.manager.interrupt_kernel()

    def kill(self) -> None:
        """End the process as a crash or the OOM killer would, and reap it."""
        os.kill(self.pid, signal.SIGKILL)
        self._wait_for_end()

    def shutdown(self) -> None:
        """End the kernel the way a front end does: it may clean up."""
        self.client.shutdown()
        self._wait_for_end()

    def restart(self) -> None:
        """Restart gracefully, as a front end's restart button does."""
        self.client.stop_channels()
        self.manager.restart_kernel(now=False)
        self._connect()

    def _wait_for_end(self) -> None:
        deadline = time.monotonic() + 30
        while self.manager.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)

    def close(self) -> None:
        """Stop the kernel, whatever state it is in, and every child of it."""
        children = []
        if self.manager.is_alive():
            children = psutil.Process(self.pid).children(recursive=True)
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.manager.context.destroy()
        for child in children:
            if child.is_running():
                child.kill()


def kernel_environment(directory: Path) -> dict[str, str]:
    """Return an environment in which nothing of the machine's user is seen or touched."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AAICLICK_")}
    for name in ("PYTEST_CURRENT_TEST", "PYTHONPATH", "MPLBACKEND"):
        kept.pop(name, None)
    return kept | {
        "HOME": str(directory),
        "IPYTHONDIR": str(directory / "ipython"),
        "JUPYTER_CONFIG_DIR": str(directory / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
        "XDG_CACHE_HOME": str(directory / "cache"),
        "XDG_STATE_HOME": str(directory / "state"),
        "AAICLICK_STATE_DIR": str(directory / "state"),
        "AAICLICK_SCRATCH_DIR": str(directory / "scratch"),
        "PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)]),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _collect(result: Result, kind: str, content: dict[str, Any]) -> None:
    if kind == "stream":
        text = getattr(result, content["name"]) + content["text"]
        setattr(result, content["name"], text)
    elif kind == "execute_result":
        result.data = content["data"]
    elif kind == "display_data":
        result.displays.append(content["data"])
    elif kind == "update_display_data":
        result.updates.append(content["data"])
    elif kind == "error":
        result.error = KernelError(content["ename"], content["evalue"], content["traceback"])


def _factory(directory: Path) -> Iterator[Callable[..., Kernel]]:
    started: list[Kernel] = []

    def start(name: str = "", **environment: str) -> Kernel:
        home = directory / (name or f"kernel{len(started)}")
        home.mkdir(parents=True, exist_ok=True)
        kernel = Kernel(home, environment)
        started.append(kernel)
        return kernel

    yield start
    for kernel in started:
        kernel.close()


@pytest.fixture
def start_kernel(tmp_path: Path) -> Iterator[Callable[..., Kernel]]:
    """Start kernels for one test: ``start_kernel(name="", **environment)``."""
    yield from _factory(tmp_path)


@pytest.fixture(scope="module")
def shared_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel with the extension loaded, for all tests of a module."""
    start = _factory(tmp_path_factory.mktemp("kernel"))
    kernel = next(start)()
    kernel.load()
    kernel.check("aai.context().engine.wait_open()")
    yield kernel
    for _ in start:
        pass


@pytest.fixture
def kernel(shared_kernel: Kernel) -> Iterator[Kernel]:
    """The module's kernel, with no variables, output history or tables of another test."""
    shared_kernel.check("%reset -f\n%reset -f out")
    shared_kernel.check("import aaiclick_ext as aai, kernel_probe as probe, gc, time\nNone")
    assert shared_kernel.tables() == []
    return shared_kernel


@pytest.fixture
def clean_environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment for a terminal of its own; `kernel_probe` can be imported in it."""
    (tmp_path / "kernel_probe.py").write_text(PROBE)
    return kernel_environment(tmp_path)
