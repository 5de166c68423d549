"""Judges the ticks of schedules: by what they said, when, and by what their histories and handlers told.

Which ticks there are follows from what a schedule said and from when on, by the room `schedules` alone: neither the
server nor what fires them has a say in that. Times are the server's.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from ironforge.errors import Duplicate
from ironforge.job.record import created_ms_of, parse_id
from ironforge.schedules.definition import GRACE_MS, Schedule
from ironforge.schedules.ticks import fire_ms, ticks
from ironforge.store.schedules.advance import MOST_WAITING
from ironforge.store.schedules.firing import tick_id
from ironforge.store.schedules.ticking import AT_ONCE, MOST_COUNTED
from ironforge.verify.account import Account, Tell
from ironforge.verify.limits.places import held_by, more_than
from ironforge.verify.schedules.life import NEAR_SECONDS, Life, Seen

ONCE: Final = "each tick once, or skipped with a reason"
NO_TICK: Final = "a job for each tick, and for nothing else"
EARLY: Final = "no tick early"
OVERLAP: Final = "runs of a schedule overlap only where it says so"
CATCH_UP: Final = "no more is caught up with than the schedule says"
PAUSED: Final = "a paused schedule starts nothing"

SERIAL: Final = frozenset(("skip", *MOST_WAITING))
# What a schedule's own job may be refused for.
REFUSED: Final = (Duplicate.code,)
# Between the look at the clock that says which ticks were missed and the start of one, on a machine that may be busy.
STALL_MS: Final = 5_000
# Until a run that is to be cancelled has heard of it.
TOLD_SECONDS: Final = 1.5


class Due(NamedTuple):
    """A tick that the definition names."""

    at_ms: int
    fires_ms: int
    schedule: Schedule


class Schedules(NamedTuple):
    """`lives`: of all that there were. `out_of_turn`: the jobs that were asked for besides their ticks; `unsure`: the
    names of those of which some may have been, as the answer was lost; `refused`: how many times a run that went on may
    have been the answer, by name; `overdue`: those whose ticks nothing had fired in the end."""

    lives: Sequence[Life] = ()
    out_of_turn: Collection[str] = ()
    unsure: Collection[str] = ()
    refused: Mapping[str, int] = {}
    overdue: Collection[str] = ()


NO_SCHEDULES: Final = Schedules()


def judge_ticks(account: Account, schedules: Schedules, tell: Tell) -> None:
    of_name: dict[str, list[tuple[Life, list[Due]]]] = {}
    for life in schedules.lives:
        due = ticks_of(life)
        of_name.setdefault(life.name, []).append((life, due))
        _accounted(life, due, schedules.refused.get(life.name, 0), tell)
        _position(life, due, tell)
        by_time = {tick.at_ms: tick for tick in due}
        for seen in life.ticked:
            tick = by_time.get(seen.past.at_ms)
            if tick is None:
                tell(NO_TICK, seen.job, f"schedule {life.name!r} started it at {seen.past.at_ms}, which is no tick")
                continue
            _own_job(life, tick, seen, tell)
            if life.is_sure:
                _not_early(account, life, tick, seen, tell)
                _not_paused(life, tick, seen, tell)
                _in_time(account, life, due, seen, tell)
        _overlap(account, life, tell)
    for name in schedules.overdue:
        tell(ONCE, "", f"a tick of schedule {name!r} was due in the end, and nothing fired it")
    for job, name in account.of_schedules.items():
        if (
            job not in schedules.out_of_turn
            and name not in schedules.unsure
            and not _may_be_of(job, of_name.get(name, ()))
        ):
            tell(NO_TICK, job, f"it ran for schedule {name!r}, which no tick of it says")


def ticks_of(life: Life) -> list[Due]:
    """In the order of their times: of each definition those that had fired before the next one held; of the last one,
    and where that is not sure of all, as far as was looked."""
    end_ms = max(life.latest_ms, life.gone_ms or 0, (life.next and life.next.at_ms) or 0)
    since = [life.created_ms, *(stored.updated_ms for stored in life.stood[1:])]
    found: dict[int, Due] = {}
    for stored, after_ms, until_ms in zip(life.stood, since, [*since[1:], math.inf], strict=True):
        schedule = stored.schedule
        for tick in ticks(schedule, after_ms):
            fires_ms = fire_ms(life.name, tick.at_ms, schedule.jitter_seconds)
            if tick.at_ms > end_ms or (life.is_sure and fires_ms > until_ms):
                break
            found[tick.at_ms] = Due(tick.at_ms, fires_ms, schedule)
    return [due for _, due in sorted(found.items())]


def _accounted(life: Life, due: Sequence[Due], refused: int, tell: Tell) -> None:
    """`refused`: runs out of turn that did not start, as another one went on."""
    if life.has_gaps:
        return tell(ONCE, "", f"schedule {life.name!r} told more between two looks than its history holds")
    started = Counter(seen.past.at_ms for seen in life.ticked for _ in range(seen.times))
    # The entry of a run out of turn is of whatever time it was then.
    is_sure = life.is_sure and not (life.went_back and refused)
    skipped = Counter(_skipped(life, due, started, refused if is_sure else None, tell))
    passed_ms = math.inf if life.next is None or life.next.at_ms is None else life.next.at_ms
    for at_ms in (tick.at_ms for tick in due):
        both = started[at_ms] + skipped[at_ms]
        if started[at_ms] > 1 or (is_sure and both > 1):
            tell(ONCE, "", f"tick {at_ms} of {life.name!r} started {started[at_ms]}, skipped {skipped[at_ms]} times")
        elif is_sure and not both and at_ms < passed_ms:
            tell(ONCE, "", f"schedule {life.name!r} has passed its tick {at_ms}, and nothing says what became of it")
    return None


def _skipped(
    life: Life, due: Sequence[Due], started: Mapping[int, int], refused: int | None, tell: Tell
) -> Iterator[int]:
    """The times of the ticks that were. `refused`: None: how many each entry counts is not sure."""
    times = [tick.at_ms for tick in due]
    skips = life.skips
    for number, seen in enumerate(skips, 1):
        past = seen.past
        within = due[bisect_left(times, past.at_ms) : bisect_right(times, past.last_ms)]
        more = refused if refused and past.reason == "overlap" else 0
        if more:  # one that was refused at its end may have come before a tick that was due and had not fired
            later = (other.past.at_ms for other in skips[number:])
            next_ms = min((at_ms for at_ms in later if at_ms > past.at_ms), default=math.inf)
            within = [tick for tick in within if tick.at_ms not in started and tick.at_ms < next_ms]
        # Of very many that a change has passed over only the first ones are counted.
        counted = AT_ONCE if past.reason in ("paused", "redefined") else MOST_COUNTED
        least = min(len(within), counted)
        told = f"schedule {life.name!r} skipped {past.ticks} from {past.at_ms} to {past.last_ms}: {past.reason}"
        if refused is not None and not least <= past.ticks <= len(within) + more:
            tell(ONCE, "", f"{told}; {len(within)} are due then")
        if not _explained(life, seen, within[-1:]):
            tell(ONCE, "", f"{told}; that is no reason here")
        yield from (tick.at_ms for tick in within)


def _position(life: Life, due: Sequence[Due], tell: Tell) -> None:
    """Where it was at the last look."""
    if life.next is None:
        return tell(ONCE, "", f"schedule {life.name!r} is nowhere")
    at_ms = life.next.at_ms
    if at_ms is not None and not any(tick.at_ms == at_ms for tick in due):
        tell(NO_TICK, "", f"schedule {life.name!r} waits for {at_ms}, which is no tick")
    return None


def _explained(life: Life, seen: Seen, last: Sequence[Due]) -> bool:
    """Whether its policy allows the reason. Missed is what was late when it was seen to."""
    match seen.past.reason:
        case "overlap":
            return bool(life.kinds_of_overlap & SERIAL)
        case "paused":
            return life.was_paused
        case "redefined":
            return len(life.stood) > 1
        case "missed":
            return life.went_back or all(tick.fires_ms <= seen.look.now_ms - GRACE_MS for tick in last)
    return seen.past.reason in REFUSED and any(
        stored.schedule.job and stored.schedule.job.unique for stored in life.stood
    )


def _own_job(life: Life, tick: Due, seen: Seen, tell: Tell) -> None:
    """Of one with a unique key another one may stand for it. The last byte says where it lies."""
    own = tick_id(life.name, life.created_ms, tick.at_ms)[:-1]
    if not (tick.schedule.job and tick.schedule.job.unique) and (seen.past.job_id or b"")[:-1] != own:
        tell(NO_TICK, seen.job, f"tick {tick.at_ms} of {life.name!r} started it, and has another job")


def _not_early(account: Account, life: Life, tick: Due, seen: Seen, tell: Tell) -> None:
    early_ms = tick.fires_ms - seen.look.now_ms
    # Between its start and that look the server's clock may have gone back a little.
    if seen.look.is_even and early_ms > account.wall_clock.lost(seen.look.at - NEAR_SECONDS, seen.look.at) * 1000:
        tell(EARLY, seen.job, f"tick {tick.at_ms} of {life.name!r} had started it {early_ms} ms before it was to fire")


def _not_paused(life: Life, tick: Due, seen: Seen, tell: Tell) -> None:
    """Also not later. Where the clock leaps forward, what had started before was not in the pause."""
    stretches = [stretch for stretch in life.paused if stretch[0].at < seen.look.at]
    if seen.in_pause or any(begin.now_ms < tick.fires_ms < end.now_ms for begin, end in stretches):
        tell(PAUSED, seen.job, f"tick {tick.at_ms} of {life.name!r} started it in a pause")


def _in_time(account: Account, life: Life, due: Sequence[Due], seen: Seen, tell: Tell) -> None:
    """Of those that were missed when it started, itself included, there may be as many as start; and of one that is
    older than it may be none does."""
    later = due[bisect_left(due, seen.past.at_ms, key=lambda one: one.at_ms) :]
    tick = later[0]
    catch_up = tick.schedule.catch_up
    most = {"none": 0, "latest": 1, "all": catch_up.most}[catch_up.policy]
    fired_ms = tick.fires_ms + seen.past.late_ms
    stall_ms = STALL_MS + 1000 * account.pace.lost(seen.look.at - seen.past.late_ms / 1000, seen.look.at)
    missed = sum(one.fires_ms <= fired_ms - GRACE_MS - stall_ms for one in later)
    window_ms = max(GRACE_MS, catch_up.window_seconds * 1000)
    if missed > most or seen.past.late_ms > window_ms + stall_ms:
        why = f"{missed} ticks had been missed then, of which {most} may start"
        tell(CATCH_UP, seen.job, f"tick {tick.at_ms} of {life.name!r} was {seen.past.late_ms} ms late, and {why}")


def _overlap(account: Account, life: Life, tell: Tell) -> None:
    jobs = list(dict.fromkeys(seen.job for seen in life.starts if seen.past.job_id))
    if life.kinds_of_overlap <= SERIAL and all(seen.past.ticks == 1 for seen in life.starts):
        held = [one for job in jobs for one in held_by(account, job)]
        if (found := more_than(1, held)) is not None:
            job, running = found
            tell(OVERLAP, job, f"it began while {running} ran for schedule {life.name!r}")
    if life.kinds_of_overlap == {"cancel_running"}:
        for one, following in pairwise(sorted(life.ticked, key=lambda seen: seen.past.at_ms)):
            told = following.look.at + TOLD_SECONDS
            ended = [run for run in account.runs.get(one.job, ()) if run.outcome == "end"]
            late = [run for run in ended if run.until > told + account.pace.lost(following.look.at, run.until)]
            if late and not account.between(following.look.at, late[0].until):
                tell(OVERLAP, one.job, f"it went on, and {following.job} of {life.name!r} was to take its place")


def _may_be_of(job: str, lives: Sequence[tuple[Life, Sequence[Due]]]) -> bool:
    """Whether a tick started it, as its history says; or may have after the last look before it was deleted."""
    job_id = parse_id(job)
    at_ms = created_ms_of(job_id)
    for life, due in lives:
        if any(seen.past.job_id == job_id for seen in life.starts):
            return True
        is_own = tick_id(life.name, life.created_ms, at_ms)[:-1] == job_id[:-1]
        if is_own and life.gone_ms is not None and any(tick.at_ms == at_ms for tick in due):
            return True
    return False
