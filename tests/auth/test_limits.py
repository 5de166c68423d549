"""Limits with authentication: a caller of some queues sees what holds and changes nothing; changes are written down."""

from __future__ import annotations

from tests.auth.kit import House


async def test_a_caller_of_some_queues_sees_what_holds_and_changes_nothing(house: House) -> None:
    owner = await house.key()
    await house.call("PUT", "/limits/stripe", owner, json={"concurrency": 2})
    limited = await house.key(queues=["ours"])
    key = (await house.call("GET", "/limits/stripe?key=a", limited)).body["key"]
    assert (key["remaining"], key["running"], key["waiting"], key["holders"]) == (2, None, None, None)
    for method, path, body in (
        ("PUT", "", {"concurrency": 9}),
        ("PATCH", "", {"override": {"concurrency": 9}}),
        ("DELETE", "", None),
        ("POST", "/resume", None),
    ):
        answer = await house.call(method, f"/limits/stripe{path}", limited, json=body)
        assert (answer.status, answer.code) == (403, "queue_not_allowed")
    assert (await house.call("GET", "/limits/stripe", owner)).body["effective"] == {"concurrency": 2}


async def test_changes_are_in_the_audit_trail(house: House) -> None:
    owner = await house.key()
    await house.call("PUT", "/limits/stripe", owner, json={"concurrency": 2})
    await house.call("PATCH", "/limits/stripe", owner, json={"override": {"concurrency": 1}})
    await house.call("POST", "/limits/stripe/resume?key=a", owner)
    await house.call("DELETE", "/limits/stripe", owner)
    entries = (await house.call("GET", "/audit", owner)).body["entries"]
    assert [entry["action"] for entry in entries] == ["deleteLimit", "resumeLimit", "overrideLimit", "putLimit"]
    assert [entry["target"] for entry in entries] == ["stripe"] * 4
