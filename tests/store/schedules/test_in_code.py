"""Schedules in the code of nodes: what becomes of them at roll-outs, and of those that are in no code any more."""

from __future__ import annotations

import asyncio

import pytest

from ironforge.errors import StoreError
from ironforge.schedules.errors import ScheduleConflict, ScheduleNotFound
from ironforge.schedules.in_code import announcement_of
from ironforge.store.schedules.contract import CODE
from ironforge.store.schedules.in_code import GONE
from tests.store.kit import Cluster, now_ms
from tests.store.schedules.coded import KINDS, dies, held, hours, joins, leaves, note, says
from tests.store.schedules.kit import make_due, outcomes, schedules, tick, ticker
from tests.support.waiting import until


async def test_a_change_holds_at_once_and_so_does_a_roll_back(cluster: Cluster) -> None:
    await joins(cluster, {"one": says(1)})
    new = await joins(cluster, {"one": says(2, queue="slow")})
    assert (await held(cluster)).stored.schedule == says(2, queue="slow")
    await leaves(new)
    assert (await held(cluster)).stored.schedule == says(1)


async def test_its_source_is_code(cluster: Cluster) -> None:
    await joins(cluster, {"one": says(1)})
    assert (await held(cluster)).stored.source == CODE


async def test_what_has_not_changed_changes_nothing(cluster: Cluster) -> None:
    old = await joins(cluster, {"one": says(1)})
    before = await held(cluster)
    await joins(cluster, {"one": says(1), "two": says(1)}, kinds=("k", "more"))
    await leaves(old)
    assert (await held(cluster), await outcomes(cluster, "one")) == (before, [])


async def test_what_an_older_version_stored_with_fewer_fields_changes_nothing(cluster: Cluster) -> None:
    said = b'{"schedule":{"job":{"kind":"k","payload":{}},"every_seconds":3600},"source":"code"}'
    cluster.raw.hset(cluster.keys.schedules, "one", said)
    await joins(cluster, {"one": says(1, overlap="skip", start=None)})
    assert cluster.raw.hget(cluster.keys.schedules, "one") == said


async def test_one_that_is_gone_from_the_code_pauses_and_goes_on_when_it_is_back(cluster: Cluster) -> None:
    old, new = await joins(cluster, {"one": says(24)}), await joins(cluster)
    assert await note(cluster) is None
    await dies(cluster, old, new)
    assert await note(cluster) == GONE
    make_due(cluster, "one")
    await tick(ticker(cluster))
    await joins(cluster, {"one": says(24)})
    assert await note(cluster) is None
    assert await outcomes(cluster, "one") == [("skipped", "paused", 1)]


async def test_without_nodes_of_its_application_it_goes_on(cluster: Cluster) -> None:
    """Neither is it paused as all end, nor by those of another one."""
    others = await joins(cluster, kinds=("theirs",))
    node = await joins(cluster, {"one": says(1)})
    await leaves(node)
    assert await note(cluster) is None
    await leaves(others)
    assert await note(cluster) is None


async def test_a_pause_of_an_operator_stays_through_everything(cluster: Cluster) -> None:
    old = await joins(cluster, {"one": says(1)})
    await schedules(cluster).pause("one", "by hand", by="ada")
    new = await joins(cluster, {"one": says(2)})
    assert (await hours(cluster), await note(cluster)) == (2, "by hand")
    await leaves(old)
    third = await joins(cluster)
    await dies(cluster, new, third)
    await joins(cluster, {"one": says(3)})
    assert (await hours(cluster), await note(cluster)) == (3, "by hand")


async def test_one_that_an_operator_resumes_though_it_is_gone_goes_on(cluster: Cluster) -> None:
    old, new = await joins(cluster, {"one": says(1)}), await joins(cluster)
    await dies(cluster, old, new)
    await schedules(cluster).resume("one")
    await joins(cluster)
    assert await note(cluster) is None


async def test_where_it_is_gone_the_end_of_an_operators_pause_does_not_let_it_go_on(cluster: Cluster) -> None:
    old, new = await joins(cluster, {"one": says(1)}), await joins(cluster)
    until_ms = now_ms() + 200
    await schedules(cluster).pause("one", "for a moment", until_ms=until_ms)
    await dies(cluster, old, new)
    await new.store.settle_schedules()
    assert await note(cluster) == "for a moment"
    await until(lambda: now_ms() > until_ms, "the end of the pause")
    await new.store.settle_schedules()
    assert await note(cluster) == GONE


