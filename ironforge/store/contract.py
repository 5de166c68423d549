"""The whole persistence contract on one page: what the doors (API, client) and the nodes ask of the store.

Four small protocols instead of one: each caller sees only what it may do. All of them are backed by the same keys.
Every method raises StoreUnavailable when the server cannot be used now; node-side methods (Work, Leases) never do:
they retry an outage with jittered backoff until it ends, because an outage is not a bug.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal, NamedTuple, Protocol

from ironforge.job.record import Job, JobState, encode
from ironforge.store.alone_contract import Alone
from ironforge.store.node_view import NodeView

# --------------------------------------------------------------------------- submitting and changing


class Submission(NamedTuple):
    """One job to accept.

    `delay_ms` counts from the server's clock when it arrives there; `run_at_ms` is Unix time; at most one is given.
    `idempotency_key` makes the first submission's answer stand for all later ones; `fingerprint` (any bytes that
    identify the content) tells a repetition from a conflict, and so does `former_fingerprint`, which an older version
    made of the same content. A batch that has one key as a whole numbers its jobs by `place`, from 0 and without gaps;
    with the same place too, a job is the same job.
    """

    job: Job
    delay_ms: int | None = None
    run_at_ms: int | None = None
    idempotency_key: str | None = None
    fingerprint: bytes = b""
    place: int = 0
    former_fingerprint: bytes = b""


class Accepted(NamedTuple):
    """`replayed`: this is the answer an earlier submission with the same key got."""

    id: bytes
    state: JobState
    replayed: bool = False


class Producer(Protocol):
    async def submit(
        self, batch: Sequence[Submission], *, again: bool = False, most_queues: int | None = None
    ) -> list[Accepted]:
        """Accept all or none, in one atomic script; returns after the write met the durability mode.

        `again` says that ids may have been submitted before (the first answer was lost): a known id is answered,
        not stored twice. `most_queues`: how many names of queues may be in use, in each shard; None: as the settings
        say. Raises IdempotencyConflict, QueueFull, QuotaExceeded, StoreUnavailable.
        """

    async def cancel(self, job_id: bytes) -> JobState:
        """CANCELLED: it will never run. RUNNING: its node has been told. Raises JobNotFound, InvalidState."""

    async def revive(self, job_id: bytes, *, reset_retry_count: bool, most_queues: int | None = None) -> Job:
        """A dead job goes back to its stream. Raises JobNotFound, InvalidState, QueueFull, QuotaExceeded."""

    async def set_paused(self, queue: str, *, paused: bool, most_queues: int | None = None) -> None:
        """Nodes take no job of a paused queue, until it is resumed; it takes effect within about a second.

        Everything else goes on: jobs come in, fall due, are cancelled, and what nodes hold runs to its end. Raises
        QuotaExceeded.
        """


# --------------------------------------------------------------------------- looking


class JobView(NamedTuple):
    """A job as it stands. `due_ms` of a scheduled job; `node` and `started_ms` of a running one.
    `alone`: its node runs nothing else meanwhile."""

    job: Job
    state: JobState
    due_ms: int | None = None
    node: str | None = None
    started_ms: int | None = None
    cancel_requested: bool = False
    alone: bool = False


class Page(NamedTuple):
    """`cursor` is None at the end. A page may be short or empty before the end: filters look at a bounded number."""

    jobs: list[JobView]
    cursor: str | None


class StreamDepth(NamedTuple):
    queue: str
    priority: int
    queued: int
    running: int
    oldest_ms: int | None  # when the longest queued job became ready; None as well where that would cost too much
    suspects: int = 0  # of those that are queued: they wait to run alone

    def together(self, other: StreamDepth) -> StreamDepth:
        """Of two places that hold jobs of the same queue and priority."""
        oldest = [ms for ms in (self.oldest_ms, other.oldest_ms) if ms is not None]
        return self._replace(
            queued=self.queued + other.queued,
            running=self.running + other.running,
            oldest_ms=min(oldest, default=None),
            suspects=self.suspects + other.suspects,
        )


class Stats(NamedTuple):
    """`totals` counts since the namespace exists: submitted, completed, failed, retried, dead (poison: of those),
    cancelled; all, also those that are 0. `paused`: names of queues, sorted, also of those that have no job."""

    streams: list[StreamDepth]
    scheduled: int
    dead: int
    totals: dict[str, int]
    now_ms: int
    paused: Sequence[str] = ()


class Totals(NamedTuple):
    """Those of `Stats`, at a moment."""

    totals: dict[str, int]
    now_ms: int


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

    async def jobs(
        self,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        queue: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Raises ValueError when `cursor` is not one this store gave out."""

    async def stats(self, *, max_age_seconds: float = 0.0) -> Stats:
        """All counts of a shard at one moment: a job that lives is in one of them, always.

        A reading that is at most so old may be given to many. Without an age it begins after the call.
        """

    async def totals(self) -> Totals:
        """What is counted anyway, for rates: looks at nothing else."""

    async def nodes(self, *, max_age_seconds: float = 0.0) -> list[NodeView]:
        """As old as `stats` at most."""

    async def health(self) -> Health: ...


