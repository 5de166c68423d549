"""Firing ticks: the script that moves schedules on and submits their jobs, for many of them in one call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec
from redis.exceptions import NoScriptError, ResponseError

from ironforge.errors import InvalidJob
from ironforge.job.limits import MAX_LIMITS, RUNS, LimitUse
from ironforge.job.record import RECORD_VERSION, Job, created_ms_of, new_id, tail_of
from ironforge.job.tick import JobTick
from ironforge.redis.connection import Command, Connection, packed
from ironforge.redis.keys import Keys
from ironforge.redis.scripts import FIRE, FIRE_WORKFLOWS, Script
from ironforge.schedules.definition import Schedule
from ironforge.settings import Settings
from ironforge.store.contract import Most, Submission
from ironforge.store.kind_catalog import LookUp
from ironforge.store.kinds import as_announced
from ironforge.store.producer.common_key import only_key
from ironforge.store.producer.submit_call import Batch, SubmitCall
from ironforge.store.schedules.advance import MOST_WAITING, Advance, Advanced, Run, id_of
from ironforge.store.workflows.contract import WorkflowSubmission
from ironforge.store.workflows.preparing import Preparing
from ironforge.store.workflows.submit_call import Accepted, as_accepted, submit_words, workflow_refusal
from ironforge.workflows.definition import Workflow
from ironforge.workflows.graph import graph_of

# Calls on their way at once, so that the server does not wait for the process between two of them.
CALLS_AT_ONCE: Final = 50
ANSWERS: Final = 3


class FireCall(msgspec.Struct, frozen=True, eq=False):
    """Advances that are made together from `fires_ms` on, by the command that is `packed`: it only has to be sent. Of
    those whose job is refused already there is none. One that starts workflows is made alone."""

    advances: Sequence[Advance]
    fires_ms: float
    packed: bytes = b""

    @property
    def script(self) -> Script:
        return FIRE_WORKFLOWS if self.advances[0].starts_workflows else FIRE


# The server's time, and what became of each advance.
Fired = tuple[int, list[Advanced]]


class Firing:
    """In one shard, over the caller's connection."""

    def __init__(self, settings: Settings, keys: Keys, shard: int, connection: Connection) -> None:
        self._settings = settings
        self._keys = keys
        self._connection = connection
        self._most = Most(settings.max_queues, settings.max_limit_keys)
        self._shard = shard

    def call(self, advances: Sequence[Advance]) -> FireCall:
        """Of some hundred at most."""
        fires_ms = max(advance.fires_ms for advance in advances)
        call = FireCall(advances, fires_ms)
        return FireCall(advances, fires_ms, packed(call.script.by_hash(*self._words(call))))

    async def fire(self, advances: Sequence[Advance]) -> Fired:
        """Together as in one call. Raises what refuses one of the jobs, then nothing was done; and what the connection
        raises."""
        call = FireCall(advances, 0)
        reply = await self._connection.run(call.script, *self._words(call))
        if reply[1:2] == [b"refused"]:
            if reply[2][0] == b"wrong":
                raise ResponseError(reply[2][1].decode(errors="replace"))
            refused = workflow_refusal(reply[2])
            assert refused is not None
            raise refused
        return _fired(reply, advances)

    async def fire_all(self, calls: Sequence[FireCall]) -> list[Fired | None]:
        """One behind the other, without waiting for answers. None: nothing of this one was done, for a reason that
        `fire` would raise, or mend. Raises what the connection raises."""
        replies = await self._send(calls)
        forgotten = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        for script in (FIRE, FIRE_WORKFLOWS):
            those = [at for at in forgotten if calls[at].script is script]
            if len(those) > 1:
                # The first one by its text: with it the server knows the script again.
                first, *others = those
                [replies[first]] = await self._connection.exchange([script.by_text(*self._words(calls[first]))])
                for at, reply in zip(others, await self._send([calls[at] for at in others]), strict=True):
                    replies[at] = reply
        return [
            None if isinstance(reply, Exception) or reply[1:2] == [b"refused"] else _fired(reply, call.advances)
            for call, reply in zip(calls, replies, strict=True)
        ]

    async def _send(self, calls: Sequence[FireCall]) -> list[Any]:
        return await self._connection.exchange_packed([call.packed for call in calls], ahead=CALLS_AT_ONCE)

    def _words(self, call: FireCall) -> tuple[Sequence[str], Command]:
        """Keys and arguments."""
        ticks = _pack([*zip(*map(_told, call.advances), strict=True)])
        if call.script is FIRE_WORKFLOWS:
            [advance] = call.advances
            accepted = cast("Sequence[Accepted]", advance.runs)
            names, words = submit_words(self._keys, self._settings, self._most.queues, accepted)
            return names, [*words, b"".join(map(id_of, advance.runs)), *advance.pace, ticks]
        jobs = [cast("Submission", run) for advance in call.advances for run in advance.runs]
        submit = SubmitCall(self._keys, self._settings, [Batch(jobs, self._most, {})], repeated=False)
        return submit.keys, [*submit.arguments, ticks]

    def run(self, name: str, schedule: Schedule, run_id: bytes, look_up: LookUp) -> Run:
        """Of a schedule in this shard, as nodes announced its kinds, for the tick whose time the id has. Raises
        InvalidJob where it cannot be submitted."""
        if schedule.workflow is None:
            return self.job(name, schedule, run_id, look_up)
        run_id = run_id[:-1] + bytes((self._tail(name, run_id),))
        tick = JobTick(name, created_ms_of(run_id))
        return self.workflow(workflow_of(schedule.workflow, run_id, tick, look_up))

    def workflow(self, one: WorkflowSubmission) -> Accepted:
        """As it is to be started. Raises InvalidJob."""
        return as_accepted(one, self._settings.shards)

    def _tail(self, text: str, run_id: bytes) -> int:
        return run_id[-1] if self._settings.shards == 1 else tail_of(text)

    def job(self, name: str, schedule: Schedule, job_id: bytes, look_up: LookUp) -> Submission:
        """As `run`, of one that submits jobs."""
        made = job_of(schedule, job_id, look_up)
        job = made.job
        tail = self._tail(place_of(name, job), job_id)
        if tail % self._settings.shards != self._shard:
            raise InvalidJob(
                f"the key of its job leads to another shard than schedule {name} lies in: delete it and make it anew",
                code="keys_apart",
            )
        limits = job.limits
        if schedule.overlap in MOST_WAITING:
            if len(limits) == MAX_LIMITS:
                hint = f"give its job at most {MAX_LIMITS - 1}, or another overlap"
                message = f"overlap {schedule.overlap} takes one of the {MAX_LIMITS} limits that a job may have: {hint}"
                raise InvalidJob(message, code="out_of_range", field="limits", hint=hint)
            limits = (*limits, LimitUse(RUNS, name))
        job_id = job_id[:-1] + bytes((tail,))
        tick = JobTick(name, created_ms_of(job_id))
        job = msgspec.structs.replace(job, id=job_id, limits=limits, tick=tick, version=RECORD_VERSION)
        return msgspec.structs.replace(made, job=job)


