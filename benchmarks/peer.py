"""The `aaiclick` package, run by its own interpreter: asked by lines of JSON, answers likewise.

``.venv-aaiclick/bin/python -m benchmarks.peer ROWS``. The other side is
`benchmarks.contestants.aaiclick_process`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from aaiclick import create_object_from_value
from aaiclick.data import Agg, Object
from aaiclick.data.object_context import object_context

from benchmarks import data

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Peer:
    """The cases, as the package's own documentation writes them."""

    step = 0
    _large: Object | None = None

    async def prepare(self, rows: int) -> None:
        self.facts_given = data.facts(rows).to_pydict()
        self.facts = await create_object_from_value(self.facts_given)
        self.keys = await create_object_from_value(data.keys().to_pydict())
        self.values = await create_object_from_value(data.values(rows).tolist())

    async def query_first(self) -> float:
        return _rows(await self.facts.view(where=f"k != {0.5 + self.step}", limit=10).data())

    async def query_again(self) -> float:
        return _rows(await self.facts.view(where="k = 7", limit=10).data())

    query_rebuilt = query_again

    async def chain(self) -> float:
        a = self.values
        return float(await ((((a + 1) * 2 - 3) / 4) ** 2).mean().data())

    async def large(self) -> Object:
        if self._large is None:
            self._large = await self.facts.concat(*[self.facts] * (data.LARGE - 1))
        return self._large

    async def group(self) -> float:
        return await self._group(self.facts)

    async def group_large(self) -> float:
        return await self._group(await self.large())

    async def join(self) -> float:
        return await self._join(self.facts)

    async def join_large(self) -> float:
        return await self._join(await self.large())

    async def _group(self, t: Object) -> float:
        made = await t.group_by("k").agg(
            {"x": [Agg("sum", "total"), Agg("mean", "mean")], "n": "count"}
        )
        return sum((await made.data(limit=None))["total"])

    async def _join(self, t: Object) -> float:
        joined = await t.join(self.keys, on="k")
        made = await joined.group_by("region").agg({"x": [Agg("sum", "total")]})
        return sum((await made.data(limit=None))["total"])

    async def create(self) -> float:
        return float(await create_object_from_value(self.facts_given) is not None)

    async def fetch(self) -> float:
        return _rows(await self.facts.data(limit=None))


def _rows(columns: dict[str, list[Any]]) -> float:
    return float(len(columns["id"]))


async def _timed(task: Callable[[], Awaitable[float]]) -> tuple[float, float]:
    gc.disable()
    try:
        started = time.perf_counter()
        answer = await task()
        return time.perf_counter() - started, answer
    finally:
        gc.enable()


@object_context()
async def serve(rows: int) -> None:
    """Answer requests until standard input ends."""
    peer = Peer()
    await peer.prepare(rows)
    print(json.dumps({"ready": True}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        request = json.loads(line)
        try:
            peer.step = request["step"]
            elapsed_s, answer = await _timed(getattr(peer, request["case"]))
            reply: dict[str, Any] = {"elapsed_s": elapsed_s, "answer": answer}
        except Exception as error:  # noqa: BLE001  whatever it cannot do is said in the table
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
