"""Children of a real parent die: what they held runs again at once, long before their leases run out.

The lease is longer than the patience of `until`: whatever runs again within it was handed over.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

import pytest

from ironforge.job.record import parse_id
from tests.system.faults.kit import PATIENCE_SECONDS, Ground, until

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

LEASE_SECONDS = 1.5 * PATIENCE_SECONDS
JOBS = 4


async def start_children(ground: Ground, count: int) -> None:
    options = ("--processes", str(count), "--node-http-port", "0")
    ground.start_node(options, lease_seconds=LEASE_SECONDS, drain_seconds=0.0)

    async def all_there() -> bool:
        return len(await ground.store_client.inspector.nodes()) == count

    await until(all_there, "the children to join")


async def held_by_children(ground: Ground, children: int) -> dict[int, set[str]]:
    """What each child runs, once each of them runs something and nothing waits."""
    seen: set[int] = set()
    submitted = 0
    while len(seen) < children:
        await ground.submit(JOBS, seconds=300.0)
        submitted += JOBS
        await until(lambda: len(ground.starts()) == submitted, "all jobs to run")  # noqa: B023 - called at once
        seen = {line.pid for line in ground.lines()}
    return {pid: ground.in_flight(pid) for pid in seen}


async def print_recovery(ground: Ground, jobs: Iterable[str]) -> None:
    died = time.monotonic()
    await until(lambda: all(ground.starts()[job] > 1 for job in jobs), "what died with its process to run again")
    sys.stdout.write(f"\nran again {time.monotonic() - died:.2f} s after their process died\n")


async def crashes(ground: Ground, jobs: Iterable[str]) -> set[int]:
    return {(await ground.store_client.inspector.get(parse_id(job))).job.crashes for job in jobs}


async def test_a_sibling_takes_over_at_once(ground: Ground) -> None:
    await start_children(ground, 2)
    held = await held_by_children(ground, 2)
    victim, other = held

    os.kill(victim, signal.SIGKILL)
    await print_recovery(ground, held[victim])

    assert await crashes(ground, held[victim]) == {1}
    assert await crashes(ground, held[other]) == {0}
    assert {ground.starts()[job] for job in held[other]} == {1}


async def test_an_only_child_is_followed_by_one_that_takes_over_at_once(ground: Ground) -> None:
    await start_children(ground, 1)
    [(victim, jobs)] = (await held_by_children(ground, 1)).items()

    os.kill(victim, signal.SIGKILL)
    await print_recovery(ground, jobs)

    assert await crashes(ground, jobs) == {1}


async def test_children_that_die_together_are_all_handed_over(ground: Ground) -> None:
    await start_children(ground, 2)
    held = await held_by_children(ground, 2)

    for victim in held:
        os.kill(victim, signal.SIGKILL)
    await print_recovery(ground, [job for jobs in held.values() for job in jobs])


async def test_a_child_that_a_handler_ended_as_if_in_order_is_handed_over_too(ground: Ground) -> None:
    await start_children(ground, 1)
    job_id = await ground.forge.submit("leave")

    await until(lambda: ground.starts()[job_id] == 2, "the job to run again")

    assert await crashes(ground, [job_id]) == {1}
