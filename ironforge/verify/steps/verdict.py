"""Judges steps, sleeps and events, by what their runs and the senders of events told."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from ironforge.verify.account import AFTERMATH_SECONDS, CLOCK_SECONDS, Account, Ended, Tell
from ironforge.verify.ledger import Event

RECORDED: Final = "a step is recorded once"
NOT_AGAIN: Final = "a recorded step is not done again"
FIRST: Final = "the first event of a name stays"
HEARD: Final = "no event is lost"
SLEPT: Final = "nobody wakes early"
STRANDED: Final = "who waits goes on"
IN_TIME: Final = "who waits goes on in time"

WAITING: Final = "waiting"
# Between the answer to a sender and the end of the time of one who waits, told by two clocks.
MARGIN_SECONDS: Final = 0.1
# From an event, or the end of a sleep, to the run that goes on with it, where nothing was hurt meanwhile.
WOKEN_SECONDS: Final = 2.5

Told = Mapping[str, Sequence[Event]]


def judge_steps(account: Account, finals: Mapping[str, Ended], tell: Tell) -> None:
    sent: defaultdict[str, list[Event]] = defaultdict(list)
    for event in account.sent:
        sent[event.name].append(event)
    heard: defaultdict[str, list[Event]] = defaultdict(list)
    for job, events in account.by_job.items():
        told: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            told[event.what].append(event)
        if not (told["recorded"] or told["stepped"] or told["waits"] or told["slept"]):
            continue
        _recorded(job, told, tell)
        _slept(account, job, told, tell)
        _in_vain(account, job, told, sent, tell)
        _in_time(account, job, told, sent, tell)
        if job in finals and finals[job].state == WAITING:
            _stranded(job, told, sent, tell)
        for event in told["heard"]:
            heard[event.name].append(event)
    for name in {*sent, *heard}:
        _one(name, sent[name], heard[name], tell)


def _recorded(job: str, told: Told, tell: Tell) -> None:
    first: dict[str, Event] = {}
    for event in told["recorded"]:
        before = first.setdefault(event.name, event)
        if before.value != event.value:
            why = f"run {before.fence} was given {before.value} for step {event.name}, run {event.fence} {event.value}"
            tell(RECORDED, job, why)
    begun = {(event.pid, event.fence): event.at for event in told["start"]}
    for event in told["stepped"]:
        known = first.get(event.name)
        # A run that had begun before may not have known, nor one that was replaced: it goes on until it is told so.
        if known is None or event.fence < known.fence:
            continue
        if begun.get((event.pid, event.fence), 0.0) > known.at:
            why = f"run {event.fence} did step {event.name} again, which run {known.fence} knew to be recorded"
            tell(NOT_AGAIN, job, why)


def _slept(account: Account, job: str, told: Told, tell: Tell) -> None:
    since: dict[str, Event] = {}
    for event in told["slept"]:
        since.setdefault(event.name, event)
    for event in told["woke"]:
        begun = since[event.name]
        early = begun.at + begun.seconds - event.at
        if early > CLOCK_SECONDS + account.wall_clock.gained(begun.at, event.at):
            tell(SLEPT, job, f"run {event.fence} woke {early:.3f} s before the end of {event.name}")


def _in_vain(account: Account, job: str, told: Told, sent: Told, tell: Tell) -> None:
    """Whose time was over although the event had come."""
    since: dict[str, Event] = {}
    for event in told["waits"]:
        since.setdefault(event.name, event)
    for event in told["timed_out"]:
        begun = since[event.name]
        ends = begun.at + begun.seconds
        sooner = MARGIN_SECONDS + account.wall_clock.gained(begun.at, event.at)
        in_time = [each for each in sent.get(event.name, ()) if each.what == "sent" and each.at + sooner < ends]
        if in_time:
            why = f"its time for event {event.name} was over {ends - in_time[0].at:.1f} s after that had been accepted"
            tell(HEARD, job, why)


def _in_time(account: Account, job: str, told: Told, sent: Told, tell: Tell) -> None:
    for what, waited in (("heard", "waits"), ("woke", "slept")):
        for event in told[what][:1]:
            since = next(each for each in told[waited] if each.name == event.name)
            due = since.at + since.seconds if what == "woke" else max(since.at, _first_sent(sent.get(event.name, ())))
            allowed = WOKEN_SECONDS + account.unsettled_seconds + account.wall_clock.lost(since.at, event.at)
            if event.at - due <= allowed or account.between(due - AFTERMATH_SECONDS, event.at):
                continue
            due = max(due, account.queued_until(due, event.at))
            if (late := event.at - due) > allowed + account.pace.lost(due, event.at):
                tell(IN_TIME, job, f"it went on {late:.1f} s after the end of its wait for {event.name}")


def _first_sent(sent: Sequence[Event]) -> float:
    """When it was there for sure: where answers were lost, and in the end another one was late, by then."""
    return min((event.at for event in sent if event.what != "sent_info"), default=math.inf)


def _stranded(job: str, told: Told, sent: Told, tell: Tell) -> None:
    open_waits = {event.name for event in told["waits"]} - {
        event.name for event in (*told["heard"], *told["timed_out"])
    }
    lost = [name for name in open_waits if any(each.what == "sent" for each in sent.get(name, ()))]
    if lost:
        tell(HEARD, job, f"it waits for event {lost[0]}, which was accepted")
    else:
        tell(STRANDED, job, "in the end it still waits")


def _one(name: str, sent: Sequence[Event], heard: Sequence[Event], tell: Tell) -> None:
    firsts = {event.value for event in sent if event.what == "sent"}
    if len(firsts) > 1:
        tell(FIRST, "", f"{len(firsts)} events {name} were accepted as the first")
    if sent and all(event.what == "sent_late" for event in sent):
        tell(FIRST, "", f"event {name} was refused as one that was there, and was not")
    values = {event.value for event in heard}
    if len(values) > 1 or (firsts and values - firsts):
        job = heard[-1].job
        tell(FIRST, job, f"of event {name} its waiters heard {sorted(values)}, and {sorted(firsts)} was accepted")
    possible = {event.value for event in sent if event.what != "sent_late"}
    if values - possible:
        tell(FIRST, heard[-1].job, f"of event {name} {sorted(values - possible)} was heard, and never sent")
