"""What the job of a node is, as it is submitted."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from ironforge.workflows.jobs import MAP_KIND, MapPayload, NodeJob, job_of
from tests.workflows.documents import node, result, workflow

FIRST = node("fetch")


def job(second: dict[str, Any], **more: Any) -> NodeJob:
    document = workflow(FIRST, second, **more)
    return job_of(document, document.nodes[1])


def map_payload(second: dict[str, Any], **more: Any) -> MapPayload:
    return msgspec.json.decode(job(second, **more).payload, type=MapPayload)


def test_a_payload_without_words_is_what_the_handler_gets() -> None:
    assert job(node("b", payload={"a": [1, "$result"]})) == job(node("b", "fetch", payload={"a": [1, "$result"]}))
    made = job(node("b", payload={"a": [1, "$result"]}))
    assert (made.kind, json.loads(made.payload)) == ("do.b", {"a": [1, "$result"]})
    assert made.references == ()


def test_a_literal_is_taken_out_where_nothing_else_is_to_be_looked_for() -> None:
    payload = {"a": {"$literal": {"$result": "x"}}}
    assert json.loads(job(node("b", payload=payload)).payload) == {"a": {"$result": "x"}}


def test_words_stay_until_the_node_runs_and_each_source_is_named_once() -> None:
    payload = [result("fetch.result.a"), {"$literal": 1}, result("fetch.result")]
    made = job(node("b", "fetch", payload=payload))
    assert json.loads(made.payload) == payload
    assert made.references == ("fetch",)


def test_a_map_is_a_job_of_its_own_kind_that_has_what_its_items_are_made_of() -> None:
    options = {"queue": "q", "timeout_seconds": 5.0, "max_retries": 1, "delay_seconds": 3.0, "fairness_key": "k"}
    over = {"over": "fetch.result.items", "max_parallel": 7}
    made = job(node("b", "fetch", payload={"i": {"$item": "id"}}, map=over, options=options))
    assert (made.kind, made.references) == (MAP_KIND, ("fetch",))
    said = msgspec.json.decode(made.payload, type=MapPayload)
    assert (said.kind, said.over, said.max_parallel) == ("do.b", "fetch.result.items", 7)
    assert json.loads(bytes(said.payload)) == {"i": {"$item": "id"}}
    assert said.options is not None
    assert (said.options.queue, said.options.timeout_seconds, said.options.max_retries) == ("q", 5.0, 1)
    assert (said.options.delay_seconds, said.options.fairness_key) == (None, "k")
    assert (made.options.queue, made.options.timeout_seconds, made.options.max_retries) == ("q", None, None)
    assert (made.options.delay_seconds, made.options.fairness_key) == (3.0, "k")


def test_items_of_a_map_without_payload_are_payloads_as_such() -> None:
    said = map_payload(node("b", "fetch", map={"over": "fetch.result"}), options={"priority": "high"})
    assert json.loads(bytes(said.payload)) == {"$item": ""}
    assert said.max_parallel is None
    assert said.options is not None
    assert said.options.priority == "high"
