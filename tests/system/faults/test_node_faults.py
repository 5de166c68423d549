"""What happens to nodes, for real: killed, paused, told to stop, in the middle of their work."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from tests.system.faults.kit import Ground, until

pytestmark = [pytest.mark.proof, pytest.mark.unmeasured]


async def test_a_node_that_is_killed_loses_nothing_and_its_jobs_run_elsewhere(ground: Ground) -> None:
    victim, _other = await ground.started_nodes(2)
    ids = await ground.submit(2_000, seconds=0.02)
    await until(lambda: len(ground.in_flight(victim.pid)) >= 4, "the victim to be busy")
    await asyncio.sleep(0)

    victim.send_signal(signal.SIGKILL)
    victim.wait()
    killed = time.monotonic()
    orphans = ground.in_flight(victim.pid)
    await until(lambda: all(ground.starts()[job] > 1 for job in orphans), "the orphans to run elsewhere")
    seconds = time.monotonic() - killed
    await ground.drained(len(ids))

    assert orphans
    assert seconds <= 1.5 * ground.settings.lease_seconds + 1.0, "later than one and a half leases, and a second"
    assert set(ground.starts()) == set(ids)
    await ground.check_settled(ids)
    assert (await ground.totals())["completed"] == len(ids)
    # Only what the victim held can have run twice: its running jobs, and results that it could not settle any more.
    twice = [job for job, starts in ground.starts().items() if starts > 1]
    assert len(twice) <= 64 * ground.settings.concurrency


async def test_a_node_that_is_told_to_stop_ends_its_jobs_and_exits_with_0(ground: Ground) -> None:
    node, _other = await ground.started_nodes(2)
    ids = await ground.submit(400, seconds=0.05)
    await until(lambda: ground.in_flight(node.pid), "the node to be busy")

    assert await ground.end(node) == 0

    assert ground.in_flight(node.pid) == set()
    await ground.drained(len(ids))
    await ground.check_settled(ids)
    assert set(ground.starts().values()) == {1}


async def test_a_second_signal_releases_running_jobs_at_once(ground: Ground) -> None:
    [node] = await ground.started_nodes(1)
    ids = await ground.submit(4, seconds=30.0)
    await until(lambda: len(ground.in_flight(node.pid)) == 4, "the jobs to run")

    node.send_signal(signal.SIGTERM)
    node.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(node.wait, 9) == 0

    stats = await ground.store_client.inspector.stats()
    assert sum(depth.queued for depth in stats.streams) == len(ids)
    assert await ground.store_client.inspector.nodes() == []


async def test_a_node_that_was_paused_for_longer_than_its_lease_settles_nothing_it_lost(ground: Ground) -> None:
    victim, _other = await ground.started_nodes(2)
    ids = await ground.submit(600, seconds=0.05)
    await until(lambda: len(ground.in_flight(victim.pid)) >= 4, "the victim to be busy")

    victim.send_signal(signal.SIGSTOP)
    orphans = ground.in_flight(victim.pid)
    await until(lambda: all(ground.starts()[job] > 1 for job in orphans), "the orphans to run elsewhere")
    victim.send_signal(signal.SIGCONT)
    await ground.drained(len(ids))

    assert (await ground.totals())["completed"] == len(ids)
    await ground.check_settled(ids)

    async def is_back() -> bool:
        return len(await ground.store_client.inspector.nodes()) == 2

    await until(is_back, "the paused node to join anew")
