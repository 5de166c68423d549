"""Paused queues: nodes take nothing of them, everything else goes on, and after the resumption nothing is missing."""

from __future__ import annotations

import asyncio
import time

import pytest

from ironforge.job.record import encode
from ironforge.redis.shards import shards_of
from ironforge.settings import load
from ironforge.store import Delivery, NodeStore, StoreClient, Submission
from ironforge.store.consumer import stream_selector
from tests.store.kit import Cluster, job, job_in, keyed, retry, stream_of

HOUR_SECONDS = 3600.0
LONG_SECONDS = 30.0


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every read asks first, so that each test knows what its node knows."""
    monkeypatch.setattr(stream_selector, "LOOK_SECONDS", 0.0)


async def pause(cluster: Cluster, *queues: str, paused: bool = True) -> None:
    for queue in queues:
        await cluster.store_client.producer.set_paused(queue, paused=paused)


def ids(deliveries: list[Delivery]) -> list[bytes]:
    return [job_in(delivery).id for delivery in deliveries]


@pytest.mark.parametrize("want", [1, 100])
@pytest.mark.parametrize("key", ["", "tenant"])
async def test_nothing_of_a_paused_queue_is_taken_whatever_its_priority(cluster: Cluster, want: int, key: str) -> None:
    cluster.with_settings(queues=("a", "b"))
    node = await cluster.node()
    held_up = [job("a", priority, fairness_key=key) for priority in range(4) for _ in range(2)]
    await pause(cluster, "a")
    await cluster.submit(*held_up)
    other = job("b", priority=3)
    await cluster.submit(other)
    assert ids(await node.work.fetch(want)) == [other.id]
    assert await node.work.fetch(want) == []
    assert await node.work.wait(want, 0.01) == []
    await pause(cluster, "a", paused=False)
    taken: list[bytes] = []
    while found := ids(await node.work.fetch(want)):
        taken += found
    assert set(taken) == {one.id for one in held_up}


async def test_pausing_and_resuming_twice_is_the_same_as_once(cluster: Cluster) -> None:
    await pause(cluster, "b", "a", "b")
    assert list((await cluster.store_client.inspector.stats()).paused) == ["a", "b"]
    await pause(cluster, "a", "b", "a", "never", paused=False)
    assert list((await cluster.store_client.inspector.stats()).paused) == []


async def test_a_node_whose_queues_are_all_paused_waits_and_asks_nothing_meanwhile(cluster: Cluster) -> None:
    node = await cluster.node()
    await pause(cluster, "default")
    await cluster.submit(job())
    await node.work.fetch(1)
    cluster.raw.config_resetstat()
    began = time.monotonic()
    assert await node.work.wait(1, 0.2) == []
    assert 0.2 <= time.monotonic() - began < LONG_SECONDS
    assert cluster.raw.info("commandstats")["cmdstat_smismember"]["calls"] == 1


async def test_a_node_that_waits_for_the_resumption_can_be_woken(cluster: Cluster) -> None:
    """As it is when another of the namespaces that it serves has a job."""
    idle, busy = cluster.settings.namespace, cluster.settings.namespace + "-other"
    await pause(cluster, "default")
    await cluster.submit(job())
    one = job()
    store_client = StoreClient(load({}, redis_url=cluster.url, namespace=busy))
    store = NodeStore(load({}, redis_url=cluster.url, namespaces=(idle, busy)))
    work = store.work(await store.leases.join())
    waiting = asyncio.create_task(work.wait(1, LONG_SECONDS))
    while not cluster.raw.info("clients")["blocked_clients"]:
        await asyncio.sleep(0)
    began = time.monotonic()
    await store_client.producer.submit([Submission(one)])
    assert ids(await waiting) == [one.id]
    assert time.monotonic() - began < LONG_SECONDS / 3
    await store.close()
    await store_client.close()
    cluster.checked = False


async def test_a_retry_that_falls_due_waits_in_its_stream(cluster: Cluster) -> None:
    node = await cluster.node()
    one = job()
    await cluster.submit(one)
    (delivery,) = await node.work.fetch(1)
    await pause(cluster, "default")
    await node.work.park([retry(delivery, delay_ms=60_000)])
    delayed = job()
    await cluster.submit(delayed, delay_ms=60_000)
    cluster.ripen()
    assert (await node.work.promote()).moved == 2
    assert set(cluster.entries()) == {one.id, delayed.id}
    assert await node.work.fetch(5) == []
    await pause(cluster, "default", paused=False)
    assert set(ids(await node.work.fetch(5))) == {one.id, delayed.id}


async def test_what_a_dead_node_held_of_a_paused_queue_goes_back_and_waits(cluster: Cluster) -> None:
    gone, heir = await cluster.node(), await cluster.node()
    one = job()
    await cluster.submit(one)
    await gone.work.fetch(1)
    await pause(cluster, "default")
    cluster.lapse(gone)
    assert await heir.leases.take_over(heir.lease, gone.lease.node) == 1
    assert await heir.work.fetch(5) == []
    assert await cluster.state(one) == "queued"
    await pause(cluster, "default", paused=False)
    assert ids(await heir.work.fetch(5)) == [one.id]


async def test_a_delivery_whose_reply_was_lost_is_the_nodes_also_after_the_pause(cluster: Cluster) -> None:
    node = await cluster.node()
    assert await node.work.fetch(1) == []
    one = job()
    await cluster.submit(one)
    cluster.raw.xreadgroup("nodes", node.lease.node, {cluster.keys.stream("default:2"): ">"})
    await pause(cluster, "default")
    await cluster.submit(job())
    cluster.raw.client_kill_filter(_type="normal", skipme=True)
    assert ids(await node.work.fetch(5)) == [one.id]


async def test_what_is_overdue_in_a_paused_queue_gets_no_share(cluster: Cluster) -> None:
    cluster.with_settings(starvation_seconds=HOUR_SECONDS, queues=("a", "b"))
    node = await cluster.node()
    for number in range(1, 21):
        late = job("a", priority=3)
        cluster.raw.xadd(cluster.keys.stream(late.stream), {"j": encode(late)}, id=f"{number}-1")
        cluster.raw.hset(cluster.keys.index, late.id, f"q:{late.stream}:{number}-1")
    await cluster.submit(*[job("b", priority=0) for _ in range(16)])
    assert [stream_of(delivery) for delivery in await node.work.fetch(8)].count("b:0") == 6
    await pause(cluster, "a")  # what was overdue is still known from the last look
    assert [stream_of(delivery) for delivery in await node.work.fetch(8)] == ["b:0"] * 8


async def test_turns_go_on_where_they_were(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*keyed("big", 20), *keyed("small", 2))
    before = [job_in(one).fairness_key for one in await node.work.fetch(3)]
    await pause(cluster, "default")
    assert await node.work.fetch(3) == []
    await pause(cluster, "default", paused=False)
    after = [job_in(one).fairness_key for one in await node.work.fetch(3)]
    assert [*before, *after].count("small") == 2


async def test_groups_that_were_flushed_are_made_again_also_of_paused_queues(cluster: Cluster) -> None:
    cluster.with_settings(queues=("a", "b"))
    node = await cluster.node()
    cluster.raw.delete(*cluster.raw.keys(cluster.keys.prefix + "*"))
    await pause(cluster, "a")
    other = job("b")
    await cluster.submit(job("a"), other)
    assert ids(await node.work.fetch(5)) == [other.id]
    await pause(cluster, "a", paused=False)
    assert len(await node.work.fetch(5)) == 1
    cluster.checked = False


async def test_every_shard_knows(cluster: Cluster) -> None:
    cluster.with_settings(shards=3)
    node = await cluster.node()
    await pause(cluster, "default")
    jobs = [job() for _ in range(30)]
    for one in jobs:
        await cluster.submit(one)
    assert sum(cluster.raw.sismember(keys.paused, "default") for keys in shards_of(cluster.settings)) == 3
    assert await node.work.fetch(100) == []
    assert await node.work.wait(100, 0.01) == []
    assert list((await cluster.store_client.inspector.stats()).paused) == ["default"]
    await pause(cluster, "default", paused=False)
    taken: list[bytes] = []
    while len(taken) < len(jobs):
        taken += ids(await node.work.fetch(100))
    assert set(taken) == {one.id for one in jobs}
