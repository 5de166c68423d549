"""What the doctor says of jobs that wait: nothing while something will wake them."""

from __future__ import annotations

import pytest

from ironforge.doctor.waits import KEEP, LATE_SECONDS, NODE_WAKES, waiters
from ironforge.job.record import format_id
from ironforge.redis.connection import DoorConnection
from tests.store.kit import HOUR_MS, Cluster, now_ms
from tests.store.steps.waiting import hour_from_now, parked


async def told(cluster: Cluster) -> list[tuple[str, str, str]]:
    async with DoorConnection(cluster.url, cluster.keys.prefix) as link:
        return [(each.level, each.message, each.fix) for each in await waiters(link, cluster.keys)]


@pytest.mark.parametrize("what", ["sleep", "event"])
async def test_one_that_waits_is_well(cluster: Cluster, what: str) -> None:
    await parked(cluster, what, "paid" if what == "event" else "", hour_from_now())  # type: ignore[arg-type]
    assert await told(cluster) == [("ok", "1 job in state waiting, and what they wait for wakes them", "")]


@pytest.mark.parametrize("what", ["sleep", "event"])
async def test_one_whose_time_was_over_long_ago_needs_a_node(cluster: Cluster, what: str) -> None:
    until_ms = now_ms() - round(LATE_SECONDS * 1000) - 1_000
    await parked(cluster, what, "paid" if what == "event" else "", until_ms)  # type: ignore[arg-type]
    ((level, message, fix),) = await told(cluster)
    assert (level, fix) == ("warn", NODE_WAKES)
    assert message.startswith("what a waiting job waits for has been there for 1")


async def test_one_that_missed_its_event_is_named(cluster: Cluster) -> None:
    _, one = await parked(cluster, "event", "paid", hour_from_now())
    await cluster.store_client.events.send("paid", b"7", HOUR_MS)
    assert [level for level, _, _ in await told(cluster)] == ["ok"]  # a node is about to wake it
    cluster.raw.delete(cluster.keys.wake)
    message = f"job {format_id(one.id)} waits for event paid, which is there"
    assert await told(cluster) == [("fail", message, KEEP)]
    cluster.raw.delete(cluster.keys.event("paid"))


async def test_one_that_its_event_would_not_reach_is_named(cluster: Cluster) -> None:
    _, one = await parked(cluster, "event", "paid", hour_from_now())
    cluster.raw.srem(cluster.keys.event_waiters("paid"), one.id)
    message = f"job {format_id(one.id)} waits for event paid, which would not reach it"
    assert await told(cluster) == [("fail", message, KEEP)]
