"""A namespace of several shards, by each door: keys wherever they lie, kinds and counts of all shards together."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ironforge import AsyncClient
from ironforge.job.record import decode
from ironforge.settings import Settings
from ironforge.store import NodeStore, Rewrite
from ironforge.store.node_contract import Consumer, Delivery
from tests.cli.kit import ironforge
from tests.store.kit import completed, job_in
from tests.store.sharding.kit import SHARDS, text_in
from tests.store.test_kinds import announced
from tests.support.waiting import until

KEYS = [text_in(shard, "acct") for shard in range(SHARDS)]


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url, namespace=uuid.uuid4().hex, shards=SHARDS)


@pytest.fixture
async def work(settings: Settings) -> AsyncIterator[Consumer]:
    """That of a node that runs `mail`, and no other kind."""
    store = NodeStore(settings, announced("mail"))
    yield store.work(await store.leases.join())
    await store.close()


async def taken(work: Consumer, count: int) -> list[Delivery]:
    """At least so many: a shard that is late is heard in a later round."""
    found: list[Delivery] = []
    while len(found) < count:
        found += await work.fetch(10)
    return found


async def of_medium(api: Any) -> Any:
    """What is counted of jobs of this priority."""
    queues = (await api.call("GET", "/queues/stats")).body["queues"]
    return next(each for each in queues if each["priority"] == "medium")


async def two_of_each_key(api: Any, **fields: Any) -> None:
    await api.call("PUT", "/limits/stripe", json={"rate": {"units": 1, "per_seconds": 3600, "burst": 9}, **fields})
    for key in KEYS * 2:
        await api.submit(kind="mail", limits=[{"name": "stripe", "key": key}])


async def test_each_door_says_how_a_key_stands_in_whatever_shard_it_lies(api: Any, work: Consumer) -> None:
    await two_of_each_key(api, concurrency=1)
    running = {job_in(delivery).limits[0].key: job_in(delivery).text_id for delivery in await taken(work, SHARDS)}
    async with AsyncClient(api.url) as client:
        for key in KEYS:
            told = (await api.call("GET", f"/limits/stripe?key={key}")).body
            stands = told["key"]
            assert (stands["running"], stands["waiting"], stands["remaining"]) == (1, 1, 0)
            assert [holder["id"] for holder in stands["holders"]] == [running[key]]
            assert await client.limit("stripe", key=key) == told
    show = ("limits", "show", "stripe", "--key", KEYS[-1], "--json")
    shown = await asyncio.to_thread(ironforge, *show, url=api.url)
    assert json.loads(shown.stdout) == told
    (listed,) = (await api.call("GET", "/limits")).body["limits"]
    assert {**listed, "key": told["key"]} == told


async def test_what_an_operator_says_holds_in_every_shard(api: Any, work: Consumer) -> None:
    await two_of_each_key(api, concurrency=1)
    assert len(await taken(work, SHARDS)) == SHARDS
    await api.call("PATCH", "/limits/stripe", json={"override": {"concurrency": 2}})
    assert len(await taken(work, SHARDS)) == SHARDS


async def test_those_that_a_limit_keeps_out_are_counted_over_all_shards(api: Any, work: Consumer) -> None:
    await two_of_each_key(api, concurrency=1)
    await taken(work, SHARDS)
    medium = await of_medium(api)
    assert (medium["queued"], medium["running"], medium["limited"], medium["declined"]) == (3, 3, 3, 0)
    shown = await asyncio.to_thread(ironforge, "stats", url=api.url)
    assert "kept out by a limit: 3 of default/medium\n" in shown.stdout


async def test_declined_jobs_are_counted_over_all_shards_and_nodes_once(api: Any, work: Consumer) -> None:
    for key in KEYS:
        await api.submit(kind="call", unique={"key": key})
    held = await taken(work, SHARDS)
    await work.decline([Rewrite(*each[:2], decode(each[2]).id, each[2]) for each in held])
    medium = await of_medium(api)
    assert (medium["queued"], medium["declined"], medium["limited"]) == (3, 3, 0)

    async def kinds() -> Any:
        return (await api.call("GET", "/kinds")).body["kinds"]

    (known,) = await until(kinds, "the reading from before the node joined to be too old")
    assert (known["kind"], known["live"], known["nodes"]) == ("mail", True, 1)
    listed = (await api.call("GET", "/jobs?state=queued")).body["jobs"]
    assert [each["waiting_for"]["code"] for each in listed] == ["no_node_for_kind"] * SHARDS


async def test_a_unique_key_is_free_again_when_its_job_has_ended_in_whatever_shard(api: Any, work: Consumer) -> None:
    for key in KEYS:
        first = await api.submit(kind="mail", unique={"key": key})
        again = await api.call("POST", "/jobs", json={"kind": "mail", "unique": {"key": key}})
        assert (again.status, again.body["id"], again.body["deduplicated"]) == (200, first, True)
    await work.settle([completed(delivery) for delivery in await taken(work, SHARDS)])
    for key in KEYS:
        await api.submit(kind="mail", unique={"key": key})


async def test_keys_of_two_shards_are_told_what_to_do(api: Any) -> None:
    for name in ("one", "two"):
        await api.call("PUT", f"/limits/{name}", json={"concurrency": 1})
    limits = [{"name": "one", "key": KEYS[0]}, {"name": "two"}]
    refused = await api.call("POST", "/jobs", json={"kind": "mail", "limits": limits})
    told = {name: refused.body[name] for name in ("status", "code", "field", "hint")}
    assert told == {
        "status": 422,
        "code": "keys_apart",
        "field": "limits",
        "hint": "give a job one key for all that it uses, and submit jobs with different keys one by one",
    }
    assert "index" not in refused.body


async def test_of_a_batch_it_is_told_at_which_job_its_keys_part(api: Any) -> None:
    jobs = [{"kind": "mail", "unique": {"key": key}} for key in (KEYS[0], KEYS[0], KEYS[1], KEYS[2])]
    refused = await api.call("POST", "/jobs/batch", json=[{"kind": "mail"}, *jobs])
    assert (refused.body["code"], refused.body["field"], refused.body["index"]) == ("keys_apart", "unique", 3)


async def test_schedules_lie_where_their_jobs_go_and_are_one_list(api: Any) -> None:
    every = {"every_seconds": 3600, "start": "2030-01-01T00:00:00Z", "overlap": "allow", "job": {"kind": "k"}}
    names = [text_in(shard, "s") for shard in range(SHARDS)]
    for name in names:
        assert (await api.call("PUT", f"/schedules/{name}", json=every)).status == 201
    listed = (await api.call("GET", "/schedules")).body["schedules"]
    assert [one["name"] for one in listed] == sorted(names)
    for name in names:
        started = (await api.call("POST", f"/schedules/{name}/trigger")).body["job_id"]
        assert (await api.call("GET", f"/jobs/{started}")).status == 200
        span = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-01T02:00:00Z"}
        assert len((await api.call("POST", f"/schedules/{name}/backfill", json=span)).body["ticks"]) == 2
        history = (await api.call("GET", f"/schedules/{name}/history")).body["ticks"]
        assert [(row["reason"], row["count"]) for row in history] == [("backfill", 2), ("trigger", 1)]
    moved = {**every, "job": {"kind": "k", "unique": {"key": KEYS[1]}}}
    refused = await api.call("PUT", f"/schedules/{names[0]}", json=moved)
    assert (refused.status, refused.code) == (409, "schedule_conflict")
    assert "delete it first" in refused.body["hint"]
    apart = {"kind": "k", "unique": {"key": KEYS[0]}, "limits": [{"name": "stripe", "key": KEYS[1]}]}
    refused = await api.call("PUT", "/schedules/apart", json={**every, "job": apart})
    assert (refused.status, refused.code) == (422, "keys_apart")
    assert refused.body["field"].startswith("job.")
