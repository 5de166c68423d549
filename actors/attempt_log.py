"""One line of the log for each failed attempt: whose, how, and what comes next."""

from __future__ import annotations

import logging

from ironforge.job.record import Job

logger = logging.getLogger("ironforge.job")


def failed_attempt(job: Job, next_: str) -> None:
    """Of the newest attempt of `job`; with its traceback where the level is debug."""
    error = job.errors[-1]
    how = f"{error.type}: {error.message}"
    # Where the failure itself is what ended the job, the line would say it twice.
    if next_ in (f"dead: {how}", f"dead: {error.message}"):
        next_ = "dead"
    about = {"job_id": job.text_id, "kind": job.kind, "attempt": error.attempt, "next": next_}
    if error.trace and logger.isEnabledFor(logging.DEBUG):
        about["exception"] = error.trace
    logger.warning("attempt %d of %s failed: %s", error.attempt, job.kind, how, extra=about)
