"""Nodes that are killed at any moment while parents submit children, wait for them and read what became of them."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from ironforge.job.record import JobState
from tests.store.kit import Cluster, job
from tests.support.waiting import until


class Nodes:
    """One process at a time."""

    def __init__(self, cluster: Cluster, count: int) -> None:
        settings = msgspec.json.encode(cluster.settings).decode()
        self._command = [sys.executable, "-m", "tests.store.steps.family_node", settings, str(count)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


async def life(cluster: Cluster, count: int, kills: int) -> float:
    """Of one parent; how many seconds it took until it ran again after its last child had ended."""
    cluster.with_settings(crash_budget=100, lease_seconds=1.0)
    parent = job(kind="parent")
    await cluster.submit(parent)
    nodes = Nodes(cluster, count)
    moments = sorted(random.sample(range(2 * count), kills))

    def progress() -> int:
        totals = cluster.totals()
        return totals.get("submitted", 0) - 1 + totals.get("completed", 0)

    try:
        for moment in moments:
            nodes.start()
            await until(lambda: progress() >= moment, f"{moment} submissions and ends")  # noqa: B023 - at once
            nodes.kill()
        nodes.start()
        await until(lambda: cluster.totals().get("completed", 0) >= count, "all children")
        since = time.monotonic()
        await until(lambda: cluster.totals()["completed"] == count + 1, "the parent")
        return time.monotonic() - since
    finally:
        nodes.kill()
        for name in cluster.raw.zrange(cluster.keys.nodes, 0, -1):
            cluster.raw.zadd(cluster.keys.nodes, {name: 1})
        heir = await cluster.node()
        for name in heir.leases.beat(heir.lease):
            await heir.leases.take_over(heir.lease, name)
        totals = cluster.totals()
        assert (totals["submitted"], totals["completed"]) == (count + 1, count + 1)
        assert await heir.work.audit_families() == 0
        assert await cluster.state(parent) is JobState.COMPLETED
        assert cluster.raw.zcard(cluster.keys.wake) == 0


async def test_each_child_ends_once_whatever_is_killed(cluster: Cluster) -> None:
    await life(cluster, 2_000, 4)


@pytest.mark.proof
@pytest.mark.timeout(900)
async def test_a_parent_of_100_000_children_goes_on_soon_after_the_last(cluster: Cluster) -> None:
    assert await life(cluster, 100_000, 3) <= 4.0
