"""What the tests of schedules share: schedules that tick when a test says so, and tickers that run step by step."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ironforge.job.record import Job, decode
from ironforge.job.request import JobRequest
from ironforge.redis.shards import shards_of
from ironforge.schedules.definition import CatchUp, Schedule
from ironforge.store.schedules.contract import PastTick, Schedules
from ironforge.store.schedules.ticker import Ticker
from tests.store.kit import Cluster

_later = itertools.count(1)
DAY_MS = 86_400_000
# What ticks each day does so half a day from here, and what ticks each hour three quarters of one: whenever tests run,
# none of their schedules ticks but where a test says so.
_LONG_AGO = datetime(2010, 1, 1, tzinfo=UTC)
_FAR_OFF = timedelta(hours=12, minutes=45)
ANCHOR = _LONG_AGO + (datetime.now(UTC).replace(microsecond=0) + _FAR_OFF - _LONG_AGO) % timedelta(days=1)
# A tick starts its job also days after its time; the last one of several alone.
CAUGHT_UP = CatchUp(window_seconds=600_000.0)


def request(kind: str = "k", **options: Any) -> JobRequest:
    return JobRequest(kind=kind, payload=msgspec.Raw(b"{}"), **options)


def every(seconds: float = 86_400.0, job: JobRequest | None = None, **fields: Any) -> Schedule:
    """Counted from ANCHOR, where no other start is given."""
    return Schedule(**{"job": job or request(), "every_seconds": seconds, "start": ANCHOR, **fields})


def schedules(cluster: Cluster) -> Schedules:
    return cluster.store_client.schedules


def ticker(cluster: Cluster, shard: int = 0) -> Ticker:
    """One that has been told that there are schedules."""
    made = Ticker(cluster.settings, shards_of(cluster.settings)[shard], shard, cluster.store_client.inspector)
    cluster._closing.append(made.close)
    return made


async def tick(one: Ticker) -> None:
    """Until nothing is due any more."""
    one.wake(0)
    while (seconds := await one.tick()) is not None and seconds <= 0.01:
        pass


def put_back(cluster: Cluster, name: str, ms: int) -> int:
    """Its next tick was to fire so long ago. Its time."""
    tag, at, fires, last = cluster.raw.hget(cluster.keys.upcoming, name).split(b":", 3)
    at_ms = int(at) - ms
    cluster.raw.hset(cluster.keys.upcoming, name, b"%s:%d:%d:%s" % (tag, at_ms, int(fires) - ms, last))
    cluster.raw.zadd(cluster.keys.ticks, {name: int(fires) - ms})
    return at_ms


def make_due(cluster: Cluster, name: str, days: int = 1) -> int:
    """Of one that ticks each day: the last `days` of its ticks have not been fired. Each time the first of them is
    another one, as if days had passed."""
    return put_back(cluster, name, days * DAY_MS - 1000 * next(_later))


def jobs(cluster: Cluster) -> list[Job]:
    """All that wait in streams or the schedule, in the order of their ids."""
    found = [decode(record) for record in cluster.raw.hvals(cluster.keys.parked)]
    for key in cluster.raw.keys(cluster.keys.stream("*")):
        found += [decode(fields[b"j"]) for _, fields in cluster.raw.xrange(key)]
    return sorted(found, key=lambda job: job.id)


async def history(cluster: Cluster, name: str) -> list[PastTick]:
    return await schedules(cluster).history(name)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Watch:
    """Remembers what it hears of ticks."""

    def __init__(self) -> None:
        self.late_seconds: list[float] = []
        self.skipped: list[tuple[str, int]] = []

    def tick_started(self, late_seconds: float) -> None:
        self.late_seconds.append(late_seconds)

    def ticks_skipped(self, reason: str, count: int) -> None:
        self.skipped.append((reason, count))


async def ticked(cluster: Cluster, name: str, days: int = 1) -> None:
    """So many days later."""
    make_due(cluster, name, days)
    await tick(ticker(cluster))


async def outcomes(cluster: Cluster, name: str) -> list[tuple[str, str, int]]:
    return [(past.outcome, past.reason, past.ticks) for past in reversed(await history(cluster, name))]
