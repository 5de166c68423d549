"""Every fault once, in turn and under load, with every promise judged; what a seed mixes is in `test_smoke.py`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from ironforge.redis.keys import Keys
from ironforge.verify.load import Plan
from tests.support.preload import clock_library, disk_library, needs
from tests.system.chaos.harness import Found, under_load
from tests.system.chaos.installation import LEASE_SECONDS, Fault, Installation, installed
from tests.system.chaos.lanes import clients, clock, network, nodes, server, ticking
from tests.system.chaos.scenarios import SCENARIOS

pytestmark = [pytest.mark.proof, pytest.mark.unmeasured]

PLAN = Plan(seed=5, seconds=5.0, rate=300)
# For a reply that comes all the time where jobs are submitted; a slow machine has the time that it needs.
PATIENCE_SECONDS = 60.0


async def in_turn(here: Installation, faults: Mapping[str, Fault]) -> None:
    rng = random.Random(PLAN.seed)
    for name, fault in faults.items():
        await asyncio.sleep(0.2)
        await here.inflict(name, fault, rng)


async def hurt(scenario: str, faults: Mapping[str, Fault], folder: Path, *more: Mapping[str, Fault]) -> Found:
    """`faults` in turn, at the same time as those of each of `more`."""
    async with installed(SCENARIOS[scenario], PLAN.nodes, PLAN.seed, folder) as here:
        return judged(await under_load(here, PLAN, folder, *(in_turn(here, lane) for lane in (faults, *more))))


def judged(found: Found) -> Found:
    if found.lag_seconds > LEASE_SECONDS / 3:
        pytest.skip(f"this process was {found.lag_seconds:.1f} s late: a machine without time proves nothing")
    assert found.verdict.violations == []
    return found


async def test_links_are_cut_swallow_stall_and_slow_down(tmp_path: Path) -> None:
    faults = {name: fault for name, fault in network.FAULTS.items() if name.startswith("link-")}

    found = await hurt("network", faults, tmp_path)

    assert set(found.verdict.faults) == set(faults)


async def test_replies_are_lost_and_nothing_is_done_twice(tmp_path: Path) -> None:
    """A node is hurt as well, to make a take-over whose answers can be lost."""
    patience = {name: PATIENCE_SECONDS for name in network.REPLIES if name != "take-over"}
    faults = {f"lost-{name}": network.drop_reply(name, patience.get(name, 0.0)) for name in network.REPLIES}

    found = await hurt("network", faults, tmp_path, nodes.FAULTS)

    assert set(faults) <= set(found.verdict.faults) | {"lost-take-over"}


async def test_a_server_loses_power_room_and_groups(tmp_path: Path) -> None:
    needs(disk_library(), "gcc libc6-dev")

    found = await hurt("storage", server.STORAGE_FAULTS, tmp_path)

    assert set(found.verdict.faults) == set(server.STORAGE_FAULTS)
    assert set(found.recovery_seconds) == set(server.STORAGE_FAULTS)


async def test_clocks_leap_and_few_nodes_are_taken_for_dead(tmp_path: Path) -> None:
    needs(clock_library(), "gcc libc6-dev")

    async with installed(SCENARIOS["clock"], PLAN.nodes, PLAN.seed, tmp_path) as here:
        found = judged(await under_load(here, PLAN, tmp_path, in_turn(here, clock.FAULTS)))
        async with here.server.client() as client:
            epoch = int(await client.get(Keys(here.settings.namespace).epoch))

    assert set(found.verdict.faults) == {*clock.FAULTS, "time-passes"}
    # There, back, and on at the end: each leap may cost every node its lease, once, and it joins again.
    assert epoch <= PLAN.nodes + 3 * 2 * PLAN.nodes


async def test_what_fires_ticks_dies_and_the_clock_on_the_wall_is_put_forward_or_back(tmp_path: Path) -> None:
    needs(clock_library(), "gcc libc6-dev")

    found = await hurt("clock-change", ticking.CHANGES, tmp_path, ticking.FAULTS)

    assert set(found.verdict.faults) == {*ticking.CHANGES, *ticking.FAULTS, "time-passes"}
    assert found.verdict.ticks_started > 50


async def test_submitters_give_up_and_ask_again_from_everywhere(tmp_path: Path) -> None:
    sweep = {f"{name}-{turn}": fault for turn in range(8) for name, fault in clients.FAULTS.items()}

    found = await hurt("clients", sweep, tmp_path)

    assert set(found.verdict.faults) == set(sweep)
    assert found.verdict.repeated_runs == 0


async def test_jobs_that_kill_or_block_their_nodes_hurt_nobody_else(tmp_path: Path) -> None:
    found = await hurt("suspects", nodes.GUILTY, tmp_path)

    assert set(found.verdict.faults) == {"kill", "block-loop"}
    assert found.verdict.faults["kill"] == 3


async def test_a_node_whose_loop_was_blocked_comes_back_by_itself(tmp_path: Path) -> None:
    found = await hurt("baseline", nodes.LOOP_FAULTS, tmp_path)

    assert found.verdict.faults == {"block-loop": 1}
    assert 0.0 < found.recovery_seconds["block-loop"] < 3 * LEASE_SECONDS
