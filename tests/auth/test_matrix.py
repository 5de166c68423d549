"""Every call, with every scope, from its own namespace and from another: each cell says who gets in and what they see.

The table of calls is the subject, and not the source of what is expected: `WHO_MAY` is written down here once more.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest

from ironforge.api.routes import OPERATIONS, Operation
from ironforge.auth.caller import SCOPES
from tests.auth.kit import Answer, House

WHO_MAY: Final = {
    "submitJob": "jobs:submit",
    "submitBatch": "jobs:submit",
    "listJobs": "jobs:read",
    "getJob": "jobs:read",
    "cancelJob": "jobs:cancel",
    "retryJob": "jobs:retry",
    "listDeadJobs": "jobs:read",
    "getQueueStats": "jobs:read",
    "pauseQueue": "queues:admin",
    "resumeQueue": "queues:admin",
    "listLimits": "jobs:read",
    "getLimit": "jobs:read",
    "putLimit": "limits:admin",
    "overrideLimit": "limits:admin",
    "deleteLimit": "limits:admin",
    "resumeLimit": "limits:admin",
    "listSchedules": "jobs:read",
    "getSchedule": "jobs:read",
    "applySchedules": "schedules:admin",
    "putSchedule": "schedules:admin",
    "deleteSchedule": "schedules:admin",
    "pauseSchedule": "schedules:admin",
    "resumeSchedule": "schedules:admin",
    "listNextTicks": "jobs:read",
    "listPastTicks": "jobs:read",
    "triggerSchedule": "schedules:admin",
    "backfillSchedule": "schedules:admin",
    "sendEvent": "events:send",
    "getEvent": "jobs:read",
    "submitWorkflow": "jobs:submit",
    "listWorkflows": "jobs:read",
    "getWorkflow": "jobs:read",
    "cancelWorkflow": "jobs:cancel",
    "pauseWorkflow": "jobs:cancel",
    "resumeWorkflow": "jobs:retry",
    "retryWorkflow": "jobs:retry",
    "forkWorkflow": "jobs:submit",
    "listKinds": "jobs:read",
    "getKind": "jobs:read",
    "releaseKind": "jobs:retry",
    "listNodes": "metrics:read",
    "getHealth": "metrics:read",
    "getMetrics": "metrics:read",
    "listKeys": "keys:admin",
    "createKey": "keys:admin",
    "revokeKey": "keys:admin",
    "listAudit": "keys:admin",
    "getQuotas": "caller",
    "getLiveness": "public",
    "getReadiness": "public",
    "getOpenApi": "public",
}
JOB: Final = {"kind": "theirs.only", "queue": "theirs"}
NOT_THERE: Final = {
    "event": "event_not_found",
    "id": "job_not_found",
    "key_id": "key_not_found",
    "kind": "kind_not_found",
    "limit": "limit_not_found",
    "schedule": "schedule_not_found",
    "workflow_id": "workflow_not_found",
}
BODIES: Final = {
    "submitJob": {"kind": "ours.only", "queue": "ours"},
    "submitBatch": [{"kind": "ours.only", "queue": "ours"}],
    "submitWorkflow": {"name": "ours", "nodes": [{"id": "a", "kind": "ours.only", "options": {"queue": "ours"}}]},
    "putLimit": {"concurrency": 1},
    "overrideLimit": {"override": {"concurrency": 2}},
    "putSchedule": {"every_seconds": 7, "job": {"kind": "ours.only", "queue": "ours"}},
    "applySchedules": {"schedules": {}},
    "releaseKind": {"version": "1"},
    "backfillSchedule": {"from": "2030-01-01T00:00:00Z", "to": "2030-01-01T00:01:00Z"},
}
PUTS: Final = ("putLimit", "putSchedule", "sendEvent")
# What takes the scope to submit jobs as well.
SUBMITTING: Final = ("putSchedule", "applySchedules", "triggerSchedule", "backfillSchedule")
CALLS: Final = [pytest.param(call, id=call.operation_id) for call in OPERATIONS]


class Owners:
    """A namespace with something in it, and the ids of what others must not reach."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.key = ""

    async def furnish(self) -> Owners:
        self.key = await self.house.key(name="theirs.only")
        return self

    async def target(self, call: Operation) -> str:
        """The path of `call` to something of this namespace that it fits."""
        if "{key_id}" in call.path:
            text = await self.house.key(["jobs:read"])
            return call.path.replace("{key_id}", text.split("_")[1])
        if "{kind}" in call.path:
            await self.house.node(kinds=["theirs.only"])
            return call.path.replace("{kind}", "theirs.only")
        if "{queue}" in call.path:
            path = call.path.replace("{queue}", "theirs")
            if call.operation_id == "resumeQueue":
                await self.house.call("POST", path.replace("resume", "pause"), self.key)
            return path
        if "{id}" in call.path:
            job_id = await self.house.submit(self.key, **JOB)
            if call.operation_id == "retryJob":
                await (await self.house.node()).bury()
            return call.path.replace("{id}", job_id)
        if "{limit}" in call.path:
            await self.house.call("PUT", "/limits/theirs", self.key, json={"concurrency": 7})
        if "{schedule}" in call.path:
            schedule = {"every_seconds": 86_400, "overlap": "allow", "job": JOB}
            await self.house.call("PUT", "/schedules/theirs", self.key, json=schedule)
        if call.operation_id == "getEvent":
            await self.house.call("POST", "/events/theirs", self.key, json={"payload": "theirs"})
        if "{workflow_id}" in call.path:
            return call.path.replace("{workflow_id}", await self.workflow(call.operation_id))
        await self.house.submit(self.key, **JOB)
        return re.sub(r"\{(limit|schedule|event)\}", "theirs", call.path)

    async def workflow(self, operation_id: str) -> str:
        """As the call takes it: one that has ended for a retry or a fork, else one that has not."""
        node = {"id": "a", "kind": JOB["kind"], "options": {"queue": JOB["queue"]}}
        document = {"name": "theirs", "nodes": [node]}
        workflow_id = (await self.house.call("POST", "/workflows", self.key, json=document)).body["id"]
        if operation_id in ("retryWorkflow", "forkWorkflow"):
            path, node = f"/workflows/{workflow_id}", await self.house.node()
            await self.house.call("POST", f"{path}/cancel", self.key)
            while (await self.house.call("GET", path, self.key)).body["status"] != "cancelled":
                await node.promote()
        return workflow_id


