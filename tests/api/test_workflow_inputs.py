"""Workflows over HTTP that cannot be: each is refused as a whole, with the place of what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.flows import document, post, shown, submit, until_running
from tests.workflows.documents import edge, result
from tests.workflows.documents import node as one


@pytest.mark.parametrize(
    ("body", "code", "field", "words"),
    [
        (
            document(one("a", "c"), one("b", "a"), one("c", "b")),
            "invalid_workflow",
            "nodes[0].after",
            "a -> b -> c -> a",
        ),
        (document(one("a", "a")), "invalid_workflow", "nodes[0].after", "a -> a"),
        (document(one("fetch"), one("b", "fetsh")), "invalid_workflow", "nodes[1].after[0]", "did you mean 'fetch'?"),
        (document(one("a"), one("b", edge("x", "done"))), "invalid_workflow", "nodes[1].after[0]", "no node 'x'"),
        (
            document(one("a"), one("b", payload={"x": [result("a.result")]})),
            "invalid_workflow",
            "nodes[1].payload.x[0]",
            "'a' need not have ended when 'b' starts",
        ),
        (
            document(one("a"), one("b", "a", payload=result("b.result"))),
            "invalid_workflow",
            "nodes[1].payload",
            "'b' is the node itself",
        ),
        (document(one("a"), one("a")), "invalid_workflow", "nodes[1].id", "nodes[0] is called 'a' as well"),
        (document(), "invalid_workflow", "nodes", "give 1 to 10000"),
        (document(*(one(f"n{number}") for number in range(10_001))), "invalid_workflow", "nodes", "there are 10001"),
        (document(one("a b")), "invalid_workflow", "nodes[0].id", "is not a name"),
        (document(one("")), "invalid_workflow", "nodes[0].id", "is not a name"),
        (document(one("a\n")), "invalid_workflow", "nodes[0].id", "is not a name"),
        (document(one("a.result")), "invalid_workflow", "nodes[0].id", "has .result in it"),
        (document(one("a"), name="a b"), "invalid_workflow", "name", "is not a name"),
        (document({"id": "a", "kind": "a b"}), "invalid_kind", "nodes[0].kind", "is not a name"),
        (document(one("a"), on_success="?"), "invalid_kind", "on_success", "is not a name"),
        (document(one("a", compensate="?")), "invalid_kind", "nodes[0].compensate", "is not a name"),
        (document({"id": "a"}), "missing_field", "nodes[0].kind", "is required"),
        (document({"id": "a", "kind": "k", "aftr": []}), "unknown_field", "nodes[0].aftr", "did you mean `after`?"),
        (document(one("a", when="never")), "invalid_type", "nodes[0].when", "one of"),
        (document(one("a", options={"queue": "?"})), "invalid_queue_name", "nodes[0].options.queue", "not a name"),
        (document(one("a", options={"max_retries": -1})), "out_of_range", "nodes[0].options.max_retries", "range"),
        (document(one("a"), options={"delay_seconds": 1}), "invalid_workflow", "options.delay_seconds", "one job"),
        ({"nodes": []}, "missing_field", "name", "is required"),
        ({"name": "a", "nodes": {}}, "invalid_type", "nodes", "Expected `array`"),
        ([], "invalid_type", None, "Expected `object`"),
    ],
)
async def test_what_is_wrong_is_said_with_its_place(
    api: Any, body: Any, code: str, field: str | None, words: str
) -> None:
    answer = await api.call("POST", "/workflows", json=body)
    assert (answer.status, answer.code, answer.body.get("field")) == (400, code, field)
    assert words in answer.body["detail"]
    assert (await api.call("GET", "/workflows")).body["workflows"] == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "body_required"),
        (b"{", 400, "invalid_json"),
        (b'{"name": "a", "name": "b", "nodes": []}', 400, "duplicate_key"),
        (b'{"name": "a", "nodes": [{"id": "a", "kind": "k", "payload": NaN}]}', 400, "invalid_number"),
        (
            b'{"name": "a", "nodes": [{"id": "a", "kind": "k", "payload": ' + b"[" * 40 + b"]" * 40 + b"}]}",
            400,
            "too_deep",
        ),
        (b'{"name": "a", "nodes": [' + b"[]," * 500_000 + b"[]]}", 413, "too_many_values"),
    ],
)
async def test_what_is_no_json_is_refused(api: Any, body: bytes, status: int, code: str) -> None:
    answer = await post(api, body)
    assert (answer.status, answer.code) == (status, code)


async def test_a_payload_of_more_than_a_job_may_have_is_refused_with_its_place(api: Any) -> None:
    answer = await post(api, json.dumps(document(one("a"), one("b", payload="x" * 1_048_576))).encode())
    assert (answer.status, answer.code, answer.body["field"]) == (413, "payload_too_large", "nodes[1].payload")


async def test_a_payload_that_its_kind_does_not_take_is_refused_unless_it_is_not_known_yet(
    api: Any, announce_counting: Any
) -> None:
    worker = await announce_counting()
    fits = {"id": "a", "kind": "counts", "payload": {"n": 1}}
    later = {"id": "b", "kind": "counts", "payload": {"n": result("a.result")}, "after": ["a"]}
    wrong = {"id": "b", "kind": "counts", "payload": {"n": "1"}}
    while (refused := await api.call("POST", "/workflows", json=document(fits, wrong))).status == 201:
        pass  # until the door has heard of the kind
    assert (refused.status, refused.code, refused.body["field"]) == (422, "invalid_payload", "nodes[1].payload.n")
    assert refused.body["detail"].startswith("nodes[1].payload.n: ")
    accepted = await api.call("POST", "/workflows", json=document(fits, later, on_success="counts"))
    assert (accepted.status, "unknown_kinds" in accepted.body) == (201, False)
    found = await until_running(api, worker, accepted.body["id"])
    job = (await api.call("GET", f"/jobs/{found['nodes'][0]['job_id']}")).body
    assert job["queue"] == "own"


@pytest.mark.parametrize("size", [65_536, 65_537, 200_000])
async def test_a_large_document_is_taken(api: Any, size: int) -> None:
    body = json.dumps(document(one("a", payload="")))
    body = json.dumps(document(one("a", payload="x" * (size - len(body)))))
    assert len(body) == size
    answer = await post(api, body.encode())
    assert (answer.status, answer.body["nodes"]) == (201, 1)


async def test_as_many_nodes_as_there_may_be(api: Any) -> None:
    workflow_id = await submit(api, *(one(f"n{number}") for number in range(10_000)))
    found = await shown(api, workflow_id)
    assert len(found["nodes"]) == 10_000
    assert [one["id"] for one in found["nodes"][:2]] == ["n0", "n1"]
