"""Jobs that use limits, by every door: said by the submission, or by their kind, which takes keys from the payload."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ironforge import AsyncClient, Forge, InvalidJob, Use
from ironforge.errors import ConfigError
from ironforge.handlers.announcements import announcements_of
from ironforge.job.options import JobOptions
from ironforge.settings import Settings
from ironforge.store import NodeStore
from tests.api.conftest import Api

LIMITS = [{"name": "stripe", "key": "acct_42", "units": 3}]


@pytest.fixture(autouse=True)
async def stripe(api: Api) -> None:
    await api.call("PUT", "/limits/stripe", json={"concurrency": 1, "rate": {"units": 100, "burst": 10}})


async def shown(api: Api, job_id: str) -> Any:
    return (await api.call("GET", f"/jobs/{job_id}")).body["limits"]


async def test_a_submission_says_them_by_every_door(api: Api, settings: Settings) -> None:
    job = {"kind": "k", "limits": LIMITS}
    single = (await api.call("POST", "/jobs", json=job)).body["id"]
    batch = (await api.call("POST", "/jobs/batch", json=[job])).body["ids"]
    headers = {"Content-Type": "application/x-ndjson"}
    lines = (await api.call("POST", "/jobs/batch", data=json.dumps(job), headers=headers)).body["ids"]
    async with AsyncClient(api.url) as client:
        http = (await client.submit("k", limits=[Use("stripe", "acct_42", 3)]))["id"]
    async with Forge(settings) as forge:
        direct = await forge.submit("k", limits=LIMITS)
    found = [await shown(api, job_id) for job_id in [single, *batch, *lines, http, direct]]
    assert found == [LIMITS] * 5


async def test_a_job_without_any_shows_none(api: Api) -> None:
    assert await shown(api, await api.submit()) == []


@pytest.fixture
async def charge(settings: Settings) -> AsyncIterator[Forge]:
    """An application whose kind takes its key from the payload; a node has announced it."""
    forge = Forge(settings)

    @forge.job("charge", limits=[Use("stripe", key="customer.id", units=2)])
    async def handler(customer: dict[str, Any]) -> None:
        """Nobody calls it."""

    store = NodeStore(settings, announcements_of(forge, "1"))
    await store.leases.join()
    yield forge
    await forge.close()
    await store.close()


async def test_a_kind_takes_the_key_from_the_payload_by_every_door(charge: Forge, settings: Settings, start_api: Any):
    api = await start_api(settings)
    job = {"kind": "charge", "payload": {"customer": {"id": 42}}}
    over_http = (await api.call("POST", "/jobs", json=job)).body["id"]
    async with AsyncClient(api.url) as client:
        http = await client.submit_many([job])
    direct = await charge.submit("charge", {"customer": {"id": 42}})
    found = [await shown(api, job_id) for job_id in [over_http, *http, direct]]
    assert found == [[{"name": "stripe", "key": "42", "units": 2}]] * 3


async def test_a_submission_goes_before_its_kind(charge: Forge, settings: Settings, start_api: Any):
    api = await start_api(settings)
    job_id = await charge.submit("charge", {"customer": {}}, limits=LIMITS)
    assert await shown(api, job_id) == LIMITS


async def test_a_payload_without_the_key_is_refused(charge: Forge, settings: Settings, start_api: Any):
    api = await start_api(settings)
    job = {"kind": "charge", "payload": {"customer": {}}}
    refused = await api.call("POST", "/jobs", json=job)
    assert (refused.status, refused.code, refused.body["field"]) == (400, "invalid_limit", "payload")
    assert "no text or number at customer.id" in refused.body["detail"]
    in_batch = await api.call("POST", "/jobs/batch", json=[{"kind": "k"}, job])
    assert (in_batch.code, in_batch.body["index"]) == ("invalid_limit", 1)
    with pytest.raises(InvalidJob, match=r"no text or number at customer\.id"):
        await charge.submit("charge", job["payload"])


@pytest.mark.parametrize(
    ("limits", "status", "code", "field"),
    [
        ([{"name": "unknown"}], 422, "unknown_limit", "limits"),
        ([{"name": "stripe", "units": 11}], 422, "units_over_burst", "limits"),
        ([{"name": "stripe", "key": "x" * 129}], 400, "invalid_limit", "limits"),
        ([{"name": "a b"}], 400, "invalid_limit", "limits"),
        ([{"name": "stripe"}, {"name": "stripe"}], 400, "invalid_limit", "limits"),
        ([{"name": f"l{number}"} for number in range(5)], 400, "out_of_range", "limits"),
        ([{"name": "stripe", "units": 0}], 400, "out_of_range", "limits[0].units"),
        ([{"name": "stripe", "unit": 1}], 400, "unknown_field", "limits[0].unit"),
        ("stripe", 400, "invalid_type", "limits"),
    ],
)
async def test_uses_that_make_no_sense(api: Api, limits: Any, status: int, code: str, field: str) -> None:
    answer = await api.call("POST", "/jobs", json={"kind": "k", "limits": limits})
    assert (answer.status, answer.code, answer.body["field"]) == (status, code, field)


@pytest.mark.parametrize("limits", ["stripe", [1], [{"nam": "stripe"}], 5])
def test_python_refuses_them_too(limits: Any) -> None:
    with pytest.raises(InvalidJob, match="limits"):
        JobOptions(limits=limits).checked()


async def test_the_same_key_with_other_limits_is_another_submission(api: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await api.call("POST", "/jobs", json={"kind": "k", "limits": LIMITS}, headers=headers)
    again = await api.call("POST", "/jobs", json={"kind": "k", "limits": LIMITS}, headers=headers)
    other = await api.call("POST", "/jobs", json={"kind": "k"}, headers=headers)
    assert (first.body["id"], other.code) == (again.body["id"], "idempotency_conflict")


def test_a_kind_with_uses_that_make_no_sense_is_not_registered() -> None:
    with pytest.raises(ConfigError, match="a b"):
        Forge().job("k", limits=[Use("a b")])


@pytest.mark.parametrize("field", ["while", "on_conflict"])
async def test_a_word_of_a_unique_key_that_is_none(api: Api, field: str) -> None:
    answer = await api.call("POST", "/jobs", json={"kind": "k", "unique": {"key": "a", field: "no"}})
    assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_type", f"unique.{field}")
