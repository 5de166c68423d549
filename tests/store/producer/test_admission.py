"""Jobs are accepted only while there is room for them, and while the server keeps them as safely as was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import NoPermissionError

from ironforge.errors import QueueFull, StoreUnavailable
from ironforge.job.record import JobState, format_id
from ironforge.settings import Settings
from ironforge.store import Accepted, JobFilter, Submission
from ironforge.store.node_contract import Rewrite
from ironforge.store.producer import admission
from ironforge.store.server_checks import REPLICA_LAG_SECONDS, Server, refusal_of
from tests.store.kit import Cluster, completed, job

# --------------------------------------------------------------------------- the bound of a queue


def batch(count: int, queue: str = "default", **options: int) -> list[Submission]:
    return [Submission(job(queue=queue, priority=n % 4), **options) for n in range(count)]


async def test_a_queue_takes_as_many_jobs_as_it_may_and_all_or_none_of_a_batch(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=5)
    submit = cluster.store_client.producer.submit
    await submit(batch(4))
    with pytest.raises(QueueFull, match="queue default has 4 jobs of at most 5, so 2 more do not fit") as caught:
        await submit(batch(2))
    assert caught.value.queue == "default"
    assert caught.value.length == 4
    assert caught.value.limit == 5
    await submit(batch(1))
    await submit(batch(5, "other"))
    with pytest.raises(QueueFull):
        await submit(batch(1))
    assert len(cluster.entries()) == 10
    assert cluster.totals()["submitted"] == 10


async def test_room_comes_back_when_jobs_have_ended(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=2)
    await cluster.store_client.producer.submit(batch(2))
    node = await cluster.node()
    delivery, _ = await node.work.fetch(2)
    with pytest.raises(QueueFull):
        await cluster.store_client.producer.submit(batch(1))
    await node.work.settle([completed(delivery)])
    await cluster.store_client.producer.submit(batch(1))


async def test_the_bound_holds_for_many_submitters_at_once(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=100)
    store_client = [cluster.open_doors() for _ in range(4)]
    calls = [store_client[n % 4].producer.submit(batch(1 + n % 5)) for n in range(80)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    accepted = sum(len(outcome) for outcome in outcomes if isinstance(outcome, list))
    refused = [outcome for outcome in outcomes if not isinstance(outcome, list)]
    assert accepted == len(cluster.entries()) == cluster.totals()["submitted"]
    # No batch had more than 5 jobs, so what is left free is less than the largest refused one.
    assert 95 < accepted <= 100
    assert {type(one) for one in refused} == {QueueFull}


async def test_a_full_queue_does_not_touch_its_neighbours_in_the_same_flight(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=3)
    submit = cluster.store_client.producer.submit
    outcomes = await asyncio.gather(
        *(submit(batch(count, queue)) for count, queue in [(1, "a"), (2, "a"), (4, "a"), (3, "b"), (1, "a")]),
        return_exceptions=True,
    )
    assert [len(outcome) if isinstance(outcome, list) else type(outcome) for outcome in outcomes] == [
        1,
        2,
        QueueFull,
        3,
        QueueFull,
    ]


async def test_a_repetition_is_answered_though_the_queue_is_full(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=1)
    submit = cluster.store_client.producer.submit
    one = Submission(job(), idempotency_key="key", fingerprint=b"same")
    await submit([one])
    assert await submit([one]) == [Accepted(one.job.id, JobState.QUEUED, replayed=True)]
    assert await submit([Submission(one.job, again=True)]) == [Accepted(one.job.id, JobState.QUEUED, replayed=True)]
    with pytest.raises(QueueFull):
        await submit([Submission(job(), idempotency_key="other")])
    # The refused key is free: nothing was accepted under it.
    cluster.with_settings(max_queue_length=2)
    await cluster.open_doors().producer.submit([Submission(job(), idempotency_key="other", fingerprint=b"new")])


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_revival_needs_room_as_a_submission_does(cluster: Cluster, at_once: bool) -> None:
    cluster.with_settings(max_queue_length=2)
    node = await cluster.node()
    dead = [job(priority=n % 4, fairness_key="one" if n % 2 else "") for n in range(6)]
    for one in dead:
        await cluster.submit(one)
        [delivery] = await node.work.fetch(1)
        await node.work.bury([Rewrite.of(*delivery[:2], one.finish(JobState.DEAD, 1, reason="?"))])
    revive = cluster.store_client.producer.retry
    calls = [revive(one.id, reset_retry_count=True) for one in dead]
    if at_once:
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    else:
        outcomes = [(await asyncio.gather(call, return_exceptions=True))[0] for call in calls]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]

    assert [type(one) for one in refused] == [QueueFull] * 4
    assert "queue default has 2 jobs of at most 2, so 1 more do not fit" in str(refused[0])
    assert len((await cluster.store_client.inspector.jobs(JobFilter(JobState.DEAD))).jobs) == 4
    with pytest.raises(QueueFull):
        await cluster.store_client.producer.submit(batch(1))


async def test_what_is_scheduled_is_not_in_its_queue_yet(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=1)
    await cluster.store_client.producer.submit(batch(3, delay_ms=60_000))
    await cluster.store_client.producer.submit(batch(1))


# --------------------------------------------------------------------------- memory and durability


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every flight looks."""
    monkeypatch.setattr(admission, "LOOK_SECONDS", 0.0)


