"""Nodes with schedules in their code, which see to them as they come and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ironforge.job.definition import Announcement
from ironforge.job.options import KindOptions
from ironforge.schedules.definition import Schedule
from ironforge.schedules.in_code import announcement_of
from ironforge.store.schedules.contract import ScheduleView
from tests.store.kit import Cluster, Node
from tests.store.schedules.kit import every, request, schedules

KINDS: Final = ("k", "other")


def says(hours: float, queue: str | None = None, **fields: Any) -> Schedule:
    return every(3_600.0 * hours, request(queue=queue), **fields)


async def joins(cluster: Cluster, said: Mapping[str, Schedule] | None = None, kinds: Sequence[str] = KINDS) -> Node:
    """With these schedules in its code. Of the same application where it runs one of the same kinds."""
    announced = [announcement_of(name, schedule, kinds) for name, schedule in (said or {}).items()]
    node = await cluster.node([Announcement.of(kind, "", KindOptions(), None) for kind in kinds], schedules=announced)
    await node.store.settle_schedules()
    return node


async def leaves(node: Node) -> None:
    await node.leases.leave(node.lease)
    await node.store.settle_schedules()


async def dies(cluster: Cluster, node: Node, heir: Node) -> None:
    """Its lease runs out, and another one takes over from it."""
    cluster.lapse(node)
    await heir.leases.take_over(heir.lease, node.lease.node)
    await heir.store.settle_schedules()


async def held(cluster: Cluster, name: str = "one") -> ScheduleView:
    return await schedules(cluster).get(name)


async def hours(cluster: Cluster, name: str = "one") -> float:
    """Between its ticks."""
    stored = (await held(cluster, name)).stored
    assert stored is not None
    return (stored.schedule.every_seconds or 0.0) / 3_600.0


async def note(cluster: Cluster, name: str = "one") -> str | None:
    """Of its pause; None: it is not paused."""
    stored = (await held(cluster, name)).stored
    assert stored is not None
    return None if stored.pause is None else stored.pause.note
