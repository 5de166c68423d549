"""Real nodes put the schedules that are in their code, and run their jobs."""

from __future__ import annotations

import pytest

from ironforge import ConfigError, Context, Forge
from ironforge.actors.messages import Done
from ironforge.errors import StoreError
from ironforge.job.definition import Announcement
from ironforge.job.options import KindOptions
from ironforge.redis.shards import shards_of
from ironforge.runtime.node import running
from ironforge.store.schedules.in_code import GONE
from ironforge.store.server_checks import check_shards
from tests.actors.node.kit import World
from tests.execution.cpu_handlers import whoami
from tests.support.waiting import until

EVERY_SECOND = "* * * * * *"
YEARLY = "0 0 1 1 *"


async def test_handlers_of_every_way_to_run_are_started_by_their_lines(world: World) -> None:
    forge, ran = Forge(world.settings), []

    @forge.cron(EVERY_SECOND, payload={"n": 1}, overlap="allow")
    @forge.job("async")
    async def on_the_loop(context: Context, n: int) -> None:
        ran.append((context.kind, n))

    @forge.cron(EVERY_SECOND, payload={"n": 2}, overlap="allow")
    @forge.job("thread")
    def in_a_thread(context: Context, n: int) -> None:
        ran.append((context.kind, n))

    forge.cron(EVERY_SECOND, overlap="allow")(forge.job("process", executor="process")(whoami))
    async with world.node(forge):
        await until(lambda: {*ran} == {("async", 1), ("thread", 2)}, "both to run")

        async def has_run() -> bool:
            view = await world.cluster.store_client.schedules.get("process")
            if view.last_job is None:
                return False
            job = await world.cluster.store_client.inspector.get(view.last_job)
            return job.state == "completed"

        await until(has_run, "the one in a process")


async def test_the_last_node_that_has_it_pauses_it_as_it_leaves_and_the_next_one_lets_it_go_on(world: World) -> None:
    forge = Forge(world.settings)
    forge.schedule("report", "note", cron=YEARLY)
    forge.job("note")(lambda: None)

    async def note() -> str | None:
        [view] = await world.cluster.store_client.schedules.views(["report"])
        return None if view.stored is None or view.stored.pause is None else view.stored.pause.note

    async def is_there() -> bool:
        return bool(await world.cluster.store_client.schedules.views(["report"]))

    async def goes_on() -> bool:
        return await note() is None

    async with world.node():
        async with world.node(forge):
            await until(is_there, "the schedule")
            assert await note() is None
        assert await note() == GONE
        again = Forge(world.settings)
        again.schedule("report", "note", cron=YEARLY)
        again.job("note")(lambda: None)
        async with world.node(again):
            await until(goes_on, "the schedule to go on")


async def test_a_node_whose_roles_crash_pauses_nothing_for_it_is_back_at_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.forge.schedule("report", "note", cron=YEARLY)
    views = world.cluster.store_client.schedules.views
    await check_shards(world.settings)
    other = await world.cluster.node([Announcement.of("note", "", KindOptions(), None)])
    async with world.node() as node:

        async def is_there() -> bool:
            return bool(await views(["report"]))

        await until(is_there, "the schedule")
        before, name = await views(["report"]), node.name
        await node.system.ref("node/dispatcher").tell(Done(999, 1, 0.0, (), (), (), (), ()))
        await until(lambda: node.name != name, "the node to be back")
        await other.store.settle_schedules()
        assert await views(["report"]) == before
        assert "gone_from_code" not in str([each.msg for each in caplog.records])


async def test_a_schedule_may_stand_before_its_handler_whose_payload_it_must_fit_all_the_same(world: World) -> None:
    forge = Forge(world.settings)
    forge.schedule("report", "monthly", {"month": "May"}, cron=YEARLY)

    @forge.job("monthly")
    async def monthly(month: int) -> None:
        """Stands for one."""

    with pytest.raises(ConfigError, match=r"schedule 'report': .*month"):
        async with running(forge, world.settings):
            pytest.fail("it started")


async def test_a_node_does_not_start_where_what_it_announces_cannot_be_written(world: World) -> None:
    key = shards_of(world.settings)[0].schedule_versions
    world.cluster.raw.set(key, "theirs")
    world.forge.schedule("report", "note", cron=YEARLY)
    with pytest.raises(StoreError):
        async with running(world.forge, world.settings):
            pytest.fail("it started")
    world.cluster.raw.delete(key)