def job_of(schedule: Schedule, job_id: bytes, look_up: LookUp) -> Submission:
    """Raises InvalidJob."""
    request = schedule.job
    assert request is not None
    kind, payload = request.kind, bytes(request.payload)
    checked = as_announced(look_up(kind), kind, payload, request)
    return Submission(checked.job(kind, payload, job_id), checked.delay_ms, expires_in_ms=checked.expires_in_ms)


def workflow_of(document: Workflow, workflow_id: bytes, tick: JobTick, look_up: LookUp) -> WorkflowSubmission:
    """Raises InvalidJob with the place of a node."""
    prepared = Preparing(look_up, by=f"schedule {tick.schedule}")(document, graph_of(document))
    return WorkflowSubmission(workflow_id, prepared, tick=tick)


def place_of(name: str, job: Job) -> str:
    """The text that says in which shard a schedule lies, as its job does. Raises InvalidJob where that has several."""
    text = only_key([job])
    return name if text is None else text


def tick_id(name: str, created_ms: int, at_ms: int) -> bytes:
    """The id of the job of a tick: whoever fires it comes to the same. A UUIDv7 with the time of the tick."""
    digest = hashlib.sha256(f"{name}\n{created_ms}\n{at_ms}".encode()).digest()
    version, variant = 0x70 | digest[0] & 0x0F, 0x80 | digest[2] & 0x3F
    return at_ms.to_bytes(6) + bytes((version, digest[1], variant)) + digest[3:10]


def id_at(ms: int) -> bytes:
    """Of a job that counts as created at this Unix time."""
    return ms.to_bytes(6) + new_id()[6:]


def _told(advance: Advance) -> tuple[str | int | msgspec.Raw, ...]:
    """As `fire.lua` takes it."""
    name, _, seen = advance.held
    goes, look = advance.goes, "=" if advance.waits else str(advance.goes.look)
    skipped = "" if advance.skipped is None else str(advance.skipped)
    at = f"{advance.at_ms}-{advance.last_ms}" if advance.last_ms > advance.at_ms else str(advance.at_ms)
    tick = (len(advance.runs), at, advance.fires_ms, advance.overlap, advance.reason)
    return (name, _raw(seen), _raw(goes.last_job), _raw(goes.goes), look, *tick, advance.holds_ms, skipped)


def _fired(reply: list[Any], advances: Sequence[Advance]) -> Fired:
    now_ms, *others = reply
    became = [Advanced("started", id_of(advance.runs[-1]) if advance.runs else b"") for advance in advances]
    for at in range(0, len(others), ANSWERS):
        number, verdict, job_id = others[at : at + ANSWERS]
        became[number] = Advanced(verdict.decode(), job_id)
    return now_ms, became


def _raw(text: bytes) -> msgspec.Raw:
    """Packed as text: what unpacks it in Lua is older than binary data in msgpack."""
    return msgspec.Raw(b"\xda" + len(text).to_bytes(2) + text)


_pack: Final = msgspec.msgpack.Encoder().encode
