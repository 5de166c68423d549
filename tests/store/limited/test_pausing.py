"""Limits over several queues, some of which are paused or served by none."""

from __future__ import annotations

import pytest

from tests.store.kit import Cluster, Node, ids_in, limited, settle


@pytest.fixture
async def node(one: Cluster) -> Node:
    one.with_settings(queues=("default", "other"))
    return await one.node()


async def pause(cluster: Cluster, node: Node, *, paused: bool = True) -> None:
    await cluster.store_client.producer.set_paused("other", paused=paused)
    node.work.reader.selector.look_again()


@pytest.mark.parametrize("priority", [0, 2])
async def test_who_waits_in_a_paused_queue_lets_another_one_have_the_key(
    one: Cluster, node: Node, priority: int
) -> None:
    await one.submit(*limited(3, queue="other", priority=priority))
    await pause(one, node)
    ours = limited(2)
    await one.submit(*ours)
    held = await node.work.fetch(10)
    assert ids_in(held) == [ours[0].id]
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [ours[1].id]


async def test_they_have_their_turn_when_their_queue_goes_on(one: Cluster, node: Node) -> None:
    (theirs,) = limited(1, queue="other")
    await one.submit(theirs)
    await pause(one, node)
    (ours,) = limited(1)
    await one.submit(ours)
    held = await node.work.fetch(10)
    await pause(one, node, paused=False)
    assert await node.work.fetch(10) == []
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [theirs.id]


async def test_who_runs_when_its_queue_is_paused_holds_the_key_until_its_end(one: Cluster, node: Node) -> None:
    (theirs,), (ours,) = limited(1, queue="other"), limited(1)
    await one.submit(theirs)
    held = await node.work.fetch(10)
    await pause(one, node)
    await one.submit(ours)
    assert await node.work.fetch(10) == []
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [ours.id]


async def test_who_waits_in_a_queue_that_no_node_serves_lets_another_one_have_the_key(one: Cluster) -> None:
    node = await one.node()
    await one.submit(*limited(3, queue="unserved", priority=0))
    (ours,) = limited(1)
    await one.submit(ours)
    assert ids_in(await node.work.fetch(10)) == [ours.id]


async def test_a_place_that_is_freed_in_one_queue_goes_to_a_node_of_another(one: Cluster) -> None:
    node = await one.node()
    one.with_settings(queues=("other",))
    other = await one.node()
    (ours,), (theirs,) = limited(1), limited(1, queue="other")
    await one.submit(ours, theirs)
    held = await node.work.fetch(10)
    assert await other.work.fetch(10) == []
    await settle(node, held)
    assert await node.work.fetch(10) == []  # it was the first to hear that a place is free
    assert ids_in(await other.work.fetch(10)) == [theirs.id]
