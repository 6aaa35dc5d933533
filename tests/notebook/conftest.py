"""A shell in this process with the extension loaded."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from aaiclick_ext.notebook.extension import Extension


@pytest.fixture(scope="module")
def ip(tmp_path_factory):
    """A shell of IPython, for all tests of a module."""
    folder = tmp_path_factory.mktemp("shell")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("AAICLICK_STATE_DIR", str(folder / "state"))
        patch.setenv("AAICLICK_SCRATCH_DIR", str(folder / "scratch"))
        shell = InteractiveShell()
        shell.history_manager.enabled = False
        shell.Completer.use_jedi = False  # takes seconds to start
        Extension.load(shell)
        yield shell
        Extension.unload(shell)
        assert shell.Completer.custom_matchers == []
        shell.history_manager.end_session()
