"""Jobs with steps on nodes that are killed, paused and told to stop: what is recorded is not done again."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from tests.system.faults.kit import Ground, until

pytestmark = [pytest.mark.proof, pytest.mark.unmeasured]

STEPS = 40


async def orders(ground: Ground, count: int) -> list[str]:
    return await ground.forge.submit_many("order", [{"steps": STEPS}] * count)


def check_steps(ground: Ground, ids: list[str]) -> int:
    """Each step was done, and done again at most where its run was cut short: how often that was."""
    done = Counter((line.job_id, line.what) for line in ground.lines() if line.what.startswith("part"))
    runs = ground.starts()
    assert all(done[job_id, f"part{number}"] for job_id in ids for number in range(STEPS))
    again = Counter(dict.fromkeys(ids, 0))
    for (job_id, _), count in done.items():
        again[job_id] += count - 1
    assert all(again[job_id] <= runs[job_id] - 1 for job_id in ids)
    return sum(runs.values()) - len(ids)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
async def test_a_run_that_is_cut_short_goes_on_behind_its_last_step(ground: Ground, how: signal.Signals) -> None:
    """Killed; paused until another node has its jobs; told to stop, without the time to end them."""
    victim = ground.start_node(drain_seconds=0.0)
    ground.start_node()

    async def both_are_there() -> bool:
        return len(await ground.store_client.inspector.nodes()) == 2

    await until(both_are_there, "both nodes to join")
    ids = await orders(ground, 40)
    await until(lambda: len(ground.in_flight(victim.pid)) >= 4, "the victim to be busy")

    victim.send_signal(how)
    cut_short = ground.in_flight(victim.pid)
    await until(lambda: all(ground.starts()[job_id] > 1 for job_id in cut_short), "its jobs to run elsewhere")
    victim.send_signal(signal.SIGCONT)
    await ground.drained(len(ids))

    await ground.check_settled(ids)
    assert (await ground.totals())["completed"] == len(ids)
    assert check_steps(ground, ids) >= 1
