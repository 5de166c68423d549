"""Every message two actors exchange: the protocol of a node on one page.

Work flows down (dispatcher → worker), demand and results flow up. Jobs travel as the bytes that came out of the store,
or go into it; a frame carries many, so the cost of a frame is shared.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from ironforge.actors.kernel import message
from ironforge.store import Adjustment, Delivery, NewWait, Rewrite, Settled

# Stored bytes that are no job, and why.
Unreadable: TypeAlias = tuple[Delivery, str]


@message
class WhoHolds(NamedTuple):
    """any role → lease (ask): the current lease, answered as (node, epoch)."""


@message
class LeaseGone(NamedTuple):
    """any role → lease: a settlement was refused, the fence has moved."""

    detail: str


@message
class Fenced(NamedTuple):
    """signals → lease: another node took over what `node` held."""

    node: str


@message
class Beaten(NamedTuple):
    """heartbeat thread → lease: the lease was renewed; `expired` are nodes whose own has run out."""

    expired: tuple[str, ...]


@message
class SeenDead(NamedTuple):
    """parent process → lease: the processes of these nodes have ended; their leases need not run out first."""

    nodes: tuple[str, ...]


@message
class Announce(NamedTuple):
    """dispatcher → worker: a dispatcher has started; say that you are here."""


@message
class Ready(NamedTuple):
    """worker → dispatcher: this worker holds nothing; what its earlier incarnation held is lost."""

    worker: int
    incarnation: int


@message
class Run(NamedTuple):
    """dispatcher → worker: run these, in this order."""

    jobs: tuple[Delivery, ...]


@message
class Done(NamedTuple):
    """worker → dispatcher: the first `size` of what it holds are over, in the order of `Run`.

    Each of them is in one of the six lists, by what is to be written of it; `unreadable` says why. `seconds` is their
    time in handlers, summed: the dispatcher sizes its demand by it. `adjusted`: what they really used of limits.
    """

    worker: int
    size: int
    seconds: float
    settled: tuple[Settled, ...]
    parked: tuple[Rewrite, ...]
    buried: tuple[Rewrite, ...]
    declined: tuple[Rewrite, ...]
    unreadable: tuple[Unreadable, ...]
    waiting: tuple[NewWait, ...] = ()
    adjusted: tuple[Adjustment, ...] = ()

    @classmethod
    def rebuild(cls, fields: tuple[Any, ...]) -> Done:
        """A frame gives plain tuples back."""
        done = cls._make(fields)
        # First: most jobs come by here.
        if len(done.settled) == done.size and not done.adjusted:
            return done
        parked, buried, declined = (
            tuple(map(Rewrite._make, rewrites)) for rewrites in (done.parked, done.buried, done.declined)
        )
        waiting, adjusted = tuple(map(NewWait._make, done.waiting)), tuple(map(Adjustment._make, done.adjusted))
        return done._replace(parked=parked, buried=buried, declined=declined, waiting=waiting, adjusted=adjusted)


@message
class Requeue(NamedTuple):
    """worker → dispatcher: the last `size` of what it holds will not start soon; other workers or nodes shall."""

    worker: int
    size: int


@message
class RequeueRest(NamedTuple):
    """dispatcher → worker: requeue what you have not started (the node drains)."""


@message
class Cancel(NamedTuple):
    """signals → dispatcher → worker: this job shall stop."""

    job_id: bytes


@message
class Reconnected(NamedTuple):
    """signals → dispatcher: signals may have been lost, look for cancellations yourself."""


@message
class DueAt(NamedTuple):
    """signals → retry timer: something was scheduled for `due_ms`, earlier than all else."""

    due_ms: int


@message
class Drain(NamedTuple):
    """node → dispatcher (ask): fetch no more, requeue what has not started."""


@message
class Held(NamedTuple):
    """node → dispatcher (ask): how many jobs are not settled yet."""


@message
class Heard(NamedTuple):
    """node → dispatcher (ask): seconds since the server was last seen to deliver, or to have nothing to deliver."""