@pytest.fixture
def changed(cluster: Cluster) -> Iterator[Callable[..., None]]:
    """Sets what the server is configured to, until the end of the test."""
    before: dict[str, str] = {}

    def change(name: str, value: object) -> None:
        before.setdefault(name, cluster.raw.config_get(name)[name])
        cluster.raw.config_set(name, value)

    yield change
    for name, value in before.items():
        cluster.raw.config_set(name, value)


async def test_nearly_full_memory_refuses_before_the_server_does(
    cluster: Cluster, changed: Callable[..., None], impatient: None
) -> None:
    submit = cluster.store_client.producer.submit
    changed("maxmemory", int(cluster.raw.info("memory")["used_memory"] / 0.93))
    await submit(batch(1))
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=r"memory is 9\d% full.*beyond 90%.*raise maxmemory") as caught:
            await submit(batch(1))
        assert caught.value.code == "storage_full"
    assert len(cluster.entries()) == 1
    changed("maxmemory", 0)
    await submit(batch(1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("appendfsync", "everysec"),
        ("appendonly", "no"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ],
)
async def test_local_is_never_silently_less(
    cluster: Cluster, changed: Callable[..., None], name: str, value: str
) -> None:
    changed("appendonly", "yes")
    changed("appendfsync", "always")
    cluster.with_settings(durability="local")
    submit = cluster.store_client.producer.submit
    await submit(batch(1))
    changed(name, value)
    # The very next one, though it had been looked at a moment ago.
    one = Submission(job(), idempotency_key="key", fingerprint=b"same")
    with pytest.raises(StoreUnavailable, match=f"{name} is {value}") as caught:
        await submit([one])
    assert caught.value.code == "durability_not_confirmed"
    assert caught.value.job_ids == (format_id(one.job.id),)
    with pytest.raises(StoreUnavailable, match=f"CONFIG SET {name}") as caught:
        await _until_refused_before_it_is_stored(lambda: submit(batch(1)))
    assert caught.value.code == "durability_lost"
    problems = (await cluster.store_client.inspector.health()).problems
    assert any(name in problem or "AOF" in problem for problem in problems)


EVICTS = "maxmemory-policy is allkeys-lru"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (
            b"maxmemory_policy:allkeys-lru\r\n",
            "the server is no longer set up to keep jobs: maxmemory-policy is allkeys-lru",
        ),
        (b"maxmemory_policy:noeviction\r\n", ""),
        (NoPermissionError("this user has no permissions"), ""),
    ],
)
def test_nor_is_replicated(said: object, found: str) -> None:
    """Who may not ask, as on a managed server, relies on what the replicas confirm."""
    asked = admission.Admission(Settings(durability="replicated"))
    assert asked.questions(1, 1)[:2] == [["WAIT", 1, admission.CONFIRMATION_MS], ["INFO", "memory"]]
    assert asked.shortfall([1, said]) == found


async def _until_refused_before_it_is_stored(submit: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await submit()
        except StoreUnavailable as error:
            if error.code == "durability_lost":
                raise


async def test_a_server_that_began_to_evict_gets_no_more_jobs_until_it_is_mended(
    cluster: Cluster, changed: Callable[..., None], impatient: None
) -> None:
    submit = cluster.store_client.producer.submit
    changed("maxmemory-policy", "allkeys-lru")
    await submit(batch(1))
    with pytest.raises(StoreUnavailable, match="CONFIG SET maxmemory-policy noeviction") as caught:
        await submit(batch(1))
    assert caught.value.code == "durability_lost"
    changed("maxmemory-policy", "noeviction")
    await submit(batch(1))


async def test_who_may_not_ask_may_still_submit(cluster: Cluster, impatient: None) -> None:
    commands = ["-config", "-info"]
    cluster.raw.acl_setuser("blind", enabled=True, passwords=["+x"], categories=["+@all"], commands=commands)
    cluster.raw.acl_setuser("blind", keys=["*"], channels=["*"], enabled=True, categories=["+@all"], commands=commands)
    scheme, _, rest = cluster.url.partition("://")
    try:
        cluster.with_settings(redis_url=f"{scheme}://blind:x@{rest}")
        await cluster.store_client.producer.submit(batch(1))
        await cluster.store_client.producer.submit(batch(1))
        cluster.with_settings(durability="local")
        with pytest.raises(StoreUnavailable, match="appendfsync is unknown"):
            await cluster.open_doors().producer.submit(batch(1))
    finally:
        cluster.raw.acl_deluser("blind")


@given(
    replicas=st.lists(st.tuples(st.sampled_from(["online", "wait_bgsave", "send_bulk"]), st.integers(0, 100))),
    needed=st.integers(1, 4),
)
def test_only_replicas_that_keep_up_count(replicas: list[tuple[str, int]], needed: int) -> None:
    info = {
        f"slave{n}": f"ip=::1,port=1,state={state},offset=1,lag={lag},type=x" for n, (state, lag) in enumerate(replicas)
    }
    info |= {"role": "master", "redis_version": "7.0.0", "maxmemory_policy": "noeviction"}
    kept_up = sum(state == "online" and lag <= REPLICA_LAG_SECONDS for state, lag in replicas)
    refusal = refusal_of(Server(info, {}), Settings(durability="replicated", replicas=needed))
    assert (refusal is not None) == (kept_up < needed)
