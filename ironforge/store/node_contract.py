"""What nodes ask of the store: leases, deliveries and what becomes of them, jobs that run alone, notifications.

No method raises StoreUnavailable, but for those of the heartbeat thread: they retry an outage with jittered backoff
until it ends, because an outage is not a bug.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

from ironforge.job.record import Job, encode
from ironforge.steps.waits import Ties
from ironforge.store.steps.contract import Children, StepWork


class Lease(NamedTuple):
    """A node's right to settle: its name (also its consumer name) and the epoch that must not have moved."""

    node: str
    epoch: int


# One fetched job: the stream it came from (`<queue>:<priority>`), its entry there, and its record, not yet decoded.
# A plain tuple, as the messages between actors carry it: every job would pay for an object of a class of its own.
Delivery: TypeAlias = tuple[str, bytes, bytes]

# An attempt that ended for good, a plain tuple as well: with names it would cost half a microsecond more a job, and as
# much again where a frame has given plain tuples back. Stream and entry, the job's id, its terminal record (empty when
# nothing is retained), for how many milliseconds the record stays readable, what is counted (expired: cancelled as
# well), what the job held of limits (`claims_of`), its unique key (`held_key`), and what it is tied to (`ties_of`).
Ended = Literal["completed", "cancelled", "expired"]
Settled: TypeAlias = tuple[str, bytes, bytes, bytes, int, Ended, tuple[str, ...], str, Ties]


class Rewrite(NamedTuple):
    """A delivered job that goes somewhere else: `record` is stored instead of the delivered one.

    A job whose cancellation was asked for is settled as cancelled instead, whatever the rewrite wanted.
    `failed` counts the attempt among the failed ones. `delay_ms` and `mark` (its fairness key with its weight) are
    for a job that is parked, `throttled` (`throttled_mark`) for one that goes back into its line instead, as a target
    throttles; `alone` for one that is requeued, and shall share its node with nothing else.
    """

    stream: str
    entry: bytes
    job_id: bytes
    record: bytes
    delay_ms: int = 0
    failed: bool = True
    mark: str = ""
    alone: bool = False
    throttled: str = ""

    @classmethod
    def of(
        cls,
        stream: str,
        entry: bytes,
        job: Job,
        *,
        delay_ms: int = 0,
        failed: bool = True,
        alone: bool = False,
        throttled: str = "",
    ) -> Rewrite:
        """`job`: as it is to be stored."""
        return cls(stream, entry, job.id, encode(job), delay_ms, failed, job.mark, alone, throttled)


class Adjustment(NamedTuple):
    """What a handler says of a key of a limit that its job uses. `throttled_ms`: its target throttles, for so long
    (0: it does not). `units`: how many more the run used of its rate than the job said, below 0: fewer.

    `stream`: where the job was delivered from; `claim`: as `claim_of` makes it.
    """

    stream: str
    claim: str
    throttled_ms: int = 0
    units: int = 0


class Due(NamedTuple):
    """`moved` jobs went to their streams; the next one is due in `next_ms` (None: none is scheduled)."""

    moved: int
    next_ms: int | None
    lateness_ms: list[int]


class Alone(Protocol):
    """Jobs that run with nothing else on their node. Raises LeaseLost as `Consumer` does."""

    @property
    def wait(self) -> bool:
        """Whether there are some, by the last look at the queues that are not paused."""

    async def claim(self) -> bool:
        """Whether it is this node's turn to run them, until it unclaims it or its lease ends.

        One node of a namespace has it at a time.
        """

    async def fetch(self) -> list[Delivery]:
        """The first of them, when there is one still. That it is delivered announces its run: if this node dies before
        the job is settled or put somewhere else, it was this job."""

    async def unclaim(self) -> None: ...


class Upkeep(Protocol):
    """What a leaseholder sees to from time to time. Raises LeaseLost as `Consumer` does."""

    async def restore(self) -> int:
        """Bring back what was quarantined by an older node and is readable here; how many jobs that were."""

    async def bury_unserved(self) -> list[tuple[str, Job]]:
        """To the dead letter: declined jobs whose kind no live node has served for `unserved_seconds`. A bounded number
        of them, each with the stream that it had come from."""

    async def expire(self) -> int:
        """Drop dead letters past their retention, and terminal records early when memory is short; how many.

        Names of queues that nobody uses any more are forgotten as well.
        """

    async def audit_limits(self) -> int:
        """Look after some keys of limits: how many of their places had no job, or would have been given to none."""

    async def audit_waits(self) -> int:
        """Look after some jobs that wait: how many would not have been woken."""

    async def audit_families(self) -> int:
        """Look after some jobs with children: how many of both would have waited for ever, or been forgotten."""

    async def audit_workflows(self) -> int:
        """Look after some workflows: how many of them, or of their nodes, nothing would have moved on."""


