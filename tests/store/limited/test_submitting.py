"""Limited jobs at the door: repetitions, queue names, and limits that do not go together."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge.job.record import JobState
from ironforge.store import Accepted, Submission
from tests.store.kit import Cluster, limited, settle


@pytest.mark.parametrize("options", [{"again": True}, {"idempotency_key": "i", "fingerprint": b"x"}])
async def test_a_repetition_finds_the_one_in_the_line_and_joins_no_second_one(
    one: Cluster, options: dict[str, Any]
) -> None:
    submit = one.store_client.producer.submit
    await one.submit(*limited(1))
    node = await one.node()
    await node.work.fetch(1)
    (first,) = limited(1)
    await submit([Submission(first, **options)])
    (answer,) = await submit([Submission(first, **options)])
    assert answer == Accepted(first.id, JobState.QUEUED, replayed=True)
    assert (await one.store_client.limits.key("one", "a")).waiting == 1


async def test_a_repetition_finds_the_one_that_runs(one: Cluster) -> None:
    (first,) = limited(1)
    await one.submit(first)
    node = await one.node()
    await node.work.fetch(1)
    (answer,) = await one.store_client.producer.submit([Submission(first, again=True)])
    assert answer.id == first.id
    assert (await one.store_client.limits.key("one", "a")).waiting == 0


async def test_a_queue_keeps_its_name_while_jobs_wait_there_behind_a_limit(one: Cluster) -> None:
    node = await one.node()
    await one.submit(*limited(1))
    held = await node.work.fetch(1)
    waiting = limited(2, queue="unserved")
    await one.submit(*waiting)
    await node.work.expire()
    assert one.raw.smembers(one.keys.queues) == {b"default", b"unserved"}
    for each in waiting:
        await one.store_client.producer.cancel(each.id)
    await node.work.expire()
    assert one.raw.smembers(one.keys.queues) == {b"default"}
    await settle(node, held)
