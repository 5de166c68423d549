"""Nodes of two versions of an application, whose jobs stay with the one that began them, or go on with any."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ironforge import Context, Forge
from ironforge.errors import ConfigError
from ironforge.handlers.announcements import announcements_of
from ironforge.job.definition import VersionPolicy
from ironforge.job.record import Job, JobState, encode, parse_id
from ironforge.runtime.node import Node
from ironforge.steps.journal import EntryKind
from tests.actors.node.kit import QUICK, World
from tests.store.kit import job
from tests.support.waiting import until


class Deploy:
    """What ran, as (version, payload)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ran: list[tuple[str, Any]] = []

    def application(self, version: str, policy: VersionPolicy = "same") -> Forge:
        forge = Forge(self.world.settings)

        @forge.job("order.fulfil", version_policy=policy, backoff=QUICK)
        async def fulfil(payload: Any, context: Context) -> Any:
            self.ran.append((version, payload))
            await context.step("charge", len, "charge")
            await context.event(f"approved:{payload}")
            return version

        @forge.job("note.twice", version_policy=policy, backoff=QUICK)
        async def twice(payload: Any, context: Context) -> Any:
            self.ran.append((version, payload))
            if context.attempt == 1:
                raise ValueError("again")
            return version

        return forge

    @contextlib.asynccontextmanager
    async def node(self, version: str, policy: VersionPolicy = "same", **settings: Any) -> AsyncIterator[Node]:
        async with self.world.node(self.application(version, policy), app_version=version, **settings) as node:
            yield node

    async def approve(self, payload: Any) -> None:
        await self.world.forge.send_event(f"approved:{payload}")

    async def waits(self, payload: Any) -> str:
        job_id = await self.world.submit("order.fulfil", payload)
        await self.world.reached(job_id, JobState.WAITING)
        return job_id

    async def stranded(self, job_id: str) -> None:
        async def is_declined() -> bool:
            waiting = (await self.world.get(job_id)).waiting_for
            return waiting is not None and waiting.code == "no_node_for_version"

        await until(is_declined, "the job to wait for a node of its version")


@pytest.fixture
def deploy(world: World) -> Deploy:
    return Deploy(world)


async def test_a_job_goes_on_in_the_version_that_began_it(deploy: Deploy) -> None:
    async with deploy.node("1"):
        job_id = await deploy.waits(7)
    async with deploy.node("2"):
        await deploy.approve(7)
        await deploy.stranded(job_id)
        async with deploy.node("1"):
            view = await deploy.world.completed(job_id)
    assert deploy.ran == [("1", 7), ("1", 7)]
    assert (view.job.result, view.job.attempt, view.job.app_version) == (b'"1"', 0, "1")


async def test_with_the_usual_policy_it_goes_on_in_any(deploy: Deploy) -> None:
    async with deploy.node("1", "any"):
        job_id = await deploy.waits(7)
    async with deploy.node("2", "any"):
        await deploy.approve(7)
        view = await deploy.world.completed(job_id)
    assert deploy.ran == [("1", 7), ("2", 7)]
    assert view.job.app_version == ""


async def test_a_newer_version_whose_kind_has_the_usual_policy_takes_it(deploy: Deploy) -> None:
    async with deploy.node("1"):
        job_id = await deploy.waits(7)
    async with deploy.node("2"):
        await deploy.approve(7)
        await deploy.stranded(job_id)
    async with deploy.node("3", "any"):
        view = await deploy.world.completed(job_id)
    assert view.job.result == b'"3"'


async def test_an_operator_lets_other_versions_take_it(deploy: Deploy) -> None:
    async with deploy.node("1"):
        job_id = await deploy.waits(7)
    async with deploy.node("2"):
        await deploy.approve(7)
        await deploy.stranded(job_id)
        assert await deploy.world.cluster.store_client.producer.release("order.fulfil", "1", most=10) == 1
        view = await deploy.world.completed(job_id)
    assert (view.job.result, view.job.app_version) == (b'"2"', "2")


