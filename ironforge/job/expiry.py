"""Jobs that are worth nothing later: one that has not started by its moment never starts, and is cancelled.

The moment is counted from the submission, by the server's clock. A job that has started, or was with a node that died,
has none any more (`Job.again`): its retries run whenever they can.
"""

from __future__ import annotations

from typing import Final

from ironforge.errors import InvalidJob
from ironforge.formats.numbers import shown
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, JobState

MIN_EXPIRY_SECONDS: Final = 0.001
# Why such a job was cancelled, in its record.
EXPIRED: Final = "expired"


def is_expired(job: Job, at_ms: float) -> bool:
    """Whether a job that waits must not start any more at this time."""
    return 0 < job.expires_ms <= at_ms


def expired(job: Job, ended_ms: int) -> Job:
    """The record of a job that was not started in time."""
    return job.finish(JobState.CANCELLED, ended_ms, reason=EXPIRED)


def check_expiry(expires_in_ms: int, delay_ms: int | None, run_at_ms: int | None) -> None:
    """Raises InvalidJob for a job that could never start."""
    starts_in_ms = max(0, run_at_ms - now_ms()) if run_at_ms is not None else delay_ms or 0
    if not 0 < expires_in_ms <= starts_in_ms:
        return
    raise InvalidJob(
        f"the job expires {shown(expires_in_ms / 1000)} s after its submission and may not start before "
        f"{shown(starts_in_ms / 1000)} s: it would never run",
        code="invalid_expiry",
        field="run_at" if delay_ms is None else "delay_seconds",
        hint="let expires_in_seconds reach beyond the delay, which it does not count from",
    )
