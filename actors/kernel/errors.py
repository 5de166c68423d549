"""What can go wrong when talking to an actor, one class per remedy.

Errors carry text, never the frame or the message: a payload must not leak into a log through an exception.
"""

from __future__ import annotations


class ActorError(Exception):
    """Base of everything the kernel raises."""


class ActorDead(ActorError):
    """No actor lives at this address, or it is stopping for good."""


class ActorFailed(ActorError):
    """The actor's own code raised; `__cause__` is what it raised."""


class AskTimeout(ActorError, TimeoutError):
    """No answer came in time; the question may still be handled later."""


class SelfAsk(ActorError):
    """An actor waited for its own answer, which it could only give after waiting."""


class MailboxFull(ActorError):
    """The message lane has no room; the sender has to hold back or drop."""


class BadFrame(ActorError):
    """These bytes are no frame, or this value cannot become one."""


class BeginAnew(ActorError):
    """Raised by an actor to end its incarnation: what it stood for is over, and no bug of its own was the cause.

    It is restarted like one that failed, with the siblings that share its fate, and the restart budget is not charged:
    that is for bugs, and what happens outside may happen as often as it likes.
    """


class RestartsExceeded(ActorError):
    """A supervisor restarted its children more often than its budget allows."""


def describe(error: BaseException | None) -> str:
    """The error as one line of text, whatever its `__repr__` does."""
    try:
        return repr(error)
    except BaseException:  # noqa: BLE001 - a hostile repr must not turn the report of a crash into a second crash
        return f"<{type(error).__name__} whose repr raised>"
