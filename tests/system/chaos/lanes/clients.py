"""Faults of submitters: they give up half-way, or ask for the same thing from everywhere at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from ironforge.errors import StoreUnavailable
from ironforge.job.record import format_id, new_id
from ironforge.redis.scripts import SUBMIT
from ironforge.verify.handlers import KIND
from ironforge.verify.submitter import fairness
from tests.system.chaos.installation import LOOK_SECONDS, Fault, Installation, Site

STORM = 50
SWEEP = 20
LATEST_STEP = 100


async def cancel_submissions(here: Installation, rng: random.Random) -> Sequence[Site]:
    """Each one step of the event loop later than the one before, wherever it is then: its jobs may have been accepted,
    or not, and the next caller must not get its answer."""
    first = rng.randrange(LATEST_STEP)
    for step in range(first, first + SWEEP):
        await _cancel_at(here, step, rng)
    return ()


async def _cancel_at(here: Installation, step: int, rng: random.Random) -> None:
    ids = [format_id(new_id()) for _ in range(rng.randint(1, 5))]
    here.ids.extend(ids)
    batch = [here.forge.prepare(KIND, {}, id=job, **fairness(rng)) for job in ids]
    task = asyncio.create_task(here.forge.submit_many(KIND, batch))
    for _ in range(step):
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except (asyncio.CancelledError, StoreUnavailable):
        here.ledger.note("submit_info", ids)
    else:
        here.ledger.note("submit_ok", ids)


async def storm_of_keys(here: Installation, rng: random.Random) -> Sequence[Site]:
    """Jobs of their own ids with one key: one of them is accepted, and all get its id."""
    key = f"storm-{rng.randrange(2**64):x}"
    ids = [format_id(new_id()) for _ in range(STORM)]
    return await _storm(here, key, ids, [{"id": job, "idempotency_key": key} for job in ids])


async def storm_of_ids(here: Installation, _: random.Random) -> Sequence[Site]:
    job = format_id(new_id())
    return await _storm(here, job, [job], [{"id": job}] * STORM)


async def _storm(here: Installation, name: str, ids: list[str], options: list[dict[str, str]]) -> Sequence[Site]:
    here.ids.extend(ids)
    here.ledger.note("submit_info", ids, name=name)
    if here.proxy:
        here.proxy.drop_reply("EVALSHA", containing=SUBMIT.sha.encode(), count=2)
    calls = [here.forge.submit(KIND, {}, **given) for given in options]  # type: ignore[misc]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    if here.proxy:
        here.proxy.drops.clear()
    answered = {answer for answer in answers if isinstance(answer, str)}
    here.ledger.note("submit_ok", sorted(answered), name=name)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, StoreUnavailable):
            raise answer
    return ()


async def pause_queue(here: Installation, rng: random.Random) -> Sequence[Site]:
    """Who loses an answer asks again until there is one, as both calls may be repeated."""
    await _set_paused(here, paused=True)
    await asyncio.sleep(here.settings.lease_seconds * rng.uniform(0.2, 1.5))
    await _set_paused(here, paused=False)
    return ()


async def _set_paused(here: Installation, *, paused: bool) -> None:
    while True:
        try:
            return await here.store_client.producer.set_paused("default", paused=paused)
        except StoreUnavailable:
            await asyncio.sleep(LOOK_SECONDS)


FAULTS: dict[str, Fault] = {
    "cancel-submissions": cancel_submissions,
    "storm-of-keys": storm_of_keys,
    "storm-of-ids": storm_of_ids,
    "pause-queue": pause_queue,
}
