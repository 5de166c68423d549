"""All schedules of a source at once: what is said is there, what is not is gone, and others' are left alone."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge.errors import InvalidJob, QuotaExceeded
from ironforge.schedules.definition import Schedule
from ironforge.schedules.errors import ScheduleChanged, ScheduleConflict
from ironforge.store.schedules.contract import Applied
from ironforge.store.schedules.shard import ScheduleShard
from ironforge.store.schedules.stored import Held
from tests.store.kit import Cluster
from tests.store.schedules.kit import every, schedules

ONE, OTHER, BAD = every(60.0), every(90.0), every(0.5)


async def apply(cluster: Cluster, source: str = "app", *, dry_run: bool = False, **wanted: Any) -> Applied:
    return await schedules(cluster).apply(source, wanted, by="ada", dry_run=dry_run)


async def test_a_source_has_what_it_says_and_nothing_else(cluster: Cluster) -> None:
    assert await apply(cluster, a=ONE, b=ONE, c=ONE) == Applied(["a", "b", "c"], [], [], [])
    kept = await schedules(cluster).get("b")
    assert kept.stored is not None
    assert (kept.stored.source, kept.stored.by) == ("app", "ada")
    assert await apply(cluster, a=OTHER, b=ONE, d=ONE) == Applied(["d"], ["a"], ["b"], ["c"])
    assert await schedules(cluster).names() == ["a", "b", "d"]
    assert await schedules(cluster).get("b") == kept
    changed = await schedules(cluster).get("a")
    assert changed.stored is not None
    assert changed.stored.schedule == OTHER
    assert await apply(cluster) == Applied([], [], [], ["a", "b", "d"])


async def test_a_dry_run_says_the_same_and_does_nothing(cluster: Cluster) -> None:
    await apply(cluster, a=ONE, b=ONE)
    before = cluster.snapshot()
    told = await apply(cluster, a=OTHER, c=ONE, dry_run=True)
    assert cluster.snapshot() == before
    assert await apply(cluster, a=OTHER, c=ONE) == told == Applied(["c"], ["a"], [], ["b"])


async def test_to_apply_the_same_once_more_changes_nothing(cluster: Cluster) -> None:
    await apply(cluster, a=ONE, b=OTHER)
    before = cluster.snapshot()
    assert await apply(cluster, a=ONE, b=OTHER) == Applied([], [], ["a", "b"], [])
    assert cluster.snapshot() == before


@pytest.mark.parametrize("owner", ["", "other", "code"])
async def test_schedules_of_another_source_are_left_alone(cluster: Cluster, owner: str) -> None:
    await schedules(cluster).put("theirs", ONE, source=owner)
    assert await apply(cluster, a=ONE) == Applied(["a"], [], [], [])
    before = cluster.snapshot()
    with pytest.raises(ScheduleConflict, match=r"schedule theirs .* change it there, or delete it first"):
        await apply(cluster, a=OTHER, theirs=OTHER)
    assert cluster.snapshot() == before


async def test_nothing_is_changed_where_one_of_them_is_not_right(cluster: Cluster) -> None:
    await apply(cluster, a=ONE)
    before = cluster.snapshot()
    with pytest.raises(InvalidJob, match=r"schedules\.bad: every_seconds 0\.5 is out of range") as refused:
        await apply(cluster, b=ONE, bad=BAD)
    assert (refused.value.code, refused.value.field) == ("out_of_range", "schedules.bad.every_seconds")
    with pytest.raises(InvalidJob, match="is not a name") as refused:
        await schedules(cluster).apply("app", {"a b": ONE})
    assert refused.value.field == "schedules.a b.name"
    assert cluster.snapshot() == before


async def test_what_is_deleted_makes_room_for_what_is_new(cluster: Cluster) -> None:
    cluster.with_settings(max_schedules=2)
    await apply(cluster, a=ONE, b=ONE)
    before = cluster.snapshot()
    with pytest.raises(QuotaExceeded, match="may define 2 schedules"):
        await apply(cluster, a=OTHER, b=ONE, c=ONE)
    assert cluster.snapshot() == before
    assert await apply(cluster, c=ONE, d=ONE) == Applied(["c", "d"], [], [], ["a", "b"])
    with pytest.raises(QuotaExceeded, match="may define 1 schedules"):
        await schedules(cluster).apply("app", {"c": ONE, "d": ONE, "e": ONE}, most=1)


async def test_what_others_change_meanwhile_is_left_as_it_is(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """One deletes what is to be changed, after all has been looked at."""
    await apply(cluster, a=ONE, b=ONE)
    delete = ScheduleShard.delete

    async def meanwhile(shard: ScheduleShard, held: Held) -> bool:
        monkeypatch.undo()
        await schedules(cluster).delete("a")
        return await delete(shard, held)

    monkeypatch.setattr(ScheduleShard, "delete", meanwhile)
    with pytest.raises(ScheduleChanged, match="schedule a is not there, not as expected"):
        await apply(cluster, a=OTHER)
    assert await schedules(cluster).names() == []
    assert await apply(cluster, a=OTHER) == Applied(["a"], [], [], [])


@pytest.mark.parametrize("theirs", [{"a": OTHER}, {}])
async def test_of_two_that_say_what_a_source_has_at_once_none_is_told_that_a_mixture_is_what_it_said(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, theirs: dict[str, Schedule]
) -> None:
    """The other one changes, or deletes, what was well when all was looked at."""
    await apply(cluster, a=ONE)
    write = ScheduleShard.write

    async def meanwhile(shard: ScheduleShard, *words: Any, **more: Any) -> Held | None:
        monkeypatch.undo()
        await apply(cluster, **theirs)
        return await write(shard, *words, **more)

    monkeypatch.setattr(ScheduleShard, "write", meanwhile)
    with pytest.raises(ScheduleChanged, match="what source app has was changed meanwhile: apply it again"):
        await apply(cluster, a=ONE, b=ONE)
    await apply(cluster, a=ONE, b=ONE)
    assert await schedules(cluster).names() == ["a", "b"]
