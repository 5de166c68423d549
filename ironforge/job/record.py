"""The job: one unit of work as frozen data, its states and the one table of legal transitions.

A job is stored as one msgpack array, the *record*. The payload inside it stays the submitter's JSON bytes:
IronForge never re-encodes what somebody else wrote.
"""

from __future__ import annotations

import enum
import hashlib
import uuid
from collections.abc import Sequence
from typing import Annotated, Final, Literal, get_args

import msgspec
import uuid_utils

from ironforge.errors import IncompatibleRecord, NewerRecord
from ironforge.formats.bounds import Count, DurationMs, TimeMs
from ironforge.job.limits import LimitUse, are_valid, mark_of
from ironforge.job.tick import JobTick
from ironforge.job.tracebacks import AttemptError
from ironforge.job.uniqueness import UniqueUse
from ironforge.settings import NAME
from ironforge.steps.first_run import FirstRun
from ironforge.steps.waits import ParentRef, Wait

# The newest that can be read. A job that uses nothing of it has the first: older nodes run it as well.
RECORD_VERSION: Final = 2
FIRST_VERSION: Final = 1
# A job with a thousand retries must not carry a thousand tracebacks: the newest entries are kept.
ERRORS_KEPT: Final = 50
# Behind the priority in a stream's name. No queue's name can end so that the two are mistaken: a digit comes before.
REDELIVERY: Final = "r"
# As the one before: where jobs wait, and run, that share their node with nothing else.
ALONE: Final = "a"
MAX_WEIGHT: Final = 100


class Priority(enum.IntEnum):
    """Strict: a job of a lower value is always taken first. The value names the stream."""

    CRITICAL = 0
    HIGH = 1
    MEDIUM = 2
    LOW = 3

    @property
    def label(self) -> str:
        return LABELS[self]

    @property
    def weight(self) -> int:
        """The number that the HTTP contract shows: 0, 1000, 2000, 3000."""
        return self.value * 1000

    @classmethod
    def parse(cls, label: str) -> Priority:
        """Raises ValueError for anything but critical, high, medium, low."""
        try:
            return cls(LABELS.index(label))
        except ValueError:
            raise ValueError(f"priority {label!r} is not one of {', '.join(LABELS)}") from None


PriorityLabel = Literal["critical", "high", "medium", "low"]
# By value.
LABELS: Final[tuple[PriorityLabel, ...]] = get_args(PriorityLabel)


class JobState(enum.StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DEAD = "dead"

    @property
    def is_terminal(self) -> bool:
        """Dead is not terminal: it waits in the dead letter until it is retried or expires."""
        return self in (JobState.COMPLETED, JobState.CANCELLED)


TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    JobState.SCHEDULED: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {
            JobState.COMPLETED,
            JobState.SCHEDULED,  # retry with backoff, snooze
            JobState.QUEUED,  # requeued by a draining node, or taken over from a dead one
            JobState.WAITING,  # for a time, an event or its children
            JobState.CANCELLED,
            JobState.DEAD,
        }
    ),
    JobState.WAITING: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.DEAD: frozenset({JobState.QUEUED, JobState.CANCELLED}),  # the latter where another job runs its node
    **dict.fromkeys((JobState.COMPLETED, JobState.CANCELLED), frozenset()),
}


