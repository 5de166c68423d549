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
    assert made.status == 201
    assert made.headers["Cache-Control"] == "no-store"
    assert (await house.call("GET", "/jobs", made.body["key"])).status == 200

    listed = (await house.call("GET", "/keys", admin)).body["keys"]
    [shown] = [one for one in listed if one["id"] == made.body["id"]]
    assert shown["name"] == "billing"
    assert shown["scopes"] == ["jobs:read"]
    assert shown["queues"] == ["invoices"]
    assert shown["expires_at"] > shown["created_at"]
    assert shown["last_used_at"]
    assert made.body["key"].split("_")[2] not in str(listed)

    path = f"/keys/{made.body['id']}"
    gone = await house.call("DELETE", path, admin)
    assert gone.status == 200
    assert gone.body["id"] == made.body["id"]
    again = await house.call("DELETE", path, admin)
    assert again.status == 404
    assert again.code == "key_not_found"


async def test_nobody_hands_on_what_they_do_not_hold(house: House) -> None:
    admin = await house.key(["keys:admin", "jobs:read"], queues=["a", "b"])

    async def make(**fields: Any) -> Any:
        return await house.call("POST", "/keys", admin, json={"name": "n", "scopes": ["jobs:read"], **fields})

    more = await make(scopes=["jobs:read", "jobs:submit"])
    assert more.status == 403
    assert more.code == "scope_not_held"
    assert "jobs:submit" in more.body["detail"]
    other = await make(queues=["a", "c"])
    assert other.status == 403
    assert other.code == "queue_not_allowed"
    assert (await make(queues=["b"])).status == 201
    assert (await make()).status == 201
    queues = [one["queues"] for one in (await house.call("GET", "/keys", admin)).body["keys"]]
    assert queues == [["a", "b"], ["b"], ["a", "b"]]


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

    assert answer.status == 400
    assert answer.code == code
    assert answer.body["detail"]


async def test_the_third_key_of_a_name_conflicts(house: House) -> None:
    admin = await house.key()
    for status in (201, 201, 409):
        answer = await house.call("POST", "/keys", admin, json={"name": "n", "scopes": ["jobs:read"]})
        assert answer.status == status
    assert answer.code == "too_many_keys"


@pytest.mark.parametrize("key_id", ["x", "ABCDEFGHIJKL", "..%2F..%2Fkeys", "a" * 500, "%00", "*"])
async def test_what_is_no_id_of_a_key(house: House, key_id: str) -> None:
    answer = await house.call("DELETE", f"/keys/{key_id}", await house.key())

    assert answer.status == 400
    assert answer.code == "invalid_key_id"


async def test_two_headers_make_no_credential(house: House) -> None:
    key = await house.key()
    headers = [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")]
    async with house._session.get(house.url + "/jobs", headers=headers) as response:
        assert response.status == 401


async def test_who_may_only_cancel_or_retry_does_not_see_what_jobs_carry(house: House) -> None:
    owner, blind = await house.key(), await house.key(["jobs:cancel", "jobs:retry"])
    carried = {"payload": {"card": "4111"}, "fairness_key": "customer-7", "fairness_weight": 3}
    dead = await house.submit(owner, **carried)
    await (await house.node()).bury()
    waiting = await house.submit(owner, **carried)
    revived = await house.call("POST", f"/jobs/{dead}/retry", blind)
    cancelled = await house.call("DELETE", f"/jobs/{waiting}", blind)

    for answer, job_id in ((revived, dead), (cancelled, waiting)):
        hidden = {"payload": None, "result": None, "errors": [], "reason": None, "fairness_key": None}
        assert answer.status == 200
        assert answer.body["id"] == job_id
        assert {name: answer.body[name] for name in hidden} == hidden
        assert answer.body["fairness_weight"] == 1
    assert (await house.call("GET", f"/jobs/{dead}", owner)).body["payload"] == {"card": "4111"}


async def test_a_namespace_that_was_begun_with_other_shards_is_left_alone(house: House, server: str) -> None:
    """Its jobs would not be found where they are looked for."""
    import redis.asyncio as redis

    async with redis.Redis.from_url(server) as client:
        await client.set(Keys(house.namespace).shards, 4)
    answer = await house.call("GET", "/jobs", await house.key())

    assert answer.status == 503
    assert answer.code == "store_refused"
    assert "IRONFORGE_SHARDS" in answer.body["detail"]
