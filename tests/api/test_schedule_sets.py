"""All schedules of a source at once, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_schedules import HOURLY, WEEKDAYS, put


async def apply(api: Any, schedules: Any, query: str = "source=deploy") -> Any:
    return await api.call("PUT", f"/schedules?{query}", json={"schedules": schedules})


async def names(api: Any) -> list[str]:
    return [one["name"] for one in (await api.call("GET", "/schedules")).body["schedules"]]


async def test_a_source_has_what_it_says_and_nothing_else(api: Any) -> None:
    await put(api, "hand")
    await apply(api, {"a": HOURLY, "b": HOURLY, "c": HOURLY})
    said = {"a": WEEKDAYS, "b": HOURLY, "d": HOURLY}
    dry = await apply(api, said, "source=deploy&dry_run=true")
    assert await names(api) == ["a", "b", "c", "hand"]
    done = await apply(api, said)
    assert done.status == 200
    assert done.body == dry.body
    warnings = done.body.pop("warnings")
    assert done.body == {"created": ["d"], "changed": ["a"], "unchanged": ["b"], "deleted": ["c"]}
    assert [warning["field"] for warning in warnings] == [f"schedules.{name}.job.kind" for name in "abd"]
    assert await names(api) == ["a", "b", "d", "hand"]
    conflict = await apply(api, {"hand": HOURLY})
    assert (conflict.status, conflict.code) == (409, "schedule_conflict")
    assert await names(api) == ["a", "b", "d", "hand"]


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({**HOURLY, "every_seconds": 0}, "out_of_range", "every_seconds"),
        ({**HOURLY, "every_seconds": "1"}, "invalid_type", "every_seconds"),
        ({"cron": ["* * * * *", "60 * * * *"], "job": {"kind": "k"}}, "invalid_schedule", "cron[1]"),
        ({**HOURLY, "job": {"kind": "k", "priorty": "high"}}, "unknown_field", "job.priorty"),
        ({"every_seconds": 60}, "missing_field", "job"),
        (5, "invalid_type", ""),
    ],
)
async def test_what_is_wrong_with_one_is_said_by_its_name_and_nothing_is_changed(
    api: Any, wrong: Any, code: str, field: str
) -> None:
    await apply(api, {"a": HOURLY})
    refused = await apply(api, {"b": HOURLY, "bad": wrong})
    assert (refused.status, refused.code) == (400, code)
    assert refused.body["field"] == f"schedules.bad.{field}".rstrip(".")
    assert refused.body["detail"].startswith(("schedules.bad: ", f"schedules.bad.{field}: "))
    assert await names(api) == ["a"]


@pytest.mark.parametrize("query", ["", "source=", "source=code", "source=a%20b"])
async def test_a_source_that_is_none(api: Any, query: str) -> None:
    refused = await apply(api, {"a": HOURLY}, query)
    assert (refused.status, refused.code, refused.body["field"]) == (400, "invalid_parameter", "source")
    assert refused.body["hint"]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing_field", "schedules"),
        ([], "invalid_type", None),
        ({"schedules": []}, "invalid_type", "schedules"),
        ({"schedules": {}, "source": "x"}, "unknown_field", "source"),
    ],
)
async def test_a_body_that_is_none(api: Any, body: Any, code: str, field: str | None) -> None:
    refused = await api.call("PUT", "/schedules?source=deploy", json=body)
    assert (refused.status, refused.code, refused.body.get("field")) == (400, code, field)


async def test_a_thousand_at_once(api: Any) -> None:
    wanted = {f"s{number}": {**HOURLY, "job": {"kind": "k", "payload": "x" * 100}} for number in range(1000)}
    assert len((await apply(api, wanted)).body["created"]) == 1000
    assert len((await apply(api, wanted)).body["unchanged"]) == 1000
