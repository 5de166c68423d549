"""What a node tells the hooks of an application: the closed list of events, and what each carries."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from ironforge.errors import ConfigError
from ironforge.formats.suggest import closest
from ironforge.handlers.lifespan import Lifespan
from ironforge.handlers.names import name_of
from ironforge.job.tracebacks import AttemptError
from ironforge.steps.waits import WaitFor

EventName = Literal[
    "node_started",
    "node_draining",
    "node_stopped",
    "attempt_started",
    "attempt_completed",
    "attempt_failed",
    "attempt_snoozed",
    "attempt_waiting",
    "attempt_cancelled",
    "job_dead",
]


class NodeEvent(msgspec.Struct, frozen=True):
    """`node`: as the errors of failed attempts name it, host and process id."""

    event: EventName
    node: str


class AttemptEvent(NodeEvent, frozen=True):
    """`job_id`: in text form. `attempt`: the number of this attempt, from 1. `schedule`, `tick_at`: as in `Context`."""

    job_id: str
    kind: str
    queue: str
    namespace: str
    attempt: int
    schedule: str | None
    tick_at: datetime | None


class AttemptEnded(AttemptEvent, frozen=True):
    """`seconds`: how long the handler ran."""

    seconds: float


class AttemptFailed(AttemptEnded, frozen=True):
    """`retry_seconds`: the job is tried again in so many; None: it is dead."""

    error: AttemptError
    retry_seconds: float | None


class AttemptSnoozed(AttemptEnded, frozen=True):
    """`snooze_seconds`: the job runs again in so many."""

    snooze_seconds: float


class AttemptWaiting(AttemptEnded, frozen=True):
    """`waits_for`: `sleep`, `event` or `children`; `step`: its name, a key behind it as `name/key`; `awaited`: the name
    of the event, else None. `until`: when the wait ends by itself, in UTC; None: never."""

    waits_for: WaitFor
    step: str
    awaited: str | None
    until: datetime | None


class JobDead(AttemptEvent, frozen=True):
    """`reason`: why it is not tried again. `errors`: of its attempts, the newest last."""

    reason: str
    errors: tuple[AttemptError, ...]


# What each says, and the type of the object that its hooks get.
EVENTS: Final[Mapping[EventName, tuple[type[NodeEvent], str]]] = {
    "node_started": (NodeEvent, "the node takes jobs from now on"),
    "node_draining": (NodeEvent, "the node was told to stop: it takes no more jobs, and waits for those that run"),
    "node_stopped": (NodeEvent, "no job runs in the node any more; its lifespans end next"),
    "attempt_started": (AttemptEvent, "a worker begins with a job, which may still have to wait for a free thread"),
    "attempt_completed": (AttemptEnded, "the handler has returned a result"),
    "attempt_failed": (AttemptFailed, "the handler has failed, and it is decided whether the job is tried again"),
    "attempt_snoozed": (AttemptSnoozed, "the handler has put the job off by Snooze or Throttled"),
    "attempt_waiting": (AttemptWaiting, "the job leaves the node, and runs again once what it waits for is there"),
    "attempt_cancelled": (AttemptEnded, "the job was cancelled while a worker of the node had it"),
    "job_dead": (JobDead, "the job is not tried again after an attempt in this node, and goes to the dead letter"),
}


class Hook(NamedTuple):
    """`provided`: by name, the parameters that get what a lifespan yields."""

    event: EventName
    function: Callable[..., Any]
    provided: Mapping[str, Lifespan]


def check_hook(event: str, function: Callable[..., Any] | None) -> None:
    """Raises ConfigError for an event that there is not, and for what cannot be called with one."""
    if event not in EVENTS:
        close = closest(event, EVENTS)
        hint = f"did you mean {close!r}?" if close else f"there are {', '.join(get_args(EventName))}"
        raise ConfigError(f"there is no event {event!r}: {hint}")
    if function is None:
        return
    if not callable(function):
        raise ConfigError(f"a hook must be a function, not {type(function).__name__} {function!r:.80}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"hook {name_of(function)} yields: a hook is called once for each event")
