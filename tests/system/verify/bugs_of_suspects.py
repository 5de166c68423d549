"""Planted bugs in what becomes of jobs whose nodes died."""

from __future__ import annotations

from typing import Any

from ironforge.actors import alone, dispatcher
from ironforge.job.record import Job, JobState
from ironforge.store.consumer import alone as store_alone
from ironforge.store.consumer import recovery


def bury_among_others() -> None:
    """A crash spends the whole budget of all that the node held: nobody is told apart."""

    def counted(job: Job, budget: int, crash: Any = None) -> Job:
        again = job.again(crashes=job.crashes + (budget if crash is not None else 0))
        spent = crash is not None and again.crashes >= budget
        return again.finish(JobState.DEAD, 1, reason="poison") if spent else again

    recovery.requeued = counted
    recovery.is_suspect = dispatcher.is_suspect = lambda _job, _budget: False


def suspects_have_company() -> None:
    """A node announces its run, and neither waits for what it holds nor stops fetching."""

    async def at_once(self: Any) -> None:
        pass

    alone.Alone._rest = at_once


def everybody_has_the_turn() -> None:
    """Nodes do not agree on whose turn it is; each stays at it, so that they meet."""

    async def mine(self: Any) -> bool:
        return True

    store_alone.RedisAlone.claim = mine
    alone.SHIFT_SECONDS = 5.0


def suspects_are_never_buried() -> None:
    """Also the crash of its own run is taken for that of others."""

    def again(job: Job, _budget: int, _crash: Any = None) -> Job:
        return job.again(crashes=2)

    recovery.requeued = again
