"""What a running handler may know about its job, and nothing of the store behind it.

Made once for every job on the hot path, so everything that costs (text id, logger, datetime) is made on
demand.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from ironforge.errors import InvalidJob
from ironforge.formats.duration import Duration
from ironforge.job.checks import check_throttle, check_whole
from ironforge.job.limits import MAX_UNITS, LimitUse, use_of
from ironforge.job.record import format_id
from ironforge.job.tick import JobTick
from ironforge.steps.calls import StepCalls, Stepping
from ironforge.steps.errors import StepError


class _Said(Awaitable[None]):
    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


# To be awaited, or not: it is done already.
SAID: Final = _Said()
# Says that the target of what a job uses of a limit throttles, for so many milliseconds; done once that holds.
Throttle: TypeAlias = Callable[[LimitUse, int], Awaitable[None]]
# The steps of the run that a context is of, made on first use. Not the run itself: the two would hold each other, and
# be freed by the garbage collector alone. Raises StepError, and CancelledError for a run that was told to stop.
StepsOf: TypeAlias = "Callable[[Context], Stepping]"
# One for all runs: few say what they used.
_NOTHING_USED: Final[Mapping[LimitUse, int]] = {}


class WorkflowNode(msgspec.Struct, array_like=True, frozen=True):
    """The workflow that a job belongs to, by its id, and which node of it the job is."""

    id: str
    node: str


class Context(StepCalls):
    """Annotate a handler's parameter with `Context` and the handler receives it.

    `kind`: the job's kind. `attempt`: the number of this attempt, from 1. `fence`: rises with every further
    run of the job; send it along with writes to other systems, and let them refuse a lower fence than they
    have seen. `namespace`: whose job it is. `units_used`: of its limits, as `used` was told. Of the job of a schedule,
    each run of it: `schedule`, the name, and `tick_at`, the time of its tick in UTC; of any other job None. `workflow`:
    of the job of a node, the workflow's `id`, and `node`, its own in there; of any other job None.
    """

    __slots__ = (
        "_cancelled",
        "_expires",
        "_job_id",
        "_logger",
        "_open_steps",
        "_throttle",
        "_tick",
        "_uses",
        "attempt",
        "fence",
        "kind",
        "namespace",
        "units_used",
        "workflow",
    )

    def __init__(  # noqa: PLR0917 - keywords would cost more than the whole object
        self,
        job_id: bytes,
        kind: str,
        attempt: int,
        fence: int,
        timeout_seconds: float,
        namespace: str = "default",
        tick: JobTick | None = None,
        open_steps: StepsOf | None = None,
    ) -> None:
        self._job_id = job_id
        self.kind = kind
        self.attempt = attempt
        self.fence = fence
        self.namespace = namespace
        self._expires = time.monotonic() + timeout_seconds
        self._cancelled = False
        self._logger: Any = None
        self._tick = tick
        self._open_steps = open_steps
        self._uses: Sequence[LimitUse] = ()
        self._throttle: Throttle | None = None
        self.units_used = _NOTHING_USED
        self.workflow: WorkflowNode | None = None

    @property
    def id(self) -> str:
        """The job's id in text form."""
        return format_id(self._job_id)

    @property
    def idempotency_key(self) -> str:
        """The same for every run of the job: hand it to services that deduplicate."""
        return self.id

    @property
    def schedule(self) -> str | None:
        return None if self._tick is None else self._tick.schedule

    @property
    def tick_at(self) -> datetime | None:
        return None if self._tick is None else self._tick.at

    @property
    def deadline(self) -> datetime:
        """When this attempt times out, in UTC."""
        return datetime.fromtimestamp(time.time() + self.seconds_left(), UTC)

    def seconds_left(self) -> float:
        """Until this attempt times out; negative afterwards."""
        return self._expires - time.monotonic()

    @property
    def cancel_requested(self) -> bool:
        """True once this attempt shall stop: timed out, cancelled, or the node is going down.

        Asynchronous handlers are cancelled anyway; handlers in a thread cannot be, and should poll this.
        """
        return self._cancelled

    def request_cancel(self) -> None:
        self._cancelled = True

    def throttle(self, limit: str, *, retry_after: Duration) -> Awaitable[None]:
        """The target of this limit said that it is too much: its key, as this job uses it, stops for everybody for so
        many seconds (or a timedelta), and this run goes on. See `Throttled` for what follows.

        It holds once this was awaited, in a handler that runs in a thread once this returns; of a handler in a process
        when its run has ended. Raises LimitNotFound for a limit that the job does not use, ValueError.
        """
        use = use_of(self._uses, limit)
        try:
            ms = check_throttle("retry_after", retry_after)
        except InvalidJob as error:
            raise ValueError(str(error)) from None
        assert self._throttle is not None  # it came with what is used
        return self._throttle(use, ms)

    def used(self, limit: str, units: int) -> None:
        """This run used so many units of the limit's rate, and not as many as the job said. Called again, the last one
        counts; the rate is corrected when the run has ended, however. Raises LimitNotFound, ValueError."""
        use = use_of(self._uses, limit)
        try:
            self.units_used = {**self.units_used, use: check_whole("units", units, 0, MAX_UNITS)}
        except InvalidJob as error:
            raise ValueError(str(error)) from None

    def use_limits(self, uses: Sequence[LimitUse], throttle: Throttle) -> None:
        """Those that the job uses, which its handler may speak of."""
        self._uses, self._throttle = uses, throttle

    @property
    def _steps(self) -> Stepping:
        if self._open_steps is None:
            raise StepError("this Context is of no run on a node, so there is no journal to record steps in")
        return self._open_steps(self)

    @property
    def logger(self) -> Any:
        """A structlog logger that carries the job's id, kind, attempt and namespace, and its tick or its node."""
        if self._logger is None:
            import structlog  # noqa: PLC0415 - a tenth of a second that only jobs which log shall pay

            self._logger = structlog.get_logger("ironforge.job").bind(**self.log_fields())
        return self._logger

    def log_fields(self) -> dict[str, Any]:
        """What says in a line of the log whose it is."""
        about = {"job_id": self.id, "kind": self.kind, "attempt": self.attempt, "namespace": self.namespace}
        if self.workflow is not None:
            about |= {"workflow": self.workflow.id, "node": self.workflow.node}
        return about if self._tick is None else about | self._tick.log_fields


class Running(Protocol):
    """A run of a job, as the code that runs in it may find it."""

    @property
    def context(self) -> Context | None:
        """None before it has begun."""

    def fail(self, error: BaseException) -> bool:
        """End it as failed; False when it has already ended."""


# Set in the context of each run, and so in that of every task and thread that comes from it.
running: Final[ContextVar[Running]] = ContextVar("ironforge_running")
