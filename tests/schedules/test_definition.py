"""What a schedule may say, and how one is refused that says something else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from ironforge.errors import InvalidJob
from ironforge.job.mismatch import mismatch
from ironforge.job.options import JobKeywords
from ironforge.job.request import JobRequest
from ironforge.schedules.checks import check_schedule
from ironforge.schedules.definition import (
    MAX_CAUGHT_UP,
    MAX_EVERY_SECONDS,
    MAX_EXCLUDED,
    MAX_JITTER_SECONDS,
    MAX_LINES,
    MAX_WINDOW_SECONDS,
    CatchUp,
    Schedule,
)
from ironforge.schedules.keywords import ScheduleKeywords

JOB = JobRequest(kind="report.nightly")
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def refusal(**said: Any) -> InvalidJob:
    with pytest.raises(InvalidJob) as refused:
        check_schedule(Schedule(**{"job": JOB, "cron": ("0 9 * * *",), **said}))
    return refused.value


def test_type_checkers_know_every_field() -> None:
    keywords = {*ScheduleKeywords.__annotations__} - {*JobKeywords.__annotations__}
    assert keywords == {*Schedule.__struct_fields__} - {"job", "workflow"}


def test_a_schedule_says_when_and_what_and_the_rest_has_defaults() -> None:
    said = b'{"job":{"kind":"report.nightly","payload":{"b": 1}},"cron":["0 9 * * 1-5"],"timezone":"Europe/Berlin"}'
    schedule = check_schedule(msgspec.json.decode(said, type=Schedule))
    assert schedule.catch_up == CatchUp("latest", 3600.0, 100)
    assert (schedule.overlap, schedule.gap, schedule.fold, schedule.jitter_seconds) == ("skip", "run", "first", 0)
    assert bytes(schedule.job.payload) == b'{"b": 1}'


def test_the_stored_form_is_read_back_as_it_was() -> None:
    schedule = Schedule(
        job=JOB,
        cron=("0 9 * * *", "0 0 12 * * *"),
        start=NOON,
        exclude=("2026-12-25",),
        catch_up=CatchUp("all", 60.0, 5),
    )
    encoded = msgspec.json.encode(check_schedule(schedule))
    assert msgspec.json.encode(msgspec.json.decode(encoded, type=Schedule)) == encoded


@pytest.mark.parametrize("seconds", [1, 1.5, 60, MAX_EVERY_SECONDS])
def test_real_seconds_instead_of_lines(seconds: float) -> None:
    assert check_schedule(Schedule(job=JOB, every_seconds=seconds)).every_seconds == seconds


@pytest.mark.parametrize(
    ("said", "field", "code", "message"),
    [
        ({"cron": ()}, "cron", "invalid_schedule", "the schedule has neither cron nor every_seconds: give one of them"),
        ({"every_seconds": 60}, "cron", "invalid_schedule", "the schedule has both cron and every_seconds"),
        ({"cron": (), "every_seconds": 0.5}, "every_seconds", "out_of_range", "0.5 is out of range: 1 to 31536000"),
        ({"cron": (), "every_seconds": True}, "every_seconds", "invalid_type", "a number of seconds"),
        ({"cron": ("0 9 * * *",) * (MAX_LINES + 1)}, "cron", "invalid_schedule", "there are 17: give at most 16"),
        ({"exclude": ("2026-12-25",) * (MAX_EXCLUDED + 1)}, "exclude", "invalid_schedule", "give at most 400"),
        ({"exclude": ("2026-12-25", "25.12.2026")}, "exclude[1]", "invalid_schedule", "neither a date nor a cron line"),
        ({"exclude": ("* 24 * * *",)}, "exclude[0]", "invalid_schedule", "hour: 24 is out of range: give 0 to 23"),
        ({"timezone": "Europe/Berln"}, "timezone", "invalid_schedule", "did you mean 'Europe/Berlin'?"),
        ({"jitter_seconds": MAX_JITTER_SECONDS + 1}, "jitter_seconds", "out_of_range", "86401 is out of range"),
        ({"jitter_seconds": -1}, "jitter_seconds", "out_of_range", "-1 is out of range"),
        ({"jitter_seconds": float("nan")}, "jitter_seconds", "out_of_range", "nan is out of range"),
        (
            {"catch_up": CatchUp(window_seconds=MAX_WINDOW_SECONDS + 1)},
            "catch_up.window_seconds",
            "out_of_range",
            "604801 is out of range: 0 to 604800",
        ),
        ({"catch_up": CatchUp(most=MAX_CAUGHT_UP + 1)}, "catch_up.most", "out_of_range", "1001 is out of range"),
        ({"start": NOON.replace(tzinfo=None)}, "start", "timezone_required", "append Z for UTC"),
        ({"end": NOON.replace(tzinfo=None)}, "end", "timezone_required", "append Z for UTC"),
        ({"end": NOON.replace(year=1999)}, "end", "invalid_schedule", "there is no tick before it"),
        ({"exclude": ("* 9 * * *",)}, "exclude", "invalid_schedule", "nothing is left of '0 9 * * *' from 2000-01-01"),
        (
            {"cron": ("0 9 4 7 *",), "exclude": ("* * * 7 *",)},
            "exclude",
            "invalid_schedule",
            "to 2051-07-04: exclude less",
        ),
        (
            {"start": NOON.replace(year=1)},
            "start",
            "invalid_schedule",
            "give a time from 1970 to 9998",
        ),
        ({"end": NOON.replace(year=9999)}, "end", "invalid_schedule", "give a time from 1970 to 9998"),
        ({"start": NOON, "end": NOON}, "end", "invalid_schedule", "is not after start"),
        ({"start": NOON, "end": NOON - timedelta(1)}, "end", "invalid_schedule", "give a later end, or none"),
        ({"job": JobRequest(kind="a b")}, "job.kind", "invalid_kind", "job: kind 'a b' is not a name"),
        ({"job": JobRequest(kind="a", max_retries=-1)}, "job.max_retries", "out_of_range", "-1 is out of range"),
        (
            {"job": JobRequest(kind="a", run_at="2030-01-01T00:00Z")},
            "job.run_at",
            "invalid_schedule",
            "leave it out",
        ),
        (
            {"job": JobRequest(kind="a", payload=msgspec.Raw(b'"' + b"x" * 1_048_576 + b'"'))},
            "job.payload",
            "payload_too_large",
            "at most 1048576 are allowed",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(said: dict[str, Any], field: str, code: str, message: str) -> None:
    refused = refusal(**said)
    assert (refused.field, refused.code) == (field, code)
    assert message in str(refused)


@pytest.mark.parametrize(
    "name",
    ["", "Europe", "../etc/passwd", "posix/Europe/Berlin", "right/UTC", "localtime", "ü", "a/" * 2_000 + "b"],
)
def test_zones_are_the_iana_s_alone(name: str) -> None:
    assert refusal(timezone=name).field == "timezone"


def test_a_schedule_that_has_ended_is_right_still() -> None:
    ended = Schedule(job=JOB, cron=("0 9 * * *",), end=NOON - timedelta(7000))
    assert check_schedule(ended) is ended


TIME = "give a time with a zone such as 2030-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("said", "code", "field", "hint"),
    [
        ({"tz": "UTC"}, "unknown_field", "tz", "known are job, overlap, catch_up"),
        ({"cron": "0 9 * * *"}, "invalid_type", "cron", "give an array"),
        ({"cron": [9]}, "invalid_type", "cron[0]", "give text"),
        ({"start": "tomorrow"}, "invalid_type", "start", TIME),
        ({"end": 1_795_788_000}, "invalid_type", "end", TIME),
        ({"overlap": "queue"}, "invalid_type", "overlap", "one of skip, queue_one, queue_all, cancel_running, allow"),
        ({"catch_up": {"polcy": "all"}}, "unknown_field", "catch_up.polcy", "did you mean `policy`?"),
        ({"job": {"kind": "a", "qeue": "b"}}, "unknown_field", "job.qeue", "did you mean `queue`?"),
    ],
)
def test_what_does_not_fit_is_told_by_its_place(said: dict[str, Any], code: str, field: str, hint: str) -> None:
    with pytest.raises(msgspec.ValidationError) as misfit:
        msgspec.convert({"job": {"kind": "a"}, **said}, Schedule)
    refused = mismatch(str(misfit.value), Schedule)
    assert (refused.code, refused.field) == (code, field)
    assert str(refused.hint).startswith(hint)
