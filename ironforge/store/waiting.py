"""What a waiting job waits for, and a queued one where that is more than its turn: each reason is made here, and
nowhere else."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ironforge.job.limits import RUNS
from ironforge.job.record import Job, format_id
from ironforge.redis.keys import ID_BYTES
from ironforge.steps.names import shown
from ironforge.steps.waits import Wait
from ironforge.store.kinds import Kinds

WaitingCode = Literal[
    "no_node_for_queue", "no_node_for_kind", "no_node_for_version", "limit", "sleep", "event", "children", "workflow"
]


class Waiting(NamedTuple):
    """`until_ms`: when it ends by itself, Unix time; None: that is not known, or never. Of a waiting job `step` is the
    entry in its journal, and `event` what it waits for."""

    code: WaitingCode
    detail: str
    until_ms: int | None = None
    step: str = ""
    event: str = ""


def parked_for(wait: Wait | None) -> Waiting | None:
    """What a job in state waiting waits for. None: its record does not say it, so somebody else has written that."""
    if wait is None:
        return None
    step = shown(wait.name)
    detail = {
        "sleep": f"it sleeps, step {step}",
        "event": f"it waits for event {wait.event}",
        "children": f"it waits for its children, step {step}",
        "workflow": "it stands for a workflow, and waits for its nodes",
    }[wait.for_]
    return Waiting(wait.for_, detail, wait.until_ms or None, step, wait.event)


def explained(job: Job, told: Waiting | None, kinds: Kinds) -> Waiting | None:
    """What a queued job waits for, of which the store has told this. Where no node takes jobs no limit lets one in."""
    without = _without_node(job, kinds)
    if told is None or (told.code == "limit" and without is not None and without.code == "no_node_for_queue"):
        return without
    return told


def _without_node(job: Job, kinds: Kinds) -> Waiting | None:
    """None: some node takes jobs of its queue, and may run it."""
    if not any(kinds.serving(job.queue)):
        return Waiting("no_node_for_queue", f"no running node serves queue {job.queue}")
    if not any(kinds.serving(job.queue, job.kind)):
        detail = f"no running node that serves queue {job.queue} runs kind {job.kind}"
        if job.kind not in kinds.known:
            detail += ", and none has announced it"
        return Waiting("no_node_for_kind", detail)
    if job.app_version and not any(kinds.serving(job.queue, job.kind, job.app_version)):
        detail = (
            f"version {job.app_version} of the application has begun it, and no running node that may run it has that"
        )
        return Waiting("no_node_for_version", detail)
    return None


def outside_streams(
    job: Job, location: bytes, until_ms: int | None = None, throttled: bytes = b"", holder: bytes = b""
) -> Waiting | None:
    """`location`: as the index says it of a queued job. `until_ms`: when the next one of its limit is let in, or when
    it goes to the dead letter, if no node comes. `throttled`: `stopped` or `probing`, when the target of its limit
    throttled; `holder`: the id of a job that has a place of it. None: it waits for its turn alone."""
    match location[:1]:
        case b"k":
            return _declined(job, until_ms)
        case b"l":
            return _behind_limit(location, until_ms, throttled, holder)
    return None


def _behind_limit(location: bytes, next_ms: int | None, throttled: bytes, holder: bytes) -> Waiting:
    name, key = location.decode(errors="replace").split("\n")[2:4]
    if name == RUNS:
        run = f"run {format_id(holder)}" if len(holder) == ID_BYTES else "an earlier run"
        return Waiting("limit", f"it waits behind {run} of schedule {key}", next_ms)
    jobs = f" of key {key}" if key else ""
    detail = {
        b"stopped": f"limit {name} lets none{jobs} start: a handler said that its target throttles",
        b"probing": f"limit {name} lets one{jobs} go first, since its target throttled, and that one has not ended",
    }.get(throttled, f"limit {name} lets no more{jobs} start now")
    return Waiting("limit", detail, next_ms)


def _declined(job: Job, until_ms: int | None) -> Waiting:
    if job.app_version:
        detail = f"version {job.app_version} of the application has begun it, and nodes of other versions declined it"
        return Waiting(
            "no_node_for_version", f"{detail}: it waits for one that has it and serves queue {job.queue}", until_ms
        )
    detail = f"nodes without kind {job.kind} declined it: it waits for one that runs it and serves queue {job.queue}"
    return Waiting("no_node_for_kind", detail, until_ms)
