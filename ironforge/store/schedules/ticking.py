"""Which tick a schedule fires next, and which it skips: by its policies, the time, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from ironforge.schedules.definition import GRACE_MS, MAX_CAUGHT_UP, CatchUp, Schedule, Timing
from ironforge.schedules.ticks import fire_ms, ticks

# Missed ticks that are looked at in one step. Where there are more, the others are seen to in the next one.
AT_ONCE: Final = 2 * MAX_CAUGHT_UP
# Of those that none of them starts, since they are too old or it is paused, all go by in one step, and so many are
# counted: from a next tick in 1970 to now there may be a billion.
MOST_COUNTED: Final = 10_000


class Moment(NamedTuple):
    """A tick: the time that the schedule names, and when it fires, by its jitter."""

    at_ms: int
    fires_ms: int


class Skipped(NamedTuple):
    """Ticks in a row that start nothing. Of more than MOST_COUNTED `ticks` may count the first ones."""

    first_ms: int
    last_ms: int
    ticks: int
    reason: str

    def __str__(self) -> str:
        return f"{self.first_ms}:{self.last_ms}:{self.ticks}:{self.reason}"


class Step(NamedTuple):
    """What moves a schedule on at `fires_ms`: some ticks are skipped, one starts a job, and what comes after it.
    `give_up_ms`: until then the job may be submitted again where it was refused."""

    fires_ms: int
    skipped: Skipped | None
    start: Moment | None
    following: Moment | None
    give_up_ms: int = 0


def next_tick(name: str, schedule: Schedule, after_ms: int) -> Moment | None:
    return next(moments(name, schedule, after_ms), None)


def moments(name: str, schedule: Schedule, after_ms: int) -> Iterator[Moment]:
    """Its ticks after this time, in order."""
    jitter_seconds = schedule.jitter_seconds
    first_ms = _next_ms(schedule.timing, after_ms)
    if first_ms is None:
        return
    yield Moment(first_ms, fire_ms(name, first_ms, jitter_seconds))
    for tick in ticks(schedule, first_ms):
        yield Moment(tick.at_ms, fire_ms(name, tick.at_ms, jitter_seconds))


# Where many schedules tick at one time, most of them say the same of it.
@lru_cache(maxsize=1024)
def _next_ms(timing: Timing, after_ms: int) -> int | None:
    return next((tick.at_ms for tick in ticks(timing, after_ms)), None)


def step(name: str, schedule: Schedule, first: Moment, now_ms: float, *, paused_until_ms: float = 0) -> Step:
    """From its next tick, `first`, which may fire later than now. Those that fire before `paused_until_ms` are
    skipped."""
    coming = itertools.chain([first], moments(name, schedule, first.at_ms))
    due: list[Moment] = []
    following = next(coming, None)
    while following is not None and following.fires_ms <= now_ms and len(due) < AT_ONCE:
        due.append(following)
        following = next(coming, None)
    is_all = following is None or following.fires_ms > now_ms
    if not due:
        due, following = [first], next(coming, None)
    is_paused = due[0].fires_ms < paused_until_ms
    old_ms = min(now_ms, paused_until_ms) if is_paused else now_ms - _window_ms(schedule.catch_up)
    if not is_all and all(tick.fires_ms < old_ms for tick in due):
        reason = "paused" if is_paused else "missed"
        return _pass_over(name, schedule, due, itertools.chain([following], coming), old_ms=old_ms, reason=reason)
    paused = _first_since(due, paused_until_ms)
    starts = paused or _first_to_start(schedule.catch_up, due, now_ms)
    skipped = _skipped(due[:starts], "paused" if paused else "missed")
    if skipped and (starts == len(due) or paused or not is_all):
        # More of them are due: which one starts the next step says.
        return Step(due[starts - 1].fires_ms, skipped, None, due[starts] if starts < len(due) else following)
    start = due[starts]
    after = due[starts + 1] if starts + 1 < len(due) else following
    return Step(start.fires_ms, skipped, start, after, _give_up_ms(schedule.catch_up, start, after))


def _pass_over(
    name: str, schedule: Schedule, due: list[Moment], coming: Iterator[Moment | None], *, old_ms: float, reason: str
) -> Step:
    """Skips these, and of the coming ones all that fire before `old_ms`."""
    last, count, following = due[-1], len(due), next(coming, None)
    while following is not None and following.fires_ms < old_ms and count < MOST_COUNTED:
        last, count, following = following, count + 1, next(coming, None)
    last_ms = last.at_ms
    if following is not None and following.fires_ms < old_ms:
        last_ms = max(last_ms, int(old_ms - schedule.jitter_seconds * 1000) - 1)
        following = next_tick(name, schedule, last_ms)
    return Step(last.fires_ms, Skipped(due[0].at_ms, last_ms, count, reason), None, following)


def _first_to_start(catch_up: CatchUp, due: list[Moment], now_ms: float) -> int:
    """Which of these, the oldest first, is the first that is not skipped."""
    recent = _first_since(due, now_ms - GRACE_MS)
    if catch_up.policy == "none":
        return recent
    within = min(recent, _first_since(due, now_ms - _window_ms(catch_up)))
    most = catch_up.most if catch_up.policy == "all" else 1
    return max(within, min(recent, len(due) - most))


def _first_since(due: list[Moment], since_ms: float) -> int:
    return next((at for at, tick in enumerate(due) if tick.fires_ms >= since_ms), len(due))


def _skipped(those: list[Moment], reason: str) -> Skipped | None:
    return Skipped(those[0].at_ms, those[-1].at_ms, len(those), reason) if those else None


def _window_ms(catch_up: CatchUp) -> float:
    """How long after its time a tick may start a job."""
    return max(GRACE_MS, 0.0 if catch_up.policy == "none" else catch_up.window_seconds * 1000)


def _give_up_ms(catch_up: CatchUp, start: Moment, after: Moment | None) -> int:
    until_ms = start.fires_ms + round(_window_ms(catch_up))
    return until_ms if catch_up.policy == "all" or after is None else min(until_ms, after.fires_ms)
