"""How many schedules there are, and how they are: counted without a look at each, and what is wrong with one."""

from __future__ import annotations

from ironforge.store.counts import ScheduleCounts
from tests.store.kit import Cluster, job, now_ms
from tests.store.schedules.kit import CAUGHT_UP, every, make_due, put_back, schedules, tick, ticked, ticker


async def counts(cluster: Cluster) -> ScheduleCounts:
    return (await cluster.store_client.inspector.stats()).schedules


async def test_where_there_are_none(cluster: Cluster) -> None:
    assert await counts(cluster) == ScheduleCounts()


async def test_how_many_there_are_and_when_the_next_one_ticks(cluster: Cluster) -> None:
    daily = await schedules(cluster).put("daily", every())
    hourly = await schedules(cluster).put("hourly", every(3600.0))
    assert await counts(cluster) == ScheduleCounts(total=2, next_ms=hourly.next_ms)
    await schedules(cluster).delete("hourly")
    assert (await counts(cluster)).next_ms == daily.next_ms


async def test_one_that_a_process_is_about_to_fire_is_still_the_next(cluster: Cluster) -> None:
    view = await schedules(cluster).put("report", every())
    assert view.next_ms is not None
    at_ms = put_back(cluster, "report", view.next_ms - now_ms())
    await ticker(cluster)._claims.claim()
    assert (await counts(cluster)).next_ms == at_ms


async def test_paused_ones_as_long_as_they_are(cluster: Cluster) -> None:
    for name in ("for ever", "until then", "not"):
        await schedules(cluster).put(name.replace(" ", "-"), every())
    await schedules(cluster).pause("for-ever")
    await schedules(cluster).pause("until-then", until_ms=now_ms() + 3_600_000)
    assert (await counts(cluster)).paused == 2
    await schedules(cluster).pause("until-then", until_ms=now_ms() - 1)
    assert (await counts(cluster)).paused == 1
    await schedules(cluster).resume("for-ever")
    assert (await counts(cluster)).paused == 0
    await schedules(cluster).pause("not")
    await schedules(cluster).put("not", every(3600.0))
    assert (await counts(cluster)).paused == 1
    await schedules(cluster).delete("not")
    assert (await counts(cluster)).paused == 0


async def test_overdue_ones(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    make_due(cluster, "report")
    assert (await counts(cluster)).overdue == 1
    await tick(ticker(cluster))
    assert (await counts(cluster)).overdue == 0


async def test_one_whose_job_is_refused_is_broken_until_it_starts_one(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=1)
    waits = job()
    await cluster.submit(waits)
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    await ticked(cluster, "report")
    problem = (await schedules(cluster).get("report")).problem
    assert problem.startswith("its job is refused: queue_full: ")
    assert [view.problem for view in await schedules(cluster).views(["report"])] == [problem]
    assert (await counts(cluster)).broken == 1
    await cluster.store_client.producer.cancel(waits.id)
    await ticked(cluster, "report")
    assert (await schedules(cluster).get("report")).problem == ""
    assert (await counts(cluster)).broken == 0


async def test_one_that_cannot_be_read_is_broken_until_it_is_defined_anew(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    cluster.raw.hset(cluster.keys.schedules, "report", b'{"schedule":{"job":{"kind":"k"},"every_seconds":60,"x":1}}')
    make_due(cluster, "report")
    await tick(ticker(cluster))
    assert (await counts(cluster)).broken == 1
    assert (await schedules(cluster).get("report")).problem.startswith("what is stored of it cannot be read: ")
    await schedules(cluster).put("report", every())
    assert (await counts(cluster)).broken == 0


async def test_nothing_is_remembered_of_one_that_is_gone(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    cluster.raw.hset(cluster.keys.schedules, "report", b"{}")
    make_due(cluster, "report")
    one = ticker(cluster)
    await tick(one)
    await schedules(cluster).delete("report")
    await one._schedules.note_problem("report", "too late")
    assert cluster.raw.exists(cluster.keys.problems) == 0


async def test_what_cannot_be_written_down_stops_no_tick(cluster: Cluster) -> None:
    for name in ("broken", "well"):
        await schedules(cluster).put(name, every(catch_up=CAUGHT_UP))
        make_due(cluster, name)
    cluster.raw.hset(cluster.keys.schedules, "broken", b"{}")
    cluster.raw.set(cluster.keys.problems, "somebody's")
    await tick(ticker(cluster))
    assert (await schedules(cluster).history("well"))[0].outcome == "started"
    cluster.raw.delete(cluster.keys.problems)


def test_those_of_several_shards_are_added_up() -> None:
    parts = ScheduleCounts(3, 1, 0, 1, 500), ScheduleCounts(2, 0, 1, 1, 400), ScheduleCounts()
    assert parts[0].together(parts[1]).together(parts[2]) == ScheduleCounts(5, 1, 1, 2, 400)
