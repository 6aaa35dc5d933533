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
INTERRUPTED_S = 20.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

PROBE = Path(__file__).with_name("kernel_probe.py")


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
    ended: bool = False
    """False where ipykernel lost the message that says so."""

    @property
    def was_interrupted(self) -> bool:
        """Whether Ctrl-C ended the cell.

        IPython writes that to stderr where another press comes while it draws the traceback, and
        where it cannot draw it (a frame between two lines has no line).
        """
        if self.error is None:
            return not self.ended or "KeyboardInterrupt" in self.stderr.splitlines()
        return self.error.ename == "KeyboardInterrupt"

    @property
    def text(self) -> str:
        """The text of the displayed result."""
        assert self.data is not None, f"nothing was displayed; stderr: {self.stderr}"
        return str(self.data["text/plain"])


class Kernel:
    """A running kernel and a client of it."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        (directory / "kernel_probe.py").write_text(PROBE.read_text())
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

    def begin(self, code: str) -> str:
        """Start a cell and wait until it runs: an interrupt before that would be ipykernel's."""
        request = self.start(f"print('running', flush=True)\n{code}")
        deadline = time.monotonic() + TIMEOUT_S
        while self._next(deadline, request)["msg_type"] != "stream":
            pass
        return request

    def finish(
        self, request: str, timeout_s: float = TIMEOUT_S, *, interrupted: bool = False
    ) -> Result:
        """Wait until a cell has ended; return what came of it.

        Where it may be `interrupted` its last messages may be missing: ipykernel (7.4) loses them,
        or signs them wrongly, when Ctrl-C comes while it sends, whatever the cell is.
        """
        result, started = Result(), time.monotonic()
        deadline = started + timeout_s
        patience = min(deadline, started + INTERRUPTED_S) if interrupted else deadline
        while True:
            try:
                message = self._next(patience, request)
            except TimeoutError:
                if not interrupted:
                    self.interrupt()  # or the next test waits for this cell, too
                    raise
                self.check("", silent=True)
                return result
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            _collect(result, kind, content)
        result.elapsed_s, result.ended = time.monotonic() - started, True
        patience_s = 1 if interrupted else max(deadline - time.monotonic(), 1)
        while True:
            try:
                reply = self.client.get_shell_msg(timeout=patience_s)
            except Empty:
                assert interrupted, f"kernel {self.pid}: idle without a reply"
                return result
            if reply["parent_header"].get("msg_id") == request:
                result.execution_count = reply["content"].get("execution_count")
                return result

    def _next(self, deadline: float, request: str) -> Any:
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=max(deadline - time.monotonic(), 0.01))
            except Empty:
                said = f"kernel {self.pid}: no end of the cell in time\n{self.stacks()}"
                raise TimeoutError(said) from None
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

    def accounts(self) -> dict[str, int]:
        """Return the claims of each table of ours; all who count them must agree."""
        found: dict[str, int] = self.value("__import__('kernel_probe').accounts()")
        return found

    def load(self) -> None:
        """Load the extension and import it the documented way."""
        self.check("%load_ext aaiclick_ext\nimport aaiclick_ext as aai")

    def load_and_open(self) -> None:
        """Load the extension and wait for the engine."""
        self.load()
        self.check("aai.context().engine.wait_open()")

    def complete(self, code: str) -> Any:
        """Ask for completions at the end of a piece of code."""
        request = self.client.complete(code)
        while True:
            reply = self.client.get_shell_msg(timeout=TIMEOUT_S)
            if reply["parent_header"].get("msg_id") == request:
                return reply["content"]

    def stacks(self) -> str:
        """Return what its threads are doing."""
        path = self.directory / "stacks.txt"
        if path.exists():
            os.kill(self.pid, signal.SIGUSR1)
            time.sleep(1)
        return path.read_text() if path.exists() else ""

    def interrupt(self) -> None:
        """Send what a front end's stop button sends, from any thread."""
        os.killpg(os.getpgid(self.pid), signal.SIGINT)

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

    def begin_anew(self) -> None:
        """Start another process in place of this one, in whatever state that is, and load."""
        self.client.stop_channels()
        self.manager.restart_kernel(now=True)
        self._connect()
        self.load_and_open()

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
        "AAICLICK_PROGRESS": "off",  # what is displayed must not depend on the machine
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
def shared_kernel(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Kernel]:
    """A kernel with the extension loaded, for all tests of a module.

    It has the module's `ENVIRONMENT`, if there is one.
    """
    start = _factory(tmp_path_factory.mktemp("kernel"))
    kernel = next(start)(**getattr(request.module, "ENVIRONMENT", {}))
    kernel.load_and_open()
    yield kernel
    for _ in start:
        pass


def _make_clean(kernel: Kernel) -> None:
    kernel.check("import kernel_probe; kernel_probe.clean()")
    kernel.check("import aaiclick_ext as aai, kernel_probe as probe, gc, time\nNone")


@pytest.fixture
def _fit_kernel(shared_kernel: Kernel, request: pytest.FixtureRequest) -> None:
    """A second try does not depend on what the first left: a cell that runs, for one."""
    if getattr(request.node, "execution_count", 1) > 1:
        shared_kernel.begin_anew()


@pytest.fixture
def kernel(shared_kernel: Kernel, _fit_kernel: None) -> Kernel:
    """The module's kernel, with no variables, output history or tables of another test."""
    _make_clean(shared_kernel)
    assert shared_kernel.tables() == []
    return shared_kernel


@pytest.fixture
def used_kernel(shared_kernel: Kernel, _fit_kernel: None) -> Iterator[Kernel]:
    """The module's kernel, with variables of other tests but no tables: quicker than `kernel`."""
    shared_kernel.check("import aaiclick_ext as aai, kernel_probe as probe\nimport copy, gc, ibis")
    yield shared_kernel
    if shared_kernel.value("__import__('kernel_probe').tables()"):
        _make_clean(shared_kernel)


@pytest.fixture
def owns(used_kernel: Kernel) -> Callable[..., None]:
    """Check that a place owns what is put there: ``owns(hold, reach, let_go)``.

    `hold` puts the table of the variable ``x``, whose column ``a`` adds up to 6, somewhere, and
    ``x`` is deleted; `reach` is an expression that finds it there; after `let_go` there is none.
    """
    kernel = used_kernel

    def check(hold: str, reach: str, let_go: str) -> None:
        kernel.check("x = aai.create_object_from_value({'a': [1, 2, 3]})")
        kernel.check(hold)
        kernel.check("if 'x' in globals(): del x")
        assert len(kernel.accounts()) == 1
        for _ in range(2):
            assert kernel.value(f"probe.total({reach})") == 6
        assert len(kernel.accounts()) == 1
        kernel.check(let_go)
        assert kernel.accounts() == {}

    return check


@pytest.fixture
def clean_environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment for a terminal of its own; `kernel_probe` can be imported in it."""
    (tmp_path / "kernel_probe.py").write_text(PROBE.read_text())
    return kernel_environment(tmp_path)


@pytest.fixture
def connected(start_kernel, server_url, settings):
    """Start kernels on one server with the registry of all tests that use it."""

    def start():
        kernel = start_kernel(
            AAICLICK_STATE_DIR=str(settings.state_dir), AAICLICK_CH_URL=server_url
        )
        kernel.load()
        return kernel

    return start
