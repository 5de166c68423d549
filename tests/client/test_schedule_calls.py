"""Schedules from the Python client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ironforge import AsyncClient, Client
from ironforge.errors import InvalidJob, SerializationError
from ironforge.schedules.definition import CatchUp
from ironforge.schedules.errors import ScheduleChanged, ScheduleConflict, ScheduleNotFound
from ironforge.workflows import chain, dag, node

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
async def client(api: Any) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(api.url) as made:
        yield made


async def test_a_schedule_is_defined_looked_at_and_deleted(client: AsyncClient) -> None:
    made = await client.put_schedule(
        "report",
        kind="report.build",
        payload={"month": 1},
        cron="0 8,9 * * 1-5",
        timezone="Europe/Berlin",
        start=START,
        jitter_seconds=timedelta(minutes=1),
        catch_up=CatchUp("all", most=5),
        priority="high",
        timeout_seconds=timedelta(minutes=2),
        source="deploy",
    )
    assert made["schedule"] == {
        "cron": ["0 8,9 * * 1-5"],
        "timezone": "Europe/Berlin",
        "start": "2030-01-01T00:00:00Z",
        "jitter_seconds": 60.0,
        "catch_up": {"policy": "all", "most": 5},
        "job": {"kind": "report.build", "payload": {"month": 1}, "priority": "high", "timeout_seconds": 120.0},
    }
    assert (made["source"], made["next_at"]) == ("deploy", "2030-01-01T07:00:00.000Z")
    assert await client.schedule("report") == made
    assert await client.schedules() == await client.schedules("deploy", limit=1) == {"schedules": [made], "next": None}
    assert await client.schedules("") == {"schedules": [], "next": None}
    assert [tick["at"] for tick in (await client.next_ticks("report", 1))["next"]] == [made["next_at"]]
    assert (await client.delete_schedule("report", etag=made["etag"]))["deleted"] is True
    with pytest.raises(ScheduleNotFound, match="no schedule report"):
        await client.schedule("report")


async def test_one_that_others_changed_is_not_overwritten(client: AsyncClient) -> None:
    made = await client.put_schedule("report", kind="k", every_seconds=60, etag="")
    with pytest.raises(ScheduleChanged, match="has the ETag"):
        await client.put_schedule("report", kind="k", every_seconds=90, etag="")
    with pytest.raises(ScheduleConflict, match="put by hand"):
        await client.put_schedule("report", kind="k", every_seconds=90, source="deploy")
    again = await client.put_schedule("report", kind="k", every_seconds=90, etag=made["etag"])
    with pytest.raises(ScheduleChanged):
        await client.delete_schedule("report", etag=made["etag"])
    assert await client.schedule("report") == again


async def test_one_is_paused_triggered_and_filled_in(client: AsyncClient) -> None:
    await client.put_schedule("report", kind="k", every_seconds=timedelta(hours=1), start=START)
    until = datetime(2040, 1, 31, 12, tzinfo=UTC)
    assert (await client.pause_schedule("report", "audit", until))["paused"]["until"] == "2040-01-31T12:00:00.000Z"
    assert (await client.resume_schedule("report"))["paused"] is None
    started = await client.trigger_schedule("report")
    assert (await client.get(started["job_id"]))["kind"] == "k"
    filled = await client.backfill_schedule("report", START, START + timedelta(hours=2), per_second=5)
    assert len(filled["ticks"]) == 2
    dry = await client.backfill_schedule("report", START, "2030-01-01T01:00:00Z", dry_run=True)
    assert [(tick["at"], tick["job_id"]) for tick in dry["ticks"]] == [("2030-01-01T00:00:00.000Z", None)]
    page = await client.schedule_history("report", limit=1)
    rest = await client.schedule_history("report", cursor=page["next"])
    assert [row["reason"] for row in page["ticks"] + rest["ticks"]] == ["backfill", "trigger"]


async def test_what_is_wrong_is_said_at_its_field(client: AsyncClient) -> None:
    with pytest.raises(InvalidJob, match="minute: 60 is out of range") as refused:
        await client.put_schedule("report", kind="k", cron="60 * * * *")
    assert (refused.value.code, refused.value.field) == ("invalid_schedule", "cron[0]")
    with pytest.raises(TypeError, match="did you mean 'every_seconds'"):
        client.put_schedule("report", kind="k", every_second=1)  # type: ignore[call-arg]
    with pytest.raises(InvalidJob, match="'a/b' is not a name"):
        client.schedule("a/b")


def test_the_plain_client_makes_the_same_calls(api_in_thread: str) -> None:
    with Client(api_in_thread) as client:
        assert client.put_schedule("report", kind="k", every_seconds=60)["words"] == "every minute"


async def test_all_of_a_source_are_said_at_once(client: AsyncClient) -> None:
    wanted = {name: {"every_seconds": 60, "start": START, "job": {"kind": "k"}} for name in ("a", "b")}
    told = await client.apply_schedules("deploy", wanted, dry_run=True)
    assert {name: told[name] for name in ("created", "changed", "unchanged", "deleted")} == {
        "created": ["a", "b"],
        "changed": [],
        "unchanged": [],
        "deleted": [],
    }
    assert (await client.schedules())["schedules"] == []
    assert await client.apply_schedules("deploy", wanted) == told
    assert (await client.apply_schedules("deploy", {}))["deleted"] == ["a", "b"]


async def test_a_refusal_says_what_to_give_instead(client: AsyncClient) -> None:
    with pytest.raises(InvalidJob) as refused:
        await client.put_schedule("report", kind="k", cron="0 9 * * *", start="yesterday")
    assert str(refused.value) == (
        "start: Invalid RFC3339 encoded datetime: give a time with a zone such as 2030-01-31T12:00:00Z "
        "(400 invalid_type)"
    )
    assert refused.value.detail == "start: Invalid RFC3339 encoded datetime"


@pytest.mark.parametrize("field", ["every_seconds", "jitter_seconds", "timeout_seconds"])
async def test_what_is_no_number_is_not_left_out(client: AsyncClient, field: str) -> None:
    with pytest.raises(SerializationError, match=f"schedule.{field}: NaN is not a JSON number"):
        await client.put_schedule("report", kind="k", cron="0 9 * * *", **{field: float("nan")})  # type: ignore[arg-type]


async def test_a_workflow_is_started_at_each_tick(client: AsyncClient) -> None:
    built = dag("report", chain(node("web.fetch"), node("mail.send")))
    made = await client.put_schedule("report", workflow=built, every_seconds=3600, start=START)
    again = await client.put_schedule("report", workflow=made["schedule"]["workflow"], every_seconds=3600, start=START)
    assert again["etag"] == made["etag"]
    started = await client.trigger_schedule("report")
    assert (await client.workflow(started["workflow_id"]))["name"] == "report"


async def test_a_schedule_starts_one_of_both(client: AsyncClient) -> None:
    with pytest.raises(InvalidJob, match="neither a kind nor a workflow"):
        await client.put_schedule("report", every_seconds=60)
    with pytest.raises(InvalidJob, match="both a kind and a workflow"):
        await client.put_schedule("report", kind="k", workflow={"name": "w", "nodes": []}, every_seconds=60)
