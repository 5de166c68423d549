"""Holds submissions and revivals to their quotas; a caller without any never gets here.

The rate is exact over all processes. What is stored is measured at most once a second and counted on from there, so
several processes together may pass a limit by what they accept within that second.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from ironforge.auth.caller import Caller
from ironforge.auth.quota import NO_QUOTA, Quota
from ironforge.errors import QuotaExceeded
from ironforge.formats.numbers import shown
from ironforge.job.checked_options import CheckedOptions
from ironforge.store.contract import Most, Submission
from ironforge.store.inspector.usage import Bucket, Short, Usage
from ironforge.store.workflows.contract import Prepared

MEASURED_SECONDS: Final = 1.0
# A full store is looked at again for each refusal, but not more often than this.
FRESH_SECONDS: Final = 0.05
STORAGE_RETRY_SECONDS: Final = 5.0


class Meters(Protocol):
    """What `store.usage.RedisUsage` offers."""

    async def measure(self) -> Usage: ...

    async def spend(self, jobs: int, buckets: Sequence[Bucket], *, paid: int = 0) -> Short | None: ...


_NOTHING: Final = Usage(0, 0, 0)


class _Owner(NamedTuple):
    """Whose quota it is: `namespace`, `key`, or `maker` of the key."""

    name: str
    bucket: str
    quota: Quota


class QuotaEnforcer:
    """One namespace's account in this process. `most`: of the names that it may use where its quota does not say, and
    so many `schedules`. `clock` is monotonic."""

    def __init__(
        self, meters: Meters, quota: Quota, *, most: Most, schedules: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.quota = quota
        self._most = most
        self._schedules = schedules
        self._meters = meters
        self._clock = clock
        self._usage = _NOTHING
        self._measured_at = -math.inf
        self._under_way = _NOTHING
        self._since = _NOTHING
        self._measuring = asyncio.Lock()

    async def arrives(self, caller: Caller) -> None:
        """Charge the first job of a submission before anything of it is read: who is over the rate costs no more.

        Raises QuotaExceeded.
        """
        if rates := [owner for owner in self._owners(caller) if owner.quota.limits_rate]:
            await self._check_rate(rates, 1, paid=0)

    @contextlib.asynccontextmanager
    async def admitted(self, caller: Caller, batch: Sequence[Submission]) -> AsyncIterator[None]:
        """Around the submission of `batch`, which has arrived. Raises QuotaExceeded for the first limit that it would
        break."""
        owners = self._owners(caller)
        for owner in owners:
            if owner.quota.delay_seconds is not None:
                _check_delay(owner, _furthest_ms(batch))
        async with self._charged(caller, owners, len(batch), _size(batch), paid=1):
            yield

    @contextlib.asynccontextmanager
    async def retried(self, caller: Caller, nodes: int = 0) -> AsyncIterator[None]:
        """Around the revival of a dead job, which is stored already: one more that comes, and is in flight. `nodes`: of
        a workflow, how many run again, which are not stored."""
        async with self._charged(caller, self._owners(caller), 1 + nodes, Usage(nodes, 1, 0)):
            yield

    @contextlib.asynccontextmanager
    async def started(self, caller: Caller, jobs: int, size: int, seconds_ahead: float = 0.0) -> AsyncIterator[None]:
        """Around the start of so many jobs of a schedule, whose payload has `size` bytes, the last one so far ahead."""
        owners = self._owners(caller)
        for owner in owners:
            _check_delay(owner, seconds_ahead * 1000)
        async with self._charged(caller, owners, jobs, Usage(jobs, jobs, jobs * size)):
            yield

    @contextlib.asynccontextmanager
    async def taken_in(self, caller: Caller, prepared: Prepared) -> AsyncIterator[None]:
        """Around the submission of a workflow, which has arrived: of a job for all of it, and of its nodes, some of
        which start at once."""
        owners, graph = self._owners(caller), prepared.graph
        for owner in owners:
            if owner.quota.delay_seconds is not None:
                _check_delay(owner, _furthest_ms(prepared.options))
        due = sum(not needs for needs in graph.needs)
        jobs, size = 1 + len(graph), prepared.document.payload_bytes
        async with self._charged(caller, owners, jobs, Usage(jobs, due, size), paid=1):
            yield

    def _owners(self, caller: Caller) -> list[_Owner]:
        owners = [
            _Owner("key", f"k.{caller.bucket}", caller.quota),
            *(_Owner("maker", f"k.{maker.bucket}", maker.quota) for maker in caller.makers),
            _Owner("namespace", "n", self.quota),
        ]
        return [owner for owner in owners if owner.quota != NO_QUOTA]

    @contextlib.asynccontextmanager
    async def _charged(
        self, caller: Caller, owners: Sequence[_Owner], jobs: int, size: Usage, *, paid: int = 0
    ) -> AsyncIterator[None]:
        rates = [owner for owner in owners if owner.quota.limits_rate]
        if rates and jobs > paid:
            await self._check_rate(rates, jobs, paid)
        limited = [owner for owner in owners if owner.quota.limits_storage]
        if not limited:
            yield
            return
        await self._check_storage(limited, size, discreet=caller.queues is not None)
        self._usage, self._since = _sum(self._usage, size), _sum(self._since, size)
        self._under_way = _sum(self._under_way, size)
        try:
            yield
        finally:
            self._under_way = _sum(self._under_way, size, -1)

    def most(self, caller: Caller) -> Most:
        """How many names may be in use: a key has as many as its namespace, or less. The store compares."""
        return Most(**{name: self._held_to(caller, name, said) for name, said in self._most._asdict().items()})

    def most_schedules(self, caller: Caller) -> int:
        """As `most`."""
        return self._held_to(caller, "schedules", self._schedules)

    def _held_to(self, caller: Caller, name: str, otherwise: int) -> int:
        own, callers = getattr(self.quota, name), getattr(caller.quota, name)
        allowed: int = otherwise if own is None else own
        return allowed if callers is None else min(allowed, callers)

    async def usage(self) -> Usage:
        """Measured now; what is accepted meanwhile counts, whether the measurement saw it or not."""
        async with self._measuring:
            at, under_way, self._since = self._clock(), self._under_way, _NOTHING
            measured = await self._meters.measure()
            self._usage = _sum(_sum(measured, under_way), self._since)
            self._measured_at = at
        return measured

    async def _check_rate(self, owners: Sequence[_Owner], jobs: int, paid: int) -> None:
        buckets = [
            Bucket(owner.bucket, owner.quota.submissions_per_second or 0.0, owner.quota.burst_jobs) for owner in owners
        ]
        short = await self._meters.spend(jobs - paid, buckets, paid=paid)
        if short is not None:
            owner, possible = owners[short.place], short.tokens + paid
            raise QuotaExceeded(
                f"the {owner.name} may submit {shown(owner.quota.submissions_per_second or 0)} jobs per second, "
                f"{owner.quota.burst_jobs} at once; {possible} of {jobs} are possible now",
                quota=f"{owner.name}.submissions_per_second",
                current=possible,
                limit=owner.quota.submissions_per_second or 0.0,
                retry_seconds=short.wait_seconds,
            )

    async def _check_storage(self, owners: Sequence[_Owner], size: Usage, *, discreet: bool) -> None:
        if self._clock() - self._measured_at >= MEASURED_SECONDS:
            await self.usage()
        try:
            self._compare(owners, size, discreet=discreet)
        except QuotaExceeded:
            if self._clock() - self._measured_at < FRESH_SECONDS:
                raise
            await self.usage()
            self._compare(owners, size, discreet=discreet)

    def _compare(self, owners: Sequence[_Owner], size: Usage, *, discreet: bool) -> None:
        """What is not added to is not refused: a job that is due later may come while too many are in flight.

        `discreet`: how many there are in all queues is not told, only that there is no room.
        """
        after = _sum(self._usage, size)
        for owner in owners:
            for name in Usage._fields:
                limit = getattr(owner.quota, name)
                current = getattr(self._usage, name)
                if limit is not None and getattr(size, name) and getattr(after, name) > limit:
                    raise QuotaExceeded(
                        f"the {owner.name} may have {shown(limit)} {name.replace('_', ' ')}, "
                        f"{'' if discreet else f'there are {current}, '}and this would be more: wait until jobs have "
                        "ended, or have the quota raised",
                        quota=f"{owner.name}.{name}",
                        current=limit if discreet else current,
                        limit=limit,
                        retry_seconds=STORAGE_RETRY_SECONDS,
                    )


def _sum(one: Usage, other: Usage, sign: int = 1) -> Usage:
    return Usage(*(left + sign * right for left, right in zip(one, other, strict=True)))


def _size(batch: Sequence[Submission]) -> Usage:
    """Payloads stand for the bytes, until the next measurement knows better."""
    due = sum(1 for item in batch if not item.delay_ms and item.run_at_ms is None)
    return Usage(len(batch), due, sum(len(item.job.payload) for item in batch))


def _furthest_ms(batch: Sequence[Submission | CheckedOptions]) -> float:
    """How far ahead the last one starts."""
    now_ms = time.time_ns() / 1e6
    return max(item.delay_ms or (item.run_at_ms - now_ms if item.run_at_ms else 0) for item in batch)


def _check_delay(owner: _Owner, furthest_ms: float) -> None:
    limit = owner.quota.delay_seconds
    if limit is not None and furthest_ms > limit * 1000:
        raise QuotaExceeded(
            f"the {owner.name} may schedule jobs up to {shown(limit)} s ahead, this is {shown(furthest_ms / 1000)} s: "
            "submit it later",
            quota=f"{owner.name}.delay_seconds",
            current=round(furthest_ms / 1000),
            limit=limit,
            retry_seconds=furthest_ms / 1000 - limit,
        )