async def ask(house: House, call: Operation, path: str, key: str | None, scope: str = "") -> Answer:
    options: dict[str, Any] = {}
    if call.operation_id == "createKey":
        options["json"] = {"name": "made", "scopes": [scope or "jobs:read"]}
    elif call.operation_id in BODIES:
        options["json"] = BODIES[call.operation_id]
    if call.operation_id == "applySchedules":
        options["params"] = {"source": "app"}
    return await house.call(call.method.upper(), path, key, **options)


def test_the_table_says_who_may_for_every_call() -> None:
    assert {call.operation_id: call.access for call in OPERATIONS} == WHO_MAY


@pytest.mark.parametrize("call", CALLS)
async def test_without_a_credential(call: Operation, house: House) -> None:
    owners = await Owners(house).furnish()
    answer = await ask(house, call, await owners.target(call), None)

    if WHO_MAY[call.operation_id] == "public":
        assert answer.status == 200
    else:
        assert answer.status == 401
        assert answer.code == "missing_credentials"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.unmeasured
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("call", CALLS)
async def test_with_one_scope(call: Operation, scope: str, house: House) -> None:
    owners = await Owners(house).furnish()
    path = await owners.target(call)
    may = WHO_MAY[call.operation_id] in (scope, "caller", "public")
    also = ["jobs:submit"] if call.operation_id in SUBMITTING else []

    strangers = "stranger-" + house.namespace
    key = await house.key([scope, *also], strangers)
    before = await paused(house, owners.key)
    answer = await ask(house, call, path, key, scope)
    assert await paused(house, owners.key) == before
    if not may:
        assert answer.status == 403
        assert answer.code == "missing_scope"
        assert WHO_MAY[call.operation_id] in answer.body["detail"]
    elif "{queue}" in call.path:  # of the same name, but one's own
        assert answer.status == 200
        assert answer.body["queue"] == "theirs"
    elif call.operation_id in PUTS:  # of the same name, but one's own
        assert answer.status in call.answers
    elif "{" in call.path:
        assert answer.status == 404
        assert answer.code == NOT_THERE[call.path.split("{")[1].partition("}")[0]]
    else:
        assert answer.status in call.answers
        if call.operation_id != "getOpenApi":
            assert "theirs" not in json.dumps(answer.body, default=bytes.decode)

    answer = await ask(house, call, path, await house.key([scope, *also]), scope)
    if may:
        assert answer.status in call.answers, answer.body
        if "{queue}" in call.path:
            assert await paused(house, owners.key) == (["theirs"] if answer.body["paused"] else [])
    else:
        assert answer.status == 403
        assert answer.code == "missing_scope"


@pytest.mark.parametrize("call", CALLS)
async def test_what_was_refused_has_not_happened(call: Operation, house: House) -> None:
    """With every scope but the one, and with every scope in another namespace."""
    owners = await Owners(house).furnish()
    path = await owners.target(call)
    lacking = await house.key([scope for scope in SCOPES if scope != WHO_MAY[call.operation_id]], name="lacking")
    before = await inventory(house, owners.key)
    answer = await ask(house, call, path, lacking)
    if WHO_MAY[call.operation_id] not in ("public", "caller"):
        assert answer.status == 403
    await ask(house, call, path, await house.key(namespace="stranger-" + house.namespace))

    assert await inventory(house, owners.key) == before


async def inventory(house: House, key: str) -> Any:
    jobs = (await house.call("GET", "/jobs", key)).body["jobs"]
    keys = (await house.call("GET", "/keys", key)).body["keys"]
    audit = (await house.call("GET", "/audit", key)).body
    limits = (await house.call("GET", "/limits", key)).body
    schedules = (await house.call("GET", "/schedules", key)).body
    event = (await house.call("GET", "/events/theirs", key)).status
    named = sorted((one["id"], one["name"]) for one in keys)
    return jobs, named, audit, await paused(house, key), limits, schedules, event


async def paused(house: House, key: str) -> Any:
    return (await house.call("GET", "/queues/stats", key)).body["paused"]