async def test_one_of_another_source_is_not_taken_which_is_said_once(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    await schedules(cluster).put("one", says(5))
    node = await joins(cluster, {"one": says(1), "two": says(2)})
    await node.store.settle_schedules()
    assert (await hours(cluster), await hours(cluster, "two")) == (5, 2)
    [warning] = [each.msg for each in caplog.records if "schedule_of_code_not_taken" in str(each.msg)]
    assert "put by hand" in str(warning)
    await schedules(cluster).delete("one")
    await node.store.settle_schedules()
    assert await hours(cluster) == 1


async def test_one_that_was_deleted_comes_back_with_a_node_that_starts_and_with_none_that_leaves(
    cluster: Cluster,
) -> None:
    await joins(cluster, {"one": says(1)})
    new = await joins(cluster, {"one": says(2)})
    await schedules(cluster).delete("one")
    await leaves(new)
    with pytest.raises(ScheduleNotFound):
        await held(cluster)
    await joins(cluster, {"one": says(1)})
    assert await hours(cluster) == 1


async def test_what_a_newer_version_stored_is_left_alone(cluster: Cluster) -> None:
    await joins(cluster, {"one": says(1)})
    said = cluster.raw.hget(cluster.keys.schedules, "one")[:-1] + b',"newer":1}'
    cluster.raw.hset(cluster.keys.schedules, "one", said)
    await joins(cluster, {"one": says(2)})
    assert cluster.raw.hget(cluster.keys.schedules, "one") == said
    assert "newer" in (await held(cluster)).problem
    with pytest.raises(ScheduleConflict, match="belongs to source 'code'"):
        await schedules(cluster).put("one", says(3))
    await schedules(cluster).delete("one")
    await joins(cluster, {"one": says(2)})
    assert await hours(cluster) == 2


async def test_what_a_newer_version_has_in_its_code_is_left_to_its_nodes(cluster: Cluster) -> None:
    newer = await joins(cluster, {"one": says(2)})
    versions = cluster.raw.hget(cluster.keys.schedule_versions, "one").replace(
        rb"{\"schedule", rb"{\"newer\":1,\"schedule"
    )
    cluster.raw.hset(cluster.keys.schedule_versions, "one", versions)
    await joins(cluster, {"one": says(2), "two": says(1)})
    assert await hours(cluster) == 2
    await leaves(newer)
    assert await hours(cluster) == 2


async def test_one_too_many_stops_no_other_one(cluster: Cluster) -> None:
    cluster.with_settings(max_schedules=1)
    await joins(cluster, {"one": says(1), "two": says(2)})
    assert [view.name for view in await schedules(cluster).views(["one", "two"])] == ["one"]


async def test_where_the_server_is_full_it_is_put_with_the_next_look(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    node = await joins(cluster)
    newer = await cluster.node([], schedules=[announcement_of("one", says(1), KINDS)])
    cluster.raw.config_set("maxmemory", 1)
    try:
        await newer.store.settle_schedules()
    finally:
        cluster.raw.config_set("maxmemory", 0)
    assert "schedules_of_code_put_off" in str([each.msg for each in caplog.records])
    await node.store.settle_schedules()
    assert await hours(cluster) == 1


async def test_what_others_wrote_there_stops_no_node(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    node = await joins(cluster, {"one": says(1)})
    cluster.raw.delete(cluster.keys.schedule_versions)
    cluster.raw.set(cluster.keys.schedule_versions, "theirs")
    await node.store.settle_schedules()
    assert "schedules_of_code_put_off" in str([each.msg for each in caplog.records])
    with pytest.raises(StoreError):
        await joins(cluster, {"one": says(1)})
    cluster.raw.delete(cluster.keys.schedule_versions)


@pytest.mark.parametrize("kept", range(4))
async def test_nodes_that_come_and_go_at_once_agree_on_what_counts(cluster: Cluster, kept: int) -> None:
    """Each goes by what it saw, which others have changed meanwhile."""
    first = await joins(cluster, {"one": says(1)})
    others = await asyncio.gather(joins(cluster), *(joins(cluster, {"one": says(number)}) for number in (2, 3, 4)))
    stays = others.pop(kept)
    newest, *_ = await asyncio.gather(joins(cluster, {"one": says(5)}), *map(leaves, others))
    assert (await hours(cluster), await note(cluster)) == (5, None)
    await asyncio.gather(leaves(newest), leaves(stays))
    assert (await hours(cluster), await note(cluster)) == (1, None)
    without, _ = await asyncio.gather(joins(cluster), leaves(first))
    assert (await hours(cluster), await note(cluster)) == (1, GONE)
    await asyncio.gather(leaves(without), joins(cluster, {"one": says(2)}))
    assert (await hours(cluster), await note(cluster)) == (2, None)
