"""Schedules over HTTP: defined, looked at, changed only as they were seen, paused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ironforge.schedules.definition import Schedule
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.store.schedules.contract import CODE

JOB = {"kind": "report.build", "payload": {"month": "2030-01"}}
WEEKDAYS = {"cron": ["0 8,9 * * 1-5"], "timezone": "Europe/Berlin", "job": JOB}
HOURLY = {"every_seconds": 3600.0, "start": "2030-01-01T00:00:00Z", "job": JOB}


async def put(api: Any, name: str = "report", schedule: Any = HOURLY, query: str = "", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.call("PUT", f"/schedules/{name}{query}", json=schedule, headers=named)


async def test_a_schedule_is_there_as_it_was_defined_however_often(api: Any) -> None:
    made = await put(api, schedule=WEEKDAYS)
    again = await put(api, schedule=WEEKDAYS)
    assert (made.status, again.status) == (201, 200)
    assert again.body == made.body
    assert made.headers["ETag"] == again.headers["ETag"] == f'"{made.body["etag"]}"'
    assert made.body["schedule"] == WEEKDAYS
    assert made.body["words"] == "at 08:00 and 09:00 on weekdays, Europe/Berlin"
    assert datetime.fromisoformat(made.body["next_at"]) > datetime.now(UTC)
    got = await api.call("GET", "/schedules/report")
    assert (got.body, got.headers["ETag"]) == (made.body, made.headers["ETag"])
    assert (await api.call("GET", "/schedules")).body == {"schedules": [made.body], "next": None}


async def test_all_that_is_told_of_one(api: Any) -> None:
    answer = await put(api, query="?source=deploy")
    times = [answer.body.pop(name) for name in ("created_at", "updated_at", "etag")]
    assert times[0] == times[1]
    assert answer.body.pop("warnings")[0]["code"] == "kind_not_served"
    assert answer.body == {
        "name": "report",
        "schedule": HOURLY,
        "words": "every hour, from 2030-01-01 00:00 UTC",
        "source": "deploy",
        "by": "",
        "paused": None,
        "next_at": "2030-01-01T00:00:00.000Z",
        "last_job_id": None,
        "last_workflow_id": None,
        "problem": None,
    }


async def test_one_is_changed_only_as_it_was_seen(api: Any) -> None:
    first = await put(api, If_None_Match="*")
    assert first.status == 201
    for conditions in ({"If_None_Match": "*"}, {"If_Match": '"other"'}, {"If_Match": 'W/"x"'}, {"If_Match": ""}):
        refused = await put(api, schedule=WEEKDAYS, **conditions)
        assert (refused.status, refused.code) == (412, "schedule_changed")
    second = await put(api, schedule=WEEKDAYS, If_Match=f'"other", {first.headers["ETag"]}')
    assert second.status == 200
    assert second.body["etag"] != first.body["etag"]
    gone = await api.call("DELETE", "/schedules/report", headers={"If-Match": first.headers["ETag"]})
    assert (gone.status, gone.code) == (412, "schedule_changed")
    assert (await put(api, schedule=HOURLY, If_Match="*")).status == 200
    assert (await put(api, "other", If_Match="*")).status == 412
    for conditions in ({"If_None_Match": '"x"'}, {"If_None_Match": "*", "If_Match": "*"}):
        refused = await put(api, **conditions)
        assert (refused.status, refused.body["field"]) == (400, "If-None-Match")


async def test_one_of_another_source_is_not_changed(api: Any) -> None:
    made = await put(api, query="?source=deploy")
    refused = await put(api, schedule=WEEKDAYS)
    assert (refused.status, refused.code) == (409, "schedule_conflict")
    assert "belongs to source 'deploy'" in refused.body["detail"]
    assert (await api.call("GET", "/schedules/report")).body == made.body
    assert (await put(api, schedule=WEEKDAYS, query="?source=deploy")).status == 200
    assert (await api.call("DELETE", "/schedules/report")).status == 200


async def test_lists_are_of_one_source_or_of_all_page_by_page(api: Any) -> None:
    for name in ("a", "b", "c", "d", "e"):
        await put(api, name, query="?source=deploy" if name in "ace" else "")

    async def names(query: str) -> list[list[str]]:
        pages, cursor = [], ""
        while cursor is not None:
            page = (await api.call("GET", f"/schedules?{query}" + (f"&cursor={cursor}" if cursor else ""))).body
            pages.append([one["name"] for one in page["schedules"]])
            cursor = page["next"]
        return pages

    assert await names("limit=2") == [["a", "b"], ["c", "d"], ["e"]]
    assert await names("source=deploy") == [["a", "c", "e"]]
    assert await names("source=deploy&limit=1") == [["a"], ["c"], ["e"]]
    assert await names("source=") == [["b", "d"]]
    assert await names("source=nobody") == [[]]


async def test_a_paused_one_says_who_and_why_and_until_when(api: Any) -> None:
    made = await put(api)
    paused = await api.call("POST", "/schedules/report/pause", json={"note": "audit", "until": "2040-01-31T12:00:00Z"})
    assert paused.status == 200
    assert datetime.fromisoformat(paused.body["paused"].pop("since")) <= datetime.now(UTC)
    assert paused.body["paused"] == {"note": "audit", "by": "", "until": "2040-01-31T12:00:00.000Z"}
    assert paused.headers["ETag"] != made.headers["ETag"]
    assert (await api.call("POST", "/schedules/report/resume")).body["paused"] is None
    assert (await api.call("POST", "/schedules/report/pause")).body["paused"]["until"] is None


async def test_a_deleted_one_is_not_there(api: Any) -> None:
    await put(api)
    deleted = (await api.call("DELETE", "/schedules/report")).body
    assert deleted == {"name": "report", "deleted": True, "warnings": []}
    times = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"}
    for method, path, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/next", None),
        ("GET", "/history", None),
        ("POST", "/pause", None),
        ("POST", "/resume", None),
        ("POST", "/trigger", None),
        ("POST", "/backfill", times),
    ):
        answer = await api.call(method, "/schedules/report" + path, json=body)
        assert (answer.status, answer.code) == (404, "schedule_not_found")


async def test_one_in_the_code_of_nodes_may_come_back(api: Any, settings: Settings) -> None:
    store_client = StoreClient(settings)
    schedule = msgspec.json.decode(msgspec.json.encode(HOURLY), type=Schedule)
    await store_client.schedules.put("report", schedule, source=CODE)
    await store_client.close()
    [warning] = (await api.call("DELETE", "/schedules/report")).body["warnings"]
    assert (warning["code"], warning["field"]) == ("defined_in_code", "source")


async def test_what_may_not_be_meant_is_warned_of(settings: Settings, announce: Any, start_api: Any) -> None:
    await announce()
    api = await start_api(settings)
    assert (await put(api)).body["warnings"] == []
    late = {**HOURLY, "catch_up": {"window_seconds": 7200}}
    [warning] = (await put(api, schedule=late)).body["warnings"]
    assert (warning["code"], warning["field"]) == ("window_beyond_retention", "catch_up.window_seconds")
    kept = {**late, "job": {**JOB, "retain_seconds": 7200}}
    assert (await put(api, schedule=kept)).body["warnings"] == []
    together = {**HOURLY, "catch_up": {"policy": "all"}}
    [warning] = (await put(api, schedule=together)).body["warnings"]
    assert (warning["code"], warning["field"]) == ("late_ticks_overlap", "overlap")
    assert (await put(api, schedule={**together, "overlap": "queue_all"})).body["warnings"] == []
    [warning] = (await put(api, schedule={**HOURLY, "start": None, "end": "2020-01-01T00:00:00Z"})).body["warnings"]
    assert (warning["code"], warning["field"]) == ("ended", "end")
    elsewhere = {**HOURLY, "job": {**JOB, "queue": "elsewhere"}}
    [warning] = (await put(api, schedule=elsewhere)).body["warnings"]
    assert (warning["code"], warning["field"]) == ("kind_not_served", "job.kind")


@pytest.mark.parametrize("name", ["a%20b", "x" * 200, "%C3%A4", "-a", "a%0Ab"])
async def test_a_name_that_is_none(api: Any, name: str) -> None:
    for answer in (await put(api, name), await api.call("GET", f"/schedules/{name}")):
        assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_schedule", "name")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/a"),
        ("PUT", "/a"),
        ("PUT", "?source=app"),
        ("DELETE", "/a"),
        ("GET", "/a/next"),
        ("GET", "/a/history"),
        ("POST", "/a/pause"),
        ("POST", "/a/resume"),
        ("POST", "/a/trigger"),
        ("POST", "/a/backfill"),
    ],
)
async def test_while_the_server_is_away(settings: Settings, start_api: Any, method: str, path: str) -> None:
    api = await start_api(msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:1"))
    bodies = {
        "/a": HOURLY,
        "?source=app": {"schedules": {"a": HOURLY}},
        "/a/backfill": {"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"},
    }
    answer = await api.call(method, f"/schedules{path}", json=None if method == "GET" else bodies.get(path))
    assert (answer.status, answer.code) == (503, "storage_unavailable")