class Consumer(Upkeep, StepWork, Protocol):
    """What a leaseholder does with jobs. Every write raises LeaseLost, and writes nothing, once the fence moved."""

    @property
    def alone(self) -> Alone: ...

    @property
    def children(self) -> Children: ...

    async def fetch(self, want: int) -> list[Delivery]:
        """At most `want` jobs, at once, strictly by priority, within one by turns; [] when there are none.

        What is overdue (`starvation_seconds`) gets its share first.
        """

    async def wait(self, want: int, timeout_seconds: float) -> list[Delivery]:
        """Like `fetch`, but waits until a job comes or the time is over. May exceed `want` by a race: requeue."""

    async def wake(self) -> None:
        """End a `wait` that is under way: a limit may let a job in, or another node declined one."""

    async def settle(self, batch: Sequence[Settled]) -> None: ...

    async def requeue(self, batch: Sequence[Rewrite]) -> None:
        """Back to the end of their streams, now (a drain, a crash, a take-over)."""

    async def park(self, batch: Sequence[Rewrite]) -> None:
        """To the schedule, due `delay_ms` from now (retry, snooze). One that is `throttled` goes back to its place in
        line: its keys stop for everybody, then one job starts, and the others once that has ended."""

    async def adjust(self, batch: Sequence[Adjustment]) -> None:
        """Keys of limits by what handlers say. After a lost reply what was used less is not given back: twice would
        be above the rate."""

    async def bury(self, batch: Sequence[Rewrite]) -> None:
        """To the dead letter. `job.ended` must say dead."""

    async def decline(self, batch: Sequence[Rewrite]) -> None:
        """To wait for a node that knows their kind, with their records as they were delivered."""

    async def bury_raw(self, delivery: Delivery, reason: str) -> None:
        """Quarantine bytes that are no job: out of the stream, kept aside for `ironforge doctor`."""

    async def promote(self) -> Due:
        """Move up to 500 due jobs to their queues, and cancel some that have expired."""

    async def cancel_requested(self, job_ids: Sequence[bytes]) -> list[bytes]:
        """Which of these running jobs somebody asked to cancel (signals may have been missed)."""


class TickWatch(Protocol):
    """What hears of ticks that this process has fired."""

    def tick_started(self, late_seconds: float) -> None:
        """One has started a job, so long after its time."""

    def ticks_skipped(self, reason: str, count: int) -> None:
        """So many have started none, for this reason as `PastTick` has it."""


class Ticking(Protocol):
    """Fires the ticks of schedules of one shard of `namespace`."""

    namespace: str

    async def tick_forever(self, watch: TickWatch | None = None) -> None:
        """Idle until the store says that there are schedules. An outage only puts it off."""


class Notifications(Protocol):
    """What the namespace announces: see `Notification`; lossy, so never the only way."""

    def listen(self) -> AsyncIterator[Notification]:
        """Endless; reconnects by itself, and says so with `connected` (also the first time)."""


class Notification(NamedTuple):
    """`cancel`: `job_id` shall stop. `due`: something is due in `due_ms`. `room`: a limit may let
    a job in, or one was declined. `connected`: signals may have been lost."""

    name: Literal["cancel", "due", "fenced", "room", "connected"]
    job_id: bytes = b""
    due_ms: int = 0
    node: str = ""


# Is told of a lease as soon as that is to be renewed.
Entered: TypeAlias = Callable[[Lease], object]


def nobody_hears(_: Lease) -> None: ...


class Leases(Protocol):
    async def join(self, entered: Entered = nobody_hears) -> Lease:
        """A new incarnation: a fresh node name and epoch; its consumers and groups exist afterwards. What the one
        before still holds is requeued; only what that ran alone, when it was taken over, counts a crash. That may take
        longer than a lease lasts: `entered` hears of it before."""

    def beat(self, lease: Lease) -> list[str]:
        """Blocking, for the heartbeat thread: renew, and return nodes whose lease has run out.

        Raises LeaseLost, and StoreUnavailable (no retry: the next beat is the retry).
        """

    async def take_over(self, lease: Lease, node: str, *, crashed: bool = True, seen_dead: bool = False) -> int:
        """Fence `node`, requeue what it held, forget it. Returns the number of jobs moved.

        `crashed` raises their crash count, and buries the one that ran alone. `seen_dead`: somebody saw its process
        end, so that its lease need not have run out; 0 and nothing is done for a lease that has not.
        """

    def note_blocked(self, lease: Lease, job_id: bytes, seen: str) -> None:
        """Blocking, for the heartbeat thread: the handler of this job was `seen` to hold up the event loop, in words
        for its record, should the lease be lost meanwhile; "" when it does no longer. Raises StoreUnavailable."""

    async def orphan_consumers(self) -> list[str]:
        """Consumers with pending entries that are no node: a node read on after it had been taken over, then died."""

    async def leave(self, lease: Lease, *, crashed: bool = False) -> None:
        """Requeue whatever is still held, without burning an attempt, and forget this node. `crashed`: it cannot
        go on, and what it held may be why."""
