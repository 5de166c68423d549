"""What was seen of one schedule from its definition until it was deleted, by looks of which each is of one moment.

Its history goes only so far back, and is deleted with it: so it is read all the time, and kept here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from ironforge.job.record import format_id
from ironforge.store.schedules.contract import PastTick, StoredSchedule
from ironforge.store.schedules.stored import Position, past_tick

MOST_ROWS: Final = 100
# Two looks between which the server's clock went on by as much as ours, but for this, are of one time.
EVEN_SECONDS: Final = 0.1
# Between looks that are further apart its clock may have leapt, and have come back.
NEAR_SECONDS: Final = 1.0


class Look(NamedTuple):
    """`at`: by our monotonic clock; `now_ms`: by the server's. `is_even`: that clock did not leap since the last
    one, as far as we can tell."""

    at: float
    now_ms: int
    is_even: bool

    @classmethod
    def after(cls, before: Look | None, at: float, now_ms: int) -> Look:
        if before is None:
            return cls(at, now_ms, is_even=False)
        passed = at - before.at
        leapt = (now_ms - before.now_ms) / 1000 - passed
        return cls(at, now_ms, is_even=passed < NEAR_SECONDS and abs(leapt) < EVEN_SECONDS)


class Seen(NamedTuple):
    """An entry of a history. `look`: the first that it was in, as it is. `times` that it was in one. `in_pause`: the
    same pause held at that look and at the one before."""

    past: PastTick
    look: Look
    times: int
    in_pause: bool

    @property
    def job(self) -> str:
        """Of one that started."""
        return format_id(self.past.job_id or b"")


class Life:
    """`stood`: what it said, the first definition and each that changed when it ticks. `kinds_of_overlap`: all that it
    has had. `paused`: stretches of time in which it surely was, between two looks. `next`: where it is. `gone_ms`:
    by then it was deleted. `went_back`: the server's clock did, meanwhile; `latest_ms`: how far it had been."""

    def __init__(self, name: str, shard: str, stored: StoredSchedule, look: Look) -> None:
        self.name, self.shard = name, shard
        self.created_ms = stored.created_ms
        self.stood = [stored]
        self.kinds_of_overlap = {stored.schedule.overlap}
        self.was_paused = False
        self.paused: list[tuple[Look, Look]] = []
        self.next: Position | None = None
        self.gone_ms: int | None = None
        self.went_back = self.has_gaps = False
        self.latest_ms = look.now_ms
        self.look = look
        self._pause_ms = 0
        self._rows: dict[object, Seen] = {}

    @property
    def is_sure(self) -> bool:
        """Which definition held when. Where time comes twice, one may start then what another one had skipped."""
        return not (self.went_back and len(self.stood) > 1)

    @property
    def starts(self) -> list[Seen]:
        """In the order in which they were seen; also those that were asked for out of turn."""
        return [seen for seen in self._rows.values() if seen.past.outcome == "started"]

    @property
    def ticked(self) -> list[Seen]:
        """Those that were not."""
        return [seen for seen in self.starts if not seen.past.reason]

    @property
    def skips(self) -> list[Seen]:
        return [seen for seen in self._rows.values() if seen.past.outcome == "skipped"]

    def see(self, stored: StoredSchedule, at: bytes, rows: Sequence[bytes], look: Look) -> list[Seen]:
        """Of the same life: what it says, where it is and its history, the latest entry first. New starts."""
        pause = stored.pause
        pause_ms = pause.since_ms if pause is not None and stored.paused(look.now_ms) else 0
        in_pause = bool(pause_ms) and pause_ms == self._pause_ms
        self.was_paused = self.was_paused or pause is not None
        if look.now_ms < self.look.now_ms:
            # That time comes once more, without its pauses.
            self.went_back = True
            self.paused = [stretch for stretch in self.paused if stretch[1].now_ms < look.now_ms]
        elif in_pause:
            self.paused.append((self.look, look))
        if stored.schedule.timing != self.stood[-1].schedule.timing:
            self.stood.append(stored)
        self.kinds_of_overlap.add(stored.schedule.overlap)
        self.next = Position.read(at)
        self._pause_ms, self.look = pause_ms, look
        self.latest_ms = max(self.latest_ms, look.now_ms)
        return self._note(rows, look, in_pause)

    def _note(self, rows: Sequence[bytes], look: Look, in_pause: bool) -> list[Seen]:
        new, first = [], len(self._rows)
        entries = [(past, times) for row, times in reversed(Counter(rows).items()) if (past := past_tick(row))]
        there = {_key(past) for past, _ in entries}
        for past, times in entries:
            key = _key(past)
            before = self._rows.get(key)
            if before is None or past != before.past:
                self._rows[key] = Seen(past, look, times, in_pause)
            else:
                self._rows[key] = before._replace(times=max(times, before.times))
            if before is None and past.outcome == "started":
                new.append(self._rows[key])
        self.has_gaps = self.has_gaps or len(self._rows) - first >= MOST_ROWS
        for past, _ in entries:
            if past.outcome == "skipped":
                self._forget_within(past, there)
        return new

    def _forget_within(self, whole: PastTick, there: Collection[object]) -> None:
        """Entries that this one has taken in: it begins earlier since, with a tick that had fired later."""
        for key, seen in list(self._rows.items()):
            past = seen.past
            if (
                key not in there
                and (past.outcome, past.reason) == ("skipped", whole.reason)
                and whole.at_ms < past.at_ms <= past.last_ms <= whole.last_ms
            ):
                del self._rows[key]


def _key(past: PastTick) -> object:
    """More ticks may be added to an entry that says that they were skipped."""
    return past if past.outcome == "started" else (past.at_ms, past.reason)
