"""Schedules out of JSON, and by keywords: what they start is a job or a workflow, and what is wrong has its place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ironforge.errors import InvalidJob
from ironforge.schedules.checks import check_schedule
from ironforge.schedules.decoding import decode_schedule
from ironforge.schedules.keywords import schedule_of, start_of
from ironforge.workflows import chain, dag, node

JOB = {"kind": "web.fetch"}
FETCH: dict[str, Any] = {"id": "fetch", "kind": "web.fetch"}


def workflow(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "report", "nodes": nodes or [FETCH], **more}


def refusal(**said: Any) -> InvalidJob:
    with pytest.raises(InvalidJob) as refused:
        check_schedule(decode_schedule(msgspec.json.encode({"every_seconds": 60, **said})))
    return refused.value


@pytest.mark.parametrize(
    ("said", "code", "which"),
    [
        ({}, "missing_field", "neither job nor workflow"),
        ({"job": JOB, "workflow": workflow()}, "invalid_schedule", "both job and workflow"),
    ],
)
def test_one_of_both_starts(said: dict[str, Any], code: str, which: str) -> None:
    refused = refusal(**said)
    assert (refused.code, refused.field) == (code, "job")
    assert str(refused) == f"job: the schedule has {which}: give one of them"


@pytest.mark.parametrize(
    ("said", "field"),
    [
        (workflow(FETCH, {"id": "send", "kind": "mail.send", "after": ["fetsh"]}), "workflow.nodes[1].after[0]"),
        (workflow(FETCH, {"id": "send", "kind": "mail.send", "after": [1]}), "workflow.nodes[1].after[0]"),
        (workflow({**FETCH, "kind": 1}), "workflow.nodes[0].kind"),
        (workflow({**FETCH, "queue": "slow"}), "workflow.nodes[0].queue"),
        (workflow(on_succes="told"), "workflow.on_succes"),
        ({"nodes": [FETCH]}, "workflow.name"),
        ([], "workflow"),
    ],
)
def test_what_is_wrong_with_a_workflow_is_said_with_its_place(said: Any, field: str) -> None:
    refused = refusal(workflow=said)
    assert refused.field == field
    assert str(refused).startswith("workflow")


def test_keywords_take_a_workflow_as_it_is_built() -> None:
    built = dag("report", chain(node("web.fetch"), node("mail.send")))
    made = schedule_of(start_of(None, None, built), {"every_seconds": 60, "overlap": "queue_one"})
    assert made == check_schedule(made)
    assert made.workflow == built


@pytest.mark.parametrize(
    ("given", "field", "told"),
    [
        ((None, None, None), "job", "neither a kind nor a workflow"),
        (("web.fetch", None, workflow()), "job", "both a kind and a workflow"),
        ((None, {"a": 1}, workflow()), "job.payload", "a schedule of a workflow has none"),
    ],
)
def test_keywords_take_one_of_both(given: Any, field: str, told: str) -> None:
    with pytest.raises(InvalidJob, match=told) as refused:
        start_of(*given)
    assert refused.value.field == field


def test_options_of_a_job_are_none_of_a_workflow() -> None:
    with pytest.raises(InvalidJob) as refused:
        schedule_of(start_of(None, None, workflow()), {"every_seconds": 60, "queue": "slow"})
    assert refused.value.field == "queue"
    assert "workflow.options.queue" in (refused.value.hint or "")
