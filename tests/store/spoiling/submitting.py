"""Submissions: of jobs of all kinds, in place of others, and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ironforge.job.uniqueness import UniqueUse
from tests.store import declining, expiring, kit
from tests.store.kit import HOUR_MS
from tests.store.spoiling.leaving import throttled
from tests.store.spoiling.operations import (
    KINDS,
    OPERATIONS,
    Act,
    Make,
    fair,
    job,
    limited,
    operation,
    parking,
    plain,
    rated,
    several,
    slow,
)
from tests.store.spoiling.world import World

REPLACE = UniqueUse("a", "queued", on_conflict="replace")
DEBOUNCE = UniqueUse("a", "queued", on_conflict="debounce")


def submitting(name: str, *jobs: Make, before: Sequence[Make] = (), **options: Any) -> None:
    """`before`: delivered already."""

    async def prepare(world: World) -> Act:
        await world.held(*(make() for make in before))
        return world.submitting(*(make() for make in jobs), **options)

    OPERATIONS[f"submit_{name}"] = prepare


for one in (plain, *KINDS):
    submitting(one.__name__, one)
    submitting(f"delayed_{one.__name__}", one, delay_ms=HOUR_MS)
    submitting(f"{one.__name__}_behind_another", one, before=[one])
submitting("many", plain, fair, limited, several, parking, rated)
submitting("rated_that_wait", slow, slow)
submitting("expiring", lambda: expiring.expiring(id=kit.early()), expires_in_ms=HOUR_MS)
submitting("with_an_idempotency_key", several, idempotency_key="i")


def in_place_of(name: str, use: UniqueUse, *limits: str, delay_ms: int | None = None, running: bool = False) -> None:
    """A second job with the unique key of one that waits; `running`: behind another one."""

    async def prepare(world: World) -> Act:
        if running:
            await world.held(job(*limits))
        await world.submit(job(*limits, unique=use), delay_ms=delay_ms)
        return world.submitting(job(*limits, unique=use), delay_ms=delay_ms)

    OPERATIONS[f"submit_{use.on_conflict}_{use.holding or 'for_a_time'}_{name}"] = prepare


for use in (REPLACE, DEBOUNCE):
    in_place_of("queued", use)
    in_place_of("limited", use, "one", "fast", delay_ms=0)
    in_place_of("limited_waiting", use, "one", "two", running=True)
    in_place_of("limited_scheduled", use, "one", delay_ms=HOUR_MS)
for use in (UniqueUse("a"), UniqueUse("a", "", for_ms=HOUR_MS)):
    in_place_of("limited", use, "one")


@operation
async def submit_in_place_of_a_declined_one(world: World) -> Act:
    (given,) = await world.held(job("one", unique=REPLACE))
    await world.work.decline([declining.declined(given)])
    return world.submitting(job("two", unique=REPLACE))


@operation
async def submit_behind_a_stop(world: World) -> Act:
    (given,) = await world.held(limited())
    await world.work.park([throttled(given)])
    return world.submitting(limited())


@operation
async def submit_again(world: World) -> Act:
    one = limited()
    await world.submit(one, idempotency_key="i", fingerprint=b"x" * 16)
    return world.submitting(one, idempotency_key="i", fingerprint=b"x" * 16, again=True)
