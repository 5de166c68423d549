"""Jobs with limits whose kind a node does not know, and those that it cannot read at all."""

from __future__ import annotations

import msgspec
import pytest

from ironforge.errors import QueueFull
from ironforge.job.limits import Limit, Rate
from ironforge.job.record import RECORD_VERSION, Job, JobState, encode
from ironforge.store import Submission
from tests.store.declining import a_line, declined, ids, knowing
from tests.store.kit import Cluster, Node, ids_in, job, job_in, limited, now_ms, settle
from tests.store.suspects import held_by_dead, suspects
from tests.support.waiting import until


async def test_it_gives_its_place_to_the_next_one(one: Cluster) -> None:
    old = await one.node([])
    first, second = limited(2)
    await one.submit(first, second)
    held = await old.work.fetch(10)
    await old.work.decline([declined(each) for each in held])
    assert ids_in(await old.work.fetch(10)) == [second.id]


async def _is_paid_back(cluster: Cluster, remaining: int) -> None:
    """To the millisecond, which is what a holder's start is known by."""

    async def may_start() -> bool:
        return (await cluster.store_client.limits.key("one", "a")).remaining == remaining

    await until(may_start, "its rate to be paid back")


async def test_the_rate_is_paid_back(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=1)))
    (first,) = limited(1)
    await a_line(cluster, first)
    await _is_paid_back(cluster, 1)
    assert await ids(await knowing(cluster)) == [first.id]
    assert (await cluster.store_client.limits.key("one", "a")).remaining == 0


async def test_it_runs_when_a_node_knows_its_kind_and_its_key_has_room(one: Cluster) -> None:
    first, second = limited(1, kind="new")[0], limited(1, kind="old")[0]
    await a_line(one, first)
    other = await knowing(one, "old")
    await one.submit(second)
    held = await other.work.fetch(10)
    assert ids_in(held) == [second.id]
    new = await knowing(one, "new")
    assert await ids(new) == []
    await settle(other, held)
    new.work.reader.selector.look_again()
    assert await ids(new) == [first.id]


async def test_those_of_a_full_key_let_those_of_others_by(one: Cluster) -> None:
    await one.submit(*limited(1, kind="other"))
    other = await knowing(one, "other")
    await other.work.fetch(10)
    await one.store_client.limits.put("one", Limit(concurrency=100))
    behind, free = limited(60, kind="new"), limited(1, "b", kind="new")
    await a_line(one, *behind, *free)
    await one.store_client.limits.put("one", Limit(concurrency=1))
    assert await ids(await knowing(one, "new")) == [free[0].id]


async def test_one_that_waits_for_its_kind_can_be_cancelled_and_holds_nothing(one: Cluster) -> None:
    first, second = limited(2)
    await a_line(one, first)
    assert await one.store_client.producer.cancel(first.id) is JobState.CANCELLED
    await one.submit(second)
    assert await ids(await knowing(one)) == [second.id]


async def test_it_counts_in_a_bounded_queue(one: Cluster) -> None:
    one.with_settings(max_queue_length=1)
    await a_line(one, *limited(1))
    with pytest.raises(QueueFull):
        await one.open_doors().producer.submit([Submission(limited(1)[0])])


async def test_one_that_no_node_serves_is_buried_and_revived_with_its_limit(one: Cluster) -> None:
    one.with_settings(unserved_seconds=1.0)
    first, second = limited(2)
    old = await a_line(one, first)
    one.raw.zadd(one.keys.unserved, {"default:2:k": -10_000_000})
    await old.work.bury_unserved()
    assert await one.state(first) is JobState.DEAD
    await one.store_client.producer.retry(first.id, reset_retry_count=True)
    await one.submit(second)
    new = await knowing(one)
    held = await new.work.fetch(10)
    assert ids_in(held) == [first.id]
    await settle(new, held)
    assert await ids(new) == [second.id]


async def test_a_suspect_that_was_declined_waits_for_its_place_and_runs_alone(one: Cluster) -> None:
    suspect, holder = held_by_dead(limits=limited(1)[0].limits, kind="new"), limited(1, kind="old")[0]
    await suspects(one, suspect)
    old = await one.node([])
    await old.work.decline([declined(each) for each in await old.work.alone.fetch()])
    other = await knowing(one, "old")
    await one.submit(holder)
    held = await other.work.fetch(10)
    new = await knowing(one, "new")
    assert await ids(new) == []
    assert await new.work.alone.fetch() == []
    await settle(other, held)
    (delivery,) = await new.work.alone.fetch()
    assert job_in(delivery).id == suspect.id


def newer(**fields: object) -> bytes:
    """A job of a version that nobody here can read."""
    return encode(msgspec.structs.replace(job(**fields), version=RECORD_VERSION + 1))


async def set_aside(cluster: Cluster, record: bytes) -> bytes:
    """Its node fetches a job and finds this record; returns the job's id."""
    node = await cluster.node()
    (delivery,) = await node.work.fetch(10)
    stream, entry, _ = delivery
    await node.work.bury_raw((stream, entry, record), "newer")
    return job_in(delivery).id


