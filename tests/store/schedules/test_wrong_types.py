"""A key of schedules that holds something of another type stops what needs it, and nothing is left half done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ironforge.errors import StoreError
from tests.store.kit import Cluster, job
from tests.store.schedules.kit import CAUGHT_UP, every, history, jobs, make_due, schedules, tick, ticker

TICKING = ["schedules", "upcoming", "ticks", "history"]
KEYS = [*TICKING, "pauses", "problems"]
FROM, TO = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)


def key_of(cluster: Cluster, name: str) -> str:
    return cluster.keys.history("report") if name == "history" else str(getattr(cluster.keys, name))


@pytest.mark.parametrize("name", KEYS)
async def test_no_change_is_half_made(cluster: Cluster, name: str) -> None:
    await schedules(cluster).put("report", every())
    view = await schedules(cluster).get("report")
    held = (await cluster.store_client.schedules._shards.found("report"))[1]  # type: ignore[attr-defined]
    shard = (await cluster.store_client.schedules._shards.found("report"))[0]  # type: ignore[attr-defined]
    cluster.raw.delete(key_of(cluster, name))
    cluster.raw.set(key_of(cluster, name), "somebody's")
    before = cluster.snapshot()
    assert view.stored is not None
    with pytest.raises(StoreError, match="WRONGTYPE"):
        await shard.write(held, view.stored, held.planned(view.stored, 0))
    with pytest.raises(StoreError, match="WRONGTYPE"):
        await shard.delete(held)
    assert cluster.snapshot() == before
    cluster.checked = False


@pytest.mark.parametrize("name", TICKING)
async def test_no_tick_is_half_fired(cluster: Cluster, name: str) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    make_due(cluster, "report")
    one = ticker(cluster)
    one.wake(0)
    await one._claims.claim()
    key = key_of(cluster, name)
    kept = cluster.raw.dump(key)
    cluster.raw.set(key, "somebody's")
    before = cluster.snapshot()
    await one.tick()
    after = cluster.snapshot()
    why = after.pop(cluster.keys.problems.encode(), None)
    assert after == before
    assert why is not None or name == "schedules"
    # Once it is out of the way the tick is fired.
    cluster.raw.delete(key)
    if kept:
        cluster.raw.restore(key, 0, kept)
    cluster.raw.zadd(cluster.keys.ticks, {"report": 1})
    await tick(one)
    assert len(jobs(cluster)) == 1


async def test_a_history_of_the_wrong_type_stops_no_other_schedule(cluster: Cluster) -> None:
    for name in ("broken", "well"):
        await schedules(cluster).put(name, every(catch_up=CAUGHT_UP))
        make_due(cluster, name)
    cluster.raw.set(cluster.keys.history("broken"), "somebody's")
    await tick(ticker(cluster))
    assert len(jobs(cluster)) == 1
    assert len(await history(cluster, "well")) == 1
    cluster.raw.delete(cluster.keys.history("broken"))


async def test_nodes_and_doors_go_on_where_ticks_is_of_the_wrong_type(cluster: Cluster) -> None:
    cluster.raw.set(cluster.keys.ticks, "somebody's")
    node = await cluster.node()
    one = job()
    await cluster.submit(one, delay_ms=1)
    cluster.ripen()
    assert (await node.work.promote()).moved == 1
    cluster.raw.delete(cluster.keys.ticks)


OPERATIONS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "put": lambda door: door.put("other", every()),
    "redefine": lambda door: door.put("report", every(60.0)),
    "pause": lambda door: door.pause("report"),
    "resume": lambda door: door.resume("report"),
    "delete": lambda door: door.delete("report"),
    "trigger": lambda door: door.trigger("report"),
    "backfill": lambda door: door.backfill(
        "report", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", KEYS)
async def test_whatever_is_asked_of_one_is_done_whole_or_refused(cluster: Cluster, name: str, operation: str) -> None:
    await schedules(cluster).put("report", every())
    await schedules(cluster).pause("report")
    cluster.raw.delete(key_of(cluster, name))
    cluster.raw.set(key_of(cluster, name), "somebody's")
    before = cluster.snapshot()
    try:
        await OPERATIONS[operation](schedules(cluster))
        refused = ""
    except StoreError as error:
        refused = str(error)
    assert ("WRONGTYPE" in refused) == (cluster.snapshot() == before)
    cluster.checked = False