class Job(msgspec.Struct, array_like=True, frozen=True):
    """The durable form. Times are Unix milliseconds, durations milliseconds; None means "as the kind says".

    `attempt` counts failed attempts, `crashes` nodes that died while they held the job, `fence` the runs before this
    one, and those that may have been: a later run always carries a higher fence. Jobs with the same `fairness_key` take
    turns with others of their queue and priority, `fairness_weight` a turn. `ready_ms` is since when it may start,
    again, after a delay, a retry, an interruption or a revival (0: from its creation on). `revivals` counts how often
    it came back from the dead letter. `expires_ms`: a job that has not started by then is cancelled (0: never, or no
    longer); the server writes it, by its own clock. `tick`: of the schedule that it is from. `journal`: a run of it has
    recorded something; of one that stays with a version of the application, that too. `wait`: what it waits for, or
    waited for, as the last run left it. `parent`: of a child.
    New fields go to the end with a default: older and newer nodes then read each other's records.
    """

    version: int
    id: bytes
    kind: str
    queue: str
    priority: int
    payload: bytes
    created_ms: TimeMs
    max_retries: Count | None = None
    timeout_ms: DurationMs | None = None
    retain_ms: DurationMs | None = None
    attempt: Count = 0
    crashes: Count = 0
    fence: Count = 0
    errors: tuple[AttemptError, ...] = ()
    ended: str = ""
    ended_ms: TimeMs = 0
    started_ms: TimeMs = 0
    result: bytes = b""
    reason: str = ""
    ready_ms: TimeMs = 0
    fairness_key: str = ""
    fairness_weight: Annotated[int, msgspec.Meta(ge=1, le=MAX_WEIGHT)] = 1
    revivals: Count = 0
    limits: tuple[LimitUse, ...] = ()
    unique: UniqueUse | None = None
    expires_ms: TimeMs = 0
    tick: JobTick | None = None
    journal: bool | FirstRun = False
    wait: Wait | None = None
    parent: ParentRef | None = None

    @property
    def stream(self) -> str:
        return stream_name(self.queue, self.priority)

    @property
    def mark(self) -> str:
        """Its fairness key with the weight, and its limits, as the index and the scripts want them; empty without."""
        turn = f":{self.fairness_weight}:{self.fairness_key}" if self.fairness_key else ""
        return mark_of(self.limits, turn, self.created_ms if self.fence else 0) if self.limits else turn

    @property
    def app_version(self) -> str:
        """Of the application, which it stays with since its first run; empty: any may run it."""
        return self.journal.version if isinstance(self.journal, FirstRun) else ""

    @property
    def is_workflow(self) -> bool:
        """Whether it stands for one: no node gets it."""
        return self.wait is not None and self.wait.for_ == "workflow"

    @property
    def text_id(self) -> str:
        return format_id(self.id)

    def again(self, **changes: object) -> Job:
        """The record of a further run: the fence rises, and what has started once expires no more."""
        return msgspec.structs.replace(self, **{"fence": self.fence + 1, "expires_ms": 0, **changes})

    def failed(self, error: AttemptError) -> Job:
        """One attempt spent, its error kept."""
        return msgspec.structs.replace(self, attempt=self.attempt + 1, errors=self.errors_with(error))

    def errors_with(self, error: AttemptError) -> tuple[AttemptError, ...]:
        """With the number of the revival that it belongs to."""
        error = msgspec.structs.replace(error, revival=self.revivals)
        return (*self.errors, error)[-ERRORS_KEPT:]

    def finish(
        self,
        state: JobState,
        ended_ms: int,
        *,
        started_ms: int = 0,
        result: bytes = b"",
        reason: str = "",
    ) -> Job:
        """The record of a job that ended (completed, cancelled) or gave up (dead)."""
        # The member, which is its text, and not its `value`: looking that up takes as long as all the rest.
        return msgspec.structs.replace(
            self, ended=state, ended_ms=ended_ms, started_ms=started_ms, result=result, reason=reason
        )

    def retried(self, now_ms: int, *, reset_retry_count: bool) -> Job:
        """A dead job as it goes back to its stream; its error history stays."""
        attempt = 0 if reset_retry_count else self.attempt
        alive = self.again(attempt=attempt, crashes=0, ready_ms=now_ms, revivals=self.revivals + 1)
        return msgspec.structs.replace(alive, ended="", ended_ms=0, started_ms=0, result=b"", reason="")


