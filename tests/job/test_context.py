"""The context tells a handler who it is and how long it has."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import structlog
from structlog.testing import capture_logs

from ironforge.job.context import Context
from ironforge.job.record import new_id
from ironforge.job.tick import JobTick


def context(job_id: bytes | None = None, timeout_seconds: float = 30) -> Context:
    return Context(job_id or new_id(), "email.send", 2, 7, timeout_seconds)


def test_it_names_the_job_and_the_attempt():
    job_id = new_id()
    actual = context(job_id)
    text = str(uuid.UUID(bytes=job_id))
    assert text == actual.id
    assert text == actual.idempotency_key
    assert actual.kind == "email.send"
    assert actual.attempt == 2
    assert actual.fence == 7


def test_a_job_of_a_schedule_knows_its_tick():
    of_schedule = Context(new_id(), "report", 1, 0, 30, "default", JobTick("report.nightly", 1_767_225_600_500))
    assert of_schedule.schedule == "report.nightly"
    assert of_schedule.tick_at == datetime(2026, 1, 1, 0, 0, 0, 500_000, UTC)
    fields = of_schedule.log_fields()
    assert fields["schedule"] == "report.nightly"
    assert fields["tick_at"] == "2026-01-01T00:00:00.500000+00:00"


def test_any_other_job_knows_of_none():
    assert context().schedule is None
    assert context().tick_at is None


def test_the_deadline_and_the_seconds_left_agree():
    actual = context(timeout_seconds=30)
    left = actual.seconds_left()
    assert 29 < left <= 30
    assert abs(actual.deadline - datetime.now(UTC) - timedelta(seconds=left)) < timedelta(seconds=1)


def test_the_time_is_over_after_the_limit():
    assert context(timeout_seconds=0).seconds_left() <= 0


def test_it_says_when_the_attempt_shall_stop():
    actual = context()
    assert not actual.cancel_requested
    actual.request_cancel()
    assert actual.cancel_requested


def test_its_logger_carries_the_job():
    actual = context()
    structlog.reset_defaults()
    with capture_logs() as logs:
        actual.logger.info("hello")
    expected = {
        "job_id": actual.id,
        "kind": "email.send",
        "attempt": 2,
        "namespace": "default",
        "event": "hello",
        "log_level": "info",
    }
    assert [expected] == logs
    assert actual.logger is actual.logger
