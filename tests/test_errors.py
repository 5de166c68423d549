"""One table of errors for every door: what the API answers is raised by its client as what was raised behind it."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from ironforge import errors
from ironforge.api.problems import explain, respond
from ironforge.client.client import ApiError
from ironforge.client.refusals import refused
from ironforge.codes import STATUS, Code


def indexed(error: errors.InvalidJob | errors.Duplicate, index: int) -> errors.Refused:
    error.index = index
    return error


REFUSALS: list[errors.Refused] = [
    errors.InvalidJob("no", code="invalid_priority", field="priority"),
    errors.InvalidJob("no", code="payload_too_large", field="payload"),
    errors.InvalidPayload("no", field="payload.to"),
    errors.JobNotFound("no"),
    errors.InvalidState("no", state="queued"),
    errors.IdempotencyConflict("no", job_id="0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50"),
    errors.IdempotencyConflict("no", job_id=""),
    errors.Duplicate("no", job_id="0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50"),
    indexed(errors.Duplicate("no", job_id=""), 3),
    indexed(errors.InvalidJob("no"), 0),
    errors.QueueFull("no", queue="mail", length=0, limit=10),
    errors.Unauthenticated("no", code="token_expired"),
    errors.Forbidden("no", code="missing_scope"),
    errors.QuotaExceeded("no", quota="key.burst", current=1.5, limit=2, retry_seconds=0.5),
    errors.KeyNotFound("no"),
    errors.TooManyKeys("no"),
    errors.IncompatibleRecord("no"),
    errors.StoreUnavailable("no"),
    errors.StoreUnavailable("no", code="durability_not_confirmed", job_ids=["a"]),
    errors.StoreUnavailable("no", code="durability_not_confirmed", job_ids=["a", "b"]),
]


def over_http(error: errors.Refused) -> errors.Refused:
    answer = respond(explain(error, "id"), "id")
    assert isinstance(answer.body, bytes)
    return refused(answer.status, json.loads(answer.body))


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: f"{type(error).__name__}-{error.code}")
def test_the_client_raises_what_was_raised_behind_the_api(error: errors.Refused) -> None:
    raised = over_http(error)
    assert type(raised) is type(error)
    assert raised.code == error.code
    assert raised.detail == error.detail
    assert raised.facts() == error.facts()
    assert str(raised) == f"no ({error.status} {error.code})"


def test_what_the_store_refused_is_an_outage_to_the_client() -> None:
    raised = over_http(errors.StoreError("no"))
    assert type(raised) is errors.StoreUnavailable
    assert raised.status == 503
    assert raised.code == "store_refused"


def test_every_refusal_is_an_api_error() -> None:
    assert ApiError is errors.Refused


@pytest.mark.parametrize("code", [1, None, "no_code_of_ours"])
def test_a_document_of_others_is_taken_by_its_status(code: object) -> None:
    raised = refused(429, {"code": code, "queue": 7, "detail": ["?"]})
    assert type(raised) is errors.Refused
    assert raised.status == 429
    assert raised.detail == ""


def test_members_of_another_type_are_left() -> None:
    raised = refused(429, {"code": "queue_full", "queue": 7, "length": "many", "limit": None})
    assert isinstance(raised, errors.QueueFull)
    assert raised.queue == ""
    assert raised.length == 0
    assert raised.limit == 0


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(get_args(Code))
