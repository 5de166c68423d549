"""Schedules of several shards: each in the one that its jobs go to."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ironforge.doctor.schedules import schedules_of_the_namespace
from ironforge.errors import InvalidJob
from ironforge.job.definition import Announcement
from ironforge.job.limits import Limit
from ironforge.job.limits_option import Use
from ironforge.job.options import KindOptions
from ironforge.redis.shards import shards_of
from ironforge.schedules.definition import Schedule
from ironforge.schedules.errors import ScheduleConflict
from ironforge.store.schedules.contract import ScheduleView
from tests.store.kit import Cluster
from tests.store.schedules.kit import CAUGHT_UP, every, request, schedules, tick, ticker
from tests.store.sharding.kit import SHARDS, stored, text_in


def lies_in(cluster: Cluster, name: str) -> list[int]:
    return [
        number for number, keys in enumerate(shards_of(cluster.settings)) if cluster.raw.hexists(keys.schedules, name)
    ]


async def tick_everywhere(cluster: Cluster) -> None:
    for shard, keys in enumerate(shards_of(cluster.settings)):
        for name in cluster.raw.hkeys(keys.schedules):
            where = cluster.raw.hget(keys.upcoming, name).split(b":", 3)
            day_before = [b"%d" % (int(ms) - 86_400_000) for ms in where[1:3]]
            cluster.raw.hset(keys.upcoming, name, b":".join([where[0], *day_before, where[3]]))
            cluster.raw.zadd(keys.ticks, {name: 1})
        await tick(ticker(cluster, shard))


@pytest.mark.parametrize("shard", range(SHARDS))
async def test_a_schedule_and_its_jobs_lie_where_its_name_says(sharded: Cluster, shard: int) -> None:
    name = text_in(shard, "s")
    await schedules(sharded).put(name, every(catch_up=CAUGHT_UP))
    assert lies_in(sharded, name) == [shard]
    await tick_everywhere(sharded)
    assert [len(jobs) for jobs in stored(sharded)] == [int(number == shard) for number in range(SHARDS)]
    assert (await schedules(sharded).get(name)).last_job is not None
    assert len(await schedules(sharded).history(name)) == 1
    assert await schedules(sharded).names() == [name]
    await schedules(sharded).delete(name)
    assert lies_in(sharded, name) == []


@pytest.mark.parametrize("option", ["unique", "limits"])
async def test_one_whose_job_has_a_key_lies_where_that_says(sharded: Cluster, option: str) -> None:
    await sharded.store_client.limits.put("one", Limit(concurrency=1))
    value = {"key": text_in(2)} if option == "unique" else [{"name": "one", "key": text_in(2)}]
    asked = msgspec.convert({"kind": "k", option: value}, type(request()))
    name = text_in(0, "s")
    await schedules(sharded).put(name, every(catch_up=CAUGHT_UP, job=asked))
    assert lies_in(sharded, name) == [2]
    await tick_everywhere(sharded)
    assert [len(jobs) for jobs in stored(sharded)] == [0, 0, 1]
    assert (await schedules(sharded).trigger(name)).reason == "overlap"
    with pytest.raises(ScheduleConflict, match="lies in: delete it first, then make it anew"):
        await schedules(sharded).put(name, every())


async def test_a_job_whose_keys_lie_apart_is_refused(sharded: Cluster) -> None:
    asked = msgspec.convert(
        {"kind": "k", "unique": {"key": "a"}, "limits": [{"name": "one", "key": "b"}]}, type(request())
    )
    with pytest.raises(InvalidJob, match="must have the same key") as refused:
        await schedules(sharded).put("report", every(job=asked))
    assert refused.value.code == "keys_apart"


async def test_a_kind_whose_key_leads_elsewhere_later_has_its_ticks_skipped_for_that(sharded: Cluster) -> None:
    name = text_in(0, "s")
    options = KindOptions(limits=[Use("one", key="account")])
    payload = msgspec.Raw(msgspec.json.encode({"account": text_in(1)}))
    job = msgspec.structs.replace(request(), payload=payload)
    await schedules(sharded).put(name, every(1.0, job=job))
    await sharded.store_client.limits.put("one", Limit(concurrency=1))
    await sharded.node([Announcement.of("k", "2", options, None)])
    one = ticker(sharded, 0)
    one.wake(0)
    for _ in range(40):
        await asyncio.sleep(min(await one.tick() or 0, 0.1))
        if await schedules(sharded).history(name):
            break
    assert {past.reason for past in await schedules(sharded).history(name)} == {"keys_apart"}


async def test_what_a_source_owns_lies_in_all_of_them(sharded: Cluster) -> None:
    names = [text_in(shard, "s") for shard in range(SHARDS)]
    made = await schedules(sharded).apply("app", dict.fromkeys(names, every(60.0)))
    assert made.created == sorted(names)
    assert [lies_in(sharded, name) for name in names] == [[0], [1], [2]]
    moved = every(60.0, job=msgspec.convert({"kind": "k", "unique": {"key": text_in(1)}}, type(request())))
    with pytest.raises(ScheduleConflict, match="lies in: delete it first, then make it anew"):
        await schedules(sharded).apply("app", {names[0]: moved})
    gone = await schedules(sharded).apply("app", {names[2]: every(90.0)})
    assert (gone.changed, gone.deleted) == ([names[2]], sorted(names[:2]))


def keyed(shard: int) -> Schedule:
    """Whose job leads to this shard, whatever its name."""
    return every(job=msgspec.convert({"kind": "k", "unique": {"key": text_in(shard)}}, type(request())))


async def test_of_two_that_make_it_at_once_in_different_shards_one_does(sharded: Cluster) -> None:
    doors = [sharded.open_doors().schedules for _ in range(SHARDS)]
    for number in range(10):
        name = f"s{number}"
        made = [door.put(name, keyed(shard)) for shard, door in enumerate(doors)]
        told = await asyncio.gather(*made, return_exceptions=True)
        stands = [shard for shard, answer in enumerate(told) if not isinstance(answer, Exception)]
        assert len(stands) == 1
        assert lies_in(sharded, name) == stands
        assert {type(answer) for answer in told} == {ScheduleView, ScheduleConflict}


async def test_one_that_was_left_in_two_shards_is_deleted_in_both(sharded: Cluster) -> None:
    await schedules(sharded).put("report", keyed(0))
    here, there = shards_of(sharded.settings)[0], shards_of(sharded.settings)[2]
    for key, other in ((here.schedules, there.schedules), (here.upcoming, there.upcoming)):
        sharded.raw.hset(other, "report", sharded.raw.hget(key, "report"))
    await schedules(sharded).delete("report")
    assert lies_in(sharded, "report") == []


async def test_one_that_lies_in_two_shards(sharded: Cluster) -> None:
    await schedules(sharded).put("report", every())
    [lies] = [keys for keys in shards_of(sharded.settings) if sharded.raw.exists(keys.schedules)]
    other = next(keys for keys in shards_of(sharded.settings) if keys.schedules != lies.schedules)
    assert await schedules_of_the_namespace(schedules(sharded), sharded.store_client.inspector) == []
    sharded.raw.hset(other.schedules, "report", sharded.raw.hget(lies.schedules, "report"))
    [found] = await schedules_of_the_namespace(schedules(sharded), sharded.store_client.inspector)
    assert found.level == "fail"
    assert found.message == "schedule report lies in several shards, and each of them fires its ticks"
    assert found.fix == "ironforge schedules delete report, then define it anew"
    await schedules(sharded).delete("report")
    await schedules(sharded).put("report", every())
    assert await schedules_of_the_namespace(schedules(sharded), sharded.store_client.inspector) == []