def new_id(tail: int | None = None) -> bytes:
    """A UUIDv7 as 16 bytes: sortable by creation, made by whoever submits.

    Its last byte decides the shard, so `tail`, 0 to 255, is what jobs have in common that shall go to the same one.
    """
    job_id: bytes = uuid_utils.uuid7().bytes
    return job_id if tail is None else job_id[:-1] + bytes((tail,))


def tail_of(key: str) -> int:
    """The last byte of the ids submitted with this unique, limit or idempotency key: it has to meet its others."""
    return hashlib.sha256(key.encode()).digest()[0]


def shard_of(job_id: bytes, shards: int) -> int:
    return job_id[-1] % shards


def format_id(job_id: bytes) -> str:
    text = job_id.hex()  # a third of the time of uuid.UUID, which every answer to a submission pays
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_id(text: str) -> bytes:
    """Raises ValueError when `text` is not a UUIDv7 in its canonical form."""
    parsed = uuid.UUID(text)
    if str(parsed) != text.lower() or parsed.version != 7:
        raise ValueError(f"{text!r} is not a job id: expected a UUIDv7 such as {format_id(new_id())}")
    return parsed.bytes


def created_ms_of(job_id: bytes) -> int:
    """The creation time that a UUIDv7 carries in its first 48 bits."""
    return int.from_bytes(job_id[:6], "big")


def stream_name(queue: str, priority: int) -> str:
    """The short name of a stream: `<queue>:<priority value>`."""
    return f"{queue}:{priority}"


def redelivery_stream(name: str) -> str:
    """Where the jobs of a stream go that were requeued or taken over: read before it, so they keep their turn."""
    return name if name.endswith(REDELIVERY) else name.removesuffix(ALONE) + REDELIVERY


def alone_stream(name: str) -> str:
    """Where the jobs of a stream go that may have killed nodes: read by a node that does nothing else meanwhile."""
    return name.removesuffix(REDELIVERY).removesuffix(ALONE) + ALONE


def is_alone(stream: str) -> bool:
    """Whether what was delivered from this stream has its node for itself."""
    return stream.endswith(ALONE)


def split_stream(name: str) -> tuple[str, Priority]:
    queue, _, priority = name.removesuffix(REDELIVERY).removesuffix(ALONE).rpartition(":")
    return queue, Priority(int(priority))


def streams_of(queues: Sequence[str]) -> tuple[str, ...]:
    """Every stream of these queues in the order in which a node takes from them: strict over all queues."""
    names = (stream_name(queue, priority) for priority in Priority for queue in queues)
    return tuple(stream for name in names for stream in (redelivery_stream(name), name))


def alone_streams_of(queues: Sequence[str]) -> tuple[str, ...]:
    """The streams of these queues whose jobs run alone, in the order in which a node takes from them."""
    return tuple(alone_stream(stream_name(queue, priority)) for priority in Priority for queue in queues)


encode = msgspec.msgpack.Encoder().encode
_ENDINGS: Final = ("", JobState.COMPLETED.value, JobState.CANCELLED.value, JobState.DEAD.value)
_decode = msgspec.msgpack.Decoder(Job).decode


def decode(record: bytes) -> Job:
    """Raises IncompatibleRecord when the bytes are no job of this version: corrupted, or written by a newer one."""
    try:
        job = _decode(record)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise IncompatibleRecord(f"this record is not a job: {error}") from None
    if job.version > RECORD_VERSION:
        raise NewerRecord(
            f"this record has version {job.version}, this IronForge reads up to {RECORD_VERSION}: upgrade this node"
        )
    if len(job.id) != 16 or not 0 <= job.priority <= 3 or job.ended not in _ENDINGS:
        raise IncompatibleRecord("this record is not a job: its id, its priority or its end is out of range")
    if (job.fairness_key and not NAME.match(job.fairness_key)) or (job.limits and not are_valid(job.limits)):
        raise IncompatibleRecord("this record is not a job: its fairness key is not a name, or its limits are none")
    return job
