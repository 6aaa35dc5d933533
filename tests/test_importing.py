"""Late imports of large packages: Ctrl-C ends the wait for one and leaves no part of it behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aaiclick_ext.importing import import_whole

PRESSED = """
import importlib.abc, os, signal, sys, time

class Presses(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

import aaiclick_ext as aai
with aai.DataContext() as ctx:
    ctx.engine.wait_open()
    sys.meta_path.insert(0, Presses())
    try:
        {first}
        print("not interrupted")
    except KeyboardInterrupt:
        pass
    {then}
"""


@pytest.mark.parametrize(
    ("module", "first", "then"),
    [
        ("sqlalchemy.sql.functions", "aai.session().open()",
         "with aai.session(): print('well')"),
        ("pandas._libs.ops_dispatch", "aai.create_object_from_value([1, 2])",
         "print('well' * len(aai.create_object_from_value([1]).to_pandas()))"),
    ],
)  # fmt: skip
def test_ctrl_c_in_the_middle_of_one_breaks_nothing(tmp_path, module, first, then):
    code = PRESSED.format(module=module, first=first, then=then)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False,
        env={"AAICLICK_STATE_DIR": f"{tmp_path}/s", "AAICLICK_SCRATCH_DIR": f"{tmp_path}/c"},
    )  # fmt: skip
    assert run.stdout == "well\n", run.stderr


def test_what_cannot_be_imported_is_an_error_of_who_asks():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        import_whole("no_such_module")
    import_whole("json")
