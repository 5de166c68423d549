"""Schedules as a test says that they were seen, and what the judge says of them."""

from __future__ import annotations

import msgspec

from ironforge.job.record import format_id
from ironforge.job.request import JobRequest
from ironforge.schedules.definition import Schedule
from ironforge.schedules.ticks import fire_ms
from ironforge.store.schedules.contract import Pause, StoredSchedule
from ironforge.store.schedules.firing import tick_id
from ironforge.verify.account import Account
from ironforge.verify.ledger import Event
from ironforge.verify.schedules.life import Life, Look
from ironforge.verify.schedules.verdict import Schedules, judge_ticks
from tests.system.verify.flow_histories import run

BEGAN = 1_000_000


def stored(every_seconds: float = 1.0, at: int = 0, pause: Pause | None = None, **fields: object) -> StoredSchedule:
    """Defined so many ms after it began."""
    options = {"job": JobRequest(kind="k"), "overlap": "allow", **fields}
    schedule = msgspec.convert({"every_seconds": every_seconds, **options}, Schedule)
    return StoredSchedule(schedule, created_ms=BEGAN, updated_ms=BEGAN + at, pause=pause)


def job(tick: int) -> bytes:
    return tick_id("s", BEGAN, BEGAN + tick)


def start(tick: int, late: int = 0, reason: str = "", job_id: bytes | None = None) -> bytes:
    return b"+%d:%d:1:%s:%s" % (BEGAN + tick, late, reason.encode(), job(tick) if job_id is None else job_id)


def skip(first: int, last: int, ticks: int, reason: str) -> bytes:
    return b"-%d:%d:%d:%s" % (BEGAN + first, BEGAN + last, ticks, reason.encode())


class Watched:
    """A schedule that is looked at as often as a test says, each time with all that has come to its history."""

    def __init__(self, said: StoredSchedule | None = None) -> None:
        self.said = said or stored()
        self.look = Look(0.0, BEGAN, is_even=True)
        self.life = Life("s", "shard", self.said, self.look)
        self.rows: list[bytes] = []
        self.events: list[Event] = []

    def see(self, now: int, goes: int, *rows: bytes, even: bool = True) -> Watched:
        """At this time it waits for the tick at `goes`."""
        self.rows = [*reversed(rows), *self.rows]
        self.look = Look((now + 500) / 1000, BEGAN + now, even)
        at = b"tag:%d:%d:" % (BEGAN + goes, fire_ms("s", BEGAN + goes, self.said.schedule.jitter_seconds))
        self.life.see(self.said, at, self.rows, self.look)
        return self

    def says(self, said: StoredSchedule) -> Watched:
        self.said = said
        return self

    def ran(self, *told: list[Event]) -> Watched:
        """Runs of its jobs: a handler names the schedule."""
        named = (msgspec.structs.replace(event, name="s") for events in told for event in events)
        self.events += [event if event.what == "start" else msgspec.structs.replace(event, name="") for event in named]
        return self

    def broken(self, **schedules: object) -> list[str]:
        found: list[str] = []
        account = Account(sorted(self.events, key=lambda event: event.at))
        judged = Schedules([self.life], **schedules)  # type: ignore[arg-type]
        judge_ticks(account, judged, lambda promise, _job, _why: found.append(promise))
        return found


def run_of(tick: int, begin: float, end: float, *, how: str = "end") -> list[Event]:
    return run(format_id(job(tick)), begin, end, how=how)
