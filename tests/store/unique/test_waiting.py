"""A second job with the unique key of one that waits: behind a limit, for its kind, alone, or in a paused queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from ironforge.errors import Duplicate, InvalidJob, QueueFull
from ironforge.job.crashes import requeued
from ironforge.job.limits import Limit, LimitUse
from ironforge.job.record import Job, JobState, format_id
from ironforge.job.uniqueness import UniqueUse
from ironforge.redis.location import Location
from ironforge.store import Accepted, Rewrite, Submission
from tests.store.declining import declined, knowing
from tests.store.kit import Cluster, ids_in, job, job_in, limited, retry, rewrite, settle
from tests.store.suspects import crash, held_by_dead
from tests.store.uniqueness import DEBOUNCE, REJECT, REPLACE, RETURN, holders, submit, unique

LIMITS = (LimitUse("one", "a"),)


async def behind(cluster: Cluster, first: Job) -> None:
    """The key of its limit is full."""
    await cluster.submit(*limited(1))
    node = await cluster.node()
    await node.work.fetch(1)
    await submit(cluster, limiting(first))


async def heading(cluster: Cluster, first: Job) -> None:
    """The key of its limit has room."""
    await submit(cluster, limiting(first))


async def let_in(cluster: Cluster, first: Job) -> None:
    """It has its place already, and is not delivered yet."""
    await cluster.store_client.limits.put("one", Limit(concurrency=2))
    node = await cluster.node()
    await cluster.submit(*limited(1))
    await submit(cluster, limiting(first))
    await node.work.fetch(1)
    assert Location(cluster.raw.hget(cluster.keys.index, first.id)).place == "q"


async def unknown(cluster: Cluster, first: Job) -> None:
    """No node has known its kind yet."""
    old = await cluster.node([])
    await submit(cluster, first)
    await old.work.decline([declined(each) for each in await old.work.fetch(1)])


async def unknown_and_limited(cluster: Cluster, first: Job) -> None:
    await unknown(cluster, limiting(first))


async def handed_back(cluster: Cluster, first: Job) -> None:
    """A node has fetched it, and not started it."""
    await submit(cluster, first)
    node = await cluster.node()
    (delivery,) = await node.work.fetch(1)
    back = requeued(job_in(delivery), 3, may_have_started=False)
    await node.work.requeue([Rewrite.of(*delivery[:2], back)])


async def handed_back_and_limited(cluster: Cluster, first: Job) -> None:
    """It has kept its place."""
    await handed_back(cluster, limiting(first))


async def paused(cluster: Cluster, first: Job) -> None:
    await cluster.store_client.producer.set_paused("default", paused=True)
    await submit(cluster, first)


def limiting(first: Job) -> Job:
    return msgspec.structs.replace(first, limits=LIMITS)


PLACES = pytest.mark.parametrize(
    "waits",
    [behind, heading, let_in, unknown, unknown_and_limited, handed_back, handed_back_and_limited, paused],
)
Waits = Callable[[Cluster, Job], Awaitable[None]]


async def all_ids(cluster: Cluster) -> list[bytes]:
    """Of all jobs of these tests that start, in order."""
    await cluster.store_client.producer.set_paused("default", paused=False)
    node = await knowing(cluster)
    for other in {view.name for view in await cluster.store_client.inspector.nodes()} - {node.lease.node}:
        cluster.raw.zadd(cluster.keys.nodes, {other: 1})
        await node.leases.take_over(node.lease, other, crashed=False)
    found: list[bytes] = []
    while held := await node.work.fetch(10):
        found += ids_in(held)
        await settle(node, held)
        node.work.reader.selector.look_again()
    return found


@PLACES
async def test_it_is_answered_with_the_one_that_waits(one: Cluster, waits: Waits) -> None:
    first = unique(RETURN)
    await waits(one, first)
    assert await submit(one, unique(RETURN)) == Accepted(first.id, JobState.QUEUED, deduplicated=True)


@PLACES
async def test_it_is_rejected(one: Cluster, waits: Waits) -> None:
    first = unique(REJECT)
    await waits(one, first)
    before = one.snapshot()
    with pytest.raises(Duplicate, match="is queued") as caught:
        await submit(one, unique(REJECT))
    assert caught.value.job_id == format_id(first.id)
    assert one.snapshot() == before


@PLACES
@pytest.mark.parametrize("uses", [(), LIMITS, (LimitUse("one", "b"),)], ids=["plain", "same", "other"])
async def test_it_takes_its_place(one: Cluster, waits: Waits, uses: tuple[LimitUse, ...]) -> None:
    first, second = unique(REPLACE), unique(REPLACE, b'{"n":2}', limits=uses)
    await waits(one, first)
    assert await submit(one, second) == Accepted(first.id, JobState.QUEUED, deduplicated=True)
    view = await one.store_client.inspector.get(first.id)
    assert view.job == msgspec.structs.replace(second, id=first.id)
    one.check()
    assert (await all_ids(one)).count(first.id) == 1
    assert await holders(one) == set()


@PLACES
async def test_it_starts_the_delay_again(one: Cluster, waits: Waits) -> None:
    first, second = unique(DEBOUNCE), unique(DEBOUNCE, b'{"n":2}')
    await waits(one, first)
    answer = await submit(one, second, delay_ms=3_600_000)
    assert answer == Accepted(first.id, JobState.SCHEDULED, deduplicated=True)
    one.check()
    assert first.id not in await all_ids(one)
    assert await one.state(first) is JobState.SCHEDULED


@PLACES
async def test_the_key_is_free_when_the_one_that_waits_is_cancelled(one: Cluster, waits: Waits) -> None:
    first, second = unique(REJECT), unique(REJECT)
    await waits(one, first)
    await one.store_client.producer.cancel(first.id)
    assert await holders(one) == set()
    await submit(one, second)
    assert await holders(one) == {second.id}


@PLACES
async def test_a_replay_says_what_was_answered(one: Cluster, waits: Waits) -> None:
    first = unique(RETURN)
    await waits(one, first)
    given = {"idempotency_key": "i", "fingerprint": b"x"}
    await submit(one, unique(RETURN), **given)
    again = await submit(one, unique(RETURN), **given)
    assert again == Accepted(first.id, JobState.QUEUED, replayed=True, deduplicated=True)


async def test_the_next_one_moves_up_where_one_is_replaced_that_was_let_in(one: Cluster) -> None:
    first, (third,) = unique(REPLACE), limited(1)
    await let_in(one, first)
    await one.submit(third)
    await submit(one, unique(REPLACE))
    node = await one.node()
    assert sorted(ids_in(await node.work.fetch(10))) == sorted([first.id, third.id])


async def started(cluster: Cluster, how: str) -> Job:
    """A job that has run, or may have, and waits to run again."""
    first = unique(REPLACE, crashes=1)
    await submit(cluster, first)
    node, heir = await cluster.node(), await cluster.node()
    (delivery,) = await node.work.fetch(1)
    match how:
        case "retry":
            await node.work.park([retry(delivery, 3_600_000)])
        case "snooze":
            await node.work.park([rewrite(delivery, 3_600_000)._replace(failed=False)])
        case "drain":  # it ran until its end
            await node.leases.leave(node.lease)
        case "crash":  # which makes it a suspect
            await crash(cluster, node, heir)
    return first


STARTED = pytest.mark.parametrize("how", ["retry", "snooze", "drain", "crash"])


@STARTED
async def test_one_that_has_started_is_not_replaced(cluster: Cluster, how: str) -> None:
    first = await started(cluster, how)
    before = cluster.snapshot()
    with pytest.raises(Duplicate) as caught:
        await submit(cluster, unique(REPLACE))
    assert caught.value.job_id == format_id(first.id)
    assert cluster.snapshot() == before


@STARTED
async def test_one_that_has_started_is_not_put_off_and_the_next_one_is_a_job_of_its_own(
    cluster: Cluster, how: str
) -> None:
    await started(cluster, how)
    second = unique(DEBOUNCE)
    assert await submit(cluster, second, delay_ms=60_000) == Accepted(second.id, JobState.SCHEDULED)
    assert await holders(cluster) == {second.id}


@pytest.mark.parametrize("use", [UniqueUse("a", "queued"), UniqueUse("a", "queued", on_conflict="reject")])
@pytest.mark.parametrize("how", ["retry", "snooze", "requeue"])
async def test_one_that_held_its_key_until_it_started_does_not_hold_it_while_it_waits_to_run_again(
    cluster: Cluster, use: UniqueUse, how: str
) -> None:
    first, second = unique(use), unique(use)
    await submit(cluster, first)
    node = await cluster.node()
    (delivery,) = await node.work.fetch(1)
    match how:
        case "retry":
            await node.work.park([retry(delivery, 3_600_000)])
        case "snooze":
            await node.work.park([rewrite(delivery, 3_600_000)._replace(failed=False)])
        case "requeue":
            await node.work.requeue([rewrite(delivery)])
    assert await submit(cluster, second) == Accepted(second.id, JobState.QUEUED)
    assert await holders(cluster) == {second.id}


async def test_one_that_was_declined_has_not_started_and_holds_its_key_again(cluster: Cluster) -> None:
    use = UniqueUse("a", "queued", on_conflict="replace")
    first = unique(use)
    await unknown(cluster, first)
    assert await submit(cluster, unique(use)) == Accepted(first.id, JobState.QUEUED, deduplicated=True)


async def test_a_batch_with_a_rejected_job_leaves_no_limited_one_behind(one: Cluster) -> None:
    await submit(one, unique(REJECT))
    before = one.snapshot()
    with pytest.raises(Duplicate):
        await one.submit(*limited(2), unique(REJECT))
    assert one.snapshot() == before


async def test_a_batch_with_an_unknown_limit_takes_no_unique_key(one: Cluster) -> None:
    before = one.snapshot()
    with pytest.raises(InvalidJob):
        await one.submit(unique(REJECT), *limited(1, name="none"))
    assert one.snapshot() == before


async def test_a_full_queue_takes_what_replaces_one_of_its_own(one: Cluster) -> None:
    one.with_settings(max_queue_length=1)
    producer = one.open_doors().producer
    first = unique(REPLACE, limits=LIMITS)
    await producer.submit([Submission(first)])
    (answer,) = await producer.submit([Submission(unique(REPLACE))])
    assert answer == Accepted(first.id, JobState.QUEUED, deduplicated=True)


@pytest.mark.parametrize("elsewhere", [{"delay_ms": 60_000}, {"queue": "other"}])
async def test_a_full_queue_takes_none_that_replaces_one_from_elsewhere(one: Cluster, elsewhere: Any) -> None:
    one.with_settings(max_queue_length=1)
    producer = one.open_doors().producer
    delay_ms, queue = elsewhere.get("delay_ms"), elsewhere.get("queue", "default")
    first = unique(REPLACE, queue=queue)
    await producer.submit([Submission(first, delay_ms=delay_ms), Submission(job())])
    before = one.snapshot()
    with pytest.raises(QueueFull):
        await producer.submit([Submission(unique(REPLACE))])
    assert one.snapshot() == before


async def test_a_suspect_is_answered_with_as_any_other(cluster: Cluster) -> None:
    first = msgspec.structs.replace(held_by_dead(), version=2, unique=RETURN)
    await submit(cluster, first)
    victim, heir = await cluster.node(), await cluster.node()
    await victim.work.fetch(1)
    await crash(cluster, victim, heir)
    assert await submit(cluster, unique(RETURN)) == Accepted(first.id, JobState.QUEUED, deduplicated=True)
    (delivery,) = await heir.work.alone.fetch()
    await settle(heir, [delivery])
    assert await holders(cluster) == set()
