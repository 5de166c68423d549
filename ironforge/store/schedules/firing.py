"""Firing ticks: the script that moves schedules on and submits their jobs, for many of them in one call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ironforge.errors import InvalidJob
from ironforge.job.limits import MAX_LIMITS, RUNS, LimitUse
from ironforge.job.record import RECORD_VERSION, Job, created_ms_of, new_id, tail_of
from ironforge.job.tick import JobTick
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.scripts import FIRE
from ironforge.schedules.definition import Overlap, Schedule
from ironforge.settings import Settings
from ironforge.store.contract import Most, Submission
from ironforge.store.kind_catalog import LookUp
from ironforge.store.kinds import as_announced
from ironforge.store.producer.common_key import only_key
from ironforge.store.producer.refusals import refusal
from ironforge.store.producer.submit_call import Batch, SubmitCall
from ironforge.store.schedules.stored import Held, Position
from ironforge.store.schedules.ticking import Moment, Skipped

# Runs that may wait, of schedules whose runs do.
MOST_WAITING: Final = {"queue_one": 1, "queue_all": 100}
# As many as there are: the jobs of a backfill wait all together.
ANY_NUMBER: Final = 1_000_000_000
ANSWERS: Final = 2


class Shot(NamedTuple):
    """What is to happen to a schedule that is where it was seen: it goes to `goes`, and `jobs` are submitted for the
    tick at `at_ms`, from `fires_ms` on (0: now). `give_up_ms`: see `Step`. `ends`: the job that is cancelled first.
    `starts`: the tick that starts a job, `refused`: why it cannot. `holds_ms`: until when this is right (0: for ever):
    later the tick has been missed, and others with it. `waits`: when it is looked at next stays as it is."""

    held: Held
    goes: Position
    jobs: Sequence[Submission] = ()
    at_ms: int = 0
    fires_ms: int = 0
    overlap: str = ""
    reason: str = ""
    skipped: Skipped | None = None
    give_up_ms: int = 0
    ends: bytes = b""
    starts: Moment | None = None
    refused: InvalidJob | None = None
    holds_ms: int = 0
    waits: bool = False

    def starting(self, jobs: Sequence[Submission], overlap: Overlap, *, whatever_runs: bool = False) -> Shot:
        """With these jobs, and what becomes of them, or of the last run, where that goes on: as the policy says.
        `whatever_runs`: they start beside it, or behind it, all the same."""
        words, ends = "", b""
        if (most := MOST_WAITING.get(overlap)) is not None:
            words = f"q{ANY_NUMBER if whatever_runs else most}"
        elif overlap == "skip" and not whatever_runs:
            words = "s"
        elif overlap == "cancel_running" and not whatever_runs:
            ends = self.goes.last_job
        return self._replace(jobs=jobs, overlap=words, ends=ends)

    @property
    def since_ms(self) -> int:
        """When the first tick that this is about fires: one that was missed has been due since then."""
        position = self.held.position()
        return self.fires_ms if position is None else position.fires_ms

    @property
    def words(self) -> tuple[str | int | msgspec.Raw, ...]:
        """As `fire.lua` takes them."""
        name, _, seen = self.held
        skipped = "" if self.skipped is None else str(self.skipped)
        where = (_raw(seen), _raw(self.goes.last_job), _raw(self.goes.goes), "=" if self.waits else str(self.goes.look))
        told = (str(self.at_ms), self.fires_ms, self.overlap, self.reason, self.holds_ms, skipped)
        return (name, *where, len(self.jobs), *told)


class Hit(NamedTuple):
    """What became of a shot: `started`, `skipped`, `early`, or `moved`: the schedule was not where it was seen, or the
    shot holds no longer."""

    verdict: str
    job_id: bytes


class Volley(msgspec.Struct, frozen=True, eq=False):
    """Shots that are fired together from `fires_ms` on, and the call that does it, which computes nothing any more. Of
    those whose job is refused already there is no call."""

    shots: Sequence[Shot]
    fires_ms: float
    keys: Sequence[str] = ()
    arguments: Command = ()


# The server's time, and what became of each shot.
Hits = tuple[int, list[Hit]]


class Firing:
    """In one shard, over the caller's connection."""

    def __init__(self, settings: Settings, keys: Keys, shard: int, connection: Connection) -> None:
        self._settings = settings
        self._keys = keys
        self._connection = connection
        self._most = Most(settings.max_queues, settings.max_limit_keys)
        self._shard = shard

    def volley(self, shots: Sequence[Shot]) -> Volley:
        """Of some hundred at most."""
        batch = Batch([item for shot in shots for item in shot.jobs], self._most, {})
        call = SubmitCall(self._keys, self._settings, [batch], repeated=False)
        told = _pack([*zip(*(shot.words for shot in shots), strict=True)])
        return Volley(shots, max(shot.fires_ms for shot in shots), call.keys, [*call.arguments, told])

    async def fire(self, shots: Sequence[Shot]) -> Hits:
        """Raises what refuses one of the jobs, then nothing was done; and what the connection raises."""
        volley = self.volley(shots)
        reply = await self._connection.run(FIRE, volley.keys, volley.arguments)
        if reply[0] == b"refused":
            refused = refusal(reply[1])
            assert refused is not None
            raise refused
        return _hits(reply)

    async def fire_all(self, volleys: Sequence[Volley]) -> list[Hits | None]:
        """In one round trip. None: nothing of this one was done, for a reason that `fire` would raise, or mend. Raises
        what the connection raises."""
        replies = await self._connection.exchange([FIRE.by_hash(each.keys, each.arguments) for each in volleys])
        return [None if isinstance(reply, Exception) or reply[0] == b"refused" else _hits(reply) for reply in replies]

    def job(self, name: str, schedule: Schedule, job_id: bytes, look_up: LookUp) -> Submission:
        """Of a schedule in this shard, as nodes announced its kind, for the tick whose time the id has. Raises
        InvalidJob where it cannot be submitted."""
        made = job_of(schedule, job_id, look_up)
        job, shards = made.job, self._settings.shards
        tail = job_id[-1] if shards == 1 else tail_of(place_of(name, job))
        if tail % shards != self._shard:
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
    kind, payload = request.kind, bytes(request.payload)
    checked = as_announced(look_up(kind), kind, payload, request)
    return Submission(checked.job(kind, payload, job_id), checked.delay_ms, expires_in_ms=checked.expires_in_ms)


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


def _hits(reply: list[Any]) -> Hits:
    now_ms, *told = reply
    return now_ms, [Hit(told[at].decode(), told[at + 1]) for at in range(0, len(told), ANSWERS)]


def _raw(text: bytes) -> msgspec.Raw:
    """Packed as text: what unpacks it in Lua is older than binary data in msgpack."""
    return msgspec.Raw(b"\xda" + len(text).to_bytes(2) + text)


_pack: Final = msgspec.msgpack.Encoder().encode
