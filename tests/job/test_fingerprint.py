"""One submission has one fingerprint, by whichever door it comes, and however it is spelled there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ironforge.api.parsing import requests
from ironforge.handlers.forge import Forge
from ironforge.job.record import Priority
from ironforge.job.request import digest

TIME = datetime(2026, 1, 31, 12, tzinfo=UTC)


def over_http(payload: Any, **options: Any) -> bytes:
    body = {"payload": payload, **options, "kind": "k"}
    return requests.read_job(json.dumps(body, indent=1).encode(), "key").fingerprint


def from_python(payload: Any, forge: Forge | None = None, **options: Any) -> bytes:
    return (forge or Forge()).prepare("k", payload, idempotency_key="key", **options).fingerprint


@pytest.mark.parametrize(
    ("http", "python"),
    [
        ({}, {}),
        ({"priority": "high", "queue": "mail"}, {"priority": Priority.HIGH, "queue": "mail"}),
        ({"queue": None}, {}),
        ({"timeout_seconds": 90}, {"timeout_seconds": timedelta(minutes=1.5)}),
        ({"delay_seconds": 0.25, "max_retries": 0}, {"delay_seconds": 0.25, "max_retries": 0}),
        ({"run_at": "2026-01-31t13:00:00+01:00"}, {"run_at": TIME}),
        ({"run_at": "2026-01-31T12:00:00Z"}, {"run_at": TIME.isoformat()}),
        ({"fairness_key": "a", "fairness_weight": 2}, {"fairness_key": "a", "fairness_weight": 2}),
    ],
)
def test_http_and_python_agree(http: dict[str, Any], python: dict[str, Any]) -> None:
    payload = {"b": [1.5, None, "ä"], "a": {"z": 1, "y": 2}}
    assert over_http(payload, **http) == from_python(payload, **python)


@pytest.mark.parametrize(
    "options", [{"priority": "medium"}, {"max_retries": 0}, {"delay_seconds": 0}, {"timeout_seconds": 1}]
)
def test_an_option_that_was_given_counts(options: dict[str, Any]) -> None:
    assert over_http(1, **options) != over_http(1)
    assert from_python(1, **options) != from_python(1)


def test_what_a_kind_fixes_does_not_count() -> None:
    forge = Forge()

    @forge.job("k", priority="high", max_retries=7)
    async def handler(payload: int) -> None: ...

    assert from_python(1, forge) == over_http(1)


def test_it_is_that_of_the_first_version_where_all_is_spelled_plainly() -> None:
    assert over_http({"a": 1}, max_retries=2) == digest(b'{"kind":"k","max_retries":2,"payload":{"a":1}}')


def test_that_of_the_first_version_goes_along() -> None:
    submission = requests.read_job(b'{"queue":null,"kind":"k"}', "key")
    assert submission.former_fingerprint == digest(b'{"kind":"k","queue":null}')
