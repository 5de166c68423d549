"""Schedules of workflows with keys: all queues of their jobs count, and each start takes as many jobs as it has."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge.auth.quota import Quota
from tests.auth.conftest import House
from tests.auth.test_schedules import ADMIN, SPAN, names


def to(queue: str) -> dict[str, Any]:
    return {"options": {"queue": queue}}


def schedule(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    named = [{"id": f"n{number}", "kind": "k", **to("ours"), **node} for number, node in enumerate(nodes)]
    workflow = {"name": "report", "nodes": named, **to("ours"), **more}
    return {"every_seconds": 3600.0, "overlap": "allow", "workflow": workflow}


@pytest.mark.parametrize(
    "partly",
    [
        schedule({}, to("theirs")),
        schedule({"compensate": "undo"}, **to("theirs")),
        schedule({}, on_success="told", **to("theirs")),
        schedule({}, on_failure="told", **to("theirs")),
    ],
    ids=["node", "compensation", "on_success", "on_failure"],
)
async def test_a_caller_of_some_queues_sees_and_starts_what_is_all_of_theirs(house: House, partly: Any) -> None:
    whole, limited = await house.key(), await house.key(ADMIN, queues=["ours"])
    assert (await house.call("PUT", "/schedules/partly", whole, json=partly)).status == 201
    assert (await house.call("PUT", "/schedules/mine", limited, json=schedule({}, {}))).status == 201
    assert await names(house, limited) == ["mine"]
    assert (await house.call("POST", "/schedules/partly/trigger", limited)).status == 404
    refused = await house.call("PUT", "/schedules/other", limited, json=partly)
    assert (refused.status, refused.code) == (403, "queue_not_allowed")
    assert (await house.call("POST", "/schedules/mine/trigger", limited)).body["outcome"] == "started"


async def test_each_job_of_what_is_started_out_of_turn_is_held_to_the_quota(house: House) -> None:
    whole = await house.key()
    await house.call("PUT", "/schedules/a", whole, json=schedule({}, {}, {}))
    key = await house.key(quota=Quota(stored_jobs=3))
    for path, asked in (("trigger", None), ("backfill", SPAN)):
        refused = await house.call("POST", f"/schedules/a/{path}", key, json=asked)
        assert (refused.status, refused.code) == (429, "quota_exceeded")
    assert (await house.call("GET", "/workflows", whole)).body["workflows"] == []
    enough = await house.key(quota=Quota(stored_jobs=4))
    assert (await house.call("POST", "/schedules/a/trigger", enough)).body["outcome"] == "started"


async def test_a_change_is_on_record_with_each_queue(house: House) -> None:
    admin, limited = await house.key(), await house.key(["keys:admin"], queues=["theirs"])
    await house.call("PUT", "/schedules/a", admin, json=schedule({}, to("theirs")))
    entries = (await house.call("GET", "/audit", admin)).body["entries"]
    assert [(entry["action"], entry["target"]) for entry in entries] == [("putSchedule", "a")]
    assert (await house.call("GET", "/audit", limited)).body["entries"] == []
