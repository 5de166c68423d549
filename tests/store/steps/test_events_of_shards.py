"""Events of a namespace with several shards: one decision, copied to all, whoever is interrupted meanwhile."""

from __future__ import annotations

import pytest

from ironforge.job.record import Job, new_id
from ironforge.redis.shards import shards_of
from ironforge.steps.journal import decode
from ironforge.store.steps import events
from tests.store.kit import HOUR_MS, Cluster, Node, completed, job, now_ms
from tests.store.steps.waiting import kept, waiting

SHARDS = 3


async def in_each_shard(cluster: Cluster, event: str) -> tuple[Node, list[Job]]:
    """A node, and a job in each shard that waits for this event."""
    cluster.with_settings(shards=SHARDS)
    jobs = [job(id=new_id(shard)) for shard in range(SHARDS)]
    node = await cluster.node()
    await cluster.submit(*jobs)
    await node.work.park_waiting([waiting(one, "event", event) for one in await node.work.fetch(SHARDS)])
    return node, jobs


def bodies(cluster: Cluster, jobs: list[Job]) -> list[bytes]:
    keys = shards_of(cluster.settings)
    return [decode(cluster.raw.hget(keys[one.id[-1]].steps(one.id.hex()), "pause")).result for one in jobs]


async def end(node: Node) -> None:
    await node.work.settle([completed(kept(one)) for one in await node.work.fetch(SHARDS)])


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
async def test_an_event_wakes_jobs_in_all_shards(cluster: Cluster, name: str) -> None:
    node, jobs = await in_each_shard(cluster, name)
    assert await cluster.store_client.events.send(name, b"7", HOUR_MS)
    assert not await cluster.store_client.events.send(name, b"8", HOUR_MS)
    assert (await node.work.promote()).moved == SHARDS
    assert bodies(cluster, jobs) == [b"7"] * SHARDS
    for keys in shards_of(cluster.settings):
        assert 0 < cluster.raw.pttl(keys.event(name)) <= HOUR_MS
        assert not cluster.raw.exists(keys.copies, keys.wake)
    await end(node)


async def test_nodes_copy_what_its_sender_did_not(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    node, jobs = await in_each_shard(cluster, "paid")

    async def nothing(*_: object) -> None:
        """The sender dies here."""

    with monkeypatch.context() as patch:
        patch.setattr(events, "copy_event", nothing)
        await cluster.store_client.events.send("paid", b"7", 1)
    moved = sum([(await node.work.promote()).moved for _ in range(2)])
    assert moved == SHARDS
    assert bodies(cluster, jobs) == [b"7"] * SHARDS
    assert not any(cluster.raw.exists(keys.event("paid"), keys.copies) for keys in shards_of(cluster.settings))
    await end(node)


async def test_to_copy_an_event_again_changes_nothing(cluster: Cluster) -> None:
    cluster.with_settings(shards=SHARDS)
    client = cluster.store_client
    await client.events.send("paid", b"7", HOUR_MS)
    before = [cluster.raw.get(keys.event("paid")) for keys in shards_of(cluster.settings)]
    await events.copy_event(client.events._shards, "paid")  # type: ignore[attr-defined]
    assert [cluster.raw.get(keys.event("paid")) for keys in shards_of(cluster.settings)] == before


async def test_an_older_event_of_the_name_does_not_come_in_place_of_a_newer_one(cluster: Cluster) -> None:
    cluster.with_settings(shards=SHARDS)
    client = cluster.store_client
    home = events.home_of("paid", SHARDS)
    await client.events.send("paid", b"7", HOUR_MS)
    older = b"%d:5" % (now_ms() + 1_000)
    cluster.raw.set(shards_of(cluster.settings)[home].event("paid"), older, px=60_000)
    await events.copy_event(client.events._shards, "paid")  # type: ignore[attr-defined]
    others = [cluster.raw.get(keys.event("paid")) for at, keys in enumerate(shards_of(cluster.settings)) if at != home]
    assert all(value.endswith(b":7") for value in others)
