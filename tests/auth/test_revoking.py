"""Revoking a key, and those that come from it."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from ironforge.auth.authenticator import REMEMBERED_SECONDS
from ironforge.redis.ring_keys import RingKeys
from tests.auth.kit import House, listed, make
from tests.auth.test_quotas import submit


async def family(house: House) -> dict[str, str]:
    """Ids: a root, two children, a grandchild, and a stranger."""
    admin = await house.key()
    root = await make(house, admin)
    child = await make(house, root.body["key"])
    keys = {"root": root, "child": child, "other": await make(house, root.body["key"])}
    keys |= {"grandchild": await make(house, child.body["key"]), "stranger": await make(house, admin)}
    return {name: made.body["id"] for name, made in keys.items()}


@pytest.mark.parametrize("query", ["", "?children=revoke"])
async def test_what_a_revoked_key_made_goes_with_it(house: House, query: str) -> None:
    ids = await family(house)
    answer = await house.call("DELETE", f"/keys/{ids['root']}{query}", await house.key())
    left = await listed(house)

    assert answer.status == 200
    assert answer.body["id"] == ids["root"]
    assert set(answer.body["children"]) == {ids["child"], ids["other"], ids["grandchild"]}
    assert {name for name, one in ids.items() if one in left} == {"stranger"}
    entries = (await house.call("GET", "/audit", await house.key())).body["entries"]
    revoked = {entry["target"] for entry in entries if entry["action"] == "revokeKey"}
    assert revoked == {one for name, one in ids.items() if name != "stranger"}


async def test_they_may_be_kept_and_still_go_with_who_is_above(house: House) -> None:
    ids, admin = await family(house), await house.key()
    kept = await house.call("DELETE", f"/keys/{ids['child']}?children=keep", admin)
    assert kept.body["children"] == []
    assert ids["grandchild"] in await listed(house)
    gone = await house.call("DELETE", f"/keys/{ids['root']}", admin)
    assert set(gone.body["children"]) == {ids["other"], ids["grandchild"]}


async def test_another_word_for_children_is_refused(house: House) -> None:
    ids = await family(house)
    answer = await house.call("DELETE", f"/keys/{ids['root']}?children=all", await house.key())

    assert answer.status == 400
    assert answer.code == "invalid_parameter"
    assert answer.body["detail"] == "children: Invalid enum value 'all': one of revoke, keep"
    assert ids["root"] in await listed(house)


async def test_a_revoked_key_that_is_still_remembered_makes_no_more(house: House) -> None:
    maker = await house.key()
    assert (await make(house, maker)).status == 201
    await house.api_keys.revoke(house.namespace, maker.split("_")[1])
    answer = await make(house, maker)

    assert REMEMBERED_SECONDS > 0
    assert answer.status == 401
    assert answer.code == "invalid_credentials"


async def test_revoking_while_children_make_children_leaves_none(house: House) -> None:
    maker = await house.key()
    children = [(await make(house, maker)).body["key"] for _ in range(3)]
    making = [asyncio.create_task(make(house, key)) for key in children * 5]
    await house.api_keys.revoke(house.namespace, maker.split("_")[1])
    await asyncio.gather(*making)

    assert [one for one in (await listed(house)).values() if one["made_by"]] == []


async def test_keys_of_before_count_and_can_be_revoked(house: House, server: str) -> None:
    import redis.asyncio as redis

    maker = await house.key()
    child = await make(house, maker)
    async with redis.Redis.from_url(server) as client:
        keys = RingKeys()
        for key_id in (maker.split("_")[1], child.body["id"]):
            record = msgspec.msgpack.decode(await client.hget(keys.records, key_id))
            for name in ("makers", "made_by"):
                del record[name]
            await client.hset(keys.records, key_id, msgspec.msgpack.encode(record))
        await client.delete(keys.makers)
    assert (await submit(house, child.body["key"])).status == 201
    shown = (await listed(house))[child.body["id"]]
    assert shown["made_by"] == ""
    gone = await house.call("DELETE", f"/keys/{maker.split('_')[1]}", await house.key())
    assert gone.status == 200
    assert gone.body["children"] == []


async def test_who_is_limited_to_queues_sees_and_revokes_the_keys_of_those(house: House) -> None:
    limited = await house.key(queues=["ours", "more"], name="limited")
    ours = (await house.key(queues=["ours"], name="ours")).split("_")[1]
    others = [
        (await house.key(queues=["theirs"])).split("_")[1],
        (await house.key(queues=["ours", "theirs"])).split("_")[1],
        (await house.key()).split("_")[1],
    ]
    shown = (await house.call("GET", "/keys", limited)).body
    unknown = await house.call("DELETE", "/keys/aaaaaaaaaaaa", limited)

    assert {one["name"] for one in shown["keys"]} == {"limited", "ours"}
    assert "theirs" not in json.dumps(shown)
    for key_id in others:
        answer = await house.call("DELETE", f"/keys/{key_id}", limited)
        assert answer.status == 404
        assert answer.body["detail"] == unknown.body["detail"].replace("aaaaaaaaaaaa", key_id)
    assert (await house.call("DELETE", f"/keys/{ours}", limited)).status == 200
