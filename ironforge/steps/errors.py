"""What a handler may hear of its steps."""

from __future__ import annotations

from ironforge.errors import IronForgeError


class StepError(IronForgeError):
    """A step, or what a handler waits for, that cannot be."""


class InvalidStep(StepError):
    """A name or a key that is none, or two waits at once."""


class DuplicateStep(StepError):
    """Two steps of one run have the same name: give each a `key` of its own."""


class StepTooLarge(StepError):
    """The result of a step has too many bytes as JSON."""


class JournalFull(StepError):
    """The job has recorded as much as one may."""


class EventTimeout(StepError, TimeoutError):
    """The event did not come in time. A later run hears the same."""


class ChildrenFailed(StepError):
    """Children are dead, were cancelled or expired: see their ids."""
