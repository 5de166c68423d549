"""Recording steps: by a script, which records in the run that still has its job and in no other.

A connection of its own, opened for the first step: no settlement waits for a step, and full memory refuses steps alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final, NamedTuple

from redis.exceptions import ResponseError

from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import LONGEST_WAIT_SECONDS, raise_first, retry_through_outage
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import RECORD
from ironforge.redis.step_keys import journal_of
from ironforge.settings import Settings
from ironforge.steps.journal import HEAD, Entry, decode
from ironforge.store.node_contract import Lease
from ironforge.store.producer.admission import CONFIRMATION_MS
from ironforge.store.steps.contract import NewStep

# Of one call: others have to wait for it.
BATCH: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024
_OVER: Final = 0
_WRONG_TYPE: Final = -1
_RECORDED: Final = 1


class _Caller(NamedTuple):
    batch: Sequence[NewStep]
    answer: asyncio.Future[list[bytes | None]]


class Recorder:
    """For one lease."""

    def __init__(self, settings: Settings, keys: Keys, lease: Lease) -> None:
        self._keys = keys
        self._lease = lease
        self._script_keys = RECORD.keys(keys, fence=keys.fence(lease.node))
        self._replicas = settings.replicas if settings.durability == "replicated" else 0
        self._connection = Connection(settings.redis_url, keys.prefix)
        self._callers: list[_Caller] = []
        self._task: asyncio.Task[None] | None = None
        # Those whose journal is of the wrong type: each tries again by itself until that key is gone, and nobody waits.
        self._aside: dict[asyncio.Future[list[bytes | None]], tuple[_Caller, asyncio.TimerHandle]] = {}

    async def record(self, batch: Sequence[NewStep]) -> list[bytes | None]:
        """As `StepWork.record_steps`."""
        if not batch:
            return []
        caller = _Caller(batch, asyncio.get_running_loop().create_future())
        self._add(caller)
        return await caller.answer

    def _add(self, caller: _Caller) -> None:
        self._callers.append(caller)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="recording steps")

    def _put_aside(self, caller: _Caller) -> None:
        def again() -> None:
            del self._aside[caller.answer]
            if not caller.answer.done():
                self._add(caller)

        wait_seconds = random.uniform(0, LONGEST_WAIT_SECONDS)
        self._aside[caller.answer] = caller, asyncio.get_running_loop().call_later(wait_seconds, again)

    async def journal(self, _: str, job_id: bytes) -> dict[str, Entry]:
        """As `StepWork.journal`."""
        flat = await retry_through_outage(lambda: self._connection.call("HGETALL", journal_of(self._keys, job_id)))
        return {field.decode(): decode(value) for field, value in pairs(flat) if field != HEAD}

    async def close(self) -> None:
        """Callers that still wait for an answer get StoreUnavailable."""
        await self._connection.close()
        for caller, timer in self._aside.values():
            timer.cancel()
            self._add(caller)
        self._aside.clear()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._callers:
            callers = self._next()
            steps = [step for caller in callers for step in caller.batch]
            try:
                answers = await retry_through_outage(lambda: self._write(steps))  # noqa: B023 - called at once
            except Exception as error:  # noqa: BLE001 - whatever it is, the callers get it
                for caller in callers:
                    if not caller.answer.done():
                        caller.answer.set_exception(error)
                continue
            end = 0
            for caller in callers:
                start, end = end, end + len(caller.batch)
                own = answers[start:end]
                if caller.answer.done():
                    continue
                if _WRONG_TYPE in own:
                    self._put_aside(caller)
                else:
                    caller.answer.set_result([_answer(*each) for each in zip(caller.batch, own, strict=True)])
        self._task = None

    def _next(self) -> list[_Caller]:
        """Those whose steps go together; one at least."""
        taken = steps = size = 0
        while taken < len(self._callers) and steps < BATCH and size < BATCH_BYTES:
            steps += len(self._callers[taken].batch)
            size += sum(len(step.value) for step in self._callers[taken].batch)
            taken += 1
        callers, self._callers = self._callers[:taken], self._callers[taken:]
        return callers

    async def _write(self, steps: Sequence[NewStep]) -> list[int | bytes]:
        arguments: list[str | bytes | int] = [self._lease.epoch]
        for step in steps:
            place = f"{step.stream}:{step.entry.decode()}"
            fence = step.fence if step.begins else ""
            arguments += (step.job_id, place, journal_of(self._keys, step.job_id), fence, step.field, step.value)
        replies: list[int | bytes] = await self._connection.run(RECORD, self._script_keys, arguments)
        if self._replicas:
            await self._confirm()
        return replies

    async def _confirm(self) -> None:
        ask: Command = ["WAIT", self._replicas, CONFIRMATION_MS]
        (confirmed,) = await self._connection.exchange([ask])
        raise_first(confirmed)
        if confirmed < self._replicas:
            raise ResponseError(f"NOREPLICAS {confirmed} of {self._replicas} replicas confirmed a step")


def _answer(step: NewStep, reply: int | bytes) -> bytes | None:
    if reply == _RECORDED:
        return step.value
    return None if reply == _OVER else bytes(reply)
