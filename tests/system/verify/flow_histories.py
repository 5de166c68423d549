"""Ledgers written by hand, of jobs with limits, unique keys and the like, and what the judge says of them."""

from __future__ import annotations

from ironforge.job.limits import LimitUse
from ironforge.verify.account import Account, Ended
from ironforge.verify.flow_verdict import judge_flow
from ironforge.verify.handlers import KIND
from ironforge.verify.ledger import Event


def asked(
    job: str, limit: str = "", *, at: float = 0.0, kind: str = KIND, unique: str = "", units: int = 1
) -> list[Event]:
    """It was submitted, and accepted a hundredth of a second later."""
    limits = (LimitUse(limit, "a", units),) if limit else ()
    return [
        Event(at, "asked", job, name=kind, limits=limits, unique=unique),
        Event(at + 0.01, "submit_ok", job),
    ]


def run(
    job: str, begin: float, end: float | None = None, *, fence: int = 0, pid: int = 1, how: str = "end"
) -> list[Event]:
    told = [Event(begin, "start", job, fence=fence, pid=pid)]
    return told if end is None else [*told, Event(end, how, job, fence=fence, pid=pid)]


def fault(name: str, begin: float, end: float | None = None, pid: int = 1) -> list[Event]:
    told = [Event(begin, "fault", name=name, pid=pid)]
    return told if end is None else [*told, Event(end, "healed", name=name, pid=pid)]


def found(*parts: list[Event], **finals: Ended) -> list[tuple[str, str]]:
    broken: list[tuple[str, str]] = []
    events = sorted((event for part in parts for event in part), key=lambda event: event.at)
    judge_flow(Account(events), finals, lambda promise, job, _: broken.append((promise, job)))
    return broken
