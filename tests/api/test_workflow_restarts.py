"""Workflows that have ended go on: by a retry, or as another one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.flows import GHOST, act, submit, until_ended, until_running
from tests.workflows.documents import node as one
from tests.workflows.documents import result


async def test_what_is_not_there_is_not_found(api: Any) -> None:
    for workflow_id in (GHOST, await api.submit()):
        for what in ("retry", "fork"):
            answer = await act(api, workflow_id, what)
            assert (answer.status, answer.code) == (404, "workflow_not_found")
            assert answer.body["detail"].startswith(f"there is no workflow {workflow_id}")


async def test_retry_and_fork_are_for_one_that_has_ended(api: Any, node: Any) -> None:
    workflow_id = await submit(api, one("a"))
    for what in ("retry", "fork"):
        refused = await act(api, workflow_id, what)
        assert (refused.status, refused.code, refused.body["workflow_status"]) == (409, "invalid_state", "running")


async def test_a_failed_one_goes_on_by_a_retry(api: Any, node: Any) -> None:
    workflow_id = await submit(api, one("a"), one("b", "a"))
    await until_running(api, node, workflow_id)
    await node.bury()
    found = await until_ended(api, node, workflow_id)
    assert (found["status"], found["reason"]) == ("failed", "node a failed")
    retried = await act(api, workflow_id, "retry")
    assert (retried.status, retried.body) == (200, {"id": workflow_id, "status": "running"})
    for number in range(2):
        await until_running(api, node, workflow_id, number)
        await node.complete(b"1")
    found = await until_ended(api, node, workflow_id)
    assert (found["status"], found["retries"]) == ("completed", 1)
    refused = await act(api, workflow_id, "retry")
    assert (refused.status, refused.body["workflow_status"]) == (409, "completed")


async def test_a_fork_has_the_results_of_another_one_and_a_payload_of_its_own(api: Any, node: Any) -> None:
    nodes = one("a"), one("b", "a", payload={"n": 1}), one("c", "b", payload=result("b.result"))
    workflow_id = await submit(api, *nodes)
    for number in range(3):
        await until_running(api, node, workflow_id, number)
        await node.complete(b"%d" % number)
    await until_ended(api, node, workflow_id)
    body = {"node": "b", "payload": {"n": 2}}
    headers = {"Idempotency-Key": "again"}
    forked = await act(api, workflow_id, "fork", json=body, headers=headers)
    assert (forked.status, forked.body["name"], forked.body["nodes"]) == (201, "test", 3)
    fork_id = forked.body["id"]
    assert forked.headers["Location"] == f"/workflows/{fork_id}"
    found = await until_running(api, node, fork_id, 1)
    assert [each["status"] for each in found["nodes"]] == ["succeeded", "running", "pending"]
    assert found["nodes"][0]["result"] == 0
    assert found["workflow"]["nodes"][1]["payload"] == {"n": 2}
    again = await act(api, workflow_id, "fork", json=body, headers=headers)
    assert (again.body["id"], again.headers["Idempotency-Replayed"]) == (fork_id, "true")
    other = await act(api, workflow_id, "fork", json={"node": "a"}, headers=headers)
    assert (other.status, other.code) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"node": "x"}, ("invalid_workflow", "node", "there is no node 'x'")),
        ({"payload": 1}, ("missing_field", "node", "name the node that is to get it")),
        (
            {"node": "a", "payload": result("b.result")},
            ("invalid_workflow", "nodes[0].payload", "'b' need not have ended when 'a' starts"),
        ),
        ({"node": 1}, ("invalid_type", "node", "Expected")),
        ({"nod": "a"}, ("unknown_field", "nod", "did you mean `node`?")),
    ],
)
async def test_a_fork_that_cannot_be_is_refused(api: Any, node: Any, body: Any, refusal: tuple[str, str, str]) -> None:
    code, field, words = refusal
    workflow_id = await submit(api, one("a"), one("b", "a"))
    await act(api, workflow_id, "cancel")
    await until_ended(api, node, workflow_id)
    refused = await act(api, workflow_id, "fork", json=body)
    assert (refused.status, refused.code, refused.body["field"]) == (400, code, field)
    assert words in refused.body["detail"]
    assert len((await api.call("GET", "/workflows")).body["workflows"]) == 1
