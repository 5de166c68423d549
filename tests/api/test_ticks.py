"""A job says which tick of which schedule it is from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ironforge.job.record import format_id
from ironforge.job.request import JobRequest
from ironforge.schedules.definition import Schedule
from ironforge.store import StoreClient
from ironforge.store.schedules.contract import Schedules
from tests.api.conftest import Api

DAILY = Schedule(job=JobRequest(kind="report.build", payload=msgspec.Raw(b"{}")), every_seconds=86_400.0)
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
async def schedules(api: Api) -> AsyncIterator[Schedules]:
    client = StoreClient(api.settings)
    yield client.schedules
    await client.close()


async def test_a_job_of_a_schedule_says_of_which_tick_it_is(api: Api, schedules: Schedules) -> None:
    await schedules.put("nightly", DAILY)
    [(_, job_id)] = await schedules.backfill("nightly", START, END)
    tick: dict[str, Any] = {"name": "nightly", "tick_at": "2026-01-01T00:00:00.000Z"}
    job = (await api.call("GET", f"/jobs/{format_id(job_id)}")).body
    assert job["schedule"] == tick
    assert [job["schedule"] for job in (await api.call("GET", "/jobs")).body["jobs"]] == [tick]


async def test_any_other_job_is_from_none(api: Api) -> None:
    assert (await api.call("GET", f"/jobs/{await api.submit()}")).body["schedule"] is None
