"""A schedule in the code of nodes, through a roll-out with nodes that are killed, and back."""

from __future__ import annotations

import pytest

from ironforge.store.schedules.contract import StoredSchedule
from ironforge.store.schedules.in_code import GONE
from tests.system.faults.kit import Ground, until
from tests.system.faults.test_roll_out import joined

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]


async def stored(ground: Ground) -> StoredSchedule:
    found = (await ground.store_client.schedules.get("yearly")).stored
    assert found is not None
    return found


async def says(ground: Ground, version: int) -> None:
    """Soon: that a node has joined is seen before it has looked at the schedules."""

    async def does() -> bool:
        views = await ground.store_client.schedules.views(["yearly"])
        return [view.stored and view.stored.schedule.cron for view in views] == [(f"0 0 {version} 1 *",)]

    await until(does, f"what version {version} says")


async def paused(ground: Ground, note: str | None) -> None:
    async def is_so() -> bool:
        pause = (await stored(ground)).pause
        return (None if pause is None else pause.note) == note

    await until(is_so, f"the note {note!r}")


async def test_the_new_one_holds_while_old_nodes_are_killed_and_restart_and_the_old_one_after_a_roll_back(
    ground: Ground,
) -> None:
    old = await joined(ground, 1)
    await says(ground, 1)
    new = await joined(ground, 2)
    await says(ground, 2)
    before = (await ground.store_client.schedules.get("yearly")).etag
    for _ in range(2):
        old.kill()
        old = await joined(ground, 1)
    await joined(ground, 2)
    assert (await ground.store_client.schedules.get("yearly")).etag == before
    new.kill()
    for node in ground.running():
        if node is not old:
            node.kill()
    await says(ground, 1)


async def test_it_pauses_as_the_last_node_that_had_it_is_killed_and_goes_on_when_that_is_back(ground: Ground) -> None:
    old = await joined(ground, 1)
    await joined(ground, 3)
    await says(ground, 1)
    assert (await stored(ground)).pause is None
    old.kill()
    await paused(ground, GONE)
    await joined(ground, 1)
    await paused(ground, None)


async def test_an_operators_pause_stays_through_a_kill_and_a_roll_out(ground: Ground) -> None:
    old = await joined(ground, 1)
    await says(ground, 1)
    await ground.store_client.schedules.pause("yearly", "by hand")
    old.kill()
    await joined(ground, 2)
    await says(ground, 2)
    assert (await stored(ground)).pause is not None
    assert (await stored(ground)).gone is False


async def test_it_goes_on_where_no_node_is_left(ground: Ground) -> None:
    old = await joined(ground, 1)
    await says(ground, 1)
    assert await ground.end(old) == 0
    assert (await stored(ground)).pause is None
