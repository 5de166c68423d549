"""Quotas: what is refused, in which words, what it costs when there is none, and how exact they are."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis.asyncio as redis
from hypothesis import given
from hypothesis import strategies as st

from ironforge.auth.quota import NO_QUOTA, Quota, check
from ironforge.auth.quota_store import QuotaStore
from ironforge.errors import ConfigError
from ironforge.job.record import format_id
from ironforge.settings import Settings
from ironforge.store import StoreClient, Submission
from ironforge.store.inspector.usage import Bucket, RedisUsage
from tests.auth.kit import House
from tests.store.kit import job

JSON = {"Content-Type": "application/json"}
NEVER = 1e-6  # tokens per second: none comes during a test


async def submit(house: House, key: str, **fields: Any) -> Any:
    return await house.call("POST", "/jobs", key, json={"kind": "demo.echo", **fields})


async def test_a_rate_is_kept_and_the_refusal_says_everything(house: House) -> None:
    key = await house.key(quota=Quota(submissions_per_second=NEVER, burst=3))
    for _ in range(3):
        assert (await submit(house, key)).status == 201
    refused = await submit(house, key)

    assert refused.status == 429
    assert refused.code == "quota_exceeded"
    assert refused.body["quota"] == "key.submissions_per_second"
    assert refused.body["current"] == 0
    assert refused.body["limit"] == NEVER
    assert int(refused.headers["Retry-After"]) > 1000
    assert (await submit(house, await house.key())).status == 201, "another key has its own bucket"


async def test_a_namespace_shares_its_bucket(house: House) -> None:
    await house.quotas.put(house.namespace, Quota(submissions_per_second=NEVER, burst=3))
    keys = [await house.key() for _ in range(4)]
    statuses = [(await submit(house, key)).status for key in keys]

    assert statuses == [201, 201, 201, 429]
    assert (await submit(house, await house.key(namespace=house.namespace + "x"))).status == 201


async def test_a_batch_counts_as_its_jobs_and_is_refused_as_a_whole(house: House) -> None:
    key = await house.key(quota=Quota(submissions_per_second=NEVER, burst=5))
    batch = [{"kind": "demo.echo"}] * 3
    first = await house.call("POST", "/jobs/batch", key, json=batch)
    second = await house.call("POST", "/jobs/batch", key, json=batch)

    assert first.status == 201
    assert second.status == 429
    assert second.body["quota"] == "key.submissions_per_second"
    assert second.body["current"] == 2
    assert len((await house.call("GET", "/jobs", key)).body["jobs"]) == 3


@pytest.mark.parametrize("path", ["/jobs", "/jobs/batch"])
async def test_what_is_over_the_rate_is_not_even_read(house: House, path: str) -> None:
    """A body that is refused costs as much as a job, or reading them would be free."""
    key = await house.key(quota=Quota(submissions_per_second=NEVER, burst=2))
    answers = [await house.call("POST", path, key, data=b"[" * 100_000, headers=JSON) for _ in range(3)]

    assert [answer.code for answer in answers] == ["too_deep", "too_deep", "quota_exceeded"]


async def test_a_batch_that_is_larger_than_the_bucket_may_come_when_it_is_full(house: House) -> None:
    key = await house.key(quota=Quota(submissions_per_second=NEVER, burst=2))
    answers = [await house.call("POST", "/jobs/batch", key, json=[{"kind": "demo.echo"}] * 5) for _ in range(2)]

    assert [answer.status for answer in answers] == [201, 429]


@pytest.mark.parametrize("owner", ["key", "namespace"])
@pytest.mark.parametrize(
    ("quota", "name", "fits"),
    [
        (Quota(stored_jobs=4), "stored_jobs", 4),
        (Quota(in_flight=4), "in_flight", 4),
    ],
)
async def test_what_is_stored_is_limited(house: House, owner: str, quota: Quota, name: str, fits: int) -> None:
    if owner == "namespace":
        await house.quotas.put(house.namespace, quota)
    key = await house.key(quota=quota if owner == "key" else NO_QUOTA)
    answers = await asyncio.gather(*(submit(house, key) for _ in range(fits + 3)))
    # Of those that come together one may be refused because of another that is counted twice.
    while sum(answer.status == 201 for answer in answers) < fits:
        answers.append(await submit(house, key))
    answers.append(await submit(house, key))
    refused = [answer for answer in answers if answer.status == 429]

    assert sum(answer.status == 201 for answer in answers) == fits
    assert len(refused) == len(answers) - fits
    assert answers[-1].status == 429
    assert refused[0].body["quota"] == f"{owner}.{name}"
    assert refused[0].body["limit"] == fits
    assert refused[0].body["current"] >= fits, "what is under way counts too, perhaps twice"
    assert int(refused[0].headers["Retry-After"]) >= 1

    node = await house.node()
    await node.complete()
    while (again := await submit(house, key)).status == 429:
        """The store is looked at again, but not for every refusal."""
    assert again.status == 201, "there is room again"
    assert (await submit(house, key)).status == 429


async def test_scheduled_jobs_are_stored_but_not_in_flight(house: House) -> None:
    key = await house.key(quota=Quota(in_flight=1))
    for _ in range(3):
        assert (await submit(house, key, delay_seconds=60)).status == 201
    assert [(await submit(house, key)).status for _ in range(2)] == [201, 429]
    usage = (await house.call("GET", "/quotas", key)).body["usage"]
    assert usage["stored_jobs"] == 4
    assert usage["in_flight"] == 1


async def dead_jobs(house: House, count: int) -> list[str]:
    """Jobs of this namespace that have died, submitted past all quotas."""
    store_client, node = StoreClient(house.inside()), await house.node()
    accepted = await store_client.producer.submit([Submission(job()) for _ in range(count)])
    await store_client.close()
    for _ in accepted:
        await node.bury()
    return [format_id(one.id) for one in accepted]


async def revive(house: House, key: str, job_id: str) -> Any:
    return await house.call("POST", f"/jobs/{job_id}/retry", key)


@pytest.mark.parametrize("owner", ["key", "namespace"])
@pytest.mark.parametrize("at_once", [False, True])
async def test_revivals_count_as_submissions_in_flight(house: House, owner: str, at_once: bool) -> None:
    ids, quota = await dead_jobs(house, 6), Quota(in_flight=2)
    if owner == "namespace":
        await house.quotas.put(house.namespace, quota)
    key = await house.key(quota=quota if owner == "key" else NO_QUOTA)
    if at_once:
        answers = await asyncio.gather(*(revive(house, key, one) for one in ids))
    else:
        answers = [await revive(house, key, one) for one in ids]

    assert sorted(answer.status for answer in answers) == [200] * 2 + [429] * 4
    assert {answer.body["quota"] for answer in answers if answer.status == 429} == {f"{owner}.in_flight"}
    assert (await submit(house, key)).status == 429, "submissions and revivals share the limit"
    still = (await house.call("GET", "/dlq", key)).body["jobs"]
    assert len(still) == 4, "what is refused stays dead"


async def test_revivals_take_from_the_rate(house: House) -> None:
    ids = await dead_jobs(house, 4)
    key = await house.key(quota=Quota(submissions_per_second=NEVER, burst=3))
    assert (await submit(house, key)).status == 201
    statuses = [(await revive(house, key, one)).status for one in ids]

    assert statuses == [200, 200, 429, 429]


async def test_what_cannot_be_revived_costs_nothing(house: House) -> None:
    [job_id] = await dead_jobs(house, 1)
    key = await house.key(quota=Quota(submissions_per_second=NEVER, burst=1))
    alive = await house.submit(await house.key())
    assert (await revive(house, key, alive)).status == 409
    assert (await revive(house, key, "0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50")).status == 404
    assert (await revive(house, key, job_id)).status == 200


async def test_a_revival_stores_nothing_new(house: House) -> None:
    ids = await dead_jobs(house, 2)
    key = await house.key(quota=Quota(stored_jobs=1, stored_bytes=1))
    assert (await submit(house, key)).status == 429
    assert [(await revive(house, key, one)).status for one in ids] == [200, 200]


async def test_bytes_are_limited(house: House) -> None:
    key = await house.key(quota=Quota(stored_bytes=400_000))
    statuses = [(await submit(house, key, payload="x" * 50_000)).status for _ in range(12)]

    assert statuses[0] == 201
    assert statuses[-1] == 429
    assert 4 <= statuses.count(201) <= 8


async def test_how_far_ahead_is_limited(house: House) -> None:
    key = await house.key(quota=Quota(delay_seconds=60))
    assert (await submit(house, key, delay_seconds=60)).status == 201
    at = (datetime.now(UTC) + timedelta(seconds=90)).isoformat()
    for fields in ({"delay_seconds": 61}, {"run_at": at}):
        refused = await submit(house, key, **fields)
        assert refused.status == 429
        assert refused.body["quota"] == "key.delay_seconds"
        assert refused.body["limit"] == 60


async def test_everybody_may_read_what_they_are_held_to(house: House) -> None:
    await house.quotas.put(house.namespace, Quota(stored_jobs=100))
    key = await house.key(["jobs:submit"], quota=Quota(submissions_per_second=2.5))
    await submit(house, key, payload="x" * 1000)
    body = (await house.call("GET", "/quotas", key)).body

    assert body["namespace"] == house.namespace
    assert body["namespace_quota"] == {"stored_jobs": 100}
    assert body["key_quota"] == {"submissions_per_second": 2.5}
    assert body["usage"]["stored_jobs"] == 1
    assert body["usage"]["in_flight"] == 1
    assert body["usage"]["stored_bytes"] > 1000


async def test_without_a_quota_nothing_is_asked(house: House, server: str) -> None:
    key = await house.key()
    await submit(house, key)
    async with redis.Redis.from_url(server) as client:
        before = await client.info("commandstats")
        await submit(house, key)
        after = await client.info("commandstats")

    def calls(stats: dict[str, Any]) -> dict[str, int]:
        return {name: value["calls"] for name, value in stats.items() if name != "cmdstat_info"}

    more = {name: count - calls(before).get(name, 0) for name, count in calls(after).items()}
    asked = ("cmdstat_evalsha", "cmdstat_hget", "cmdstat_hlen", "cmdstat_memory|usage")
    assert {name: more[name] for name in asked if more.get(name)} == {"cmdstat_evalsha": 1}


async def test_two_processes_share_a_bucket(settings: Settings) -> None:
    """The bucket is in the server, filled by the server's clock."""
    processes = [RedisUsage(settings) for _ in range(2)]
    bucket = [Bucket("n", NEVER, 10)]
    answers = [await processes[number % 2].spend(1, bucket) for number in range(12)]
    for process in processes:
        await process.close()

    assert answers[:10] == [None] * 10
    assert [answer.tokens for answer in answers[10:] if answer] == [0, 0]


