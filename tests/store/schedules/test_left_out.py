"""To look through times that are left out may take seconds: no loop waits for it, neither a node's nor an API's."""

from __future__ import annotations

import itertools
import threading
from datetime import datetime

import pytest

from ironforge.schedules.exclusions import Exclusions
from tests.store.kit import Cluster
from tests.store.schedules.kit import every, jobs, put_back, schedules, tick, ticker

# One in which nothing of the last test is known any more.
_years = itertools.count(1971)


async def test_all_that_looks_through_left_out_times_does_so_in_threads(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_by: list[threading.Thread] = []
    until = Exclusions.until

    def seen(exclusions: Exclusions, wall: datetime) -> datetime | None:
        looked_by.append(threading.current_thread())
        return until(exclusions, wall)

    def looks() -> int:
        assert threading.main_thread() not in looked_by
        count = len(looked_by)
        looked_by.clear()
        return count

    monkeypatch.setattr(Exclusions, "until", seen)
    excluded = (f"{next(_years)}-01-01",)
    calls = schedules(cluster)
    await calls.put("report", every(exclude=excluded))
    assert looks() > 0
    await calls.put("report", every(90_000.0, exclude=excluded))
    assert looks() > 0
    await calls.pause("report")
    put_back(cluster, "report", 200_000_000)
    await calls.resume("report")
    assert looks() > 0
    cluster.raw.delete(cluster.keys.upcoming)
    await tick(ticker(cluster))
    assert looks() > 0
    cluster.raw.zadd(cluster.keys.ticks, {"report": 0})
    await tick(ticker(cluster))
    assert looks() > 0
    assert jobs(cluster) == []