async def test_one_that_is_put_aside_frees_its_place(one: Cluster) -> None:
    first, second = limited(2)
    await one.submit(first, second)
    await set_aside(one, newer(id=first.id, limits=first.limits))
    node = await one.node()
    assert ids_in(await node.work.fetch(10)) == [second.id]
    assert await node.work.audit_limits() == 0


async def test_one_that_is_put_aside_is_paid_back_its_rate(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=2)))
    (first,) = limited(1)
    await cluster.submit(first)
    await set_aside(cluster, newer(id=first.id, limits=first.limits))
    await _is_paid_back(cluster, 2)


async def test_bytes_that_are_no_job_leave_their_place_to_the_audit_which_counts_it(one: Cluster) -> None:
    first, second = limited(2)
    await one.submit(first, second)
    node = await one.node()
    (delivery,) = await node.work.fetch(10)
    await node.work.bury_raw((*delivery[:2], b"no job"), "no job")
    assert await node.work.audit_limits() == 1
    assert ids_in(await node.work.fetch(10)) == [second.id]


async def test_one_that_comes_back_from_the_quarantine_waits_for_its_place(one: Cluster) -> None:
    node = await one.node()
    first, second = limited(2)
    await one.submit(second)
    held = await node.work.fetch(10)
    one.raw.xadd(one.keys.quarantine, {"record": encode(first), "stream": "default:2", "reason": "newer"})
    assert await node.work.restore() == 1
    assert await node.work.fetch(10) == []
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [first.id]


async def test_a_suspect_that_comes_back_from_the_quarantine_waits_for_its_place_too(one: Cluster) -> None:
    node = await one.node()
    suspect, (holder,) = job(crashes=2, limits=limited(1)[0].limits), limited(1)
    await one.submit(holder)
    held = await node.work.fetch(10)
    one.raw.xadd(one.keys.quarantine, {"record": encode(suspect), "stream": "default:2", "reason": "newer"})
    assert await node.work.restore() == 1
    assert [*await node.work.fetch(10), *await node.work.alone.fetch()] == []
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [suspect.id]


async def test_one_that_ran_before_it_was_declined_has_used_its_rate(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=1)))
    await cluster.submit(*limited(1))
    node, old = await cluster.node(), await cluster.node([])
    await node.work.fetch(10)
    await node.leases.leave(node.lease)
    await old.work.decline([declined(each) for each in await old.work.fetch(10)])
    assert (await cluster.store_client.limits.key("one", "a")).remaining == 0


ORDERED = pytest.mark.parametrize("on_failure", ["block", "skip", "park"])


async def fifo(cluster: Cluster, on_failure: str = "block", rate: Rate | None = None) -> tuple[Node, list[Job]]:
    """Three jobs of a fifo key, and a node that knows only the kind of the others, and has declined the first one."""
    await cluster.store_client.limits.put("one", Limit(1, rate, order="fifo", on_failure=on_failure))
    jobs = [limited(1, kind=kind)[0] for kind in ("new", "old", "old")]
    old = await knowing(cluster, "old")
    await cluster.submit(*jobs)
    await old.work.decline([declined(each) for each in await old.work.fetch(10)])
    return old, jobs


@ORDERED
async def test_none_overtakes_a_declined_one_of_its_fifo_key(cluster: Cluster, on_failure: str) -> None:
    old, jobs = await fifo(cluster, on_failure)
    assert await ids(old) == []
    new = await knowing(cluster, "new")
    for node, following in zip((new, old, old), jobs, strict=True):
        held = await node.work.fetch(10)
        assert ids_in(held) == [following.id]
        await settle(node, held)


async def used_for_ms(cluster: Cluster) -> int:
    """For how long the rate is used up."""
    return (await cluster.store_client.limits.key("one", "a")).resets_ms - now_ms()


async def test_a_declined_one_of_a_fifo_key_is_paid_back_its_rate(cluster: Cluster) -> None:
    await fifo(cluster, rate=Rate(1, per_seconds=3600, burst=1))
    assert await used_for_ms(cluster) < 60_000
    new = await knowing(cluster, "new")
    assert len(await new.work.fetch(10)) == 1
    assert await used_for_ms(cluster) > 3_000_000


async def test_one_of_a_fifo_key_that_is_declined_and_cancelled_lets_the_next_one_run(cluster: Cluster) -> None:
    old, jobs = await fifo(cluster)
    assert await cluster.store_client.producer.cancel(jobs[0].id) is JobState.CANCELLED
    assert await ids(old) == [jobs[1].id]


@pytest.mark.parametrize(("on_failure", "resumed"), [("block", 0), ("skip", 0), ("park", 1)])
async def test_a_fifo_key_goes_on_when_its_declined_one_is_buried_or_parks_behind_it(
    cluster: Cluster, on_failure: str, resumed: int
) -> None:
    cluster.with_settings(unserved_seconds=1.0)
    old, jobs = await fifo(cluster, on_failure)
    cluster.raw.zadd(cluster.keys.unserved, {"default:2:new": -10_000_000})
    await old.work.bury_unserved()
    assert await cluster.state(jobs[0]) is JobState.DEAD
    assert await ids(old) == ([] if resumed else [jobs[1].id])
    assert await cluster.store_client.limits.resume("one", "a") == resumed
    assert await ids(old) == ([jobs[1].id] if resumed else [])