async def test_of_two_buckets_both_or_none_is_spent(settings: Settings) -> None:
    usage = RedisUsage(settings)
    wide, narrow = Bucket("k", NEVER, 5), Bucket("n", NEVER, 1)
    assert await usage.spend(1, [wide, narrow]) is None
    for _ in range(3):
        short = await usage.spend(1, [wide, narrow])
        assert short is not None
        assert short.place == 1
        assert short.tokens == 0
    assert await usage.spend(4, [wide]) is None
    await usage.close()


async def test_a_bucket_fills_again_and_a_large_batch_leaves_a_debt(settings: Settings) -> None:
    usage = RedisUsage(settings)
    before = time.monotonic()
    assert await usage.spend(50, [Bucket("slow", 1.0, 10)]) is None
    short = await usage.spend(1, [Bucket("slow", 1.0, 10)])
    assert short is not None
    assert 41.0 - (time.monotonic() - before) - 0.1 <= short.wait_seconds <= 41.0 + 0.1
    assert await usage.spend(50, [Bucket("n", 100.0, 10)]) is None
    while (short := await usage.spend(1, [Bucket("n", 100.0, 10)])) is not None:
        await asyncio.sleep(short.wait_seconds)
    await usage.close()


async def test_a_quota_can_be_taken_back(settings: Settings) -> None:
    book = QuotaStore(settings)
    await book.put(settings.namespace, Quota(stored_jobs=1))
    assert await book.get(settings.namespace) == Quota(stored_jobs=1)
    await book.put(settings.namespace, NO_QUOTA)
    assert await book.get(settings.namespace) == NO_QUOTA
    await book.close()


@given(
    st.sampled_from(["submissions_per_second", "stored_jobs", "in_flight", "delay_seconds"]),
    st.one_of(st.floats(max_value=0), st.just(float("nan")), st.just(float("inf"))),
)
def test_a_limit_that_makes_no_sense_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        check(Quota(**{name: value}))


def test_a_burst_needs_a_rate() -> None:
    with pytest.raises(ConfigError, match="submissions_per_second"):
        check(Quota(burst=3))
