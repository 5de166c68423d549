"""How far a map is, while it runs."""

from __future__ import annotations

import pytest

from ironforge.store.workflows.contract import NodeView
from ironforge.store.workflows.reading import map_items
from tests.actors.node.kit import Gate, World
from tests.actors.node.workflows.kit import ended, submit, view
from tests.actors.node.workflows.test_maps import fetch, mapped
from tests.support.waiting import until


@pytest.mark.parametrize("most_read", [map_items.MOST_READ, 2])
async def test_one_that_runs_shows_how_many_items_have_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, most_read: int
) -> None:
    monkeypatch.setattr(map_items, "MOST_READ", most_read)
    gate = Gate()

    @world.forge.job("odd", max_retries=0)
    async def odd(payload: int) -> None:
        if payload % 2 == 0:
            raise ConnectionError("even")
        if payload > 4:
            await gate.pass_through()

    async with world.node():
        workflow = await submit(world, fetch(list(range(8))), mapped("odd"))

        async def shown() -> NodeView:
            return (await view(world, workflow)).nodes[1]

        async def has_six() -> bool:
            items = (await shown()).items
            return items is not None and items.ended == 6

        await until(has_six, "all items but those that wait to have ended")
        assert (await shown()).items == (8, 6, 4 if most_read > 6 else None)
        gate.open()
        nodes = await ended(world, workflow)
    assert nodes["map"].items is None
    assert nodes["map"].reason.startswith("4 of the 8 items have no result: item 0, job ")
