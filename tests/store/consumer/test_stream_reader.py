"""Reading jobs: at most what was asked, by priority, and nothing that the server delivered is forgotten."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.job.record import encode
from ironforge.store.consumer import stream_selector
from ironforge.store.consumer.stream_reader import enough
from tests.store.kit import Cluster, Node, completed, job, job_in, stream_of


def deliver_unheard(cluster: Cluster, node: Node, count: int) -> None:
    """The server delivers to this node, and the reply gets lost."""
    cluster.raw.xreadgroup("nodes", node.lease.node, {cluster.keys.stream("default:2"): ">"}, count=count)


async def test_fetch_takes_at_most_what_was_asked_and_strictly_by_priority(cluster: Cluster) -> None:
    cluster.with_settings(queues=("a", "b"))
    node = await cluster.node()
    await cluster.submit(*[job(queue, priority) for priority in (3, 1, 2, 0) for queue in ("b", "a")])
    streams = [stream_of(delivery) for delivery in await node.work.fetch(5)]
    assert streams == ["a:0", "b:0", "a:1", "b:1", "a:2"]
    assert [stream_of(delivery) for delivery in await node.work.fetch(5)] == ["b:2", "a:3", "b:3"]
    assert await node.work.fetch(5) == []


async def test_a_delivery_carries_the_record_as_submitted(cluster: Cluster) -> None:
    one = job()
    node = await cluster.node()
    await cluster.submit(one)
    ((stream, _, record),) = await node.work.fetch(1)
    assert stream == "default:2"
    assert record == encode(one)


async def test_wait_returns_as_soon_as_a_job_comes(cluster: Cluster) -> None:
    node = await cluster.node()
    waiting = asyncio.create_task(node.work.wait(8, 30))
    one = job(priority=3)
    await cluster.submit(one)
    (delivery,) = await waiting
    assert job_in(delivery) == one


async def test_wait_ends_when_its_time_is_over(cluster: Cluster) -> None:
    node = await cluster.node()
    assert await node.work.wait(8, 0.01) == []
    assert await node.work.wait(8, 0) == []


async def test_groups_that_were_flushed_are_made_again_from_the_beginning(cluster: Cluster) -> None:
    node = await cluster.node()
    cluster.raw.delete(*cluster.raw.keys(cluster.keys.prefix + "*"))
    one = job()
    await cluster.submit(one)
    (delivery,) = await node.work.fetch(5)
    assert job_in(delivery) == one
    cluster.checked = False


async def test_what_a_broken_fetch_had_been_given_comes_with_the_next(cluster: Cluster) -> None:
    """A reply that is lost with its connection has made the jobs pending: nobody else would ever run them."""
    node = await cluster.node()
    jobs = [job() for _ in range(3)]
    await cluster.submit(*jobs)
    (known,) = await node.work.fetch(1)
    deliver_unheard(cluster, node, 2)
    cluster.raw.client_kill_filter(_type="normal", skipme=True)
    got = [job_in(delivery).id for delivery in await node.work.fetch(1)]
    got += [job_in(delivery).id for delivery in await node.work.wait(5, 1)]
    assert job_in(known).id == jobs[0].id
    assert got == [jobs[1].id, jobs[2].id]


async def test_a_cancelled_wait_loses_no_job(cluster: Cluster) -> None:
    node = await cluster.node()
    await node.work.fetch(1)
    waiting = asyncio.create_task(node.work.wait(5, 30))
    while not cluster.raw.info("clients")["blocked_clients"]:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    one = job()
    await cluster.submit(one)
    assert [job_in(delivery) for delivery in await node.work.wait(5, 5)] == [one]


async def test_the_audit_pages_over_what_the_node_holds(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*[job() for _ in range(1_203)])
    held = await node.work.fetch(1_200)
    deliver_unheard(cluster, node, 2)
    cluster.raw.client_kill_filter(_type="normal", skipme=True)
    got = await node.work.fetch(10)
    assert len({job_in(one).id for one in [*held, *got]}) == 1_203


async def test_fetch_and_settle_from_many_tasks_keep_their_replies_apart(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*[job(kind=f"k{n}") for n in range(300)])

    async def one_by_one() -> int:
        count = 0
        while deliveries := await node.work.fetch(7):
            await node.work.settle([completed(delivery) for delivery in deliveries])
            count += len(deliveries)
        return count

    assert sum(await asyncio.gather(*(one_by_one() for _ in range(5)))) == 300


async def test_an_entry_that_lost_its_body_is_not_found_again(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job())
    deliver_unheard(cluster, node, 1)
    stream = cluster.keys.stream("default:2")
    ((entry, _),) = cluster.raw.xrange(stream)
    cluster.raw.xdel(stream, entry)
    cluster.raw.client_kill_filter(_type="normal", skipme=True)
    assert await node.work.fetch(1) == []
    cluster.raw.xack(stream, "nodes", entry)
    cluster.checked = False


async def test_a_node_waits_when_none_of_its_keys_is_a_stream(cluster: Cluster) -> None:
    node = await cluster.node()
    streams = cluster.keys.streams(["default"])
    cluster.raw.delete(*streams)
    cluster.raw.mset(dict.fromkeys(streams, "no stream"))
    waiting = asyncio.create_task(node.work.fetch(1))
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done
    cluster.raw.delete(*streams)
    assert await waiting == []


async def test_plenty_is_read_from_all_streams_and_never_too_much(cluster: Cluster) -> None:
    cluster.raw.delete(cluster.keys.groups, *cluster.keys.streams(["default"]))
    node = await cluster.node()
    await cluster.submit(*[job(priority=priority) for priority in (3, 2, 2, 1) for _ in range(30)])
    sizes = []
    while deliveries := await node.work.fetch(50):
        sizes.append(len(deliveries))
        await node.work.settle([completed(delivery) for delivery in deliveries])
    assert sum(sizes) == 120
    assert max(sizes) <= 50
    cluster.raw.delete(cluster.keys.groups, *cluster.keys.streams(["default"]))
    await cluster.submit(job())
    assert len(await node.work.fetch(50)) == 1 or len(await node.work.fetch(50)) == 1


async def test_the_last_few_of_many_are_not_worth_a_trip_of_their_own(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*[job(priority=2) for _ in range(1_000)])
    await node.work.fetch(300)  # from here on it is known which stream is the busiest

    cluster.raw.config_resetstat()
    jobs = await node.work.fetch(300)
    reads = cluster.raw.info("commandstats")["cmdstat_xreadgroup"]["calls"]

    streams = cluster.keys.streams(["default"])
    assert reads == streams.index(cluster.keys.stream("default:2")) + 1
    assert 300 - len(streams) <= len(jobs) <= 300


async def test_few_are_given_to_the_last_one(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*[job(priority=2) for _ in range(100)])

    assert [len(await node.work.fetch(31)) for _ in range(4)] == [31, 31, 31, 7]


@given(st.integers(0, 1_000), st.integers(0, 1_000))
def test_what_is_enough_lacks_little_of_many_and_nothing_of_few(found: int, want: int) -> None:
    assert enough(want, want)
    if enough(found, want) and found < want:
        assert want >= 32
        assert found > 0.9 * want


@pytest.mark.parametrize("want", [1, 100])
async def test_the_last_stream_goes_on_when_those_before_it_are_paused(
    cluster: Cluster, want: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it was the busiest, and its number is none any more."""
    monkeypatch.setattr(stream_selector, "LOOK_SECONDS", 0.0)
    cluster.with_settings(queues=("other", "default"))
    node = await cluster.node()
    for paused in (False, True):
        await cluster.store_client.producer.set_paused("other", paused=paused)
        one = job(priority=3)
        await cluster.submit(one)
        assert [job_in(delivery).id for delivery in await node.work.fetch(want)] == [one.id]
