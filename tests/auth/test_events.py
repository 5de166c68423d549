"""Events with authentication: who may send them, what it costs a quota, what is on record of it."""

from __future__ import annotations

from ironforge.auth.quota import Quota
from tests.auth.kit import House

NEVER = 1e-6  # tokens per second: none comes during a test


async def test_one_is_sent_with_its_scope_alone_and_shown_to_readers(house: House) -> None:
    sender, reader = await house.key(["events:send"]), await house.key(["jobs:read"])
    assert (await house.call("POST", "/events/go", sender, json={"payload": "secret"})).status == 201
    again = await house.call("POST", "/events/go", sender, json={"payload": "other"})
    assert again.body == {"name": "go", "first": False}
    assert (await house.call("GET", "/events/go", sender)).code == "missing_scope"
    assert (await house.call("GET", "/events/go", reader)).body["payload"] == "secret"


async def test_a_caller_of_some_queues_neither_sends_nor_sees_them(house: House) -> None:
    """Jobs of any queue may wait for an event."""
    await house.call("POST", "/events/go", await house.key(), json={})
    limited = await house.key(queues=["ours"])
    for method in ("POST", "GET"):
        answer = await house.call(method, "/events/go", limited)
        assert (answer.status, answer.code) == (403, "queue_not_allowed")


async def test_events_of_another_namespace_are_others(house: House) -> None:
    stranger = await house.key(namespace="stranger-" + house.namespace)
    await house.call("POST", "/events/go", await house.key(), json={"payload": 1})
    assert (await house.call("GET", "/events/go", stranger)).status == 404
    assert (await house.call("POST", "/events/go", stranger, json={"payload": 2})).status == 201


async def test_each_is_charged_to_the_rate_as_a_submission(house: House) -> None:
    key = await house.key(quota=Quota(submissions_per_second=NEVER, burst=3))
    await house.submit(key)
    statuses = [(await house.call("POST", f"/events/e{number}", key)).status for number in range(3)]
    assert statuses == [201, 201, 429]
    unread = await house.call("POST", "/events/large", key, data=b"[" * 50_000)
    assert unread.code == "quota_exceeded"
    assert (await house.call("GET", "/events/e2", await house.key())).status == 404


async def test_what_was_sent_is_on_record_and_what_was_not_taken_is_not(house: House) -> None:
    key = await house.key()
    for payload in (1, 2):
        await house.call("POST", "/events/approved:42", key, json={"payload": payload})
    entries = (await house.call("GET", "/audit", key)).body["entries"]
    assert [(entry["action"], entry["target"]) for entry in entries] == [("sendEvent", "approved:42")]
