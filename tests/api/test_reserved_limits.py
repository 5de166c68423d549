"""Limits that IronForge makes for itself are no caller's: no door defines, changes or uses one, and none shows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ironforge import AsyncClient, ConfigError, Forge, InvalidJob, Use
from ironforge.job.record import format_id
from ironforge.job.request import JobRequest
from ironforge.schedules.definition import Schedule
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.store.schedules.contract import Schedules
from tests.api.conftest import Api

NAME = "ironforge.mine"
SAID = f"limit {NAME} is one of IronForge itself: give a name that does not begin with ironforge."
QUEUEING = Schedule(
    job=JobRequest(kind="report.build", payload=msgspec.Raw(b"{}")), every_seconds=86_400.0, overlap="queue_one"
)


@pytest.fixture
async def schedules(settings: Settings) -> AsyncIterator[Schedules]:
    client = StoreClient(settings)
    yield client.schedules
    await client.close()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/limits/{NAME}", None),
        ("PUT", f"/limits/{NAME}", {"concurrency": 1}),
        ("PATCH", f"/limits/{NAME}", {"override": {"concurrency": 1}}),
        ("DELETE", f"/limits/{NAME}", None),
        ("POST", f"/limits/{NAME}/resume", None),
    ],
)
async def test_no_operation_takes_its_name(api: Api, method: str, path: str, body: Any) -> None:
    answer = await api.call(method, path, json=body)
    assert (answer.status, answer.code, answer.body["detail"]) == (400, "invalid_limit", SAID)
    assert answer.body["hint"] == "give a name that does not begin with ironforge."


async def test_no_job_uses_it(api: Api) -> None:
    limits = [{"name": "mail"}, {"name": NAME}]
    answer = await api.call("POST", "/jobs", json={"kind": "k", "limits": limits})
    assert (answer.status, answer.code, answer.body["detail"]) == (400, "invalid_limit", SAID)
    assert answer.body["field"] == "limits[1].name"


async def test_no_client_and_no_code_does(api: Api) -> None:
    forge = Forge(api.settings)
    async with AsyncClient(api.url) as client:
        with pytest.raises(InvalidJob, match="one of IronForge itself"):
            await client.put_limit(NAME, concurrency=1)
        with pytest.raises(InvalidJob, match="one of IronForge itself"):
            await client.submit("k", limits=[Use(NAME)])
    with pytest.raises(ConfigError, match="one of IronForge itself"):
        forge.limit(NAME, concurrency=1)
    with pytest.raises(ConfigError, match="one of IronForge itself"):
        forge.job("k", limits=[Use(NAME)])(lambda: None)


async def test_runs_that_wait_for_each_other_show_no_limit_but_what_they_wait_for(
    start_api: Any, settings: Settings, node: Any, announce: Any, schedules: Schedules
) -> None:
    await announce()
    api = await start_api(settings)
    await schedules.put("nightly", QUEUEING)
    first = (await schedules.trigger("nightly")).job_id or b""
    await node.take()
    second = (await schedules.trigger("nightly")).job_id or b""
    running, waiting = [(await api.call("GET", f"/jobs/{format_id(job_id)}")).body for job_id in (first, second)]
    assert running["status"] == "running"
    assert waiting["limits"] == []
    assert waiting["waiting_for"]["code"] == "limit"
    assert waiting["waiting_for"]["detail"] == f"it waits behind run {format_id(first)} of schedule nightly"
    [listed] = (await api.call("GET", "/jobs?state=queued")).body["jobs"]
    assert listed["waiting_for"]["detail"] == "it waits behind an earlier run of schedule nightly"
    assert (await api.call("GET", "/limits")).body["limits"] == []


async def test_it_takes_no_place_of_one_that_may_be_defined(
    start_api: Any, settings: Settings, schedules: Schedules
) -> None:
    api = await start_api(msgspec.structs.replace(settings, max_limits=1))
    await schedules.put("nightly", QUEUEING)
    await schedules.trigger("nightly")
    assert (await api.call("PUT", "/limits/mail", json={"concurrency": 1})).status == 200
    assert (await api.call("PUT", "/limits/post", json={"concurrency": 1})).code == "quota_exceeded"
