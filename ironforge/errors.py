"""Everything IronForge raises to its users, and what their handlers may raise or return to steer a job.

Every message names what was wrong, with which value, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ironforge.codes import Code
from ironforge.formats.duration import Duration, seconds_of


class IronForgeError(Exception):
    """The root of every error a user of IronForge may catch."""


class ConfigError(IronForgeError):
    """A setting is wrong, or two settings contradict each other."""


class InvalidJob(IronForgeError):
    """A submission that can never become a job. `field` names the culprit, `code` is stable for programs."""

    def __init__(self, message: str, *, code: Code = "invalid_job", field: str | None = None) -> None:
        super().__init__(message)
        self.code: str = code
        self.field = field


class InvalidPayload(InvalidJob):
    """The payload does not fit the handler's annotated parameters."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message, code="invalid_arguments", field=field)


class SerializationError(InvalidJob):
    """A Python value that JSON cannot carry; `field` is the path to it. `code`: not_serialisable, or what the HTTP API
    says of the same value: invalid_number, number_out_of_range, duplicate_key."""

    def __init__(self, message: str, *, code: Code = "not_serialisable", field: str | None = None) -> None:
        super().__init__(message, code=code, field=field)


class IncompatibleRecord(IronForgeError):
    """Stored bytes that are no job, or a job of a newer version."""


class NewerRecord(IncompatibleRecord):
    """A job of a newer version: a node of that version can read it."""


class UnknownKind(IronForgeError):
    """No handler is registered for a job's kind."""


class JobNotFound(IronForgeError):
    """No such job: never submitted, or ended and past its retention."""


class InvalidState(IronForgeError):
    """The call does not fit the state the job is in. `state` is the present one."""

    def __init__(self, message: str, *, state: str) -> None:
        super().__init__(message)
        self.state = state


class IdempotencyConflict(IronForgeError):
    """An idempotency key came back with a different submission. `job_id` is the first one's, in text form; "" where
    the caller may not know it."""

    def __init__(self, message: str, *, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class StoreError(IronForgeError):
    """The server answered, and refused."""


class StoreUnavailable(StoreError):
    """The server cannot be used now. `code` says why: storage_unavailable, storage_full, storage_readonly,
    storage_loading, durability_lost (nothing was stored), durability_not_confirmed (stored, but not as safely as
    was asked; `job_ids` are then the ids of the submission). Repeating the same call later is safe."""

    def __init__(self, message: str, *, code: Code = "storage_unavailable", job_ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code: str = code
        self.job_ids = tuple(job_ids)


class QueueFull(StoreError):
    """Nothing was stored, because `queue` would have more than `limit` jobs; it has `length` now. Try again later."""

    def __init__(self, message: str, *, queue: str, length: int, limit: int) -> None:
        super().__init__(message)
        self.queue = queue
        self.length = length
        self.limit = limit


class Unauthenticated(IronForgeError):
    """No credential, or one that does not count. `code`: missing_credentials, invalid_credentials, invalid_token,
    token_expired. The message never says which part was wrong: that is for the log."""

    def __init__(self, message: str, *, code: Code) -> None:
        super().__init__(message)
        self.code: str = code


class Forbidden(IronForgeError):
    """The caller is known, and may not do this. `code`: missing_scope, queue_not_allowed, and for what a key would have
    beyond its maker scope_not_held, quota_not_held, expiry_not_held, too_many_generations."""

    def __init__(self, message: str, *, code: Code) -> None:
        super().__init__(message)
        self.code: str = code


class QuotaExceeded(IronForgeError):
    """Nothing was accepted. `quota` says whose limit and which one (`key.stored_jobs`), `current` where it stands;
    after `retry_seconds` another try may succeed."""

    def __init__(self, message: str, *, quota: str, current: float, limit: float, retry_seconds: float) -> None:
        super().__init__(message)
        self.quota = quota
        self.current = current
        self.limit = limit
        self.retry_seconds = retry_seconds


class KeyNotFound(IronForgeError):
    """No such API key in this namespace."""


class TooManyKeys(IronForgeError):
    """The name has two keys that count already, or the namespace has as many as it may."""


class LeaseLost(IronForgeError):
    """Another node took over: nothing this node holds may be settled any more."""


class LockNotHeld(IronForgeError):
    """The lock expired or belongs to somebody else."""


class LockTimeout(IronForgeError):
    """The lock stayed with its holder for as long as the caller was ready to wait."""


class JobControl(IronForgeError):
    """What a handler may return or raise instead of a result."""


class Retry(JobControl):
    """Counts as a failed attempt; the next one starts `after` seconds or a timedelta from now; None: by the backoff."""

    def __init__(self, after: Duration | None = None, reason: str = "the handler asked for a retry") -> None:
        super().__init__(reason)
        self.after = after
        self.reason = reason


class Discard(JobControl):
    """Never try again: the job goes to the dead letter at once, with `reason`."""

    def __init__(self, reason: str = "the handler discarded the job") -> None:
        super().__init__(reason)
        self.reason = reason


class Snooze(JobControl):
    """Run again `seconds` (or a timedelta) from now without spending an attempt."""

    def __init__(self, seconds: Duration) -> None:
        super().__init__(f"snoozed for {seconds_of(seconds):g} s")
        self.seconds = seconds


class WaitTimeout(IronForgeError, TimeoutError):
    """The job had not ended when the time for waiting was over; it goes on."""