# --------------------------------------------------------------------------- a node's side


class Lease(NamedTuple):
    """A node's right to settle: its name (also its consumer name) and the epoch that must not have moved."""

    node: str
    epoch: int


class Delivery(NamedTuple):
    """One fetched job: where it came from (`<queue>:<priority>`, entry id) and its record, not yet decoded."""

    stream: str
    entry: bytes
    record: bytes


class Settled(NamedTuple):
    """An attempt that ended for good. `record` is the terminal record, or empty when nothing is retained.

    `state`: completed or cancelled. `keep_ms`: how long the record stays readable.
    """

    stream: str
    entry: bytes
    job_id: bytes
    record: bytes
    keep_ms: int
    state: Literal["completed", "cancelled"] = "completed"


class Rewrite(NamedTuple):
    """A delivered job that goes somewhere else: `record` is stored instead of the delivered one.

    A job whose cancellation was asked for is settled as cancelled instead, whatever the rewrite wanted.
    `failed` counts the attempt among the failed ones. `delay_ms` and `mark` (its fairness key with its weight) are
    for a job that is parked; `alone` for one that is requeued, and shall share its node with nothing else.
    """

    stream: str
    entry: bytes
    job_id: bytes
    record: bytes
    delay_ms: int = 0
    failed: bool = True
    mark: str = ""
    alone: bool = False

    @classmethod
    def of(
        cls, stream: str, entry: bytes, job: Job, *, delay_ms: int = 0, failed: bool = True, alone: bool = False
    ) -> Rewrite:
        """`job`: as it is to be stored."""
        return cls(stream, entry, job.id, encode(job), delay_ms, failed, job.mark, alone)


class Due(NamedTuple):
    """`moved` jobs went to their streams; the next one is due in `next_ms` (None: none is scheduled)."""

    moved: int
    next_ms: int | None
    lateness_ms: list[int]


class Consumer(Protocol):
    """What a leaseholder does with jobs. Every write raises LeaseLost, and writes nothing, once the fence moved."""

    @property
    def alone(self) -> Alone: ...

    async def fetch(self, want: int) -> list[Delivery]:
        """At most `want` jobs, at once, strictly by priority, within one by turns; [] when there are none.

        What is overdue (`starvation_seconds`) gets its share first.
        """

    async def wait(self, want: int, timeout_seconds: float) -> list[Delivery]:
        """Like `fetch`, but waits until a job comes or the time is over. May exceed `want` by a race: hand back."""

    async def settle(self, batch: Sequence[Settled]) -> None: ...

    async def requeue(self, batch: Sequence[Rewrite]) -> None:
        """Back to the end of their streams, now (handed back, released, taken over)."""

    async def park(self, batch: Sequence[Rewrite]) -> None:
        """To the schedule, due `delay_ms` from now (retry, snooze)."""

    async def bury(self, batch: Sequence[Rewrite]) -> None:
        """To the dead letter. `job.ended` must say dead."""

    async def bury_raw(self, delivery: Delivery, reason: str) -> None:
        """Quarantine bytes that are no job: out of the stream, kept aside for `ironforge doctor`."""

    async def restore(self) -> int:
        """Bring back what was quarantined by an older node and is readable here; how many jobs that were."""

    async def promote(self) -> Due:
        """Move up to 500 due jobs to their queues."""

    async def cancel_requested(self, job_ids: Sequence[bytes]) -> list[bytes]:
        """Which of these running jobs somebody asked to cancel (signals may have been missed)."""

    async def expire(self) -> int:
        """Drop dead letters past their retention, and terminal records early when memory is short; how many.

        Names of queues that nobody uses any more are forgotten as well.
        """


class Notifications(Protocol):
    """What the namespace shouts: `("cancel", job_id)` and `("due", delay)`; lossy, so never the only way."""

    def listen(self) -> AsyncIterator[Notification]:
        """Endless; reconnects by itself, and says so with `connected` (also the first time)."""


class Notification(NamedTuple):
    """`cancel`: `job_id` shall stop. `due`: something is due in `due_ms`. `connected`: signals may have been lost."""

    name: Literal["cancel", "due", "fenced", "connected"]
    job_id: bytes = b""
    due_ms: int = 0
    node: str = ""
