"""What only the chaos runs judge beyond the verdict: what a full memory forgot, and how soon each fault was over."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ironforge.job.expiry import EXPIRED
from ironforge.job.record import JobState, decode, format_id
from ironforge.store.workflows.nodes import node_id
from ironforge.verify.account import Ended, fence_of
from ironforge.verify.findings import Violation
from ironforge.verify.handlers import TOLD
from ironforge.verify.ledger import Event
from ironforge.verify.limits.policy_verdict import reasons_of
from ironforge.verify.verdict import CANCELLED, COMPLETED, ENDS_AN_ATTEMPT, KEPT
from ironforge.verify.workflows.seen import Seen
from ironforge.workflows.states import NodeState
from tests.system.chaos.installation import NOBODY


def forgotten(events: Sequence[Event], finals: Mapping[str, Ended]) -> dict[str, Ended]:
    """Jobs that ended, and whose records were dropped because memory was full, as it is promised.

    That they ended is known from the ledger alone; `uncounted` sees to it that none of them was lost instead.
    """
    if not _memory_was_full(events):
        return {}
    found: dict[str, Ended] = {}
    fences: dict[str, int] = {}
    # Why a limit cancels those that use it, where it does.
    reasons = {event.job: reason for event in events for reason in reasons_of(event)}
    # By who got no answer, or was told that its node had been asked, or by a schedule whose next run takes its place.
    asked = {event.job for event in events if event.what == "cancel_info" or _was_running(event)}
    unended = Counter(event.job for event in events if event.what == "start")
    unended.subtract(event.job for event in events if event.what in ("end", *ENDS_AN_ATTEMPT))
    for event in events:
        if not event.job or event.job in finals:
            continue
        if event.what == "start":
            fences[event.job] = max(event.fence, fences.get(event.job, 0))
        if event.what in ("submit_ok", "start") and event.job in reasons:
            # It was cancelled, where no run of it ends.
            reason = reasons[event.job]
            found[event.job] = Ended(CANCELLED, fences.get(event.job, 0), None, unended[event.job], reason)
        elif event.what == "end" and event.fence >= found.get(event.job, Ended(COMPLETED)).fence:
            # A node that was taken over may end an older run later, and that settles nothing.
            found[event.job] = Ended(COMPLETED, event.fence, event.fence, unended[event.job])
        elif event.what == "cancel_info" and not unended[event.job]:
            # Whether it was cancelled is not known from the answer; that it is gone without a run says it.
            found.setdefault(event.job, Ended(CANCELLED, 0, None, 0))
        elif event.what in ("left", "parked") and event.job in asked:
            if event.fence >= found.get(event.job, Ended(CANCELLED)).fence:
                crashes = unended[event.job] - (event.what == "left")
                found[event.job] = Ended(CANCELLED, event.fence, None, crashes)
        elif event.expires_in and not unended[event.job]:
            # It has expired, where no run is told of afterwards.
            found.setdefault(event.job, Ended(CANCELLED, reason=EXPIRED))
        elif event.what == "cancel_ok" and event.name == CANCELLED:
            found[event.job] = Ended(CANCELLED, fences.get(event.job, 0), None, unended[event.job])
    return found


def _was_running(event: Event) -> bool:
    return event.what == "cancel_ok" and event.name == JobState.RUNNING


def forget(events: Sequence[Event], workflows: Iterable[Seen]) -> None:
    """Workflows that ended, and were dropped because memory was full, as the ledger says: they told their end, or it
    was asked for."""
    if not _memory_was_full(events):
        return
    told = {name.partition(TOLD)[0] for event in events if TOLD in (name := event.name) and event.what == "node"}
    for seen in workflows:
        seen.forgotten = seen.view is None and (seen.name in told or seen.cancelled_at < math.inf)


def ended_nodes(events: Sequence[Event], workflows: Iterable[Seen]) -> dict[str, Ended]:
    """Jobs of nodes that completed as their workflow says, where a full memory forgot their records: what makes the
    items of a map tells the ledger nothing."""
    if not _memory_was_full(events):
        return {}
    told = {event.name for event in events if event.what == "node"}
    found = []
    for seen in workflows:
        if seen.view is not None:
            found += [node.job_id for node in seen.view.nodes if node.state is NodeState.SUCCEEDED]
        elif f"{seen.name}{TOLD}completed" in told and not seen.retries:
            maps = [number for number, node in enumerate(seen.document.graph.nodes) if node.map is not None]
            found += [node_id(seen.id, number) for number in maps]
    return {format_id(job_id): Ended(COMPLETED) for job_id in found if job_id}


def _memory_was_full(events: Iterable[Event]) -> bool:
    return any(event.what == "fault" and event.name == "memory-full" for event in events)


def ended(records: Iterable[bytes]) -> dict[str, Ended]:
    """What the records of ended jobs say. What stands for a workflow is among them, and is no job."""
    jobs = (job for job in map(decode, records) if not job.is_workflow)
    return {
        job.text_id: Ended(str(job.ended), job.fence, fence_of(job.result), job.crashes, job.reason) for job in jobs
    }


def uncounted(finals: Mapping[str, Ended], completed_total: int) -> list[Violation]:
    """Each job that has ended was counted: one that was not has been lost before its settlement."""
    completed = sum(final.state == COMPLETED for final in finals.values())
    if completed <= completed_total:
        return []
    return [Violation(KEPT, "", f"{completed} ended, {completed_total} settlements counted", [])]


def recovery(events: Iterable[Event]) -> dict[str, float]:
    """The longest time in seconds, by fault, from its end to the next job that ended: at its node, if it has one."""
    longest: dict[str, float] = {}
    waiting: dict[tuple[str, int], float] = {}
    for event in events:
        if event.what == "healed" or (event.what == "fault" and event.pid == 0):
            waiting[event.name, event.pid] = event.at
        elif event.what == "end":
            for name, pid in [key for key in waiting if key[1] in (NOBODY, 0, event.pid)]:
                longest[name] = max(longest.get(name, 0.0), event.at - waiting.pop((name, pid)))
    return longest
