"""Each key that an operation asks for, with something of another type in its place: nothing is half done, nothing of
others is written over, and once the key is back all jobs that were accepted come to their end, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from ironforge.errors import IronForgeError
from tests.store.kit import Cluster
from tests.store.spoiling import changing, leaving, submitting, taking  # noqa: F401 - they register what they do
from tests.store.spoiling.operations import OPERATIONS, Act
from tests.store.spoiling.world import World
from tests.support.servers import valkey
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]
ASIDE = "aside"
# These write several times: what is done stays so, and the rest is done once the key is back.
BY_STEPS = ("settle", "fetch", "take_over", "leave", "join", "expire", "forget", "bury_unserved", "audit")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with valkey() as url:
        yield url


async def prepared(url: str, name: str) -> tuple[World, Act]:
    cluster = Cluster(url)
    cluster.checked = False
    world = World(cluster)
    await world.begin()
    return world, await OPERATIONS[name](world)


def spoil(world: World, key: str) -> Any:
    spec = world.keys.spec_of(key)
    assert spec
    world.raw.delete(ASIDE)
    if world.raw.exists(key):
        world.raw.rename(key, ASIDE)
    if spec.type == "string":
        world.raw.rpush(key, "somebody's", "list")
    else:
        world.raw.set(key, "somebody's text")
    return world.raw.dump(key)


def put_right(world: World, key: str, how: str) -> None:
    """Of who holds a place what stood there says nothing any more, where jobs have ended without it."""
    world.raw.delete(key)
    is_old = how == "works" and key.startswith(world.keys.holders(""))
    if world.raw.exists(ASIDE) and not is_old:
        world.raw.rename(ASIDE, key)


async def outcome(act: Act, caplog: Any) -> tuple[str, Any]:
    caplog.clear()
    task = asyncio.ensure_future(act())
    await until(
        lambda: task.done() or any("wrong_type" in str(one.msg) for one in caplog.records), "it to do something"
    )
    if not task.done():
        return "waits", task
    if error := task.exception():
        return ("refused" if isinstance(error, IronForgeError) else f"fails by {error!r}"), task
    return "works", task


async def harm(url: str, name: str, place: str, caplog: Any) -> list[str]:
    world, act = await prepared(url, name)
    key = world.key(place)
    text = spoil(world, key)
    before = world.snapshot(key)
    how, task = await outcome(act, caplog)
    told = [] if how in ("works", "refused", "waits") else [how]
    by_steps = name.startswith(BY_STEPS)
    if how != "works" and not by_steps and (changed := world.snapshot(key)) != before:
        differ = {one for one in before.keys() | changed.keys() if before.get(one) != changed.get(one)}
        told.append(f"{how}, and half done: {sorted(one.decode().partition('}:')[2] for one in differ)}")
    if world.raw.dump(key) != text:
        told.append("what stood there is written over")
    put_right(world, key, how)
    if how == "waits":
        await task
    elif how != "works":
        try:
            await act()
        except IronForgeError as error:
            told.append(f"not even then: {error}")
    await world.finish()
    told += await world.wrong_at_the_end()
    await world.cluster.close()
    return [f"{how}: {one}" for one in told]


@pytest.mark.parametrize("name", OPERATIONS)
async def test_nothing_is_lost_or_half_done(url: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    world, act = await prepared(url, name)
    places = await world.touched_by(act)
    await world.finish()
    found = {"": await world.wrong_at_the_end()}
    await world.cluster.close()
    known = [place for place in places if world.keys.spec_of(world.key(place))]
    for place in known:
        found[place] = await harm(url, name, place, caplog)
    assert {place: told for place, told in found.items() if told} == {}
