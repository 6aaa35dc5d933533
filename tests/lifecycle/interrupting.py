"""Ctrl-C at every place in some code where Python can raise it, one after another."""

from __future__ import annotations

import dis
import functools
import sys

CHECKED = {"RESUME", "JUMP_BACKWARD", "CALL", "CALL_KW", "CALL_FUNCTION_EX"}
"""The instructions after which Python runs signal handlers."""


def interrupt_at(place, code, call):
    """Raise KeyboardInterrupt at a place in `code` where a signal can; say if there was one."""
    places = 0
    before: dict[object, str] = {}

    def trace(frame, event, _):
        nonlocal places
        if frame.f_code not in code:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            last, before[frame] = before.get(frame), _opnames(frame.f_code)[frame.f_lasti]
            if last in CHECKED and before[frame] != "PUSH_EXC_INFO":  # the call returned
                places += 1
                if places == place:
                    raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
        before.clear()  # frames, and what is in them
    return False


def code_of(*classes):
    """Return the code of all methods of some classes."""
    return {f.__code__ for cls in classes for f in vars(cls).values() if hasattr(f, "__code__")}


@functools.cache
def _opnames(code):
    return {op.offset: op.opname for op in dis.get_instructions(code)}
