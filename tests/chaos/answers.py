"""What only the chaos runs can judge beyond the verdict: one key has one answer, and what a full memory forgot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ironforge.verify.ledger import Event
from ironforge.verify.verdict import CANCELLED, COMPLETED, MISSING, Final, Violation


def one_answer(events: Iterable[Event], finals: Mapping[str, Final]) -> list[Violation]:
    """Of all that was tried with one key (or id) at most one became a job, and every answer named that one."""
    by_key: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.what in ("tried", "answered"):
            by_key[event.name].append(event)
    violations = []
    for key, told in by_key.items():
        jobs = {event.job for event in told if event.job and finals.get(event.job, Final(MISSING)).state != MISSING}
        answers = {event.job for event in told if event.what == "answered" and event.job}
        if len(jobs | answers) > 1:
            why = f"{len(jobs)} jobs came of it, {len(answers)} different ones were answered"
            violations.append(Violation("one key, one job", key, why, told))
    return violations


def forgotten(events: Sequence[Event], finals: Mapping[str, Final]) -> dict[str, Final]:
    """Jobs that ended, and whose records were dropped because memory was full, as it is promised.

    That they ended is known from the ledger alone; `uncounted` sees to it that none of them was lost instead.
    """
    if not any(event.what == "fault" and event.name == "memory-full" for event in events):
        return {}
    found: dict[str, Final] = {}
    for event in events:
        if event.job in finals:
            continue
        if event.what == "end":
            found[event.job] = Final(COMPLETED, event.fence, event.fence)
        elif event.what == "cancel_ok":
            found.setdefault(event.job, Final(CANCELLED))
    return found


def uncounted(finals: Mapping[str, Final], completed_total: int) -> list[Violation]:
    """Each job that has ended was counted: one that was not has been lost before its settlement."""
    completed = sum(final.state == COMPLETED for final in finals.values())
    if completed <= completed_total:
        return []
    return [Violation("accepted means kept", "", f"{completed} ended, {completed_total} settlements counted", [])]


def recovery(events: Iterable[Event]) -> dict[str, float]:
    """The longest time in seconds, by fault, from its end to the next job that ended: at its node, if it has one."""
    longest: dict[str, float] = {}
    waiting: dict[tuple[str, int], float] = {}
    for event in events:
        # What `Nodes` does to a process is noted as it begins, and its recovery is the verdict's.
        if event.what == "fault" and event.name not in ("kill", "stop", "pause"):
            waiting[event.name, event.pid] = event.at
        elif event.what == "end":
            for name, pid in [key for key in waiting if key[1] in (0, event.pid)]:
                longest[name] = max(longest.get(name, 0.0), event.at - waiting.pop((name, pid)))
    return longest
