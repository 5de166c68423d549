"""Keys that keys make: never more than their maker, charged to it, and gone with it."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.auth.authenticator import REMEMBERED_SECONDS
from ironforge.auth.caller import SCOPES, Account, Caller
from ironforge.auth.inheritance import GENERATIONS, Terms, inherit, makers_of
from ironforge.auth.quota import NAMES, NO_QUOTA, Quota, check
from ironforge.errors import ConfigError, Forbidden
from ironforge.redis.keys import RingKeys
from tests.auth.conftest import Build
from tests.auth.kit import Answer, House
from tests.auth.test_quotas import NEVER, submit
from tests.auth.test_tokens import token, trusting

NOW_MS = 1_800_000_000_000


async def make(house: House, maker: str, **fields: Any) -> Answer:
    wanted = {"name": f"n{time.monotonic_ns()}", "scopes": ["jobs:submit", "keys:admin"], **fields}
    return await house.call("POST", "/keys", maker, json=wanted)


async def listed(house: House) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in (await house.call("GET", "/keys", await house.key())).body["keys"]}


# --------------------------------------------------------------------------- the terms

quotas = st.builds(
    Quota,
    submissions_per_second=st.none() | st.floats(0.001, 100),
    burst=st.none() | st.integers(1, 100),
    **{name: st.none() | st.integers(1, 100) for name in ("stored_jobs", "stored_bytes", "in_flight")},
    delay_seconds=st.none() | st.floats(1, 100),
)
queues = st.none() | st.frozensets(st.sampled_from("abc"), min_size=1)
scopes = st.frozensets(st.sampled_from(SCOPES), min_size=1)
times = st.just(0) | st.integers(NOW_MS + 1, NOW_MS + 1_000)


@given(scopes, queues, quotas, times, scopes, queues, quotas, times)
def test_a_child_never_exceeds_its_maker(  # noqa: PLR0917
    held: frozenset[str],
    held_queues: frozenset[str] | None,
    held_quota: Quota,
    until_ms: int,
    wanted: frozenset[str],
    wanted_queues: frozenset[str] | None,
    wanted_quota: Quota,
    wanted_ms: int,
) -> None:
    maker = Caller("n", held, "x", held_queues, "b", held_quota, until_ms)
    asked = Terms(list(wanted), None if wanted_queues is None else list(wanted_queues), wanted_ms, wanted_quota)
    try:
        check(held_quota)
        check(wanted_quota)
        given_terms = inherit(maker, asked, NOW_MS)
    except (Forbidden, ConfigError):
        return

    assert held.issuperset(given_terms.scopes)
    assert maker.sees(given_terms.queues)
    assert not until_ms or 0 < given_terms.expires_ms <= until_ms
    for name in NAMES:
        limit = held_quota.limit(name)
        assert limit is None or (given_terms.quota.limit(name) or 1e300) <= limit


@given(scopes, queues, quotas, times)
def test_what_is_left_out_is_inherited(
    held: frozenset[str], held_queues: frozenset[str] | None, quota: Quota, until_ms: int
) -> None:
    maker = Caller("n", held, "x", held_queues, "b", quota, until_ms)
    terms = inherit(maker, Terms(list(held), None, 0, NO_QUOTA), NOW_MS)

    assert (quota, until_ms) == (terms.quota, terms.expires_ms)
    assert held_queues == (None if terms.queues is None else frozenset(terms.queues))


# --------------------------------------------------------------------------- over HTTP


async def test_a_key_of_a_held_and_mortal_key_is_held_and_mortal_too(house: House) -> None:
    quota = Quota(submissions_per_second=1, burst=2, in_flight=5)
    maker = await house.key(["keys:admin", "jobs:submit"], quota=quota, expires_seconds=60, queues=["ours"])
    child = await make(house, maker)
    grandchild = await make(house, child.body["key"], quota={"in_flight": 3}, expires_seconds=5)
    keys = await listed(house)

    until = keys[maker.split("_")[1]]["expires_at"]
    shown = keys[child.body["id"]]
    assert (until, ["ours"]) == (shown["expires_at"], shown["queues"])
    assert {"submissions_per_second": 1.0, "burst": 2, "in_flight": 5} == shown["quota"]
    assert (until, ["ours"], shown["quota"]) == tuple(child.body[name] for name in ("expires_at", "queues", "quota"))
    shown = keys[grandchild.body["id"]]
    assert {"submissions_per_second": 1.0, "burst": 2, "in_flight": 3} == shown["quota"]
    assert shown["expires_at"] < until
    assert f"key:{child.body['id']}(" in shown["made_by"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"quota": {"submissions_per_second": 1.5}}, "quota_not_held"),
        ({"quota": {"burst": 3}}, "quota_not_held"),
        ({"quota": {"submissions_per_second": 0.5, "burst": 3}}, "quota_not_held"),
        ({"quota": {"in_flight": 6}}, "quota_not_held"),
        ({"quota": {"stored_jobs": 1, "delay_seconds": 11}}, "quota_not_held"),
        ({"expires_seconds": 3600}, "expiry_not_held"),
        ({"queues": ["ours", "theirs"]}, "queue_not_allowed"),
        ({"scopes": ["jobs:read"]}, "scope_not_held"),
    ],
)
async def test_more_than_the_maker_has_is_refused(house: House, fields: dict[str, Any], code: str) -> None:
    quota = Quota(submissions_per_second=1, burst=2, in_flight=5, delay_seconds=10)
    maker = await house.key(["keys:admin", "jobs:submit"], quota=quota, expires_seconds=60, queues=["ours"])
    answer = await make(house, maker, **fields)

    assert (403, code) == (answer.status, answer.code)
    assert 1 == len(await house.api_keys.listed(house.namespace))


async def test_a_rate_without_a_burst_bounds_the_burst(house: House) -> None:
    maker = await house.key(quota=Quota(submissions_per_second=10))
    assert "quota_not_held" == (await make(house, maker, quota={"burst": 11})).code
    assert 201 == (await make(house, maker, quota={"burst": 10})).status


async def test_ten_keys_share_what_their_maker_has(house: House) -> None:
    maker = await house.key(quota=Quota(submissions_per_second=NEVER, burst=3))
    children = [(await make(house, maker)).body["key"] for _ in range(3)]
    children.append((await make(house, children[0])).body["key"])
    answers = [await submit(house, key) for key in (*children, maker)]

    assert [201, 201, 201, 429, 429] == [answer.status for answer in answers]
    assert "maker.submissions_per_second" == answers[3].body["quota"]
    assert "key.submissions_per_second" == answers[4].body["quota"]


async def test_also_once_the_maker_is_gone(house: House) -> None:
    maker = await house.key(quota=Quota(submissions_per_second=NEVER, burst=3))
    first, second = [(await make(house, maker)).body["key"] for _ in range(2)]
    await house.call("DELETE", f"/keys/{maker.split('_')[1]}?children=keep", await house.key())
    statuses = [(await submit(house, key)).status for key in (first, second, first, second)]

    assert [201, 201, 201, 429] == statuses


async def test_a_key_of_a_token_ends_with_the_token(settings: Any, build: Build, tmp_path: Path) -> None:
    trusting(tmp_path)
    house = await build(msgspec.structs.replace(settings, jwt_issuers=str(tmp_path / "issuers.toml")))
    until = int(time.time()) + 50
    scope = "keys:admin jobs:submit"
    maker = token(ironforge_namespace=house.namespace, scope=scope, exp=until, ironforge_queues=["ours"])
    child = await make(house, maker)
    shown = (await listed(house))[child.body["id"]]

    assert until == datetime.fromisoformat(shown["expires_at"]).timestamp()
    assert ["ours"] == shown["queues"]
    assert "expiry_not_held" == (await make(house, maker, expires_seconds=51)).code
    assert 201 == (await make(house, maker, expires_seconds=1)).status
    late = token(ironforge_namespace=house.namespace, scope=scope, exp=int(time.time()) - 5)
    assert "expiry_not_held" == (await make(house, late, expires_seconds=1)).code


async def test_generations_end(house: House) -> None:
    maker = await house.key()
    for _ in range(GENERATIONS - 1):
        maker = (await make(house, maker)).body["key"]
    answer = await make(house, maker)

    assert (403, "too_many_generations") == (answer.status, answer.code)


def test_who_is_charged_is_every_key_above() -> None:
    above = (Account("b", Quota(in_flight=1)), Account("a", NO_QUOTA))
    assert (Account("c", NO_QUOTA), *above) == makers_of(Caller("n", frozenset(), "x", bucket="c", makers=above))
    assert () == makers_of(Caller("n", frozenset(), "jwt:x"))


# --------------------------------------------------------------------------- revoking


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

    assert (200, ids["root"]) == (answer.status, answer.body["id"])
    assert {ids["child"], ids["other"], ids["grandchild"]} == set(answer.body["children"])
    assert {"stranger"} == {name for name, one in ids.items() if one in left}
    entries = (await house.call("GET", "/audit", await house.key())).body["entries"]
    revoked = {entry["target"] for entry in entries if entry["action"] == "revokeKey"}
    assert {one for name, one in ids.items() if name != "stranger"} == revoked


async def test_they_may_be_kept_and_still_go_with_who_is_above(house: House) -> None:
    ids, admin = await family(house), await house.key()
    kept = await house.call("DELETE", f"/keys/{ids['child']}?children=keep", admin)
    assert [] == kept.body["children"]
    assert ids["grandchild"] in await listed(house)
    gone = await house.call("DELETE", f"/keys/{ids['root']}", admin)
    assert {ids["other"], ids["grandchild"]} == set(gone.body["children"])


async def test_another_word_for_children_is_refused(house: House) -> None:
    ids = await family(house)
    answer = await house.call("DELETE", f"/keys/{ids['root']}?children=all", await house.key())

    assert (400, "invalid_parameter") == (answer.status, answer.code)
    assert "children: Invalid enum value 'all': one of revoke, keep" == answer.body["detail"]
    assert ids["root"] in await listed(house)


async def test_a_revoked_key_that_is_still_remembered_makes_no_more(house: House) -> None:
    maker = await house.key()
    assert 201 == (await make(house, maker)).status
    await house.api_keys.revoke(house.namespace, maker.split("_")[1])
    answer = await make(house, maker)

    assert REMEMBERED_SECONDS > 0
    assert (401, "invalid_credentials") == (answer.status, answer.code)


async def test_revoking_while_children_make_children_leaves_none(house: House) -> None:
    maker = await house.key()
    children = [(await make(house, maker)).body["key"] for _ in range(3)]
    making = [asyncio.create_task(make(house, key)) for key in children * 5]
    await house.api_keys.revoke(house.namespace, maker.split("_")[1])
    await asyncio.gather(*making)

    assert [] == [one for one in (await listed(house)).values() if one["made_by"]]


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
    assert 201 == (await submit(house, child.body["key"])).status
    shown = (await listed(house))[child.body["id"]]
    assert "" == shown["made_by"]
    gone = await house.call("DELETE", f"/keys/{maker.split('_')[1]}", await house.key())
    assert (200, []) == (gone.status, gone.body["children"])


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

    assert {"limited", "ours"} == {one["name"] for one in shown["keys"]}
    assert "theirs" not in json.dumps(shown)
    for key_id in others:
        answer = await house.call("DELETE", f"/keys/{key_id}", limited)
        assert (404, unknown.body["detail"].replace("aaaaaaaaaaaa", key_id)) == (answer.status, answer.body["detail"])
    assert 200 == (await house.call("DELETE", f"/keys/{ours}", limited)).status
