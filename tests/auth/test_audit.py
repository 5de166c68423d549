"""The audit trail: what gets on it, and that no change of it goes unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import redis.asyncio as redis

from ironforge.auth.audit import SHOWN_PROBLEMS, AuditTrail
from ironforge.redis.keys import Keys
from ironforge.settings import Settings
from tests.auth.kit import KEPT, House, fill


async def test_what_was_done_is_on_record_with_who_and_for_which_request(house: House) -> None:
    key = await house.key(name="ops")
    node = await house.node()
    dead = await house.submit(key)
    await node.bury()
    waiting = await house.submit(key)
    await house.call("POST", f"/jobs/{dead}/retry", key, headers={"X-Request-ID": "r-1"})
    await house.call("DELETE", f"/jobs/{waiting}", key, headers={"X-Request-ID": "r-2"})
    made = await house.call("POST", "/keys", key, json={"name": "n", "scopes": ["jobs:read"]})
    await house.call("DELETE", f"/keys/{made.body['id']}", key)
    who = f"key:{key.split('_')[1]}(ops)"
    entries = (await house.call("GET", "/audit", key)).body["entries"]

    assert [(entry["who"], entry["action"], entry["target"]) for entry in entries] == [
        (who, "revokeKey", made.body["id"]),
        (who, "createKey", made.body["id"]),
        (who, "cancelJob", waiting),
        (who, "retryJob", dead),
    ]
    assert [entry["request_id"] for entry in entries[2:]] == ["r-2", "r-1"]
    assert (await house.trail().verify())[::2] == (4, [])


async def test_pausing_and_resuming_is_on_record_with_the_queue(house: House) -> None:
    key = await house.key(name="ops")
    for verb in ("pause", "resume"):
        await house.call("POST", f"/queues/invoices/{verb}", key, headers={"X-Request-ID": verb})
    entries = (await house.call("GET", "/audit", key)).body["entries"]

    assert [(entry["action"], entry["target"], entry["request_id"]) for entry in entries] == [
        ("resumeQueue", "invoices", "resume"),
        ("pauseQueue", "invoices", "pause"),
    ]


async def test_what_was_refused_is_not_on_record(house: House) -> None:
    key = await house.key()
    await house.call("DELETE", "/jobs/0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50", key)
    await house.call("POST", "/keys", await house.key(["jobs:read"]), json={"name": "n", "scopes": ["jobs:read"]})

    assert (await house.call("GET", "/audit", key)).body["entries"] == []


async def test_pages_of_the_trail(house: House) -> None:
    await fill(house.trail(), 5)
    key = await house.key(["keys:admin"])
    numbers, query = [], {"limit": "2"}
    while True:
        page = (await house.call("GET", "/audit", key, params=query)).body
        numbers += [entry["number"] for entry in page["entries"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert numbers == [5, 4, 3, 2, 1]
    for bad in ({"limit": "0"}, {"limit": "501"}, {"cursor": "x"}, {"cursor": "1-1\n"}, {"page": "2"}):
        answer = await house.call("GET", "/audit", key, params=bad)
        assert answer.status == 400
        assert answer.code == "invalid_parameter"


async def test_an_untouched_trail_is_whole_also_when_the_oldest_had_to_go(trail: AuditTrail) -> None:
    assert await trail.verify() == (0, "", [])
    await fill(trail, KEPT)
    assert (await trail.verify())[::2] == (KEPT, [])
    await fill(trail, 7)
    verdict = await trail.verify()

    assert verdict.entries == KEPT
    assert verdict.problems == []
    assert verdict.head.startswith(f"{KEPT + 7}:")


async def test_many_processes_append_to_one_chain(settings: Settings) -> None:
    trails = [AuditTrail(settings) for _ in range(4)]
    await asyncio.gather(*(fill(trail, 10) for trail in trails))
    verdict = await trails[0].verify()
    for trail in trails:
        await trail.close()

    assert verdict.entries == 40
    assert verdict.problems == []


async def test_it_is_whole_while_others_append(settings: Settings) -> None:
    one, other = AuditTrail(settings, kept=KEPT), AuditTrail(settings, kept=KEPT)
    await fill(one, KEPT)
    appending = asyncio.create_task(fill(other, 100))
    while not appending.done():
        assert (await one.verify()).problems == []
    await one.close()
    await other.close()


Tamper = Callable[[redis.Redis, Keys, list[Any]], Awaitable[Any]]


async def change(client: redis.Redis, keys: Keys, rows: list[Any]) -> None:
    """Write all entries anew, the fourth with another name, everything else as it was."""
    await client.delete(keys.audit)
    for number, (row_id, fields) in enumerate(rows):
        if number == 3:
            entry = msgspec.json.decode(fields[b"e"])
            fields[b"e"] = msgspec.json.encode({**entry, "who": "somebody else"})
        await client.xadd(keys.audit, fields, id=row_id)


async def swap(client: redis.Redis, keys: Keys, rows: list[Any]) -> None:
    await client.delete(keys.audit)
    order = [0, 2, 1, *range(3, len(rows))]
    for (row_id, _), number in zip(rows, order, strict=True):
        await client.xadd(keys.audit, rows[number][1], id=row_id)


TAMPERING: dict[str, Tamper] = {
    "one is gone": lambda client, keys, rows: client.xdel(keys.audit, rows[4][0]),
    "the oldest is gone": lambda client, keys, rows: client.xdel(keys.audit, rows[0][0]),
    "the newest is gone": lambda client, keys, rows: client.xdel(keys.audit, rows[-1][0]),
    "all are gone": lambda client, keys, rows: client.delete(keys.audit),
    "the head is gone": lambda client, keys, rows: client.delete(keys.audit_head),
    "the head is another": lambda client, keys, rows: client.set(keys.audit_head, "6:" + "0" * 64),
    "one was added": lambda client, keys, rows: client.xadd(keys.audit, rows[-1][1]),
    "one is no entry": lambda client, keys, rows: client.xadd(keys.audit, {"x": "y"}),
    "one was changed": change,
    "two changed places": swap,
}


@pytest.mark.parametrize("name", TAMPERING)
@pytest.mark.parametrize("count", [6, KEPT + 6])
async def test_tampering_shows(
    trail: AuditTrail, client: redis.Redis, settings: Settings, name: str, count: int
) -> None:
    await fill(trail, count)
    keys = Keys(settings.namespace)
    await TAMPERING[name](client, keys, await client.xrange(keys.audit))

    assert (await trail.verify()).problems


async def test_who_has_no_pepper_cannot_make_a_trail_that_fits(trail: AuditTrail, settings: Settings) -> None:
    await fill(trail, 3)
    forger = AuditTrail(msgspec.structs.replace(settings, key_pepper="x" * 32), kept=KEPT)
    await fill(forger, 1)
    await forger.close()

    assert (await trail.verify()).problems == ["entry 4: was changed, or did not follow the one before it"]


async def test_a_wrong_pepper_is_told_in_one_line(trail: AuditTrail, settings: Settings) -> None:
    await fill(trail, 5)
    stranger = AuditTrail(msgspec.structs.replace(settings, key_pepper="x" * 32), kept=KEPT)
    problems = (await stranger.verify()).problems
    await stranger.close()

    assert len(problems) == 1
    assert "pepper" in problems[0]


async def test_of_very_many_problems_some_are_told(trail: AuditTrail, client: redis.Redis, settings: Settings) -> None:
    await fill(trail, 1)
    for _ in range(SHOWN_PROBLEMS + 50):
        await client.xadd(Keys(settings.namespace).audit, {"x": "y"})
    problems = (await trail.verify()).problems

    assert len(problems) == SHOWN_PROBLEMS + 1
    assert problems[-1] == "and 50 more"
