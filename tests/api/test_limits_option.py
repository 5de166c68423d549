"""Jobs that use limits, by every door: said by the submission, or by their kind, which takes keys from the payload."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ironforge import AsyncClient, Forge, InvalidJob, Unique, Use
from ironforge.errors import ConfigError
from ironforge.handlers.announcements import announcements_of
from ironforge.job.options import JobOptions, at_door
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
    assert (refused.status, refused.code, refused.body["field"]) == (400, "invalid_limit", "payload.customer.id")
    assert "no text or number at customer.id" in refused.body["detail"]
    in_batch = await api.call("POST", "/jobs/batch", json=[{"kind": "k"}, job])
    assert (in_batch.code, in_batch.body["index"]) == ("invalid_limit", 1)
    with pytest.raises(InvalidJob, match=r"no text or number at customer\.id") as caught:
        await charge.submit("charge", job["payload"])
    assert (caught.value.field, caught.value.hint) == (refused.body["field"], refused.body["hint"])


def by_path(payload: bytes, **option: Any) -> Any:
    """The job of a kind that fixes this option."""
    return JobOptions().checked(at_door(JobOptions(**option))).job("k", payload)


OPTIONS = ({"limits": [Use("stripe", key="customer.id")]}, {"unique": Unique("customer.id")})


@pytest.mark.parametrize("option", OPTIONS, ids=["limits", "unique"])
@pytest.mark.parametrize(
    "payload",
    [
        *("null", "1", "[]", "{}", '{"customer":1}', '{"customer":[]}', '{"customer":{}}', '{"customer.id":"a"}'),
        *(f'{{"customer":{{"id":{value}}}}}' for value in ("null", '""', "{}", "[1]", f'"{"x" * 256}"', r'"a\n"')),
    ],
)
def test_a_payload_that_makes_no_key_is_pointed_at(payload: str, option: dict[str, Any]) -> None:
    with pytest.raises(InvalidJob) as caught:
        by_path(payload.encode(), **option)
    assert caught.value.field == "payload.customer.id"
    assert caught.value.code == f"invalid_{'limit' if 'limits' in option else 'unique'}"
    assert caught.value.hint


@pytest.mark.parametrize(("value", "key"), [('"ключ"', "ключ"), ("7", "7"), ("1.5", "1.5"), ("true", "true")])
def test_a_key_is_made_of_text_numbers_and_truth_values(value: str, key: str) -> None:
    payload = f'{{"customer":{{"id":{value}}}}}'.encode()
    [limited, unique] = [by_path(payload, **option) for option in OPTIONS]
    assert limited.limits[0].key == key
    assert unique.unique.key == key


async def test_the_same_key_with_other_limits_is_another_submission(api: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await api.call("POST", "/jobs", json={"kind": "k", "limits": LIMITS}, headers=headers)
    again = await api.call("POST", "/jobs", json={"kind": "k", "limits": LIMITS}, headers=headers)
    other = await api.call("POST", "/jobs", json={"kind": "k"}, headers=headers)
    assert (first.body["id"], other.code) == (again.body["id"], "idempotency_conflict")


def test_a_kind_with_uses_that_make_no_sense_is_not_registered() -> None:
    with pytest.raises(ConfigError, match="a b"):
        Forge().job("k", limits=[Use("a b")])
