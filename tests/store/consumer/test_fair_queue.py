"""The turns against a model with exact fractions: whatever is submitted and fetched, in whatever order."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironforge.job.record import Job
from tests.store.kit import Cluster, completed, job_in, keyed

MOVES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(1, 6), st.sampled_from([1, 2, 4])),
        st.integers(1, 6),
    ),
    max_size=30,
)


class Model:
    """Start-time fair queueing with exact fractions. `ahead`: the one that was let go to wake a node."""

    def __init__(self) -> None:
        self.ahead: list[bytes] = []
        self.stream: list[bytes] = []
        self.waiting: list[tuple[Fraction, bytes]] = []
        self.forget()

    def forget(self) -> None:
        self.now = self.plain_end = Fraction(0)
        self.ends: dict[str, Fraction] = {}

    def submit(self, one: Job) -> None:
        if not one.fairness_key or not (self.waiting or self.stream):
            self.stream.append(one.id)
            return
        start = max(self.now, self.ends.get(one.fairness_key, self.now))
        self.ends[one.fairness_key] = start + Fraction(1, one.fairness_weight)
        self.waiting = sorted([*self.waiting, (start, one.id)])

    def release(self) -> bytes:
        start, job_id = self.waiting.pop(0)
        self.now = max(self.now, start)
        if not self.waiting:
            self.forget()
        return job_id

    def fetch(self, want: int) -> list[bytes]:
        taken, self.ahead = self.ahead[:want], self.ahead[want:]
        keyed, plain = [], []
        while self.waiting and len(taken + keyed + plain) < want:
            own = max(self.now, self.plain_end)
            if self.stream and own <= self.waiting[0][0]:
                self.now, self.plain_end = own, own + 1
                plain.append(self.stream.pop(0))
            else:
                keyed.append(self.release())
        taken += keyed + plain
        rest = want - len(taken)
        taken, self.stream = taken + self.stream[:rest], self.stream[rest:]
        if self.waiting and not self.ahead:
            self.ahead.append(self.release())
        return taken


@pytest.mark.unmeasured
def test_turns_are_those_of_start_time_fair_queueing(server: str) -> None:
    @settings(max_examples=settings.default.max_examples // 4, suppress_health_check=list(HealthCheck))
    @given(moves=MOVES)
    def follow(moves: list[Any]) -> None:
        asyncio.run(_follow(server, moves))

    follow()


async def _follow(server: str, moves: list[Any]) -> None:
    cluster, model = Cluster(server), Model()
    node = await cluster.node()
    for move in [*moves, *[6] * 40]:
        if isinstance(move, int):
            deliveries = await node.work.fetch(move)
            assert [job_in(delivery).id for delivery in deliveries] == model.fetch(move)
            await node.work.settle([completed(delivery) for delivery in deliveries])
        else:
            key, count, weight = move
            batch = keyed(key, count, weight if key else 1)
            await cluster.submit(*batch)
            for one in batch:
                model.submit(one)
    assert [*model.ahead, *model.stream, *model.waiting] == []
    await cluster.close()
