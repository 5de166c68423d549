"""Ticks whose job is refused: tried again, then skipped for that reason."""

from __future__ import annotations

import msgspec
import pytest

from ironforge.errors import QueueFull
from ironforge.job.definition import Announcement
from ironforge.job.options import KindOptions
from ironforge.schedules.definition import CatchUp
from tests.store.kit import Cluster, job, now_ms
from tests.store.schedules.kit import (
    CAUGHT_UP,
    every,
    history,
    jobs,
    make_due,
    outcomes,
    put_back,
    request,
    schedules,
    tick,
    ticked,
    ticker,
)


async def test_a_full_queue_is_tried_again(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=1)
    for name in ("report", "other"):
        await schedules(cluster).put(name, every(catch_up=CatchUp(window_seconds=172_800), job=request(queue=name)))
    first = job("report")
    await cluster.submit(first)
    with pytest.raises(QueueFull):
        await schedules(cluster).trigger("report")
    make_due(cluster, "other")
    await ticked(cluster, "report")
    # The one whose queue has room is not kept from it.
    assert [found.queue for found in jobs(cluster) if found.id != first.id] == ["other"]
    assert await outcomes(cluster, "report") == []
    await cluster.store_client.producer.cancel(first.id)
    cluster.raw.zadd(cluster.keys.ticks, {"report": 1})
    await tick(ticker(cluster))
    assert await outcomes(cluster, "report") == [("started", "", 1)]


async def test_one_that_is_refused_for_too_long_is_skipped_for_that_reason(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=1)
    await cluster.submit(job())
    await schedules(cluster).put("report", every(1.0, catch_up=CAUGHT_UP, overlap="allow"))
    one = ticker(cluster)
    put_back(cluster, "report", 2_000)
    await tick(one)
    reasons = {(past.outcome, past.reason) for past in await history(cluster, "report")}
    assert reasons == {("skipped", "queue_full")}


async def test_what_was_missed_before_one_that_is_refused(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=1)
    await cluster.submit(job())
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    await ticked(cluster, "report", 3)
    assert await outcomes(cluster, "report") == [("skipped", "missed", 2)]


async def test_a_unique_key_that_another_job_holds(cluster: Cluster) -> None:
    unique = {"key": "a", "while": "unfinished", "on_conflict": "reject"}
    asked = msgspec.convert({"kind": "k", "unique": unique}, type(request()))
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, overlap="allow", job=asked))
    await ticked(cluster, "report")
    await ticked(cluster, "report")
    assert await outcomes(cluster, "report") == [("started", "", 1), ("skipped", "duplicate", 1)]


async def test_a_job_that_stands_for_that_of_a_tick(cluster: Cluster) -> None:
    asked = msgspec.convert({"kind": "k", "unique": {"key": "a", "while": "unfinished"}}, type(request()))
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, overlap="allow", job=asked))
    await ticked(cluster, "report")
    await ticked(cluster, "report")
    [only] = jobs(cluster)
    assert {past.job_id for past in await history(cluster, "report")} == {only.id}


async def test_a_limit_that_is_not_there(cluster: Cluster) -> None:
    asked = msgspec.convert({"kind": "k", "limits": [{"name": "ghost"}]}, type(request()))
    await schedules(cluster).put("report", every(1.0, job=asked))
    put_back(cluster, "report", 1_000)
    await tick(ticker(cluster))
    assert {past.reason for past in await history(cluster, "report")} == {"unknown_limit"}


async def test_a_payload_that_its_kind_takes_no_longer(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(1.0))
    await cluster.node([Announcement.of("k", "2", KindOptions(), {"type": "array"})])
    put_back(cluster, "report", 1_000)
    await tick(ticker(cluster))
    assert {past.reason for past in await history(cluster, "report")} == {"invalid_payload"}


async def test_what_holds_for_the_kind_holds_for_the_jobs_of_ticks(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    await cluster.node([Announcement.of("k", "2", KindOptions(queue="slow", expires_in_seconds=60.0), None)])
    await ticked(cluster, "report")
    [made] = jobs(cluster)
    assert made.queue == "slow"
    assert 0 < made.expires_ms - now_ms() <= 60_000
