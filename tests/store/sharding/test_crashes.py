"""Submissions of one idempotency key that lead to different shards, in any order of their steps, some of which crash:
there is one job at most, every answer is about it, and a repetition finds it or makes it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironforge.errors import IdempotencyConflict, InvalidJob
from ironforge.job.record import Job, new_id, tail_of
from ironforge.redis.shards import shards_of
from ironforge.store import Accepted, Submission
from ironforge.store.contract import Most
from ironforge.store.producer.producer import RedisProducer
from ironforge.store.producer.routes import Route
from ironforge.store.sharding import ShardedProducer
from tests.store.kit import Cluster, job
from tests.store.sharding.kit import SHARDS, lengths, limited, text_in, unique

PLAIN, REFUSED = SHARDS, SHARDS + 1
_numbers = itertools.count()


class Steps:
    """Lets submissions do one call to a shard at a time."""

    def __init__(self) -> None:
        self._turns: dict[asyncio.Task[Any], asyncio.Event] = {}

    async def turn(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._turns[task] = asyncio.Event()
        await self._turns[task].wait()

    async def step(self, task: asyncio.Task[Any]) -> None:
        """Until it wants to do its next call, or has ended."""
        turn = self._turns.pop(task, None)
        if turn is not None:
            turn.set()
        while task not in self._turns and not task.done():
            await asyncio.sleep(0)


class SteppedShard(RedisProducer):
    steps: Steps

    async def submit(
        self, batch: Sequence[Submission], *, most: Most | None = None, generations: Mapping[str, int] = {}
    ) -> list[Accepted]:
        await self.steps.turn()
        answers = await super().submit(batch, most=most, generations=generations)
        await self.steps.turn()  # crashes have the answer lost as well
        return answers

    async def route(self, idempotency_key: str, route: Route) -> Route | None:
        await self.steps.turn()
        return await super().route(idempotency_key, route)


class Race:
    """Submissions under one key. `contents`: those with a unique key, by its shard, or `PLAIN`, or `REFUSED`."""

    def __init__(self, cluster: Cluster, home: int) -> None:
        self.cluster = cluster
        self.steps = Steps()
        self.parts = [SteppedShard(cluster.settings, keys, _on_pause) for keys in shards_of(cluster.settings)]
        for part in self.parts:
            part.steps = self.steps
        self.producer = ShardedProducer(self.parts)
        self.number = next(_numbers)
        self.key = text_in(home, f"key{self.number}-")
        self.contents: dict[asyncio.Task[list[Accepted]], int] = {}
        self.before = sum(lengths(cluster))

    def job(self, content: int) -> Job:
        if content == PLAIN:
            return job(id=new_id(tail_of(self.key)))
        text = text_in(content % SHARDS, f"text{self.number}-")
        return limited(text, "none") if content == REFUSED else unique(text)

    def begin(self, content: int) -> asyncio.Task[list[Accepted]]:
        item = Submission(self.job(content), idempotency_key=self.key, fingerprint=b"%d" % content)
        task = asyncio.create_task(self.producer.submit([item]))
        self.contents[task] = content
        return task

    async def end(self) -> None:
        """Those that have not crashed go on by turns until all have an answer."""
        while going := [task for task in self.contents if not task.done()]:
            for task in going:
                await self.steps.step(task)

    def accepted(self) -> set[tuple[int, bytes]]:
        """Content and id of every answer. Only what is refused, or a conflict, has none."""
        found = set()
        for task, content in self.contents.items():
            if task.cancelled():
                continue
            error = task.exception()
            if error is None:
                found.add((content, task.result()[0].id))
            else:
                assert isinstance(error, IdempotencyConflict) or (content == REFUSED and isinstance(error, InvalidJob))
        return found

    async def close(self) -> None:
        for part in self.parts:
            await part.close()


def _on_pause(_queue: str, *, paused: bool) -> None:
    raise AssertionError(paused)


CONTENTS = st.integers(0, REFUSED)
# To begin one with this content; to let the n-th go on by one call; to have it crash in front of its next call.
ACTIONS = st.lists(
    st.tuples(st.just("begin"), CONTENTS) | st.tuples(st.sampled_from(["step", "crash"]), st.integers(0, 9)),
    max_size=40,
)


async def run(cluster: Cluster, home: int, actions: list[tuple[str, int]], last: int) -> None:
    race = Race(cluster, home)
    for what, number in actions:
        going = [task for task in race.contents if not task.done()]
        if what == "begin":
            await race.steps.step(race.begin(number))
        elif going and what == "step":
            await race.steps.step(going[number % len(going)])
        elif going:
            going[number % len(going)].cancel()
            await asyncio.wait([going[number % len(going)]])
    await race.end()
    for more in range(REFUSED + 1):
        race.begin((last + more) % (REFUSED + 1))
        await race.end()
    assert sum(lengths(cluster)) - race.before == 1
    assert len(race.accepted()) == 1
    await race.close()


@pytest.mark.unmeasured
@pytest.mark.parametrize("home", range(SHARDS))
def test_one_submission_is_stored_whatever_crashes_in_whatever_order(server: str, home: int) -> None:
    loop = asyncio.new_event_loop()
    cluster = Cluster(server)
    cluster.with_settings(shards=SHARDS)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(ACTIONS, CONTENTS)
    def check(actions: list[tuple[str, int]], last: int) -> None:
        loop.run_until_complete(run(cluster, home, actions, last))

    check()
    loop.run_until_complete(cluster.close())
    loop.close()
