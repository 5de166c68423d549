"""Reading from several shards or namespaces: each is asked for its share, and one that is away holds up nobody.

Priorities are strict within a part. Between the shards of a namespace jobs are spread evenly, so they weigh the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

from ironforge.store.consumer.stream_reader import StreamReader, enough
from ironforge.store.node_contract import Delivery
from ironforge.store.sharding.fan_out import PATIENCE_SECONDS, FanOut, gather_all
from ironforge.store.sharding.weighted_fair import WeightedFairScheduler

MARGIN_SECONDS: Final = 1.0
WAKE_SECONDS: Final = 0.002
# Who wants many jobs asks so few parts that each gives at least so many: what a call costs a server by itself, 50 us
# with its settlement, is then little for each job. The others have their turn with the next calls, milliseconds later.
WORTH_A_CALL: Final = 250


class ShardedFetcher:
    """`fetch` and `wait` of `node_contract.Consumer`. A delivery's stream says which part gave it: `2/default:1`."""

    def __init__(self, parts: Sequence[StreamReader], weights: Sequence[int]) -> None:
        self._parts = parts
        self._rotation = WeightedFairScheduler(weights)
        self._reads: FanOut[list[Delivery]] = FanOut()
        self._found: list[Delivery] = []

    async def fetch(self, want: int) -> list[Delivery]:
        """Parts are asked for their shares, full ones for the rest."""
        self._keep(await self._reads.answers(timeout_seconds=0))
        eager = self._in_turn()
        left = max(0, want - len(self._found))
        shares = self._rotation.shares(eager[: left // WORTH_A_CALL] or eager, left)
        if any(shares.values()):
            given = await self._read({part: share for part, share in shares.items() if share})
            empty = {part for part, share in shares.items() if not enough(len(given.get(part, ())), share)}
            eager = self._rotation.order([part for part in eager if part not in empty])
        for part in eager:
            if enough(len(self._found), want):
                break
            await self._read({part: want - len(self._found)})
        return self._take(want)

    async def wait(self, want: int, timeout_seconds: float) -> list[Delivery]:
        """When one part has a job, the others are told to wait no longer."""
        self._keep(await self._reads.answers(timeout_seconds=0))
        if not self._found:
            try:
                await self._wait(want, timeout_seconds)
            except BaseException:
                await self._reads.stop()
                raise
        return self._take(len(self._found))

    async def close(self) -> None:
        await self._reads.stop()

    def _in_turn(self) -> list[int]:
        """The parts that can be asked now, the next one first."""
        return self._rotation.order([part for part in range(len(self._parts)) if not self._reads.asked(part)])

    async def _wait(self, want: int, timeout_seconds: float) -> None:
        waiting = self._in_turn()
        for part in waiting:
            self._reads.ask(part, self._parts[part].wait(max(1, want // len(self._parts)), timeout_seconds))
        patience = timeout_seconds + MARGIN_SECONDS
        self._keep(await self._reads.answers(return_when=asyncio.FIRST_COMPLETED, timeout_seconds=patience))
        await gather_all(self._wake(part) for part in waiting)
        self._keep(await self._reads.answers())

    async def _read(self, wanted: Mapping[int, int]) -> dict[int, list[Delivery]]:
        for part, want in wanted.items():
            self._reads.ask(part, self._parts[part].fetch(want))
        answers = await self._reads.answers()
        self._keep(answers)
        return answers

    async def _wake(self, part: int) -> None:
        """Again and again: the waiting may not have begun when the first call arrives."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self._reads.waiting(part):
                    await self._parts[part].wake()
                    await asyncio.sleep(WAKE_SECONDS)

    def _keep(self, answers: dict[int, list[Delivery]]) -> None:
        for part, deliveries in answers.items():
            self._rotation.took(part, len(deliveries))
            self._found += [(f"{part}/{stream}", entry, record) for stream, entry, record in deliveries]

    def _take(self, want: int) -> list[Delivery]:
        taken, self._found = self._found[:want], self._found[want:]
        return taken
