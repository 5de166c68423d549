"""Workflows of callers: what each may see and steer, what it may submit, and what is on record of it."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge.auth.quota import Quota
from tests.api.flows import GHOST
from tests.auth.kit import House

NEVER = 1e-6  # tokens per second: none comes during a test
ACTS = ("cancel", "pause", "resume", "retry", "fork")


def workflow(*queues: str, **fields: Any) -> dict[str, Any]:
    """With a node in each of these."""
    nodes = [{"id": f"n{at}", "kind": "k", "options": {"queue": queue}} for at, queue in enumerate(queues)]
    return {"name": "test", "nodes": nodes, **fields}


async def submit(house: House, key: str, document: dict[str, Any], **options: Any) -> Any:
    return await house.call("POST", "/workflows", key, json=document, **options)


async def names(house: House, key: str) -> list[str]:
    return [one["name"] for one in (await house.call("GET", "/workflows", key)).body["workflows"]]


@pytest.mark.parametrize(
    "document",
    [
        workflow("theirs"),
        workflow("ours", "theirs"),
        workflow("ours", "default"),
        workflow("ours", on_success="told"),
        workflow("ours", on_failure="told", options={"queue": "theirs"}),
        {"name": "test", "nodes": [{"id": "a", "kind": "k", "options": {"queue": "ours"}, "compensate": "undo"}]},
        {"name": "test", "nodes": [{"id": "a", "kind": "k"}], "options": {"queue": "theirs"}},
    ],
)
async def test_all_its_jobs_have_to_go_to_queues_of_the_caller(house: House, document: dict[str, Any]) -> None:
    whole, limited = await house.key(), await house.key(queues=["ours"])
    refused = await submit(house, limited, document)
    assert (refused.status, refused.code) == (403, "queue_not_allowed")
    workflow_id = (await submit(house, whole, document)).body["id"]
    assert await names(house, whole) == ["test"]
    assert await names(house, limited) == []
    for method, path in [("GET", ""), *(("POST", f"/{what}") for what in ACTS)]:
        answer = await house.call(method, f"/workflows/{workflow_id}{path}", limited)
        assert (answer.status, answer.code) == (404, "workflow_not_found")
        assert answer.body["detail"].endswith("never submitted, or past its retention")


async def test_what_goes_to_queues_of_the_caller_is_there_for_it(house: House) -> None:
    limited = await house.key(queues=["ours", "more"])
    document = workflow("ours", "more", options={"queue": "ours"}, on_success="told")
    workflow_id = (await submit(house, limited, document)).body["id"]
    assert await names(house, limited) == ["test"]
    assert (await house.call("POST", f"/workflows/{workflow_id}/pause", limited)).body["status"] == "paused"
    shown = (await house.call("GET", f"/workflows/{workflow_id}", limited)).body
    assert shown["by"].startswith("key:")


async def test_a_kind_that_goes_elsewhere_counts_where_its_node_says_nothing(house: House) -> None:
    await house.node(kinds=["theirs.only"])
    limited = await house.key(queues=["default"])
    while (answer := await submit(house, limited, {"name": "a", "nodes": [{"id": "a", "kind": "theirs.only"}]})).status:
        if answer.status == 403:  # once the door has heard of the kind
            break
    assert answer.code == "queue_not_allowed"


async def test_the_id_that_a_key_of_others_belongs_to_is_not_told(house: House) -> None:
    whole, limited = await house.key(), await house.key(queues=["ours"])
    headers = {"Idempotency-Key": "one"}
    first = (await submit(house, whole, workflow("theirs"), headers=headers)).body["id"]
    told = await submit(house, whole, workflow("ours"), headers=headers)
    assert (told.status, told.body["workflow_id"]) == (409, first)
    hidden = await submit(house, limited, workflow("ours"), headers=headers)
    assert (hidden.status, hidden.code) == (409, "idempotency_conflict")
    assert first not in str(hidden.body)
    job = await house.call("POST", "/jobs", limited, json={"kind": "k", "queue": "ours"}, headers=headers)
    assert (job.status, job.code) == (409, "idempotency_conflict")
    assert first not in str(job.body)


async def test_those_of_another_namespace_are_others(house: House) -> None:
    stranger = await house.key(namespace="stranger-" + house.namespace)
    workflow_id = (await submit(house, await house.key(), workflow("default"))).body["id"]
    assert await names(house, stranger) == []
    assert (await house.call("GET", f"/workflows/{workflow_id}", stranger)).status == 404


async def test_one_and_each_of_its_nodes_is_charged_to_the_rate(house: House) -> None:
    key = await house.key(quota=Quota(submissions_per_second=NEVER, burst=7))
    assert (await submit(house, key, workflow("a", "a"))).status == 201  # 3 of 7
    refused = await submit(house, key, workflow("a", "a", "a", "a"))
    assert (refused.status, refused.code, refused.body["quota"]) == (
        429,
        "quota_exceeded",
        "key.submissions_per_second",
    )


async def test_one_and_each_of_its_nodes_is_charged_to_what_may_be_stored(house: House) -> None:
    key = await house.key(quota=Quota(stored_jobs=5))
    refused = await submit(house, key, workflow(*"aaaaa"))
    assert (refused.status, refused.body["quota"]) == (429, "key.stored_jobs")
    assert (await submit(house, key, workflow(*"aaaa"))).status == 201


async def test_nodes_count_as_stored_until_they_end(house: House) -> None:
    key = await house.key(quota=Quota(stored_jobs=7))
    chain = {
        "name": "test",
        "nodes": [{"id": "a", "kind": "k"}, *({"id": n, "kind": "k", "after": ["a"]} for n in "bcd")],
    }
    first = (await submit(house, key, chain)).body["id"]
    usage = (await house.call("GET", "/quotas", key)).body["usage"]
    assert (usage["stored_jobs"], usage["in_flight"]) == (5, 0)
    refused = await submit(house, key, workflow("a", "a"))
    assert (refused.status, refused.body["quota"], refused.body["current"]) == (429, "key.stored_jobs", 5)
    assert (await house.call("POST", f"/workflows/{first}/cancel", key)).status == 202
    assert (await house.call("GET", "/quotas", key)).body["usage"]["stored_jobs"] == 1
    assert (await submit(house, key, workflow("a", "a"))).status == 201


async def test_a_retry_is_charged_for_the_nodes_that_run_again(house: House) -> None:
    key = await house.key(quota=Quota(stored_jobs=6))
    first = (await submit(house, key, workflow(*"aaaa"))).body["id"]
    await house.call("POST", f"/workflows/{first}/cancel", key)
    await house.call("GET", "/quotas", key)
    assert (await submit(house, key, workflow("a", "a"))).status == 201
    refused = await house.call("POST", f"/workflows/{first}/retry", key)
    assert (refused.status, refused.body["quota"]) == (429, "key.stored_jobs")


async def test_how_far_ahead_a_node_starts_is_held_to_the_quota(house: House) -> None:
    key = await house.key(quota=Quota(delay_seconds=60))
    late = {"name": "a", "nodes": [{"id": "a", "kind": "k", "options": {"delay_seconds": 61}}]}
    refused = await submit(house, key, late)
    assert (refused.status, refused.body["quota"]) == (429, "key.delay_seconds")


async def test_what_steers_them_is_on_record_and_a_refusal_is_not(house: House) -> None:
    key = await house.key()
    workflow_id = (await submit(house, key, workflow("a"))).body["id"]
    for what in ("pause", "resume", "cancel"):
        await house.call("POST", f"/workflows/{workflow_id}/{what}", key)
    assert (await house.call("POST", f"/workflows/{GHOST}/pause", key)).status == 404
    entries = (await house.call("GET", "/audit", key)).body["entries"]
    assert [(entry["action"], entry["target"]) for entry in entries] == [
        (f"{what}Workflow", workflow_id) for what in ("cancel", "resume", "pause")
    ]


async def test_what_steers_them_is_on_record_with_its_queues_for_those_who_have_all_of_them(house: House) -> None:
    whole, ours, both = await house.key(), await house.key(queues=["ours"]), await house.key(queues=["ours", "more"])
    for queues in (["ours"], ["ours", "more"]):
        workflow_id = (await submit(house, whole, workflow(*queues))).body["id"]
        await house.call("POST", f"/workflows/{workflow_id}/pause", whole)

    async def noted(key: str) -> list[tuple[str, list[str]]]:
        found = await house.call("GET", "/audit", key)
        return [(entry["queue"], entry["queues"]) for entry in found.body["entries"]]

    assert await noted(whole) == [("", ["more", "ours"]), ("ours", ["ours"])]
    assert await noted(both) == [("", ["more", "ours"]), ("ours", ["ours"])]
    assert await noted(ours) == [("ours", ["ours"])]
