"""A job that comes back from the dead letter: which attempts are of which life, and since when it has waited."""

from __future__ import annotations

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ironforge.job.record import JobState, format_id, new_id
from ironforge.runtime.node import Node
from ironforge.store.server_checks import verify
from tests.actors.node.kit import QUICK, World, until
from tests.store.kit import dead, job


def waited(node: Node) -> tuple[float, float]:
    """How many jobs waited, and for how many seconds together."""
    families = text_string_to_metric_families(node.metrics.exposition()[0].decode())
    sums = [
        [sample.value for sample in family.samples if sample.name == f"ironforge_queue_latency_seconds_{what}"]
        for family in families
        if family.name == "ironforge_queue_latency_seconds"
        for what in ("count", "sum")
    ]
    count, seconds = map(sum, sums)
    return count, seconds


async def test_each_error_says_after_which_revival_it_came(world: World) -> None:
    @world.forge.job("fail", max_retries=1, backoff=QUICK)
    async def fail() -> None:
        raise RuntimeError

    async with world.node():
        job_id = await world.submit("fail")
        await world.dead(job_id)
        await world.retry(job_id, reset_retry_count=True)

        async def is_dead_again() -> bool:
            view = await world.get(job_id)
            return view.state is JobState.DEAD and view.job.revivals == 1

        await until(is_dead_again, "it to give up once more")
        errors = (await world.get(job_id)).job.errors
    assert [(error.revival, error.attempt) for error in errors] == [(0, 1), (0, 2), (1, 1), (1, 2)]


async def test_the_time_in_the_dead_letter_is_no_time_in_a_queue(world: World) -> None:
    an_hour_ago = (time.time_ns() // 1_000_000 - 3_600_000).to_bytes(6, "big") + new_id()[6:]
    await verify(world.settings)
    burying = await world.cluster.node()
    await world.cluster.submit(job(kind="note", id=an_hour_ago))
    await burying.work.bury([dead(delivery) for delivery in await burying.work.fetch(1)])
    await world.retry(format_id(an_hour_ago), reset_retry_count=True)
    async with world.node() as node:
        await world.completed(format_id(an_hour_ago))
        await until(lambda: waited(node)[0], "the wait to be counted")
        count, seconds = waited(node)
    assert count == 1
    assert seconds == pytest.approx(0, abs=600)
