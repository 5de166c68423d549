"""Every door checks payloads by the schemas that nodes announced: HTTP, the Python client, `forge.submit`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ironforge import AsyncClient, Forge, InvalidPayload
from ironforge.settings import Settings

KIND = "report.build"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
async def api(announce, start_api, settings: Settings) -> Any:
    await announce(schema=SCHEMA)
    return await start_api(settings)


async def test_a_job_that_no_node_could_run_is_refused_with_its_place(api) -> None:
    answer = await api.call("POST", "/jobs", json={"kind": KIND, "payload": {"n": "secret"}})
    assert (answer.status, answer.code) == (422, "invalid_payload")
    assert answer.body["field"] == "payload.n"
    assert answer.body["detail"] == 'payload.n: the value is not of type "integer"'
    assert "GET /kinds/report.build" in answer.body["hint"]


async def test_a_job_without_payload_is_checked_too(api) -> None:
    answer = await api.call("POST", "/jobs", json={"kind": KIND})
    assert (answer.status, answer.code, answer.body["field"]) == (422, "invalid_payload", "payload")


async def test_additional_fields_and_other_kinds_are_accepted(api) -> None:
    more = await api.call("POST", "/jobs", json={"kind": KIND, "payload": {"n": 1, "note": "newer"}})
    other = await api.call("POST", "/jobs", json={"kind": "other", "payload": {}})
    assert (more.status, other.status) == (201, 201)


JOBS = [{"kind": KIND, "payload": {"n": 1}}, {"kind": KIND, "payload": {}}]


@pytest.mark.parametrize(
    "body", [{"json": JOBS}, {"data": "\n".join(map(json.dumps, JOBS)), "headers": NDJSON}], ids=["array", "lines"]
)
async def test_a_batch_is_refused_as_a_whole_and_names_the_job(api, body) -> None:
    answer = await api.call("POST", "/jobs/batch", **body)
    assert (answer.status, answer.code) == (422, "invalid_payload")
    assert (answer.body["index"], answer.body["field"]) == (1, "payload.n")
    assert (await api.call("GET", "/jobs")).body["jobs"] == []


async def test_what_a_running_version_accepts_is_accepted(announce, start_api, settings: Settings) -> None:
    await announce(version="1", schema=SCHEMA)
    await announce(version="2", schema={"type": "object", "required": ["m"]})
    api = await start_api(settings)
    answers = [await api.call("POST", "/jobs", json={"kind": KIND, "payload": {name: 1}}) for name in ("n", "m", "o")]
    assert [answer.status for answer in answers] == [201, 201, 422]


async def test_the_client_raises_the_error_with_its_place(api) -> None:
    async with AsyncClient(api.url) as client:
        with pytest.raises(InvalidPayload) as caught:
            await client.submit(KIND, {"n": "x"})
    assert (caught.value.field, caught.value.code) == ("payload.n", "invalid_payload")


async def test_python_submissions_are_checked_alike(api) -> None:
    async with Forge(api.settings) as forge:
        for item in ({"n": "x"}, forge.prepare(KIND, {"n": "x"})):
            with pytest.raises(InvalidPayload) as caught:
                await forge.submit_many(KIND, [item])
            assert (caught.value.field, caught.value.code) == ("payload.n", "invalid_payload")
        assert await forge.submit(KIND, {"n": 1})
