"""Runs of a parent that are stopped anywhere: each child is submitted once, and none is left out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironforge.store import Submission
from ironforge.store.steps import children
from tests.store.kit import Cluster, completed, job_in, rewrite, settle
from tests.store.steps.family import STEP, Family, begun, die, finish, plain, sweep


class Stopped(Exception):
    """What ends a run in the middle."""


def stopping_at(index: int) -> Callable[[int], Submission]:
    def make(at: int) -> Submission:
        if at == index:
            raise Stopped
        return plain(at)

    return make


class Life:
    """Of one parent with so many children, run by run."""

    def __init__(self, cluster: Cluster, family: Family, count: int) -> None:
        self.cluster = cluster
        self.family = family
        self.count = count

    async def run(self, stop_at: int, ending: str, ends: int) -> None:
        """One that stops in front of this child, then `ends` children end, and the parent is taken up again."""
        with contextlib.suppress(Stopped):
            await self.family.submit(self.count, stopping_at(stop_at))
        await finish(self.family, min(ends, len(self.family.open())))
        if ending == "dies":
            await die(self.family)
            await self.cluster.store_client.producer.retry(self.family.id, reset_retry_count=True)
            await sweep(self.family)
        else:
            await self.family.node.work.requeue([rewrite(self.family.finished())])
        deliveries = await self.family.node.work.fetch(1_000)
        (own,) = [each for each in deliveries if job_in(each).id == self.family.id]
        await self.family.node.work.requeue([rewrite(each) for each in deliveries if each != own])
        self.family = Family(self.cluster, self.family.node, own)

    async def complete(self) -> None:
        await self.family.submit(self.count)
        while self.family.open():
            await settle(self.family.node, await self.family.node.work.fetch(1_000))
            await sweep(self.family)
        results = await self.family.results()
        assert [each.parent and each.parent.index for each in results] == list(range(self.count))
        assert {each.ended for each in results} <= {"completed"}
        done = [name.rpartition(".")[0] for name, each in self.family.records().items() if each.ended == "completed"]
        assert sorted(done) == sorted(f"{STEP}\n{index}" for index in range(self.count))
        await self.family.node.work.settle([completed(self.family.finished())])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(0, 9),
    at_once=st.integers(1, 4),
    runs=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["stops", "dies"]), st.integers(0, 4)), max_size=4),
)
def test_each_child_completes_once(
    server: str, monkeypatch: pytest.MonkeyPatch, count: int, at_once: int, runs: list[tuple[int, str, int]]
) -> None:
    async def live() -> None:
        cluster = Cluster(server)
        life = Life(cluster, await begun(cluster), count)
        for run in runs:
            await life.run(*run)
        await life.complete()
        await cluster.close()

    monkeypatch.setattr(children, "AT_ONCE", at_once)
    asyncio.run(live())
