"""Everything IronForge raises to its users, and what their handlers may raise or return to steer a job.

Every message names what was wrong, with which value, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from ironforge.codes import S401, S403, STATUS, Code
from ironforge.formats.duration import Duration, seconds_of

_HINT: Final = ("hint", str)


class IronForgeError(Exception):
    """The root of every error a user of IronForge may catch."""


class ConfigError(IronForgeError):
    """A setting is wrong, or two settings contradict each other."""


class Refused(IronForgeError):
    """What was asked for is refused, and nothing was done. `code` is stable for programs, `status` is HTTP's for it.

    `hint`: what to do, or what may have been meant. `members`: the attributes that a problem document over HTTP carries
    too, beside the hint, and their types. One that the client raises has that document, `problem`, and its `detail`.
    """

    code: str
    members: ClassVar[tuple[tuple[str, type], ...]] = ()
    hint: str | None = None

    def __init__(self, message: str, *, code: Code | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if hint is not None:
            self.hint = hint
        self.status: int = STATUS[self.code]
        self.detail = message
        self.problem: Mapping[str, Any] = {}

    def facts(self) -> dict[str, Any]:
        """The members, as a problem document shows them."""
        return {name: value for name, _ in (*self.members, _HINT) if (value := getattr(self, name)) not in (None, "")}

    def take(self, problem: Mapping[str, Any]) -> None:
        """The other way round. A document that is not of our making may hold anything: what does not fit is left."""
        for name, kind in (*self.members, _HINT):
            value = problem.get(name)
            fits = isinstance(value, int | float if kind is float else kind)
            setattr(self, name, value if fits else getattr(type(self), name, kind()))


class InvalidJob(Refused):
    """A submission that can never become a job. `field` names the culprit, `index` the bad job's place in its batch."""

    code = "invalid_job"
    members = (("field", str), ("index", int))
    field: str | None = None
    index: int | None = None

    def __init__(
        self, message: str, *, code: Code | None = None, field: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.field = field


class InvalidPayload(InvalidJob):
    """The payload does not fit the handler's annotated parameters."""

    code = "invalid_arguments"


class SerializationError(InvalidJob):
    """A Python value that JSON cannot carry; `field` is the path to it. `code`: not_serialisable, or what the HTTP API
    says of the same value: invalid_number, number_out_of_range, duplicate_key."""

    code = "not_serialisable"


class IncompatibleRecord(Refused):
    """Stored bytes that are no job, or a job of a newer version."""

    code = "incompatible_record"


class NewerRecord(IncompatibleRecord):
    """A job of a newer version: a node of that version can read it."""


class UnknownKind(IronForgeError):
    """No handler is registered for a job's kind."""


class JobNotFound(Refused):
    """No such job: never submitted, or ended and past its retention."""

    code = "job_not_found"


class LimitNotFound(Refused):
    """The namespace has no limit of this name, or a handler names one that its job does not use."""

    code = "limit_not_found"


class InvalidState(Refused):
    """The call does not fit the state the job is in, which is `state`; of a workflow, `workflow_status`."""

    code = "invalid_state"
    members = (("state", str), ("workflow_status", str))

    def __init__(self, message: str, *, state: str = "", workflow_status: str = "") -> None:
        super().__init__(message)
        self.state = state
        self.workflow_status = workflow_status


class OfAnotherJob(Refused):
    """The key is another job's. `job_id` is the id of that one, in text form; "" where the caller may not know it."""

    def __init__(self, message: str, *, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class IdempotencyConflict(OfAnotherJob):
    """An idempotency key came back with a different submission; `job_id`, or `workflow_id`, is the first one's."""

    code = "idempotency_conflict"
    members = (("job_id", str), ("workflow_id", str))
    workflow_id = ""


class Duplicate(OfAnotherJob):
    """Another job holds the unique key. `index`: place in its batch of the job that wants it."""

    code = "duplicate"
    members = (("job_id", str), ("index", int))
    index: int | None = None


class StoreError(Refused):
    """The server answered, and refused."""

    code = "store_refused"


class StoreUnavailable(StoreError):
    """The server cannot be used now. `code` says why: storage_unavailable, storage_full, storage_readonly,
    storage_loading, durability_lost (nothing was stored), durability_not_confirmed (stored, but not as safely as
    was asked; `job_ids` are then the ids of the submission). Repeating the same call later is safe."""

    def __init__(self, message: str, *, code: Code = "storage_unavailable", job_ids: Sequence[str] = ()) -> None:
        super().__init__(message, code=code)
        self.job_ids = tuple(job_ids)

    def facts(self) -> dict[str, Any]:
        if len(self.job_ids) == 1:
            return {"job_id": self.job_ids[0]}
        return {"job_ids": list(self.job_ids)} if self.job_ids else {}

    def take(self, problem: Mapping[str, Any]) -> None:
        several, job_id = problem.get("job_ids"), problem.get("job_id")
        self.job_ids = tuple(several) if isinstance(several, list) else (job_id,) if isinstance(job_id, str) else ()


class QueueFull(StoreError):
    """Nothing was stored, because `queue` would have more than `limit` jobs; it has `length` now. Try again later."""

    code = "queue_full"
    members = (("queue", str), ("length", int), ("limit", int))

    def __init__(self, message: str, *, queue: str, length: int, limit: int) -> None:
        super().__init__(message)
        self.queue = queue
        self.length = length
        self.limit = limit


class Unauthenticated(Refused):
    """No credential, or one that does not count. `code`: missing_credentials, invalid_credentials, invalid_token,
    token_expired. The message never says which part was wrong: that is for the log."""

    def __init__(self, message: str, *, code: S401) -> None:
        super().__init__(message, code=code)


class Forbidden(Refused):
    """The caller is known, and may not do this. `code`: missing_scope, queue_not_allowed, and for what a key would have
    beyond its maker scope_not_held, quota_not_held, expiry_not_held, too_many_generations."""

    def __init__(self, message: str, *, code: S403) -> None:
        super().__init__(message, code=code)


class QuotaExceeded(Refused):
    """Nothing was accepted. `quota` says whose limit and which one (`key.stored_jobs`), `current` where it stands;
    after `retry_seconds` another try may succeed. `field`: what of the submission asks for it, where it is one."""

    code = "quota_exceeded"
    members = (("quota", str), ("current", float), ("limit", float), ("retry_seconds", float), ("field", str))

    def __init__(
        self,
        message: str,
        *,
        quota: str,
        current: float,
        limit: float,
        retry_seconds: float,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.field = field
        self.quota = quota
        self.current = current
        self.limit = limit
        self.retry_seconds = retry_seconds


class KindNotFound(Refused):
    """No node has announced this kind, or the last one that ran it is long gone."""

    code = "kind_not_found"


class KeyNotFound(Refused):
    """No such API key in this namespace."""

    code = "key_not_found"


class TooManyKeys(Refused):
    """The name has two keys that count already, or the namespace has as many as it may."""

    code = "too_many_keys"


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


class Throttled(JobControl):
    """The target of a limit said that it is too much, as by HTTP's 429. The limit's key, as this job uses it, stops for
    everybody for `seconds` (or a timedelta); then one job goes first, and the others once it has ended. No attempt is
    spent, and this job keeps its place in line. A limit that the job does not use makes the attempt a failed one."""

    def __init__(self, limit: str, seconds: Duration) -> None:
        super().__init__(f"the target of limit {limit} throttles")
        self.limit = limit
        self.seconds = seconds


class WaitTimeout(IronForgeError, TimeoutError):
    """The job, or the workflow, had not ended when the time for waiting was over; it goes on."""
