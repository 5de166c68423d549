"""What a handler may hear of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from ironforge.errors import IronForgeError, Refused

OVER: Final = "this run is over: a handler has to await its steps before it returns"
_NAMED: Final = 5


class StepError(IronForgeError):
    """A step, or what a handler waits for, that cannot be."""


class InvalidStep(StepError):
    """A name or a key that is none, a step inside another one, or two waits at once."""


class DuplicateStep(StepError):
    """Two steps of one run have the same name: give each a `key` of its own."""


class UnusableStep(StepError):
    """What a step has returned cannot be recorded. Another attempt would only do the same once more, so a job whose
    handler lets it pass is dead at once. `code` begins the reason."""

    code: ClassVar[str] = "step_not_serialisable"


class StepTooLarge(UnusableStep):
    """The result of a step has too many bytes as JSON."""

    code = "step_too_large"


class JournalFull(UnusableStep):
    """The job has recorded as much as one may."""

    code = "journal_full"


class EventTimeout(StepError, TimeoutError):
    """The event did not come in time. A later run hears the same."""


class ChildFailed(StepError):
    """A child that has no result. `status`: dead or cancelled (an expired one is cancelled, as its `reason` says);
    `index`: its place among the children."""

    def __init__(self, job_id: str, index: int, status: str, reason: str) -> None:
        super().__init__(f"child {index}, job {job_id}, is {status}" + (f": {reason}" if reason else ""))
        self.job_id = job_id
        self.index = index
        self.status = status
        self.reason = reason


class ChildrenFailed(StepError):
    """Children are dead, were cancelled or expired: `failed` has each of them. A later run hears the same."""

    def __init__(self, name: str, failed: Sequence[ChildFailed], count: int) -> None:
        named = "; ".join(map(str, failed[:_NAMED])) + (" …" if len(failed) > _NAMED else "")
        have = "has" if len(failed) == 1 else "have"
        super().__init__(f"{len(failed)} of the {count} children of step {name} {have} no result: {named}")
        self.failed = tuple(failed)


class EventNotFound(Refused):
    """No event of this name was sent, or it is not kept any more."""

    code = "event_not_found"
