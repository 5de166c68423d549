"""What a queued job waits for, where that is more than its turn: each reason is made here, and nowhere else."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ironforge.job.record import Job
from ironforge.store.kinds import Kinds

WaitingCode = Literal["no_node_for_queue", "no_node_for_kind", "limit"]


class Waiting(NamedTuple):
    """`until_ms`: when it ends by itself, Unix time; None: that is not known."""

    code: WaitingCode
    detail: str
    until_ms: int | None = None


def without_node(job: Job, kinds: Kinds) -> Waiting | None:
    """None: some node takes jobs of its queue and runs its kind."""
    if not any(kinds.serving(job.queue)):
        return Waiting("no_node_for_queue", f"no running node serves queue {job.queue}")
    if not any(kinds.serving(job.queue, job.kind)):
        return Waiting("no_node_for_kind", f"no running node that serves queue {job.queue} runs kind {job.kind}")
    return None


def behind_limit(location: bytes, next_ms: int | None = None, throttled: str = "") -> Waiting:
    """`location`: as the index says it of a job that waits behind a limit. `next_ms`: when the next one is let in.
    `throttled`: `stopped` or `probing`, when its target throttled."""
    name, key = location.decode(errors="replace").split("\n")[2:4]
    jobs = f" of key {key}" if key else ""
    detail = {
        "stopped": f"limit {name} lets none{jobs} start: a handler said that its target throttles",
        "probing": f"limit {name} lets one{jobs} go first, since its target throttled, and that one has not ended",
    }.get(throttled, f"limit {name} lets no more{jobs} start now")
    return Waiting("limit", detail, next_ms)


def declined(job: Job, until_ms: int | None = None) -> Waiting:
    """Of a job that nodes declined; `until_ms`: when it goes to the dead letter, if no node comes."""
    detail = f"nodes without kind {job.kind} declined it: it waits for one that runs it and serves queue {job.queue}"
    return Waiting("no_node_for_kind", detail, until_ms)
