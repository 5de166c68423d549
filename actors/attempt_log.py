"""A failed attempt as operators see it, from the moment it is decided: a line of the log, and the counts of retries and
dead jobs."""

from __future__ import annotations

import logging
from typing import Any

from ironforge.job.record import Job
from ironforge.metrics.jobs import Metrics
from ironforge.steps.names import shown

logger = logging.getLogger("ironforge.job")


def retried(job: Job, stream: str, delay_ms: int, metrics: Metrics) -> None:
    """The newest attempt of `job` failed, and there will be another one in `delay_ms`."""
    metrics.retried(job.kind, stream)
    _log(job, f"retry in {delay_ms / 1000:g} s")


def dead(job: Job, stream: str, metrics: Metrics) -> None:
    """`job`, which was delivered from `stream`, gave up."""
    metrics.dead(job.kind, stream)
    error = job.errors[-1]
    # Where the failure itself is what ended the job, the line would say it twice.
    said_already = job.reason in (error.message, f"{error.type}: {error.message}")
    _log(job, "dead" if said_already else f"dead: {job.reason}")


def waits(job: Job) -> None:
    """A run of `job` has parked it."""
    if job.wait is not None and logger.isEnabledFor(logging.DEBUG):
        what = f"event {job.wait.event}" if job.wait.event else f"its {job.wait.for_}"
        logger.debug("%s waits for %s", job.kind, what, extra=_about(job) | {"step": shown(job.wait.name)})


def unserved(job: Job, stream: str, metrics: Metrics) -> None:
    """`job`, which was delivered from `stream` and declined, waited in vain for a node that knows its kind."""
    metrics.dead(job.kind, stream)
    logger.warning("%s is dead: %s", job.kind, job.reason, extra=_about(job))


def _about(job: Job) -> dict[str, Any]:
    about = {"job_id": job.text_id, "kind": job.kind}
    return about if job.tick is None else about | job.tick.log_fields


def _log(job: Job, next_: str) -> None:
    """With the traceback of the newest attempt where the level is debug."""
    error = job.errors[-1]
    about = _about(job) | {"attempt": error.attempt, "next": next_}
    if error.trace and logger.isEnabledFor(logging.DEBUG):
        about["exception"] = error.trace
    logger.warning("attempt %d of %s failed: %s: %s", error.attempt, job.kind, error.type, error.message, extra=about)
