"""Group commit: submissions that arrive while a script call is on its way share the next one.

Only batches that cannot conflict are merged. One with idempotency keys is a script call of its own in the same round
trip, so that one caller's conflict never fails another's jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.exceptions import AskError, NoScriptError
from redis.exceptions import ConnectionError as Disconnected

from ironforge.errors import Duplicate, IncompatibleRecord, InvalidJob, StoreUnavailable
from ironforge.job.record import JobState, format_id
from ironforge.redis.connection import COMMAND_SECONDS, Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import fail_all, is_wrong_type, raise_first
from ironforge.settings import Settings
from ironforge.store.contract import Accepted, Most, Submission
from ironforge.store.producer.admission import Admission
from ironforge.store.producer.refusals import REFUSALS, refusal, verdict
from ironforge.store.producer.submit_call import Batch, SubmitCall, due_of
from ironforge.store.retention import state_at

# A flight takes whole batches until it has this many jobs: it bounds what the last of them waits for the first.
COMMIT_JOBS: Final = 1_000


class _Pending(Batch, frozen=True):
    answer: asyncio.Future[list[Accepted]]


class GroupCommit:
    """One connection for all submissions of a process: at most one flight is under way."""

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys
        self.connection = Connection(settings.redis_url, keys.prefix)
        self._admission = Admission(settings)
        self._waiting: list[_Pending] = []
        self._flushing: asyncio.Task[None] | None = None

    def submit(
        self, batch: Sequence[Submission], *, most: Most, generations: Mapping[str, int]
    ) -> asyncio.Future[list[Accepted]]:
        """Done once the write has met the durability mode. `generations` of idempotency keys that have a route."""
        answer: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        if not batch:
            answer.set_result([])
            return answer
        self._waiting.append(_Pending(batch, most, generations, answer))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name="store-submissions")
        return answer

    async def close(self) -> None:
        """Ends the connection. Callers that still wait for an answer get StoreUnavailable."""
        await self.connection.close()
        if self._flushing:
            await self._flushing

    async def _flush(self) -> None:
        try:
            while self._waiting:
                pending = self._take_batch()
                try:
                    await self._admission.check(self.connection)
                    await self._commit(pending)
                except Exception as error:  # noqa: BLE001 - whatever it is, the callers get it
                    _fail(pending, error)
        finally:
            self._flushing = None

    def _take_batch(self) -> list[_Pending]:
        jobs = taken = 0
        while taken < len(self._waiting) and jobs < COMMIT_JOBS:
            jobs += len(self._waiting[taken].batch)
            taken += 1
        pending, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return pending

    async def _commit(self, pending: list[_Pending]) -> None:
        alone: list[_Pending] = []
        together: list[_Pending] = []
        for waiting in pending:
            (alone if waiting.alone else together).append(waiting)
        await self._commit_groups(([together] if together else []) + [[waiting] for waiting in alone])

    async def _commit_groups(self, groups: list[list[_Pending]]) -> None:
        for repeated in (False, True):
            calls = [SubmitCall(self._keys, self._settings, group, repeated=repeated) for group in groups]
            try:
                replies, shortfall = await self._send(calls)
                break
            except (Disconnected, AskError):
                # A server that restarted left us with a dead connection, or the keys have moved to another one. The
                # answer may have been lost, or some calls have been carried out, so the repetition asks for every id
                # first.
                if repeated:
                    raise
        apart: list[list[_Pending]] = []
        for group, call, reply in zip(groups, calls, replies, strict=True):
            if len(group) > 1 and (verdict(reply) in REFUSALS or is_wrong_type(reply)):
                apart += [[waiting] for waiting in group]
                continue
            try:
                _answer(group, call, reply, shortfall, own_repetition=repeated)
            except IncompatibleRecord as error:  # what the server knows of one of them is damaged
                _fail(group, error)
        for group in apart:
            await self._commit_alone(group)

    async def _commit_alone(self, group: list[_Pending]) -> None:
        """Together they were refused and nothing was written: each of them alone may be taken."""
        try:
            await self._commit_groups([group])
        except Exception as error:  # noqa: BLE001 - the others have answers of their own
            _fail(group, error)

    async def _send(self, calls: list[SubmitCall]) -> tuple[list[Any], str]:
        """The replies, and what keeps all of these writes from being as durable as was asked."""
        commands: list[Command] = [call.script.by_hash(call.keys, call.arguments) for call in calls]
        commands += self._admission.questions(sum(len(call.items) for call in calls), sum(call.size for call in calls))
        patience = COMMAND_SECONDS + sum(len(call.items) for call in calls) / 1_000
        replies = await self.connection.exchange(commands, timeout_seconds=patience)
        raise_first(*(reply for reply in replies if isinstance(reply, AskError)))
        forgotten = [number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if forgotten:
            late_ones = [calls[at] for at in forgotten]
            texts: list[Command] = [call.script.by_text(call.keys, call.arguments) for call in late_ones]
            texts += commands[len(calls) :]
            late = await self.connection.exchange(texts, timeout_seconds=patience)
            for number, reply in zip([*forgotten, *range(len(calls), len(commands))], late, strict=True):
                replies[number] = reply
        return replies[: len(calls)], self._admission.shortfall(replies[len(calls) :])


def _answer(group: list[_Pending], call: SubmitCall, reply: Any, shortfall: str, *, own_repetition: bool) -> None:
    refused = refusal(reply)
    if refused is not None:
        if isinstance(refused, InvalidJob | Duplicate) and len(call.items) == 1:
            refused.index = None  # it is not from a batch
        _fail(group, refused)
        return
    answers = [Accepted(item.job.id, JobState.SCHEDULED if due_of(item) else JobState.QUEUED) for item in call.items]
    for at in range(0, len(reply), 4):
        number, job_id, where, before = reply[at : at + 4]
        own = own_repetition and job_id == call.items[number].job.id
        answers[number] = Accepted(job_id, state_at(where), bool(before & 1) and not own, bool(before & 2))
    start = 0
    for waiting in group:
        end = start + len(waiting.batch)
        if shortfall:
            _fail([waiting], _unconfirmed(shortfall, answers[start:end]))
        elif not waiting.answer.done():
            waiting.answer.set_result(answers[start:end])
        start = end


def _unconfirmed(shortfall: str, answers: list[Accepted]) -> StoreUnavailable:
    return StoreUnavailable(
        f"{shortfall}: the jobs are stored, but not yet as safely as was asked; submit the same again with the same id "
        "or idempotency key, nothing will be stored twice",
        code="durability_not_confirmed",
        job_ids=[format_id(answer.id) for answer in answers],
    )


def _fail(group: Sequence[_Pending], error: Exception) -> None:
    fail_all([waiting.answer for waiting in group], error)
