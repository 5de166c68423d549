"""What applications and the API ask of the store: submitting and changing, looking. For nodes see `node_contract`.

Small protocols instead of one: each caller sees only what it may do. All of them are backed by the same keys.
Every method raises StoreUnavailable when the server cannot be used now.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from ironforge.errors import JobNotFound
from ironforge.job.definition import Announcement
from ironforge.job.limits import Limit, LimitDefinition, Override
from ironforge.job.options import JobOptions
from ironforge.job.record import Job, JobState, format_id
from ironforge.steps.journal import RecordedStep
from ironforge.store.counts import Stats, Totals
from ironforge.store.kinds import Kinds
from ironforge.store.node_view import NodeView
from ironforge.store.waiting import Waiting

# --------------------------------------------------------------------------- submitting and changing


class Submission(msgspec.Struct, frozen=True):
    """One job to accept.

    `delay_ms` counts from the server's clock when it arrives there; `run_at_ms` is Unix time; at most one is given.
    `expires_in_ms` counts as `delay_ms` does (0: never); the record gets its moment there.
    `idempotency_key` makes the first submission's answer stand for all later ones; `fingerprint` (any bytes that
    identify the content) tells a repetition from a conflict, and so does `former_fingerprint`, which an older version
    made of the same content. A batch that has one key as a whole numbers its jobs by `place`, from 0 and without gaps;
    with the same place too, a job is the same job. `again`: the id may have been submitted before (the first answer was
    lost); if it was, that is answered, and nothing is stored twice. `given`: the options of one that was made without
    asking what nodes announced of its kind. `kind_known`: what it does not say is as its kind fixes it.
    """

    job: Job
    delay_ms: int | None = None
    run_at_ms: int | None = None
    idempotency_key: str | None = None
    fingerprint: bytes = b""
    place: int = 0
    former_fingerprint: bytes = b""
    again: bool = False
    given: JobOptions | None = None
    expires_in_ms: int = 0
    kind_known: bool = True


def unknown_kinds(batch: Sequence[Submission]) -> list[str]:
    """Those of its jobs that go without what their kind fixes, sorted."""
    return sorted({one.job.kind for one in batch if not one.kind_known})


class Accepted(NamedTuple):
    """`replayed`: this is the answer an earlier submission with the same key got. `deduplicated`: the job was there
    already and holds the unique key; where it waits it may have what was submitted now."""

    id: bytes
    state: JobState
    replayed: bool = False
    deduplicated: bool = False


class Most(NamedTuple):
    """How many names of queues and keys of limits may be in use, in each shard."""

    queues: int
    limit_keys: int


class Producer(Protocol):
    async def submit(self, batch: Sequence[Submission], *, most: Most | None = None) -> list[Accepted]:
        """Accept all or none, in one atomic script; returns after the write met the durability mode.

        `most`: of names that may be in use; None: as the settings say. Raises IdempotencyConflict, QueueFull,
        QuotaExceeded, StoreUnavailable.
        """

    async def cancel(self, job_id: bytes) -> JobState:
        """CANCELLED: it will never run. RUNNING: its node has been told. Raises JobNotFound, InvalidState."""

    async def retry(self, job_id: bytes, *, reset_retry_count: bool, most: Most | None = None) -> Job:
        """A dead job goes back to its stream. Raises JobNotFound, InvalidState, QueueFull, QuotaExceeded."""

    async def set_paused(self, queue: str, *, paused: bool, most: Most | None = None) -> None:
        """Nodes take no job of a paused queue, until it is resumed; it takes effect within about a second.

        Everything else goes on: jobs come in, fall due, are cancelled, and what nodes hold runs to its end. Raises
        QuotaExceeded.
        """

    async def release(self, kind: str, version: str, *, most: int, queues: Collection[str] | None = None) -> int:
        """Queued jobs that a version of the application has begun, and that wait for a node which has it, may be run by
        any version; how many of them, `most` at once. `queues`: of these alone."""


# --------------------------------------------------------------------------- looking


class JobView(NamedTuple):
    """A job as it stands. `due_ms` of a scheduled job; `node` and `started_ms` of a running one.
    `alone`: its node runs nothing else meanwhile. `waiting_for`: of a waiting one, and of a queued one where it is more
    than its turn."""

    job: Job
    state: JobState
    due_ms: int | None = None
    node: str | None = None
    started_ms: int | None = None
    cancel_requested: bool = False
    alone: bool = False
    waiting_for: Waiting | None = None


class JobFilter(NamedTuple):
    """Which jobs to list; None: whatever it is."""

    state: JobState | None = None
    kind: str | None = None
    queue: str | None = None

    def fits(self, view: JobView) -> bool:
        found = view.state, view.job.kind, view.job.queue
        return all(wanted in (None, value) for wanted, value in zip(self, found, strict=True))


ANY_JOB: Final = JobFilter()


class Page(NamedTuple):
    """`cursor` is None at the end. A page may be short or empty before the end: filters look at a bounded number."""

    jobs: list[JobView]
    cursor: str | None


class LimitKey(NamedTuple):
    """One key of a limit. `remaining`: how many may start now, as far as it goes by this limit; `resets_ms`: when its
    rate is as if unused, or it is no longer stopped; `next_ms`: when the next one is let in, where that is known.
    `stopped_ms`: until when it is stopped, as a handler throttled it or jobs used more than they said; `probing`: it
    was throttled, and until one job has ended, the probe, no other one starts. `holders`: some that have its places,
    and since when."""

    running: int
    waiting: int
    remaining: int
    resets_ms: int
    next_ms: int | None
    stopped_ms: int | None
    probing: bool
    holders: list[tuple[bytes, int]]


class Limits(Protocol):
    """Limits of a namespace. A changed one holds at once, also for jobs that wait."""

    async def put(self, name: str, limit: Limit) -> None:
        """Holds until code announces a definition that was not known; what an operator says instead stays. Raises
        InvalidJob, QuotaExceeded."""

    async def announce(self, limit: Announcement) -> None:
        """What code says: counts while nodes have it, unless another definition was first announced, or put, after it.
        Raises QuotaExceeded."""

    async def override(self, name: str, override: Override | None) -> None:
        """What an operator says instead; None takes it back. Raises InvalidJob, LimitNotFound."""

    async def delete(self, name: str) -> None:
        """Jobs that use it run as if they did not. Raises LimitNotFound."""

    async def get(self, name: str) -> LimitDefinition:
        """Raises LimitNotFound."""

    async def all(self) -> dict[str, LimitDefinition]:
        """By name, sorted."""

    async def key(self, name: str, key: str = "") -> LimitKey:
        """Raises LimitNotFound."""

    async def resume(self, name: str, key: str = "") -> int:
        """Lets a key go on that waits for dead jobs (fifo, `park`) or was stopped; how many jobs it waited for."""


class Health(NamedTuple):
    """`durability` is what the server's settings really give now: local, relaxed or none (not persistent)."""

    server: str
    version: str
    durability: str
    used_memory: int
    max_memory: int
    problems: list[str]


