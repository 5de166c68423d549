"""Lifespans around a real node: before its first job, after its last, once, and none keeps another from its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ironforge import ConfigError
from ironforge.runtime import lifespans
from ironforge.runtime.node import Node
from tests.actors.node.kit import Gate, World
from tests.support.waiting import until

pytestmark = pytest.mark.one_shard


class Pool:
    is_open = True


class Repository:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool


def add(world: World, seen: list[str], *names: str, at_start: Any = None, at_end: Any = None) -> None:
    """Lifespans that write down when they start and end; `at_start` and `at_end` are awaited in each."""

    async def nothing() -> None: ...

    for name in names:

        async def run(name: str = name) -> AsyncIterator[None]:
            seen.append(f"{name} starts")
            await (at_start or nothing)()
            yield
            seen.append(f"{name} ends")
            await (at_end or nothing)()

        run.__qualname__ = name
        world.forge.lifespan(run)


async def raises() -> None:
    raise ConnectionError("no database")


async def exits() -> None:
    raise SystemExit(3)


async def hangs() -> None:
    await asyncio.Event().wait()


async def ignores_cancellation() -> None:
    for _ in range(3):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def test_they_start_before_the_first_job_and_end_after_the_last_in_reverse(world: World):
    seen, gate = [], Gate()
    add(world, seen, "a", "b")

    @world.forge.job("wait")
    async def wait() -> None:
        seen.append("job")
        await gate.pass_through()
        seen.append("job done")

    job_id = await world.submit("wait")
    async with world.node() as node:
        await until(lambda: gate.entered, "the job to run")
        node.stop()
        ending = asyncio.create_task(node.wait())
        await until(lambda: node.problems() != [], "the drain to begin")
        gate.open()
        await ending
    await world.completed(job_id)
    assert seen == ["a starts", "b starts", "job", "job done", "b ends", "a ends"]


async def test_handlers_and_later_lifespans_get_what_earlier_ones_yield(world: World):
    @world.forge.lifespan
    async def pool() -> AsyncIterator[Pool]:
        opened = Pool()
        yield opened
        opened.is_open = False

    @world.forge.lifespan
    async def repository(pool: Pool) -> AsyncIterator[Repository]:
        yield Repository(pool)
        assert pool.is_open

    @world.forge.job("ask")
    async def ask(question: str, repository: Repository, pool: Pool) -> Any:
        return [question, repository.pool is pool, pool.is_open]

    job_id = await world.submit("ask", {"question": "open?"})
    async with world.node():
        assert (await world.completed(job_id)).job.result == b'["open?",true,true]'


async def test_they_run_once_however_often_the_roles_begin_anew(world: World):
    seen: list[str] = []
    add(world, seen, "a")
    async with world.node(lease_seconds=1.0) as node:
        before = node.name
        world.cluster.raw.incr(world.cluster.keys.fence(before))
        await until(lambda: node.name != before, "the node to begin anew")
        await world.completed(await world.submit("note", 1))
    assert seen == ["a starts", "a ends"]


@pytest.mark.parametrize(
    ("fails", "words"), [(raises, "ConnectionError: no database"), (exits, "SystemExit: 3")], ids=["raises", "exits"]
)
async def test_one_that_fails_as_it_starts_keeps_the_node_from_starting(world: World, fails: Any, words: str):
    seen: list[str] = []
    add(world, seen, "a")
    add(world, seen, "b", at_start=fails)
    add(world, seen, "c")
    job_id = await world.submit("note", 1)
    with pytest.raises(ConfigError, match=f"b failed as it started: {words}"):
        async with world.node():
            raise AssertionError("it has started")
    assert seen == ["a starts", "b starts", "a ends"]
    assert await world.state(job_id) == "queued"


@pytest.mark.parametrize(
    ("at_end", "words"),
    [
        (raises, "b failed as it ended: ConnectionError: no database"),
        (exits, "SystemExit: 3"),
        (hangs, "cancelled after"),
    ],
    ids=["raises", "exits", "hangs"],
)
async def test_one_that_fails_as_it_ends_keeps_no_other_from_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, at_end: Any, words: str
):
    monkeypatch.setattr(lifespans, "END_SECONDS", 0.2)
    seen: list[str] = []
    add(world, seen, "a")
    add(world, seen, "b", at_end=at_end)
    async with world.node():
        await world.completed(await world.submit("note", 1))
    assert seen == ["a starts", "b starts", "b ends", "a ends"]
    assert [caplog.text.count(words)] == [1]


async def test_the_node_ends_without_one_that_ignores_its_cancellation(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(lifespans, "END_SECONDS", 0.1)
    monkeypatch.setattr(lifespans, "CANCEL_SECONDS", 0.1)
    seen: list[str] = []
    add(world, seen, "stubborn", at_end=ignores_cancellation)
    async with world.node() as node:
        pass
    assert "ends without these lifespans, which ignore their cancellation" in caplog.text
    task = node._lifespans._task
    assert task is not None
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)


async def test_a_node_that_is_told_to_stop_while_they_start_runs_no_job(world: World):
    seen: list[str] = []
    add(world, seen, "a")
    add(world, seen, "b", at_start=hangs)
    add(world, seen, "c")
    job_id = await world.submit("note", 1)
    node = Node(world.forge, world.settings)
    starting = asyncio.create_task(node.start())
    await until(lambda: "b starts" in seen, "the second one to start")
    node.stop()
    await starting
    assert await node.wait() == 0
    await node.close()
    assert seen == ["a starts", "b starts", "a ends"]
    assert await world.state(job_id) == "queued"


async def test_those_that_fail_while_the_node_runs_end_the_node_and_no_other(
    world: World, caplog: pytest.LogCaptureFixture
):
    seen: list[str] = []
    broken = [asyncio.Event(), asyncio.Event()]
    waiting = iter(broken)
    add(world, seen, "a")

    async def breaks(event: asyncio.Event) -> None:
        await event.wait()
        raise ConnectionError("the stream has ended")

    async def with_tasks() -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(breaks(next(waiting)))
            yield

    for _ in broken:
        world.forge.lifespan(with_tasks)
    node = Node(world.forge, world.settings)
    await node.start()
    for number, event in enumerate(broken, 1):
        event.set()
        await until(
            lambda number=number: caplog.text.count("a lifespan has failed") == number, "the node to hear of it"
        )
    assert await node.wait() == 1
    await node.close()
    assert seen == ["a starts", "a ends"]
    assert caplog.text.count("with_tasks failed as it ended") == 2
    assert "ConnectionError: the stream has ended" in caplog.text


async def test_a_node_that_does_not_start_ends_them(world: World, monkeypatch: pytest.MonkeyPatch):
    seen: list[str] = []
    add(world, seen, "a")
    node = Node(world.forge, world.settings)
    monkeypatch.setattr(node, "_start_tree", raises)
    with pytest.raises(TypeError):
        await node.start()
    assert seen == ["a starts", "a ends"]
