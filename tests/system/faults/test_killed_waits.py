"""A node is killed at each moment of a wait: in front of what parks a job, wakes it, fetches it again and settles it,
and behind that. Another node goes on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from ironforge.job.record import JobState, parse_id
from tests.cli.kit import Service
from tests.system.faults.kit import Ground, until
from tests.system.faults.test_large_workflows import nothing_is_stranded
from tests.system.faults.waiting_app import CHILDREN, POINTS

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

ENDS = {"sleep": None, "event": {"by": "ada"}, "children": [*range(CHILDREN)]}
AT_ONCE = 4


class WaitingNode(Service):
    """`about`: the kind and the point at which it is killed."""

    PROGRAM = (sys.executable, "-m", "tests.system.faults.waiting_app")

    def __init__(self, ground: Ground, *about: str) -> None:
        settings = {"redis_url": ground.settings.redis_url, "durability": "local", "lease_seconds": "1"}
        super().__init__(ground.settings.namespace, *about, **settings)


async def killed_at(ground: Ground, sort: str, point: str) -> None:
    job_id = await ground.forge.submit(sort, None, max_retries=0)
    get = ground.store_client.inspector.get
    victim = await asyncio.to_thread(WaitingNode, ground, sort, point)

    async def waits_or_is_killed() -> bool:
        return not victim.running or (await get(parse_id(job_id))).state is JobState.WAITING

    if sort == "event":
        await until(waits_or_is_killed, f"{sort} to wait, or {point}")
        await ground.forge.send_event("go", {"by": "ada"})
    await until(lambda: not victim.running, f"{point} of {sort}")
    assert await asyncio.to_thread(victim.ended) == -signal.SIGKILL

    async def has_ended() -> bool:
        return (await get(parse_id(job_id))).state is JobState.COMPLETED

    with await asyncio.to_thread(WaitingNode, ground):
        await until(has_ended, f"{sort} to end that was killed at {point}")
    await check(ground, sort, job_id)


async def check(ground: Ground, sort: str, job_id: str) -> None:
    """It has gone on, and no step was done again; what ran as its node was killed ran twice."""
    job = (await ground.store_client.inspector.get(parse_id(job_id))).job
    steps = Counter(line.what for line in ground.lines() if line.job_id == job_id)
    assert steps == {"before": 1, "after": 1}
    assert msgspec.json.decode(job.result) == ENDS[sort]
    assert (job.attempt, job.errors) == (0, ())
    assert job.crashes <= 1
    parts = Counter(line.what for line in ground.lines() if line.what.startswith("child"))
    assert parts.keys() == {f"child{number}" for number in range(CHILDREN if sort == "children" else 0)}
    assert max(parts.values(), default=1) <= 2
    assert (await ground.totals())["completed"] == 1 + len(parts)
    await nothing_is_stranded(ground)


@pytest.mark.parametrize("sort", POINTS)
async def test_a_job_goes_on_wherever_its_node_is_killed(
    ground: Ground, sort: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGERS", str(tmp_path))
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, point: str) -> None:
        name = f"n{number}"
        own = Ground(ground.settings.redis_url, tmp_path / name, namespace=name, lease_seconds=1.0)
        async with room, contextlib.aclosing(own):
            await killed_at(own, sort, point)

    async with asyncio.TaskGroup() as group:
        for number, point in enumerate(POINTS[sort]):
            group.create_task(one(number, point))
