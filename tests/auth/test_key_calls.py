"""Keys over HTTP: made, listed, revoked, and never worth more than their maker."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge.redis.keys import Keys
from tests.auth.kit import House


async def test_a_key_made_over_http_works_and_a_revoked_one_does_not_make_itself_known(house: House) -> None:
    admin = await house.key(["keys:admin", "jobs:read"])
    wanted = {"name": "billing", "scopes": ["jobs:read"], "queues": ["invoices"], "expires_seconds": 60}
    made = await house.call("POST", "/keys", admin, json=wanted)
    assert (201, "no-store") == (made.status, made.headers["Cache-Control"])
    assert 200 == (await house.call("GET", "/jobs", made.body["key"])).status

    listed = (await house.call("GET", "/keys", admin)).body["keys"]
    [shown] = [one for one in listed if one["id"] == made.body["id"]]
    assert ("billing", ["jobs:read"], ["invoices"]) == (shown["name"], shown["scopes"], shown["queues"])
    assert shown["expires_at"] > shown["created_at"]
    assert shown["last_used_at"]
    assert made.body["key"].split("_")[2] not in str(listed)

    path = f"/keys/{made.body['id']}"
    gone = await house.call("DELETE", path, admin)
    assert (200, made.body["id"]) == (gone.status, gone.body["id"])
    again = await house.call("DELETE", path, admin)
    assert (404, "key_not_found") == (again.status, again.code)


async def test_nobody_hands_on_what_they_do_not_hold(house: House) -> None:
    admin = await house.key(["keys:admin", "jobs:read"], queues=["a", "b"])

    async def make(**fields: Any) -> Any:
        return await house.call("POST", "/keys", admin, json={"name": "n", "scopes": ["jobs:read"], **fields})

    more = await make(scopes=["jobs:read", "jobs:submit"])
    assert (403, "scope_not_held") == (more.status, more.code)
    assert "jobs:submit" in more.body["detail"]
    other = await make(queues=["a", "c"])
    assert (403, "queue_not_allowed") == (other.status, other.code)
    assert 201 == (await make(queues=["b"])).status
    assert 201 == (await make()).status
    queues = [one["queues"] for one in (await house.call("GET", "/keys", admin)).body["keys"]]
    assert [["a", "b"], ["b"], ["a", "b"]] == queues


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"scopes": ["jobs:read"]}, "missing_field"),
        ({"name": "n", "scopes": ["jobs:all"]}, "invalid_type"),
        ({"name": "n", "scopes": []}, "invalid_key_request"),
        ({"name": "n\n", "scopes": ["jobs:read"]}, "invalid_key_request"),
        ({"name": "n", "scopes": ["jobs:read"], "namespace": "other"}, "unknown_field"),
        ({"name": "n", "scopes": ["jobs:read"], "queues": []}, "invalid_key_request"),
        ({"name": "n", "scopes": ["jobs:read"], "queues": None}, "invalid_type"),
        ({"name": "n", "scopes": ["jobs:read"], "queues": [None]}, "invalid_type"),
        ({"name": "n", "scopes": ["jobs:read"], "expires_seconds": 1e300}, "invalid_key_request"),
        ({"name": "n", "scopes": ["jobs:read"], "quota": {"stored_jobs": -1}}, "invalid_key_request"),
        ({"name": "n", "scopes": ["jobs:read"], "quota": {"jobs": 1}}, "unknown_field"),
    ],
)
async def test_bad_requests_for_a_key(house: House, body: dict[str, Any], code: str) -> None:
    answer = await house.call("POST", "/keys", await house.key(), json=body)

    assert (400, code) == (answer.status, answer.code)
    assert answer.body["detail"]


async def test_the_third_key_of_a_name_conflicts(house: House) -> None:
    admin = await house.key()
    for status in (201, 201, 409):
        answer = await house.call("POST", "/keys", admin, json={"name": "n", "scopes": ["jobs:read"]})
        assert status == answer.status
    assert "too_many_keys" == answer.code


@pytest.mark.parametrize("key_id", ["x", "ABCDEFGHIJKL", "..%2F..%2Fkeys", "a" * 500, "%00", "*"])
async def test_what_is_no_id_of_a_key(house: House, key_id: str) -> None:
    answer = await house.call("DELETE", f"/keys/{key_id}", await house.key())

    assert (400, "invalid_key_id") == (answer.status, answer.code)


async def test_two_headers_make_no_credential(house: House) -> None:
    key = await house.key()
    headers = [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")]
    async with house._session.get(house.url + "/jobs", headers=headers) as response:
        assert 401 == response.status


async def test_who_may_only_cancel_or_retry_does_not_see_what_jobs_carry(house: House) -> None:
    owner, blind = await house.key(), await house.key(["jobs:cancel", "jobs:retry"])
    carried = {"payload": {"card": "4111"}, "fairness_key": "customer-7", "fairness_weight": 3}
    dead = await house.submit(owner, **carried)
    await (await house.node()).bury()
    waiting = await house.submit(owner, **carried)
    revived = await house.call("POST", f"/jobs/{dead}/retry", blind)
    cancelled = await house.call("DELETE", f"/jobs/{waiting}", blind)

    for answer, job_id in ((revived, dead), (cancelled, waiting)):
        names = ("id", "payload", "result", "errors", "reason", "fairness_key", "fairness_weight")
        assert (200, job_id, None, None, [], None, None, 1) == (answer.status, *(answer.body[name] for name in names))
    assert {"card": "4111"} == (await house.call("GET", f"/jobs/{dead}", owner)).body["payload"]


async def test_a_namespace_that_was_begun_with_other_shards_is_left_alone(house: House, server: str) -> None:
    """Its jobs would not be found where they are looked for."""
    import redis.asyncio as redis

    async with redis.Redis.from_url(server) as client:
        await client.set(Keys(house.namespace).shards, 4)
    answer = await house.call("GET", "/jobs", await house.key())

    assert (503, "store_refused") == (answer.status, answer.code)
    assert "IRONFORGE_SHARDS" in answer.body["detail"]
