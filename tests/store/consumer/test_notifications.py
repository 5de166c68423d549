"""Signals: what is shouted is heard once, and whoever may have missed something is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ironforge.redis.server_locator import ServerLocator
from ironforge.store import Notification
from ironforge.store.consumer.notifications import RedisNotifications
from tests.store.kit import Cluster, job


@pytest.fixture
async def signals(cluster: Cluster) -> AsyncIterator[RedisNotifications]:
    signals = RedisNotifications(cluster.settings, cluster.keys)
    yield signals
    await signals.close()


async def test_cancellations_and_due_times_are_heard(cluster: Cluster, signals: RedisNotifications) -> None:
    heard = signals.listen()
    assert await anext(heard) == Notification("connected")
    node = await cluster.node()
    one = job()
    await cluster.submit(one)
    await node.work.fetch(1)
    await cluster.store_client.producer.cancel(one.id)
    await cluster.submit(job(), delay_ms=5_000)
    assert await anext(heard) == Notification("cancel", job_id=one.id)
    assert await anext(heard) == Notification("due", due_ms=5_000)


async def test_a_node_that_was_fenced_is_told(cluster: Cluster, signals: RedisNotifications) -> None:
    heard = signals.listen()
    await anext(heard)
    gone, heir = await cluster.node(), await cluster.node()
    cluster.lapse(gone)
    await heir.leases.take_over(heir.lease, gone.lease.node)
    assert await anext(heard) == Notification("fenced", node=gone.lease.node)


async def test_shouts_of_a_newer_version_are_passed_over(cluster: Cluster, signals: RedisNotifications) -> None:
    heard = signals.listen()
    await anext(heard)
    for shout in (b"what", b"due:soon", b"", b"due:7"):
        cluster.raw.publish(cluster.keys.signals, shout)
    assert await anext(heard) == Notification("due", due_ms=7)


async def test_one_that_is_closed_while_it_connects_is_not_left_open(
    cluster: Cluster, signals: RedisNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, find = asyncio.Event(), ServerLocator.find

    async def slowly(address: ServerLocator) -> str:
        await found.wait()
        return await find(address)

    monkeypatch.setattr(ServerLocator, "find", slowly)
    heard = asyncio.create_task(anext(signals.listen(), None))
    await asyncio.sleep(0)
    await signals.close()
    found.set()
    assert await heard is None
    assert cluster.raw.client_list("pubsub") == []


async def test_a_listener_that_was_cut_off_reconnects_and_says_so(
    cluster: Cluster, signals: RedisNotifications
) -> None:
    heard = signals.listen()
    assert await anext(heard) == Notification("connected")
    cluster.raw.client_kill_filter(_type="pubsub")
    assert await anext(heard) == Notification("connected")
    cluster.raw.publish(cluster.keys.signals, b"due:1")
    assert await anext(heard) == Notification("due", due_ms=1)


async def test_silence_is_answered_with_a_ping(cluster: Cluster) -> None:
    signals = RedisNotifications(cluster.settings, cluster.keys, silence_seconds=0.02)
    heard = signals.listen()
    await anext(heard)
    waiting = asyncio.ensure_future(anext(heard))
    cluster.raw.config_resetstat()
    while cluster.raw.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"] < 3:
        await asyncio.sleep(0.005)
    cluster.raw.publish(cluster.keys.signals, b"due:1")
    assert await waiting == Notification("due", due_ms=1)
    await signals.close()


@pytest.mark.parametrize("after", ["subscribe", "connect"])
async def test_a_server_that_stays_silent_is_given_up(cluster: Cluster, after: str) -> None:
    """A server that accepts and then says nothing: what is left of a host that lost its power."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\n")
        if after == "subscribe" or connections > 1:
            writer.write(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    cluster.with_settings(redis_url=f"redis://127.0.0.1:{port}")
    signals = RedisNotifications(cluster.settings, cluster.keys, silence_seconds=0.02)
    heard = signals.listen()
    assert await anext(heard) == Notification("connected")
    if after == "subscribe":
        assert await anext(heard) == Notification("connected")
    assert connections == 2
    await signals.close()
    server.close()
    await server.wait_closed()


async def test_listening_ends_with_close(signals: RedisNotifications) -> None:
    heard = signals.listen()
    await anext(heard)
    waiting = asyncio.ensure_future(anext(heard))
    await asyncio.sleep(0)
    await signals.close()
    with pytest.raises(StopAsyncIteration):
        await waiting
