"""Several submissions of one call that take the place of jobs that wait behind the same key of a limit."""

from __future__ import annotations

from ironforge.job.limits import LimitUse
from ironforge.job.record import Job
from ironforge.job.uniqueness import UniqueUse
from tests.store.kit import HOUR_MS, Cluster
from tests.store.uniqueness import unique


def jobs(keys: str) -> list[Job]:
    limits = (LimitUse("one", "a"),)
    return [unique(UniqueUse(key, on_conflict="replace"), limits=limits) for key in keys]


async def test_one_whose_turn_it_became_as_another_was_replaced_is_replaced_as_well(one: Cluster) -> None:
    """It was scheduled, and had its turn all the same."""
    await one.submit(*jobs("abc"))
    await one.submit(*jobs("ab"), delay_ms=HOUR_MS)
    one.check()
    assert one.raw.zcard(one.keys.scheduled) == 2
