"""Jobs that expire, through every door: when they do, what is shown of it, and what makes no sense."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ironforge import AsyncClient, Forge, InvalidJob
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import parse_id
from ironforge.settings import Settings
from ironforge.store import StoreClient
from tests.api.conftest import Api
from tests.api.test_kind_defaults import doors, stored
from tests.support.waiting import until

KIND = "report.build"


@pytest.fixture
async def store_client(settings: Settings) -> AsyncIterator[StoreClient]:
    client = StoreClient(settings)
    yield client
    await client.close()


@doors
async def test_it_expires_so_long_after_its_submission(start_api, settings, store_client, door) -> None:
    before = now_ms()
    job = await stored(store_client, await door(await start_api(settings), {"kind": KIND, "expires_in_seconds": 90}))
    assert before + 90_000 <= job.expires_ms <= now_ms() + 90_000
    assert job.version == 2


@doors
async def test_a_kind_says_how_long_where_a_submission_does_not(
    announce, start_api, settings, store_client, door
) -> None:
    await announce(expires_in_seconds=timedelta(hours=1))
    before = now_ms()
    api = await start_api(settings)
    job = await stored(store_client, await door(api, {"kind": KIND}))
    other = await stored(store_client, await door(api, {"kind": KIND, "expires_in_seconds": 60}))
    assert before + 3_600_000 <= job.expires_ms <= now_ms() + 3_600_000
    assert other.expires_ms <= now_ms() + 60_000


async def test_an_application_s_own_kind_expires_where_no_node_announced_it(settings: Settings, store_client) -> None:
    forge = Forge(settings)

    @forge.job("mine", expires_in_seconds=5)
    async def mine() -> None: ...

    async with forge:
        job = await stored(store_client, await forge.submit("mine"))
    assert now_ms() < job.expires_ms <= now_ms() + 5_000


async def test_a_job_shows_when_it_expires_and_that_it_has(api: Api) -> None:
    job_id = await api.submit(expires_in_seconds=0.001)

    async def ended() -> bool:
        return (await api.call("GET", f"/jobs/{job_id}")).body["status"] == "cancelled"

    await until(ended, "the job to expire")
    job = (await api.call("GET", f"/jobs/{job_id}")).body
    assert job["reason"] == "expired"
    assert job["finished_at"] == job["expires_at"]
    assert datetime.fromisoformat(job["expires_at"]) > datetime.fromisoformat(job["created_at"])
    assert (await api.call("POST", f"/jobs/{job_id}/retry")).code == "invalid_state"
    plain = (await api.call("GET", f"/jobs/{await api.submit()}")).body
    assert plain["expires_at"] is None


async def test_stats_count_them_apart_and_among_those_that_were_cancelled(api: Api, store_client: StoreClient) -> None:
    await api.submit(expires_in_seconds=0.001)
    cancelled = await api.submit()
    await api.call("DELETE", f"/jobs/{cancelled}")

    async def counted() -> bool:
        return (await api.call("GET", "/queues/stats")).body["totals"]["expired"] == 1

    async with store_client.keeping_time():
        await until(counted, "the job to be cancelled")
    assert (await store_client.inspector.totals()).totals["cancelled"] == 2


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def test_the_client_waits_for_its_end(api: Api) -> None:
    async with AsyncClient(api.url) as client:
        accepted = await client.submit(KIND, expires_in_seconds=timedelta(milliseconds=5))
        job = await client.wait(accepted["id"], timeout_seconds=30)
    assert (job["status"], job["reason"]) == ("cancelled", "expired")


TOO_LATE: list[tuple[dict[str, Any], str]] = [
    ({"delay_seconds": 60}, "delay_seconds"),
    ({"delay_seconds": 61}, "delay_seconds"),
    ({"run_at": in_seconds(300 * 86_400)}, "run_at"),
]


@pytest.mark.parametrize(("given", "field"), TOO_LATE)
async def test_one_that_could_never_start_is_refused_by_every_door(api: Api, given: dict[str, Any], field: str) -> None:
    job = {"kind": KIND, "expires_in_seconds": 60, **given}
    answer = await api.call("POST", "/jobs", json=job)
    assert (answer.status, answer.code, answer.body["field"]) == (422, "invalid_expiry", field)
    assert "would never run" in answer.body["detail"]
    assert "expires_in_seconds" in answer.body["hint"]
    batch = await api.call("POST", "/jobs/batch", json=[{"kind": KIND}, job])
    assert (batch.status, batch.code, batch.body["index"], batch.body["field"]) == (422, "invalid_expiry", 1, field)
    async with AsyncClient(api.url) as client, Forge(api.settings) as forge:
        for submit in (client.submit, forge.submit):
            with pytest.raises(InvalidJob) as caught:
                await submit(KIND, **{name: value for name, value in job.items() if name != "kind"})
            assert (caught.value.code, caught.value.field) == ("invalid_expiry", field)


async def test_a_delay_beyond_what_the_kind_says_is_refused_as_well(announce, start_api, settings) -> None:
    await announce(expires_in_seconds=60)
    answer = await (await start_api(settings)).call("POST", "/jobs", json={"kind": KIND, "delay_seconds": 60})
    assert (answer.code, answer.body["field"]) == ("invalid_expiry", "delay_seconds")


@pytest.mark.parametrize("given", [{"delay_seconds": 59.9}, {"run_at": "2020-01-01T00:00:00Z"}])
async def test_one_that_may_start_before_is_accepted(api: Api, given: dict[str, Any]) -> None:
    assert (await api.call("POST", "/jobs", json={"kind": KIND, "expires_in_seconds": 60, **given})).status == 201


async def test_a_repeated_submission_is_the_same_whatever_time_it_is(api: Api, store_client: StoreClient) -> None:
    key, job = {"Idempotency-Key": "k"}, {"kind": KIND, "expires_in_seconds": 90}
    first, again = [await api.call("POST", "/jobs", json=job, headers=key) for _ in range(2)]
    other = await api.call("POST", "/jobs", json={**job, "expires_in_seconds": 91}, headers=key)
    assert again.body == first.body
    assert other.code == "idempotency_conflict"
    assert (await store_client.inspector.get(parse_id(first.body["id"]))).job.expires_ms <= now_ms() + 90_000