async def test_a_failed_attempt_is_tried_again_in_its_version(deploy: Deploy) -> None:
    async with deploy.node("1"), deploy.node("2"):
        jobs = [await deploy.world.submit("note.twice", n) for n in range(40)]
        results = {await result(deploy.world, job_id) for job_id in jobs}
    runs: dict[int, list[str]] = {}
    for version, n in deploy.ran:
        runs.setdefault(n, []).append(version)
    assert [versions for versions in runs.values() if len(set(versions)) > 1] == []
    assert results <= {b'"1"', b'"2"'}


async def result(world: World, job_id: str) -> bytes:
    return (await world.completed(job_id)).job.result


async def test_what_a_drain_interrupts_stays_with_its_version(deploy: Deploy) -> None:
    world = deploy.world
    gate = asyncio.Event()
    forge = Forge(world.settings)

    @forge.job("long", version_policy="same")
    async def long(context: Context) -> None:
        deploy.ran.append(("1", context.fence))
        gate.set()
        await asyncio.Event().wait()

    async with world.node(forge, app_version="1", drain_seconds=0.01):
        job_id = await world.submit("long")
        await gate.wait()
    assert (await world.get(job_id)).job.app_version == "1"


async def test_one_that_no_node_has_begun_goes_to_any(deploy: Deploy) -> None:
    async with deploy.node("1"):
        pass
    job_id = await deploy.world.submit("note.twice", 1)
    async with deploy.node("2"):
        assert await result(deploy.world, job_id) == b'"2"'


async def test_in_several_shards(world: World) -> None:
    world.change(shards=2)
    deploy = Deploy(world)
    async with deploy.node("1"):
        jobs = [await deploy.waits(n) for n in range(8)]
    async with deploy.node("2"):
        for n in range(8):
            await deploy.approve(n)
        for job_id in jobs:
            await deploy.stranded(job_id)
        stats = await world.cluster.store_client.inspector.stats()
        assert [line.jobs for line in stats.versions] == [8]
        release = world.cluster.store_client.producer.release
        assert [await release("order.fulfil", "1", most=5) for _ in range(2)] == [5, 3]
        assert {await result(world, job_id) for job_id in jobs} == {b'"2"'}


async def test_a_gather_whose_name_is_gone_is_still_waited_for_and_shown(world: World) -> None:
    gate = asyncio.Event()

    def application(version: str) -> Forge:
        forge = Forge(world.settings)

        @forge.job("part")
        async def part() -> None:
            await gate.wait()

        @forge.job("whole")
        async def whole(context: Context) -> str:
            if version == "1":
                await context.gather("pack", [("part", {})])
            return version

        return forge

    async with world.node(application("1"), app_version="1", drain_seconds=0.01):
        job_id = await world.submit("whole")
        await world.reached(job_id, JobState.WAITING)
    async with world.node(application("2"), app_version="2"):
        assert await world.state(job_id) is JobState.WAITING
        gate.set()
        assert await result(world, job_id) == b'"2"'
    [step] = await world.cluster.store_client.inspector.steps(parse_id(job_id))
    assert (step.name, step.entry.kind) == ("pack", EntryKind.WAITED)


def test_a_policy_is_one_of_two() -> None:
    with pytest.raises(ConfigError, match=r"version_policy 'newest' is not one of any, same"):
        Forge().job("k", version_policy="newest")  # type: ignore[arg-type]


def test_a_policy_needs_a_version() -> None:
    forge = Forge()
    forge.job("k", version_policy="same")(lambda: None)
    with pytest.raises(ConfigError, match=r"'k' stay with the version .* set IRONFORGE_APP_VERSION"):
        announcements_of(forge, "")


def test_the_record_of_a_job_without_such_a_policy_has_nothing_of_it() -> None:
    fields = msgspec.msgpack.decode(encode(job()))
    assert dict(zip(Job.__struct_fields__, fields, strict=True))["journal"] is False
