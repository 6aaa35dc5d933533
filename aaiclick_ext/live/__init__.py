"""Live results: who watches what, what has changed, and how they are told."""

from __future__ import annotations

from aaiclick_ext.live.change import Change
from aaiclick_ext.live.making import live_result
from aaiclick_ext.live.manager import LiveQueryManager
from aaiclick_ext.live.result import LiveResult, LiveState
from aaiclick_ext.live.subscription import Subscription

__all__ = [
    "Change",
    "LiveQueryManager",
    "LiveResult",
    "LiveState",
    "Subscription",
    "live_result",
]
