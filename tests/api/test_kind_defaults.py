"""A kind's defaults hold through every door: HTTP one by one and in batches, the Python client, `forge.submit`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ironforge import AsyncClient, Forge
from ironforge.job.record import Job, parse_id
from ironforge.settings import Settings
from ironforge.store import NodeStore, StoreClient
from tests.api.conftest import Api, application
from tests.support.waiting import until

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
async def store_client(settings: Settings) -> AsyncIterator[StoreClient]:
    client = StoreClient(settings)
    yield client
    await client.close()


async def stored(store_client: StoreClient, job_id: str) -> Job:
    return (await store_client.inspector.get(parse_id(job_id))).job


async def one(api: Api, job: dict[str, Any]) -> str:
    return (await api.call("POST", "/jobs", json=job)).body["id"]


async def batch(api: Api, job: dict[str, Any]) -> str:
    return (await api.call("POST", "/jobs/batch", json=[job])).body["ids"][0]


async def lines(api: Api, job: dict[str, Any]) -> str:
    return (await api.call("POST", "/jobs/batch", data=json.dumps(job), headers=NDJSON)).body["ids"][0]


async def large(api: Api, job: dict[str, Any]) -> str:
    return await one(api, {**job, "payload": "x" * 200_000})


async def client(api: Api, job: dict[str, Any]) -> str:
    async with AsyncClient(api.url) as http:
        return (await http.submit(**job))["id"]


async def client_batch(api: Api, job: dict[str, Any]) -> str:
    async with AsyncClient(api.url) as http:
        return (await http.submit_many([job]))[0]


async def forge_here(api: Api, job: dict[str, Any]) -> str:
    options = {name: value for name, value in job.items() if name != "kind"}
    async with Forge(api.settings) as forge:
        return await forge.submit(job["kind"], **options)


async def forge_prepared(api: Api, job: dict[str, Any]) -> str:
    options = {name: value for name, value in job.items() if name != "kind"}
    async with Forge(api.settings) as forge:
        return (await forge.submit_many(job["kind"], [forge.prepare(job["kind"], **options)]))[0]


DOORS = [one, batch, lines, large, client, client_batch, forge_here, forge_prepared]
doors = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)


@doors
async def test_a_job_goes_where_its_kind_says(announce, start_api, settings, store_client, door) -> None:
    await announce(queue="reports", priority="low", max_retries=7)
    job = (
        await store_client.inspector.get(parse_id(await door(await start_api(settings), {"kind": "report.build"})))
    ).job
    assert job.stream == "reports:3"
    assert job.max_retries is None


@doors
async def test_a_submission_goes_before_its_kind(announce, start_api, settings, store_client, door) -> None:
    await announce(queue="reports", priority="low")
    given = {"kind": "report.build", "queue": "urgent", "priority": "high"}
    job = await stored(store_client, await door(await start_api(settings), given))
    assert job.stream == "urgent:1"


@doors
async def test_each_option_that_a_submission_leaves_out_comes_from_the_kind(
    announce, start_api, settings, store_client, door
) -> None:
    await announce(queue="reports", priority="low")
    given = {"kind": "report.build", "priority": "critical"}
    job = await stored(store_client, await door(await start_api(settings), given))
    assert job.stream == "reports:0"


@doors
async def test_a_kind_that_fixes_nothing_and_one_that_is_not_known_go_where_the_installation_says(
    announce, start_api, settings, store_client, door
) -> None:
    await announce()
    api = await start_api(settings)
    for kind in ("report.build", "report.print"):
        job = await stored(store_client, await door(api, {"kind": kind}))
        assert job.stream == "default:2"


async def test_the_answer_to_a_submission_says_where_the_job_went(announce, start_api, settings) -> None:
    await announce(queue="reports", priority="low")
    answer = await (await start_api(settings)).call("POST", "/jobs", json={"kind": "report.build"})
    assert (answer.body["queue"], answer.body["priority"]) == ("reports", "low")


async def test_defaults_stay_when_the_last_node_has_left(announce, start_api, settings) -> None:
    await (await announce(queue="reports")).leave()
    answer = await (await start_api(settings)).call("POST", "/jobs", json={"kind": "report.build"})
    assert answer.body["queue"] == "reports"


async def test_a_running_door_hears_of_what_is_announced_later(announce, start_api, settings) -> None:
    api = await start_api(settings)
    await announce(queue="reports")

    async def queue() -> bool:
        return (await api.call("POST", "/jobs", json={"kind": "report.build"})).body["queue"] == "reports"

    await until(queue, "the new definition", look_seconds=0.05)


async def test_a_forge_that_is_open_hears_of_what_is_announced_later(announce, settings, store_client) -> None:
    async with Forge(settings) as forge:
        await forge.submit("report.build")
        await announce(queue="reports")

        async def queue() -> bool:
            return (await stored(store_client, await forge.submit("report.build"))).queue == "reports"

        await until(queue, "the new definition", look_seconds=0.05)


async def test_of_two_definitions_the_one_announced_last_counts_also_against_the_applications_own(
    announce, settings, store_client
) -> None:
    await announce(queue="old")
    await announce(queue="new")
    async with Forge(settings) as forge:
        forge.job("report.build", queue="mine")(application().handler("report.build").function)
        job_id = await forge.submit("report.build")
    assert (await stored(store_client, job_id)).queue == "new"


async def test_an_application_goes_by_what_it_registers_while_nothing_is_announced(settings, store_client) -> None:
    async with Forge(settings) as forge:
        forge.job("report.build", queue="mine")(application().handler("report.build").function)
        job_id = await forge.submit("report.build")
    assert (await stored(store_client, job_id)).queue == "mine"


@pytest.mark.parametrize("path", ["/jobs", "/jobs/batch"])
async def test_a_repetition_is_one_though_the_kind_has_other_defaults_by_now(
    announce, start_api, settings, path: str
) -> None:
    job = {"kind": "report.build", "payload": 1}
    options = {"json": job if path == "/jobs" else [job], "headers": {"Idempotency-Key": "k"}}
    await announce(queue="old")
    first = await (await start_api(settings)).call("POST", path, **options)
    await announce(queue="new")
    second = await (await start_api(settings)).call("POST", path, **options)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.body == first.body


async def test_a_repetition_of_a_job_that_is_gone_is_answered_all_the_same(
    announce, start_api, settings, store_client
) -> None:
    api = await start_api(settings)
    options = {"json": {"kind": "report.build", "retain_seconds": 0}, "headers": {"Idempotency-Key": "k"}}
    first = await api.call("POST", "/jobs", **options)
    await store_client.producer.cancel(parse_id(first.body["id"]))
    second = await api.call("POST", "/jobs", **options)
    assert (second.status, second.body["id"]) == (201, first.body["id"])


# --------------------------------------------------------------------------- kinds that nobody knows


def refusing(settings: Settings, **changes: Any) -> Settings:
    return Settings(redis_url=settings.redis_url, namespace=settings.namespace, unknown_kinds="refuse", **changes)


@pytest.mark.parametrize("path", ["/jobs", "/jobs/batch"])
async def test_a_kind_that_no_node_has_announced_can_be_refused(announce, start_api, settings, path: str) -> None:
    await announce()
    api = await start_api(refusing(settings))
    job = {"kind": "report.biuld"}
    answer = await api.call("POST", path, json=job if path == "/jobs" else [job])
    assert (answer.status, answer.code) == (422, "unknown_kind")
    assert (answer.body["field"], answer.body["hint"]) == ("kind", "report.build")


async def test_a_known_kind_is_accepted_where_others_are_refused_also_without_a_node(
    announce, start_api, settings
) -> None:
    await (await announce()).leave()
    answer = await (await start_api(refusing(settings))).call("POST", "/jobs", json={"kind": "report.build"})
    assert answer.status == 201


async def test_nothing_is_like_the_unknown_kind(start_api, settings) -> None:
    answer = await (await start_api(refusing(settings))).call("POST", "/jobs", json={"kind": "report.build"})
    assert (answer.status, answer.body.get("hint")) == (422, None)


async def test_an_older_node_may_run_any_kind(start_api, settings) -> None:
    store = NodeStore(settings)
    await store.leases.join()
    answer = await (await start_api(refusing(settings))).call("POST", "/jobs", json={"kind": "report.build"})
    await store.close()
    assert answer.status == 201


async def test_a_forge_refuses_as_the_api_does(announce, settings) -> None:
    await announce()
    async with Forge(refusing(settings)) as forge:
        with pytest.raises(Exception, match=r"did you mean 'report\.build'") as caught:
            await forge.submit("report.biuld")
    assert caught.value.code == "unknown_kind"
