"""Binder's image loads the extension by itself."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

BINDER = Path(__file__).parent.parent / "binder"


def test_post_build_loads_the_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    runpy.run_path(str(BINDER / "postBuild"))
    written = tmp_path / "prefix" / "etc" / "ipython" / "ipython_config.py"
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_config.py").write_text(written.read_text())
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=NoColor", "-c", "%unload_ext aaiclick_ext"],
        env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "not loaded" not in done.stdout + done.stderr


def test_post_build_can_be_run():
    assert os.access(BINDER / "postBuild", os.X_OK)


def test_the_package_itself_is_installed():
    assert "." in (BINDER / "requirements.txt").read_text().split()
