"""Workflows over HTTP: what is shown of them, and what steers them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.flows import GHOST, act, document, shown, submit, until_ended, until_running
from tests.workflows.documents import node as one
from tests.workflows.documents import result

ACTS = ("cancel", "pause", "resume")


async def test_one_is_accepted_shown_and_runs_to_its_end(api: Any, node: Any) -> None:
    first = {"id": "first", "kind": "do.first", "payload": {"n": 1}}
    second = {"id": "second", "kind": "do.second", "payload": result("first.result"), "after": ["first"]}
    accepted = await api.call("POST", "/workflows", json=document(first, second))
    workflow_id = accepted.body["id"]
    assert accepted.status == 201
    assert accepted.headers["Location"] == f"/workflows/{workflow_id}"
    assert accepted.body == {
        "id": workflow_id,
        "name": "test",
        "status": "running",
        "nodes": 2,
        "unknown_kinds": ["do.first", "do.second"],
    }
    assert api.submitted == [("do.first", "medium", 1), ("do.second", "medium", 1)]
    found = await until_running(api, node, workflow_id)
    assert (found["id"], found["name"], found["status"], found["ended_at"]) == (workflow_id, "test", "running", None)
    assert found["workflow"]["nodes"][0] == first
    assert [one["status"] for one in found["nodes"]] == ["running", "pending"]
    assert [(one["layer"], one["row"]) for one in found["nodes"]] == [(0, 0.0), (1, 0.0)]
    assert found["nodes"][1]["job_id"] is None
    job = (await api.call("GET", f"/jobs/{found['nodes'][0]['job_id']}")).body
    assert (job["workflow"], job["parent"]) == ({"id": workflow_id, "node": "first"}, None)
    await node.complete(b'{"url": "x"}')
    await until_running(api, node, workflow_id, 1)
    await node.complete(b"2")
    found = await until_ended(api, node, workflow_id)
    assert (found["status"], found["reason"]) == ("completed", None)
    assert [one["result"] for one in found["nodes"]] == [{"url": "x"}, 2]
    assert [one["status"] for one in found["nodes"]] == ["succeeded", "succeeded"]


# --------------------------------------------------------------------------- lists


async def test_a_list_goes_from_the_newest_to_the_first_in_pages(api: Any, node: Any) -> None:
    ids = [await submit(api, one("a"), name=f"w{number % 2}") for number in range(5)]
    listed, cursor = [], None
    while True:
        page = await api.call("GET", "/workflows", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        listed += page.body["workflows"]
        if (cursor := page.body["next"]) is None:
            break
    assert [each["id"] for each in listed] == ids[::-1]
    assert [(each["name"], each["status"], each["nodes"], each["left"]) for each in listed[:1]] == [
        ("w0", "running", 1, 1)
    ]
    named = (await api.call("GET", "/workflows?name=w1")).body["workflows"]
    assert [each["id"] for each in named] == [ids[3], ids[1]]
    await act(api, ids[0], "pause")
    paused = (await api.call("GET", "/workflows?status=paused")).body["workflows"]
    assert [each["id"] for each in paused] == [ids[0]]
    assert (await api.call("GET", "/workflows?status=failed")).body["workflows"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=dead", "status"),
        ("status=", "status"),
        ("name=a%20b", "name"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("cursor=x", "cursor"),
        ("queue=a", "queue"),
    ],
)
async def test_an_odd_query_is_refused(api: Any, query: str, field: str) -> None:
    answer = await api.call("GET", f"/workflows?{query}")
    assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_parameter", field)


async def test_a_cursor_is_good_for_its_own_list(api: Any) -> None:
    for _ in range(3):
        await submit(api, one("a"))
    cursor = (await api.call("GET", "/workflows?limit=1")).body["next"]
    assert (await api.call("GET", "/workflows", params={"cursor": cursor, "status": "running"})).status == 400
    assert (await api.call("GET", "/jobs", params={"cursor": cursor})).status == 400


# --------------------------------------------------------------------------- repeating


async def test_a_repetition_is_the_same_workflow_and_other_content_a_conflict(api: Any) -> None:
    async def asked(body: bytes, key: str = "order-42") -> Any:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return await api.call("POST", "/workflows", data=body, headers=headers)

    said = b'{"name": "a", "nodes": [{"id": "a", "kind": "k", "payload": {"x": 1, "y": 2}}]}'
    spelled = b'{"nodes":[{"kind":"k","id":"a","payload":{"y":2,"x":1},"after":[]}],"name":"a"}'
    first = await asked(said)
    for again in (said, spelled):
        repeated = await asked(again)
        assert (repeated.status, repeated.headers["Idempotency-Replayed"]) == (201, "true")
        assert repeated.body == first.body
    assert "Idempotency-Replayed" not in first.headers
    other = await asked(said.replace(b"1", b"3"))
    assert (other.status, other.code, other.body["workflow_id"]) == (409, "idempotency_conflict", first.body["id"])
    assert "job_id" not in other.body
    assert (await asked(said, "order-43")).body["id"] != first.body["id"]
    assert len((await api.call("GET", "/workflows")).body["workflows"]) == 2


async def test_a_key_that_has_a_job_is_that_of_no_workflow_and_the_other_way_round(api: Any) -> None:
    job = {"json": {"kind": "k"}, "headers": {"Idempotency-Key": "job"}}
    workflow = {"json": document(one("a")), "headers": {"Idempotency-Key": "workflow"}}
    job_id = (await api.call("POST", "/jobs", **job)).body["id"]
    workflow_id = (await api.call("POST", "/workflows", **workflow)).body["id"]
    refused = await api.call("POST", "/workflows", **{**workflow, "headers": job["headers"]})
    assert (refused.status, refused.code) == (409, "idempotency_conflict")
    assert (refused.body.get("job_id"), refused.body.get("workflow_id")) == (job_id, None)
    refused = await api.call("POST", "/jobs", **{**job, "headers": workflow["headers"]})
    assert (refused.status, refused.code) == (409, "idempotency_conflict")
    assert (refused.body.get("job_id"), refused.body.get("workflow_id")) == (None, workflow_id)
    assert f"its workflow is {workflow_id}" in refused.body["detail"]


# --------------------------------------------------------------------------- steering


async def test_one_that_is_not_there_is_not_found(api: Any) -> None:
    job_id = await api.submit()
    for workflow_id in (GHOST, job_id):
        paths = [("GET", f"/workflows/{workflow_id}"), *(("POST", f"/workflows/{workflow_id}/{what}") for what in ACTS)]
        for method, path in paths:
            answer = await api.call(method, path)
            assert (answer.status, answer.code) == (404, "workflow_not_found")
            assert answer.body["detail"].startswith(f"there is no workflow {workflow_id}")


@pytest.mark.parametrize("text", ["x", GHOST[:-1], GHOST + "0", "0199a2b4-7c1e-4d3a-9f00-5b1c2d3e4f50"])
async def test_what_is_no_id_is_refused(api: Any, text: str) -> None:
    for method, path in [("GET", f"/workflows/{text}"), *(("POST", f"/workflows/{text}/{what}") for what in ACTS)]:
        answer = await api.call(method, path)
        assert (answer.status, answer.code) == (400, "invalid_job_id")
        assert "is not a workflow id" in answer.body["detail"]


async def test_a_cancelled_one_starts_nothing_more(api: Any, node: Any) -> None:
    workflow_id = await submit(api, one("a"), one("b", "a"))
    await until_running(api, node, workflow_id)
    cancelled = await act(api, workflow_id, "cancel")
    assert cancelled.status in (200, 202)
    assert cancelled.body["id"] == workflow_id
    found = await until_ended(api, node, workflow_id)
    assert (found["status"], [each["status"] for each in found["nodes"]]) == ("cancelled", ["cancelled", "cancelled"])
    for what in ("cancel", "pause", "resume"):
        refused = await act(api, workflow_id, what)
        assert (refused.status, refused.code, refused.body["workflow_status"]) == (409, "invalid_state", "cancelled")


async def test_a_paused_one_starts_nothing_until_it_is_resumed(api: Any, node: Any) -> None:
    workflow_id = await submit(api, one("a"))
    paused = await act(api, workflow_id, "pause")
    assert (paused.status, paused.body) == (200, {"id": workflow_id, "status": "paused"})
    await node.promote()
    assert [each["status"] for each in (await shown(api, workflow_id))["nodes"]] == ["ready"]
    resumed = await act(api, workflow_id, "resume")
    assert (resumed.status, resumed.body) == (200, {"id": workflow_id, "status": "running"})
    await until_running(api, node, workflow_id)


async def test_a_large_result_is_shown_where_it_is_asked_for(api: Any, node: Any) -> None:
    workflow_id = await submit(api, one("a"))
    await until_running(api, node, workflow_id)
    await node.complete(b'"%b"' % (b"x" * 70_000))
    [short] = (await until_ended(api, node, workflow_id))["nodes"]
    assert (short["result"], short["truncated"]) == (None, True)
    [whole] = (await shown(api, workflow_id, results="true"))["nodes"]
    assert (len(whole["result"]), whole["truncated"]) == (70_000, False)


async def test_other_methods_and_types_are_refused(api: Any) -> None:
    assert (await api.call("DELETE", f"/workflows/{GHOST}")).status == 405
    assert (await api.call("PUT", "/workflows")).status == 405
    assert (await api.call("POST", "/workflows", data={"name": "a"})).status == 415
    assert (await api.call("POST", "/workflows?wait=1", json=document(one("a")))).code == "invalid_parameter"
