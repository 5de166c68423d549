"""Schedules of callers: what each may see and change, what it may have them submit, and what is on record of it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
import redis.asyncio as redis

from ironforge.auth.quota import Quota
from ironforge.redis.keys import Keys
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.store.schedules.ticker import Ticker
from tests.auth.conftest import Build
from tests.auth.kit import House

ADMIN = ["schedules:admin", "jobs:submit", "jobs:read"]
SPAN = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-01T03:00:00Z"}


def schedule(queue: str = "ours", **fields: Any) -> dict[str, Any]:
    return {"every_seconds": 3600.0, "overlap": "allow", "job": {"kind": "k", "queue": queue}, **fields}


async def names(house: House, key: str) -> list[str]:
    return [one["name"] for one in (await house.call("GET", "/schedules", key)).body["schedules"]]


async def test_a_caller_of_some_queues_sees_and_changes_their_schedules_alone(house: House) -> None:
    whole, limited = await house.key(), await house.key(ADMIN, queues=["ours"])
    for name, queue in (("mine", "ours"), ("theirs", "theirs")):
        assert (await house.call("PUT", f"/schedules/{name}", whole, json=schedule(queue))).status == 201
    assert await names(house, whole) == ["mine", "theirs"]
    assert await names(house, limited) == ["mine"]
    for method, path in (
        ("GET", ""),
        ("GET", "/next"),
        ("GET", "/history"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/trigger"),
        ("DELETE", ""),
    ):
        answer = await house.call(method, f"/schedules/theirs{path}", limited)
        ghost = await house.call(method, f"/schedules/ghost{path}", limited)
        assert (answer.status, answer.code) == (404, "schedule_not_found")
        assert answer.body["detail"].replace("theirs", "ghost") == ghost.body["detail"]
    assert (await house.call("POST", "/schedules/theirs/backfill", limited, json=SPAN)).status == 404
    for name, queue in (("theirs", "ours"), ("mine", "theirs"), ("new", "theirs"), ("default", "default")):
        refused = await house.call("PUT", f"/schedules/{name}", limited, json=schedule(queue))
        assert (refused.status, refused.code) == (403, "queue_not_allowed")
    assert (await house.call("PUT", "/schedules/new", limited, json=schedule())).status == 201
    assert (await house.call("DELETE", "/schedules/new", limited)).status == 200


async def test_a_caller_of_some_queues_says_what_a_source_has_where_all_of_it_is_theirs(house: House) -> None:
    whole, limited = await house.key(), await house.key(ADMIN, queues=["ours"])

    async def apply(key: str, **schedules: Any) -> Any:
        return await house.call("PUT", "/schedules?source=app", key, json={"schedules": schedules})

    assert (await apply(limited, a=schedule())).status == 200
    assert (await apply(whole, a=schedule(), b=schedule("theirs"))).status == 200
    for wanted in ({"a": schedule()}, {"a": schedule(), "b": schedule()}, {"c": schedule("theirs")}):
        refused = await apply(limited, **wanted)
        assert (refused.status, refused.code) == (403, "queue_not_allowed")
    assert await names(house, whole) == ["a", "b"]


async def test_a_caller_of_some_queues_is_not_told_which_job_of_another_holds_a_unique_key(house: House) -> None:
    whole, limited = await house.key(), await house.key(ADMIN, queues=["ours"])
    held = {"kind": "k", "queue": "theirs", "unique": {"key": "u"}}
    job = (await house.call("POST", "/jobs", whole, json=held)).body["id"]
    said = schedule(job={**held, "queue": "ours", "unique": {"key": "u", "on_conflict": "reject"}})
    assert (await house.call("PUT", "/schedules/a", limited, json=said)).status == 201
    for path, body in (("trigger", None), ("backfill", SPAN)):
        refused = await house.call("POST", f"/schedules/a/{path}", limited, json=body)
        assert (refused.status, refused.code) == (409, "duplicate")
        assert job not in str(refused.body)
        assert (await house.call("POST", f"/schedules/a/{path}", whole, json=body)).body["job_id"] == job


async def test_where_jobs_go_that_name_no_queue_the_kind_says(house: House) -> None:
    await house.node(kinds=["theirs.only"])
    whole, limited = await house.key(), await house.key(ADMIN, queues=["ours"])
    said = {"every_seconds": 60, "job": {"kind": "theirs.only"}}
    refused = await house.call("PUT", "/schedules/a", limited, json=said)
    assert (refused.status, refused.code) == (403, "queue_not_allowed")
    assert (await house.call("PUT", "/schedules/a", whole, json=said)).status == 201
    assert await names(house, limited) == []


async def test_what_submits_jobs_takes_the_scope_to_submit_them(house: House) -> None:
    whole, without = await house.key(), await house.key(["schedules:admin"])
    await house.call("PUT", "/schedules/a", whole, json=schedule())
    for method, path, body in (
        ("PUT", "/schedules/a", schedule()),
        ("PUT", "/schedules?source=app", {"schedules": {}}),
        ("POST", "/schedules/a/trigger", None),
        ("POST", "/schedules/a/backfill", SPAN),
    ):
        refused = await house.call(method, path, without, json=body)
        assert (refused.status, refused.code) == (403, "missing_scope")
        assert "jobs:submit" in refused.body["detail"]
    for path in ("/pause", "/resume"):
        assert (await house.call("POST", f"/schedules/a{path}", without)).status == 200
    assert (await house.call("DELETE", "/schedules/a", without)).status == 200


async def test_jobs_started_out_of_turn_are_held_to_the_quota(house: House) -> None:
    whole = await house.key()
    await house.call("PUT", "/schedules/a", whole, json=schedule())
    for quota, body in ((Quota(stored_jobs=2), SPAN), (Quota(delay_seconds=1), {**SPAN, "per_second": 0.5})):
        key = await house.key(quota=quota)
        refused = await house.call("POST", "/schedules/a/backfill", key, json=body)
        assert (refused.status, refused.code) == (429, "quota_exceeded")
        dry = await house.call("POST", "/schedules/a/backfill", key, json={**body, "dry_run": True})
        assert (dry.status, len(dry.body["ticks"])) == (200, 3)
    assert (await house.call("GET", "/jobs", whole)).body["jobs"] == []
    once = await house.key(quota=Quota(submissions_per_second=0.001, burst=1))
    assert (await house.call("POST", "/schedules/a/trigger", once)).body["outcome"] == "started"
    for path, asked in (("trigger", None), ("backfill", SPAN)):
        assert (await house.call("POST", f"/schedules/a/{path}", once, json=asked)).code == "quota_exceeded"


async def test_ticks_use_up_no_rate(house: House) -> None:
    """No caller submits them: a rate that is used up must not have a schedule skip its tick."""
    await house.quotas.put(house.namespace, Quota(submissions_per_second=0.001, burst=1))
    key = await house.key()
    for name in "ab":
        assert (await house.call("PUT", f"/schedules/{name}", key, json=schedule())).status == 201
    assert (await house.call("POST", "/schedules/a/trigger", key)).body["outcome"] == "started"
    assert (await house.call("POST", "/schedules/b/trigger", key)).code == "quota_exceeded"
    await house.call("PUT", "/schedules/b", key, json=schedule(every_seconds=1.0))
    settings, opened = house.inside(), StoreClient(house.inside())
    one = Ticker(settings, Keys(settings.namespace), 0, opened.inspector)
    one.wake(0)
    while not await ticked(house, key):
        await asyncio.sleep(await one.tick() or 0)
    await one.close()
    await opened.close()


async def ticked(house: House, key: str) -> bool:
    rows = (await house.call("GET", "/schedules/b/history", key)).body["ticks"]
    return any((row["outcome"], row["reason"]) == ("started", "") for row in rows)


async def test_there_are_as_many_as_the_quota_says(settings: Settings, build: Build) -> None:
    house = await build(msgspec.structs.replace(settings, max_schedules=3))
    less, more = [await house.key(quota=Quota(schedules=most)) for most in (1, 10**9)]

    async def put(name: str, key: str) -> int:
        return (await house.call("PUT", f"/schedules/{name}", key, json=schedule())).status

    assert [await put(name, less) for name in "ab"] == [201, 429]
    assert [await put(name, more) for name in "bcd"] == [201, 201, 429]
    assert (await house.call("GET", "/quotas", less)).body["key_quota"] == {"schedules": 1}
    both = {"schedules": {"x": schedule(), "y": schedule()}}
    refused = await house.call("PUT", "/schedules?source=app", more, json=both)
    assert (refused.status, refused.body["quota"]) == (429, "namespace.schedules")


async def test_each_change_is_on_record_with_who_did_it(house: House) -> None:
    admin, limited = await house.key(), await house.key(["keys:admin"], queues=["theirs"])
    made = await house.call("PUT", "/schedules/a", admin, json=schedule())
    assert made.body["by"].startswith(f"key:{admin.split('_')[1]}(")
    paused = await house.call("POST", "/schedules/a/pause", admin)
    assert paused.body["paused"]["by"] == made.body["by"]
    for path, body in (
        ("resume", None),
        ("trigger", None),
        ("backfill", SPAN),
        ("backfill", {**SPAN, "dry_run": True}),
    ):
        assert (await house.call("POST", f"/schedules/a/{path}", admin, json=body)).status == 200
    both = {"schedules": {"x": schedule(), "y": schedule()}}
    await house.call("PUT", "/schedules?source=app&dry_run=true", admin, json=both)
    for wanted in (both, both, {"schedules": {"y": schedule("theirs")}}):
        assert (await house.call("PUT", "/schedules?source=app", admin, json=wanted)).status == 200
    await house.call("DELETE", "/schedules/a", admin)
    entries = (await house.call("GET", "/audit", admin)).body["entries"][::-1]
    assert [(entry["action"], entry["target"]) for entry in entries] == [
        ("putSchedule", "a"),
        ("pauseSchedule", "a"),
        ("resumeSchedule", "a"),
        ("triggerSchedule", "a"),
        ("backfillSchedule", "a"),
        ("applySchedules", "x"),
        ("applySchedules", "y"),
        ("applySchedules", "y"),
        ("applySchedules", "x"),
        ("deleteSchedule", "a"),
    ]
    assert {(entry["who"], entry["queue"]) for entry in entries if entry["target"] == "a"} == {
        (made.body["by"], "ours")
    }
    assert (await house.call("GET", "/audit", limited)).body["entries"] == []


async def test_a_revoked_key_says_which_schedules_were_put_with_it(house: House) -> None:
    admin = await house.key()
    keys = [await house.key(ADMIN) for _ in range(2)]
    for name, key in (("a", keys[0]), ("b", keys[1]), ("c", keys[0]), ("d", admin)):
        await house.call("PUT", f"/schedules/{name}", key, json=schedule())
    await house.call("PUT", "/schedules/c", keys[1], json=schedule(every_seconds=60))
    gone = await house.call("DELETE", f"/keys/{keys[1].split('_')[1]}", admin)
    assert gone.body["schedules"] == ["b", "c"]
    assert (await house.call("GET", "/schedules/b", admin)).body["paused"] is None


async def test_a_key_is_revoked_also_where_schedules_cannot_be_read(house: House) -> None:
    admin, key = await house.key(), await house.key(ADMIN)
    async with redis.from_url(house.settings.redis_url) as raw:
        await raw.set(Keys(house.namespace).schedules, "spoiled")
    gone = await house.call("DELETE", f"/keys/{key.split('_')[1]}", admin)
    assert (gone.status, gone.body["schedules"]) == (200, None)


@pytest.mark.parametrize("path", ["/schedules", "/schedules/a", "/schedules/a/next", "/schedules/a/history"])
async def test_another_namespace_has_schedules_of_its_own(house: House, path: str) -> None:
    ours, strangers = await house.key(), await house.key(namespace="stranger-" + house.namespace)
    await house.call("PUT", "/schedules/a", ours, json=schedule())
    assert await names(house, strangers) == []
    assert (await house.call("GET", path, strangers)).status == (200 if path == "/schedules" else 404)
