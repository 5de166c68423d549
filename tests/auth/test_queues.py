"""A credential that is limited to some queues: the jobs of all others are not there for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ironforge.auth.caller import SCOPES, Caller
from ironforge.auth.quota import Quota
from ironforge.auth.restricted import CallersInspector, CallersProducer
from ironforge.errors import Forbidden, JobNotFound
from ironforge.job.record import JobState, parse_id
from ironforge.settings import Settings
from ironforge.store import StoreClient
from tests.auth.conftest import Build
from tests.auth.kit import House


@pytest.fixture
async def keys(house: House) -> tuple[str, str]:
    """All queues, and `ours` and `more` alone."""
    return await house.key(), await house.key(queues=["ours", "more"])


async def test_it_submits_to_its_queues_alone(house: House, keys: tuple[str, str]) -> None:
    _, limited = keys
    await house.submit(limited, queue="ours")
    for method, body in (
        ("/jobs", {"kind": "a"}),
        ("/jobs", {"kind": "a", "queue": "theirs"}),
        ("/jobs/batch", [{"kind": "a", "queue": "ours"}, {"kind": "a", "queue": "theirs"}]),
    ):
        answer = await house.call("POST", method, limited, json=body)
        assert answer.status == 403
        assert answer.code == "queue_not_allowed"

    assert len((await house.call("GET", "/jobs", keys[0])).body["jobs"]) == 1


@pytest.mark.parametrize(("method", "path"), [("GET", "/jobs/{}"), ("DELETE", "/jobs/{}"), ("POST", "/jobs/{}/retry")])
async def test_a_job_of_another_queue_is_not_there(house: House, keys: tuple[str, str], method: str, path: str) -> None:
    whole, limited = keys
    job_id = await house.submit(whole, queue="theirs")
    if "retry" in path:
        await (await house.node()).bury()
    answer = await house.call(method, path.format(job_id), limited)
    unknown = await house.call(method, path.format("0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50"), limited)

    assert answer.status == 404
    assert answer.code == "job_not_found"
    assert unknown.body["detail"].replace("0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50", "") == answer.body["detail"].replace(
        job_id, ""
    )
    assert (await house.call("GET", f"/jobs/{job_id}", whole)).body["status"] in ("queued", "dead")


async def test_it_works_on_its_own(house: House, keys: tuple[str, str]) -> None:
    _, limited = keys
    dead = await house.submit(limited, queue="ours")
    await (await house.node()).bury()
    assert (await house.call("POST", f"/jobs/{dead}/retry", limited)).status == 200
    assert (await house.call("DELETE", f"/jobs/{dead}", limited)).body["status"] == "cancelled"


async def test_lists_and_depths_show_its_queues(house: House, keys: tuple[str, str]) -> None:
    whole, limited = keys
    for queue in ("ours", "theirs", "more", "theirs"):
        await house.submit(whole, queue=queue)

    async def queues(path: str, **query: Any) -> list[str]:
        answer = await house.call("GET", path, limited, params=query)
        assert answer.status == 200, answer.body
        return sorted(job["queue"] for job in answer.body["jobs"])

    assert await queues("/jobs") == ["more", "ours"]
    assert await queues("/jobs", queue="ours") == ["ours"]
    for path in ("/jobs", "/dlq"):
        answer = await house.call("GET", path, limited, params={"queue": "theirs"})
        assert answer.status == 403
        assert answer.code == "queue_not_allowed"
    stats = (await house.call("GET", "/queues/stats", limited)).body
    assert {stream["queue"] for stream in stats["queues"]} == {"ours", "more"}
    assert stats["queued"] == 2


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_it_pauses_and_resumes_its_queues_alone(house: House, keys: tuple[str, str], verb: str) -> None:
    whole, limited = keys
    for queue in ("ours", "theirs"):
        await house.call("POST", f"/queues/{queue}/pause", whole)
    refused = await house.call("POST", f"/queues/theirs/{verb}", limited)
    done = await house.call("POST", f"/queues/ours/{verb}", limited)

    assert refused.status == 403
    assert refused.code == "queue_not_allowed"
    assert done.status == 200
    assert done.body == {"queue": "ours", "paused": verb == "pause"}
    ours = ["ours"] if verb == "pause" else []
    assert (await house.call("GET", "/queues/stats", limited)).body["paused"] == ours
    assert (await house.call("GET", "/queues/stats", whole)).body["paused"] == [*ours, "theirs"]


async def test_pages_reach_the_end_though_others_jobs_are_between(house: House) -> None:
    whole, limited = await house.key(), await house.key(SCOPES, queues=["ours"])
    for _ in range(5):
        await house.submit(whole, queue="theirs")
        await house.submit(whole, queue="ours")
    seen, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await house.call("GET", "/jobs", limited, params=query)).body
        seen += [job["queue"] for job in page["jobs"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert seen == ["ours"] * 5


async def test_the_doors_themselves_keep_to_the_queues(house: House) -> None:
    """Handlers look before they change; whoever does not look first gets no further."""
    whole, limited = await house.key(), Caller(house.namespace, frozenset(SCOPES), "x", frozenset({"ours"}))
    job_id = parse_id(await house.submit(whole, queue="theirs"))
    store_client = StoreClient(house.inside())
    own = CallersInspector(store_client.inspector, limited, frozenset({"ours"}))
    producer = CallersProducer(store_client.producer, own, limited, None)
    with pytest.raises(JobNotFound):
        await producer.cancel(job_id)
    with pytest.raises(JobNotFound):
        await producer.retry(job_id, reset_retry_count=True)
    with pytest.raises(Forbidden):
        await producer.set_paused("theirs", paused=True)
    state = (await store_client.inspector.get(job_id)).state
    await store_client.close()

    assert state == JobState.QUEUED


async def test_a_key_may_use_as_many_names_as_its_namespace_or_less(settings: Settings, build: Build) -> None:
    house = await build(msgspec.structs.replace(settings, max_queues=2))
    maker = await house.key()

    async def names_in_use(quota: dict[str, int], prefix: str) -> int:
        asked = {"name": prefix, "scopes": ["jobs:submit"], "quota": quota}
        key = (await house.call("POST", "/keys", maker, json=asked)).body["key"]
        for number in range(5):
            submitted = {"kind": "a", "queue": f"{prefix}{number}", "delay_seconds": 1000}
            if (await house.call("POST", "/jobs", key, json=submitted)).status != 201:
                return number
        return 5

    assert await names_in_use({"queues": 1}, "less") == 1
    assert await names_in_use({"queues": 10**15}, "more") == 1, "one is in use"
    await house.quotas.put(house.namespace, Quota(queues=4))
    other = await build(msgspec.structs.replace(house.settings, max_queues=2))
    other.namespace, house = house.namespace, other
    maker = await house.key()
    assert await names_in_use({"queues": 10**15}, "most") == 2, "the quota of the namespace goes before the settings"


async def test_a_key_may_use_as_many_keys_of_limits_as_its_namespace_or_less(settings: Settings, build: Build) -> None:
    house = await build(msgspec.structs.replace(settings, max_limit_keys=2))
    maker = await house.key()
    await house.call("PUT", "/limits/stripe", maker, json={"concurrency": 1})

    async def keys_in_use(quota: dict[str, int], prefix: str) -> int:
        asked = {"name": prefix, "scopes": ["jobs:submit"], "quota": quota}
        key = (await house.call("POST", "/keys", maker, json=asked)).body["key"]
        for number in range(5):
            submitted = {"kind": "a", "limits": [{"name": "stripe", "key": f"{prefix}{number}"}]}
            answer = await house.call("POST", "/jobs", key, json=submitted)
            if answer.status != 201:
                assert answer.body["quota"] == "namespace.limit_keys"
                return number
        return 5

    assert await keys_in_use({"limit_keys": 1}, "less") == 1
    assert await keys_in_use({"limit_keys": 10**15}, "more") == 1, "one is in use"
