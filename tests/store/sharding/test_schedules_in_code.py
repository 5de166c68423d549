"""Schedules in the code of nodes, of several shards: each lies where its jobs go, and there alone."""

from __future__ import annotations

import msgspec
import pytest

from ironforge.job.definition import Announcement
from ironforge.job.limits import Limit
from ironforge.job.limits_option import Use
from ironforge.job.options import KindOptions
from ironforge.schedules.definition import Schedule
from ironforge.schedules.in_code import announcement_of
from ironforge.store.schedules.in_code import GONE
from tests.store.kit import Cluster, Node
from tests.store.schedules.coded import hours, joins, leaves, note, says
from tests.store.schedules.kit import every, request, schedules
from tests.store.sharding.kit import SHARDS, text_in
from tests.store.sharding.test_schedules import lies_in

NAMES = [text_in(shard, "s") for shard in range(SHARDS)]


async def test_each_is_put_paused_and_deleted_where_its_name_says(sharded: Cluster) -> None:
    old = await joins(sharded, {name: says(1) for name in NAMES})
    assert [lies_in(sharded, name) for name in NAMES] == [[shard] for shard in range(SHARDS)]
    new = await joins(sharded, {name: says(2) for name in NAMES})
    assert [await hours(sharded, name) for name in NAMES] == [2] * SHARDS
    await joins(sharded)
    await leaves(new)
    assert [await hours(sharded, name) for name in NAMES] == [1] * SHARDS
    await leaves(old)
    assert [await note(sharded, name) for name in NAMES] == [GONE] * SHARDS
    for name in NAMES:
        await schedules(sharded).delete(name)
    await joins(sharded)
    assert await schedules(sharded).names() == []


async def of_kind(cluster: Cluster, name: str, account: str, options: KindOptions, seconds: float = 60.0) -> Node:
    """A node whose code has a schedule with this payload."""
    payload = msgspec.Raw(msgspec.json.encode({"account": account}))
    schedule: Schedule = every(seconds, msgspec.structs.replace(request(), payload=payload))
    node = await cluster.node(
        [Announcement.of("k", "1", options, None)], schedules=[announcement_of(name, schedule, ["k"])]
    )
    await node.store.settle_schedules()
    return node


async def test_one_whose_kind_has_a_keyed_limit_lies_where_the_key_in_its_payload_says(sharded: Cluster) -> None:
    await sharded.store_client.limits.put("one", Limit(concurrency=1))
    await of_kind(sharded, NAMES[0], text_in(2), KindOptions(limits=[Use("one", key="account")]))
    assert lies_in(sharded, NAMES[0]) == [2]


async def test_a_change_that_would_move_it_is_not_taken_until_it_is_deleted(
    sharded: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    await sharded.store_client.limits.put("one", Limit(concurrency=1))
    await of_kind(sharded, NAMES[0], text_in(1), KindOptions())
    new = await of_kind(sharded, NAMES[0], text_in(1), KindOptions(limits=[Use("one", key="account")]), 120.0)
    assert lies_in(sharded, NAMES[0]) == [0]
    [warning] = [each.msg for each in caplog.records if "schedule_of_code_not_taken" in str(each.msg)]
    assert "delete it first" in str(warning)
    await schedules(sharded).delete(NAMES[0])
    await new.store.announce_schedules()
    await new.store.settle_schedules()
    assert lies_in(sharded, NAMES[0]) == [1]
