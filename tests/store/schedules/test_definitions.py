"""What a schedule says: put, read, changed only from what was seen, deleted."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from ironforge.errors import InvalidJob, QuotaExceeded
from ironforge.job.definition import Announcement
from ironforge.job.options import KindOptions
from ironforge.schedules.errors import ScheduleConflict, ScheduleNotFound
from tests.store.kit import Cluster
from tests.store.schedules.kit import CAUGHT_UP, every, history, jobs, make_due, request, schedules, tick, ticker

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


async def test_a_schedule_is_what_was_put(cluster: Cluster) -> None:
    put = await schedules(cluster).put("report", every(start=NOON), source="app", by="ada")
    got = await schedules(cluster).get("report")
    assert got == put
    assert got.stored is not None
    assert (got.stored.schedule, got.stored.source, got.stored.by) == (every(start=NOON), "app", "ada")
    assert (got.next_ms, got.last_job, got.problem) == (NOON.timestamp() * 1000, None, "")


async def test_to_put_the_same_once_more_changes_nothing(cluster: Cluster) -> None:
    first = await schedules(cluster).put("report", every(), source="app", by="ada")
    before = cluster.snapshot()
    assert await schedules(cluster).put("report", every(), source="app", by="bob") == first
    assert cluster.snapshot() == before


async def test_one_that_others_changed_is_not_overwritten(cluster: Cluster) -> None:
    first = await schedules(cluster).put("report", every(), expected="")
    second = await schedules(cluster).put("report", every(3600.0), expected=first.etag)
    with pytest.raises(ScheduleConflict, match=f"schedule report has the ETag {second.etag} now, not as expected"):
        await schedules(cluster).put("report", every(60.0), expected=first.etag)
    with pytest.raises(ScheduleConflict, match="not as expected"):
        await schedules(cluster).put("report", every(60.0), expected="")
    with pytest.raises(ScheduleConflict, match="not as expected"):
        await schedules(cluster).delete("report", expected=first.etag)
    with pytest.raises(ScheduleConflict, match="schedule other is not there"):
        await schedules(cluster).put("other", every(), expected=first.etag)
    assert (await schedules(cluster).get("report")).etag == second.etag


@pytest.mark.parametrize(
    ("source", "belongs"), [("app", "belongs to source 'app'"), ("", "has no source, it was put by hand")]
)
async def test_one_of_another_source_is_not_overwritten(cluster: Cluster, source: str, belongs: str) -> None:
    first = await schedules(cluster).put("report", every(), source=source)
    with pytest.raises(ScheduleConflict, match=f"schedule report {belongs}: change it there, or delete it first"):
        await schedules(cluster).put("report", every(60.0), source="other")
    assert await schedules(cluster).get("report") == first
    await schedules(cluster).delete("report")
    assert (await schedules(cluster).put("report", every(60.0), source="other")).next_ms is not None


async def test_a_deleted_one_leaves_nothing(cluster: Cluster) -> None:
    before = cluster.snapshot()
    await schedules(cluster).put("report", every(overlap="allow"))
    make_due(cluster, "report", 5)
    await tick(ticker(cluster))
    assert await history(cluster, "report") != []
    await schedules(cluster).delete("report")
    assert {key for key in cluster.snapshot() if key.startswith(cluster.keys.prefix.encode())} - set(before) == {
        cluster.keys.totals.encode()
    }


@pytest.mark.parametrize("call", ["get", "delete", "history", "pause", "resume", "trigger"])
async def test_one_that_is_not_there(cluster: Cluster, call: str) -> None:
    with pytest.raises(ScheduleNotFound, match="there is no schedule ghost"):
        await getattr(schedules(cluster), call)("ghost")


async def test_names_are_sorted_and_views_in_the_order_asked_for(cluster: Cluster) -> None:
    for name in ("b", "c", "a"):
        await schedules(cluster).put(name, every())
    assert await schedules(cluster).names() == ["a", "b", "c"]
    assert [view.name for view in await schedules(cluster).views(["c", "ghost", "a"])] == ["c", "a"]
    assert await schedules(cluster).views([]) == []


async def test_there_are_at_most_so_many(cluster: Cluster) -> None:
    cluster.with_settings(max_schedules=1)
    await schedules(cluster).put("one", every())
    with pytest.raises(QuotaExceeded, match="may define 1 schedules, and has as many: delete those that are not used"):
        await schedules(cluster).put("two", every())
    await schedules(cluster).put("one", every(60.0))


async def test_a_wrong_one_is_refused(cluster: Cluster) -> None:
    before = cluster.snapshot()
    with pytest.raises(InvalidJob, match="a b"):
        await schedules(cluster).put("a b", every())
    with pytest.raises(InvalidJob, match="every_seconds"):
        await schedules(cluster).put("report", every(0.1))
    uses = [{"name": f"limit-{number}"} for number in range(4)]
    limited = msgspec.convert({"kind": "k", "limits": uses}, type(request()))
    with pytest.raises(InvalidJob, match="overlap queue_one takes one of the 4 limits"):
        await schedules(cluster).put("report", every(job=limited, overlap="queue_one"))
    assert cluster.snapshot() == before


async def test_a_payload_that_its_kind_does_not_take_is_refused(cluster: Cluster) -> None:
    schema = {"type": "object", "required": ["to"]}
    await cluster.node([Announcement.of("k", "1", KindOptions(), schema)])
    with pytest.raises(InvalidJob, match="to"):
        await schedules(cluster).put("report", every())


async def test_a_definition_of_an_older_version_can_be_read(cluster: Cluster) -> None:
    """One with the fields that had to be given, and no others."""
    await schedules(cluster).put("report", every())
    old = b'{"schedule":{"job":{"kind":"k"},"every_seconds":86400.0}}'
    cluster.raw.hset(cluster.keys.schedules, "report", old)
    make_due(cluster, "report")
    await tick(ticker(cluster))
    view = await schedules(cluster).get("report")
    assert view.stored is not None
    assert (view.stored.schedule.catch_up.policy, view.problem) == ("latest", "")
    assert view.next_ms is not None


async def test_one_that_cannot_be_read_stops_no_other_one(cluster: Cluster) -> None:
    for name in ("broken", "well"):
        await schedules(cluster).put(name, every(catch_up=CAUGHT_UP))
        make_due(cluster, name)
    cluster.raw.hset(cluster.keys.schedules, "broken", b'{"schedule": 1}')
    await tick(ticker(cluster))
    assert len(jobs(cluster)) == 1
    view = await schedules(cluster).get("broken")
    assert view.stored is None
    assert view.problem.startswith("what is stored of it cannot be read: ")
    await schedules(cluster).put("broken", every())
    assert (await schedules(cluster).get("broken")).problem == ""


async def test_one_that_can_be_read_and_not_be_walked_stops_no_other_one(cluster: Cluster) -> None:
    """As one of a newer version, or of a zone that this machine does not have."""
    for name in ("broken", "well"):
        await schedules(cluster).put(name, every(catch_up=CAUGHT_UP))
        make_due(cluster, name)
    said = cluster.raw.hget(cluster.keys.schedules, "broken")
    cluster.raw.hset(cluster.keys.schedules, "broken", said.replace(b'"job"', b'"timezone":"No/Where","job"', 1))
    await tick(ticker(cluster))
    assert len(jobs(cluster)) == 1
