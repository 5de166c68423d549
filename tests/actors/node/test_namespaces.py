"""A node that serves several namespaces: each keeps its jobs to itself, and none keeps the others waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ironforge import Context, Forge
from ironforge.job.record import Job, parse_id
from ironforge.runtime.node import running
from ironforge.settings import load
from ironforge.store import NodeStore, StoreClient, Submission
from tests.actors.node.kit import QUICK, until
from tests.store.kit import completed, job, job_in


class Tenants:
    """Some namespaces on one server, with the doors of each."""

    def __init__(self, url: str, *shares: str) -> None:
        self.settings = load({}, redis_url=url, namespaces=shares, concurrency=4)
        self.names = [share.partition(":")[0] for share in shares]
        self.store_client = {name: StoreClient(load({}, redis_url=url, namespace=name)) for name in self.names}

    async def submit(self, name: str, *jobs: Job) -> None:
        await self.store_client[name].producer.submit([Submission(one) for one in jobs])

    async def have_ended(self, name: str, end: str, count: int) -> bool:
        return (await self.store_client[name].inspector.stats()).totals.get(end, 0) == count

    async def close(self) -> None:
        for store_client in self.store_client.values():
            await store_client.close()


@pytest.fixture
async def tenants(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Tenants]:
    tenants = Tenants(redis_url, *(f"{request.node.name[5:30]}-{share}" for share in request.param))
    yield tenants
    await tenants.close()


@pytest.mark.parametrize("tenants", [("a", "b:2")], indirect=True)
async def test_jobs_run_in_the_namespace_that_they_belong_to(tenants: Tenants) -> None:
    forge = Forge(tenants.settings)
    ran: list[tuple[str, str]] = []

    @forge.job("k")
    async def note(context: Context) -> None:
        ran.append((context.namespace, context.id))

    first, second = tenants.names
    mine, yours = job(), job()
    async with running(forge, tenants.settings):
        await tenants.submit(first, mine)
        await tenants.submit(second, yours)
        await until(lambda: len(ran) == 2, "both jobs to run")
    assert set(ran) == {(first, mine.text_id), (second, yours.text_id)}
    for name, own in ((first, mine), (second, yours)):
        assert (await tenants.store_client[name].inspector.get(own.id)).state == "completed"
        assert (await tenants.store_client[name].inspector.stats()).totals["completed"] == 1
    await forge.close()


@pytest.mark.parametrize("tenants", [("a", "b"), ("a:3", "b")], indirect=True)
@pytest.mark.parametrize("want", [1, 4, 40])
async def test_a_long_queue_of_one_does_not_keep_another_waiting(tenants: Tenants, want: int) -> None:
    many, few = tenants.names
    await tenants.submit(many, *(job() for _ in range(1_000)))
    store = NodeStore(tenants.settings)
    lease = await store.leases.join()
    work = store.work(lease)
    for _ in range(5):
        await work.settle([completed(one) for one in await work.fetch(want)])

    late = [job() for _ in range(10)]
    await tenants.submit(few, *late)
    taken: list[bytes] = []
    while len(taken) < 200:
        deliveries = await work.fetch(want)
        taken += [job_in(one).id for one in deliveries]
        await work.settle([completed(one) for one in deliveries])
    share = int(tenants.settings.namespaces[0].partition(":")[2] or 1)
    places = [taken.index(one.id) for one in late]
    # Before its n-th job others get n times their share, one turn more, and what one fetch takes besides.
    assert all(place <= (share + 1) * (nth + 1) + want for nth, place in enumerate(places))
    while deliveries := await work.fetch(100):
        await work.settle([completed(one) for one in deliveries])
    await store.leases.leave(lease)
    await store.close()


async def test_a_namespace_is_not_seen_from_another(redis_url: str) -> None:
    tenants = Tenants(redis_url, "here", "there")
    mine = job()
    await tenants.submit("here", mine)
    page = await tenants.store_client["there"].inspector.jobs()
    assert page.jobs == []
    await tenants.store_client["here"].producer.cancel(parse_id(mine.text_id))
    await tenants.close()


@pytest.mark.parametrize("tenants", [("a", "b")], indirect=True)
async def test_the_metrics_tell_apart_what_namespaces_do_with_the_same_kind(tenants: Tenants) -> None:
    forge = Forge(tenants.settings)

    @forge.job("k", max_retries=1, backoff=QUICK)
    async def work(context: Context) -> None:
        if context.namespace == second:
            raise RuntimeError("this tenant's jobs all fail")

    first, second = tenants.names
    async with running(forge, tenants.settings) as node:
        await tenants.submit(first, *(job() for _ in range(3)))
        await tenants.submit(second, *(job() for _ in range(2)))
        for name, end, count in ((first, "completed", 3), (second, "dead", 2)):
            await until(partial(tenants.have_ended, name, end, count), f"{count} jobs {end}")
    families = text_string_to_metric_families(node.metrics.exposition()[0].decode())
    found = {
        (sample.name.removeprefix("ironforge_"), sample.labels["namespace"]): sample.value
        for family in families
        for sample in family.samples
        if sample.labels.get("namespace") and not sample.name.endswith("_bucket")
    }
    assert {key: value for key, value in found.items() if not key[0].endswith("_sum")} == {
        ("jobs_completed_total", first): 3.0,
        ("job_duration_seconds_count", first): 3.0,
        ("queue_latency_seconds_count", first): 3.0,
        ("jobs_failed_total", second): 4.0,
        ("jobs_retried_total", second): 2.0,
        ("jobs_dlq_total", second): 2.0,
        ("job_duration_seconds_count", second): 4.0,
        ("queue_latency_seconds_count", second): 4.0,
        ("tick_lateness_seconds_count", first): 0.0,
        ("tick_lateness_seconds_count", second): 0.0,
    }
    await forge.close()


@pytest.mark.parametrize("tenants", [("a", "b:2")], indirect=True)
async def test_each_namespace_has_the_schedules_of_the_code(tenants: Tenants) -> None:
    forge = Forge(tenants.settings)
    forge.schedule("report", "k", cron="0 0 1 1 *")

    async def has_one(name: str) -> bool:
        return await tenants.store_client[name].schedules.names() == ["report"]

    async with running(forge, tenants.settings):
        for name in tenants.names:
            await until(partial(has_one, name), f"the schedule of {name}")
    for name in tenants.names:
        await tenants.store_client[name].schedules.delete("report")
