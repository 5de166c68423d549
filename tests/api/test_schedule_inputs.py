"""Schedules that make no sense, over HTTP: each is refused at its field, with what to do, and changes nothing."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.api.test_schedules import HOURLY, JOB, put

SPAN = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-01T02:00:00Z"}
LINES = [
    ("0 0 30 2 *", "never fires"),
    ("0 0 0 * * * *", "has 7 fields"),
    ("* * * *", "has 4 fields"),
    ("", "has 0 fields"),
    ("@daily", "has 1 field"),
    ("60 * * * *", "minute: 60 is out of range"),
    ("* 24 * * *", "hour: 24 is out of range"),
    ("* * 0 * *", "day of month: 0 is out of range"),
    ("* * * 13 *", "month: 13 is out of range"),
    ("* * * * 8", "day of week: 8 is out of range"),
    ("60 * * * * *", "second: 60 is out of range"),
    ("*/0 * * * *", "minute: '0' is no step"),
    ("*/999999999999999999999 * * * *", "minute: '999999999999999999999' is no step"),
    ("30-10 * * * *", "minute: the range 30-10 ends before it begins"),
    ("* * * * FRI-MON", "day of week: the range FRI-MON"),
    ("* * * FOO *", "month: 'FOO' is not understood"),
    ("1,,2 * * * *", "minute: '' is not understood"),
    ("-1 * * * *", "minute: '-1' is not understood"),
    ("\u0665 * * * *", "other characters than ASCII"),
    ("0 0 * * *\x00", "not understood"),
    ("* " * 500, "goes on for 1000 characters"),
]
FIELDS: list[tuple[dict[str, Any], str, str]] = [
    ({"timezone": "Europe/Berln"}, "invalid_schedule", "timezone"),
    ({"timezone": ""}, "invalid_schedule", "timezone"),
    ({"timezone": "../../etc/passwd"}, "invalid_schedule", "timezone"),
    ({"timezone": "x" * 10_000}, "invalid_schedule", "timezone"),
    ({"timezone": None}, "invalid_type", "timezone"),
    ({"every_seconds": None}, "invalid_schedule", "cron"),
    ({"cron": ["* * * * *"]}, "invalid_schedule", "cron"),
    ({"every_seconds": None, "cron": []}, "invalid_schedule", "cron"),
    ({"every_seconds": None, "cron": "* * * * *"}, "invalid_type", "cron"),
    ({"every_seconds": None, "cron": [5]}, "invalid_type", "cron[0]"),
    ({"every_seconds": None, "cron": ["* * * * *"] * 17}, "invalid_schedule", "cron"),
    *(({"every_seconds": each}, "out_of_range", "every_seconds") for each in (0, -1, 0.999, 1e300, 10**18)),
    *(({"every_seconds": each}, "invalid_type", "every_seconds") for each in ("60", True, [60])),
    ({"start": "2030-01-01"}, "invalid_type", "start"),
    ({"start": "soon"}, "invalid_type", "start"),
    ({"start": 0}, "invalid_type", "start"),
    ({"start": "2030-01-01T00:00:00"}, "timezone_required", "start"),
    *(({"start": f"{year}-01-01T00:00:00Z"}, "invalid_schedule", "start") for year in ("0001", "1969", "9999")),
    ({"start": "0001-01-01T00:00:00+14:00"}, "invalid_schedule", "start"),
    ({"end": "9999-12-31T23:59:59-12:00"}, "invalid_schedule", "end"),
    ({"end": "2029-12-31T00:00:00Z"}, "invalid_schedule", "end"),
    ({"end": HOURLY["start"]}, "invalid_schedule", "end"),
    ({"exclude": ["30 Feb"]}, "invalid_schedule", "exclude[0]"),
    ({"exclude": ["2030-02-30"]}, "invalid_schedule", "exclude[0]"),
    ({"exclude": ["2030-01-01", "* * * * * * *"]}, "invalid_schedule", "exclude[1]"),
    ({"exclude": ["2030-01-01"] * 401}, "invalid_schedule", "exclude"),
    ({"exclude": ["* * * * *"]}, "invalid_schedule", "exclude"),
    ({"exclude": None}, "invalid_type", "exclude"),
    ({"jitter_seconds": -1}, "out_of_range", "jitter_seconds"),
    ({"jitter_seconds": 1e9}, "out_of_range", "jitter_seconds"),
    ({"overlap": "never"}, "invalid_type", "overlap"),
    ({"gap": "both"}, "invalid_type", "gap"),
    ({"fold": 1}, "invalid_type", "fold"),
    ({"catch_up": None}, "invalid_type", "catch_up"),
    ({"catch_up": {"policy": "some"}}, "invalid_type", "catch_up.policy"),
    ({"catch_up": {"window": 5}}, "unknown_field", "catch_up.window"),
    ({"catch_up": {"window_seconds": -1}}, "out_of_range", "catch_up.window_seconds"),
    ({"catch_up": {"window_seconds": 1e7}}, "out_of_range", "catch_up.window_seconds"),
    ({"catch_up": {"most": 0}}, "out_of_range", "catch_up.most"),
    ({"catch_up": {"most": 1.5}}, "invalid_type", "catch_up.most"),
    ({"intervall": 5}, "unknown_field", "intervall"),
    ({"job": None}, "missing_field", "job"),
    ({"job": {}}, "missing_field", "job.kind"),
    ({"job": {"kind": ""}}, "invalid_kind", "job.kind"),
    ({"job": {"kind": "k", "queue": "a b"}}, "invalid_queue_name", "job.queue"),
    ({"job": {"kind": "k", "run_at": "2030-01-01T00:00:00Z"}}, "invalid_schedule", "job.run_at"),
    ({"job": {"kind": "k", "run_at": 5}}, "invalid_type", "job.run_at"),
    ({"job": {"kind": "k", "idempotency_key": "x"}}, "unknown_field", "job.idempotency_key"),
    ({"job": {"kind": "k", "priority": "urgent"}}, "invalid_priority", "job.priority"),
    ({"job": {"kind": "k", "delay_seconds": -1}}, "invalid_delay", "job.delay_seconds"),
    ({"job": {"kind": "k", "limits": [{"name": "a b"}]}}, "invalid_limit", "job.limits[0].name"),
    ({"job": {"kind": "k", "limits": [{"name": "a", "unit": 1}]}}, "unknown_field", "job.limits[0].unit"),
    ({"job": {"kind": "k", "unique": {"key": 5}}}, "invalid_type", "job.unique.key"),
    ({"job": {"kind": "k", "fairness_weight": 2}}, "missing_field", "job.fairness_key"),
    (
        {"overlap": "queue_one", "job": {"kind": "k", "limits": [{"name": name} for name in "abcd"]}},
        "out_of_range",
        "job.limits",
    ),
]


async def test_lines_that_are_none(api: Any) -> None:
    for line, why in LINES:
        answer = await put(api, schedule={"cron": ["0 9 * * *", line], "job": JOB})
        assert (answer.status, answer.body["field"], line) == (400, "cron[1]", line)
        assert answer.body["code"] in ("invalid_schedule", "invalid_unicode")
        assert why in answer.body["detail"]
        assert answer.body["hint"]
    assert (await api.call("GET", "/schedules")).body["schedules"] == []


async def test_fields_that_make_no_sense(api: Any) -> None:
    for fields, code, field in FIELDS:
        answer = await put(api, schedule={**HOURLY, **fields})
        assert (answer.status, answer.body["code"], answer.body.get("field"), fields) == (400, code, field, fields)
        assert answer.body["hint"]
    assert (await api.call("GET", "/schedules")).body["schedules"] == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "body_required"),
        (b"null", 400, "invalid_type"),
        (b"[]", 400, "invalid_type"),
        (b'{"every_seconds": NaN, "job": {"kind": "k"}}', 400, "invalid_number"),
        (b'{"every_seconds": 1e999, "job": {"kind": "k"}}', 400, "number_out_of_range"),
        (b'{"every_seconds": 60, "every_seconds": 61, "job": {"kind": "k"}}', 400, "duplicate_key"),
        (b'{"every_seconds": 60, "job": {"kind": "k", "payload": "\\ud800"}}', 400, "invalid_unicode"),
        (b'{"every_seconds": 60, "job": {"kind": "k", "payload": ' + b"[" * 100 + b"]" * 100 + b"}}", 400, "too_deep"),
        (b"\xff", 400, "invalid_unicode"),
    ],
)
async def test_a_body_that_is_none(api: Any, body: bytes, status: int, code: str) -> None:
    answer = await api.call("PUT", "/schedules/a", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (status, code)


async def test_a_payload_of_nearly_a_megabyte_is_kept_as_it_is(api: Any) -> None:
    job = {"kind": "k", "payload": "x" * 1_048_000}
    assert (await put(api, schedule={**HOURLY, "job": job})).status == 201
    started = (await api.call("POST", "/schedules/report/trigger")).body["job_id"]
    assert (await api.call("GET", f"/jobs/{started}")).body["payload"] == job["payload"]
    assert (
        await api.call("PUT", "/schedules?source=a", json={"schedules": {"b": {**HOURLY, "job": job}}})
    ).status == 200
    larger = io.BytesIO(b'{"every_seconds": 60, "job": {"kind": "k", "payload": "%s"}}' % (b"x" * 1_048_576))
    refused = await api.call("PUT", "/schedules/report", data=larger, headers={"Content-Type": "application/json"})
    assert (refused.status, refused.code) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        ("pause", {"until": "2020-01-01T00:00:00Z"}, "out_of_range", "until"),
        ("pause", {"until": "9999-01-01T00:00:00Z"}, "out_of_range", "until"),
        ("pause", {"until": "2040-01-01T00:00:00"}, "timezone_required", "until"),
        ("pause", {"until": 5}, "invalid_type", "until"),
        ("pause", {"note": "x" * 501}, "out_of_range", "note"),
        ("pause", {"note": None}, "invalid_type", "note"),
        ("pause", {"why": ""}, "unknown_field", "why"),
        ("backfill", {}, "missing_field", "from"),
        ("backfill", {"from": "2030-01-01T00:00:00Z"}, "missing_field", "to"),
        *(
            ("backfill", {"from": "2030-01-02T00:00:00Z", "to": to}, code, "to")
            for to, code in (
                ("2030-01-01T00:00:00Z", "out_of_range"),
                ("2030-01-02T00:00:00Z", "out_of_range"),
                ("2031-01-02T00:00:00Z", "out_of_range"),
                ("9998-01-02T00:00:00Z", "out_of_range"),
                ("9999-01-02T00:00:00Z", "invalid_schedule"),
                ("2030-01-03T00:00:00", "timezone_required"),
                ("later", "invalid_type"),
            )
        ),
        *(
            ("backfill", {**SPAN, "per_second": rate}, code, "per_second")
            for rate, code in ((0, "out_of_range"), (-1, "out_of_range"), (1e9, "out_of_range"), ("1", "invalid_type"))
        ),
        ("backfill", {"from": "0001-01-01T00:00:00+14:00", "to": "2030-01-01T00:00:00Z"}, "invalid_schedule", "from"),
        ("next?n=0", None, "out_of_range", "n"),
        ("next?n=1001", None, "out_of_range", "n"),
        ("next?n=x", None, "invalid_parameter", "n"),
        ("next?after=soon", None, "invalid_type", "after"),
        ("next?after=9999-12-31T23:59:59Z", None, "invalid_schedule", "after"),
        ("next?m=1", None, "invalid_parameter", "m"),
        ("history?limit=0", None, "invalid_parameter", "limit"),
        ("history?cursor=x", None, "invalid_parameter", "cursor"),
    ],
)
async def test_what_is_asked_of_one_and_makes_no_sense(api: Any, path: str, body: Any, code: str, field: str) -> None:
    await put(api)
    answer = await api.call("GET" if body is None else "POST", f"/schedules/report/{path}", json=body)
    assert (answer.status, answer.code, answer.body["field"]) == (400, code, field)
    assert (await api.call("GET", "/jobs")).body["jobs"] == []


async def test_a_cursor_of_another_list(api: Any) -> None:
    for name in "ab":
        await put(api, name)
    cursor = (await api.call("GET", "/schedules?limit=1")).body["next"]
    for path in ("/schedules?source=x&", "/schedules/a/history?"):
        answer = await api.call("GET", f"{path}cursor={cursor}")
        assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_parameter", "cursor")