class Inspector(Protocol):
    async def get(self, job_id: bytes) -> JobView:
        """Raises JobNotFound."""

    async def jobs(self, wanted: JobFilter = ANY_JOB, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Raises ValueError when `cursor` is not one this store gave out."""

    async def steps(self, job_id: bytes) -> list[RecordedStep]:
        """What its runs have recorded, in the order in which that began; nothing of a job that is not there."""

    async def stats(self, *, max_age_seconds: float = 0.0) -> Stats:
        """All counts of a shard at one moment: a job that lives is in one of them, always.

        A reading that is at most so old may be given to many. Without an age it begins after the call.
        """

    async def totals(self) -> Totals:
        """What is counted anyway, for rates: looks at nothing else."""

    async def nodes(self, *, max_age_seconds: float = 0.0) -> list[NodeView]:
        """As old as `stats` at most."""

    async def kinds(self, *, max_age_seconds: float = 0.0) -> Kinds:
        """As old as `stats` at most."""

    async def health(self) -> Health: ...


def no_such_job(job_id: bytes) -> JobNotFound:
    """Also what a caller hears of a job that it may not see: the two must not be told apart."""
    return JobNotFound(f"there is no job {format_id(job_id)}: never submitted, or past its retention")


def foreign_cursor() -> ValueError:
    return ValueError("this cursor was not given out by this API: take it unchanged from the page before")
