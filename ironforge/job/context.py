"""What a running handler may know about its job, and nothing of the store behind it.

Made once for every job on the hot path, so everything that costs (text id, logger, datetime) is made on
demand.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from ironforge.job.record import format_id


class Context:
    """Annotate a handler's parameter with `Context` and the handler receives it.

    `kind`: the job's kind. `attempt`: the number of this attempt, from 1. `fence`: rises with every further
    run of the job; send it along with writes to other systems, and let them refuse a lower fence than they
    have seen. `namespace`: whose job it is.
    """

    __slots__ = ("_cancelled", "_expires", "_job_id", "_logger", "attempt", "fence", "kind", "namespace")

    def __init__(  # noqa: PLR0917 - keywords would cost more than the whole object
        self,
        job_id: bytes,
        kind: str,
        attempt: int,
        fence: int,
        timeout_seconds: float,
        namespace: str = "default",
    ) -> None:
        self._job_id = job_id
        self.kind = kind
        self.attempt = attempt
        self.fence = fence
        self.namespace = namespace
        self._expires = time.monotonic() + timeout_seconds
        self._cancelled = False
        self._logger: Any = None

    @property
    def id(self) -> str:
        """The job's id in text form."""
        return format_id(self._job_id)

    @property
    def idempotency_key(self) -> str:
        """The same for every run of the job: hand it to services that deduplicate."""
        return self.id

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

    @property
    def logger(self) -> Any:
        """A structlog logger that carries the job's id, kind, attempt and namespace."""
        if self._logger is None:
            import structlog  # noqa: PLC0415 - a tenth of a second that only jobs which log shall pay

            self._logger = structlog.get_logger("ironforge.job").bind(**self.log_fields())
        return self._logger

    def log_fields(self) -> dict[str, Any]:
        """What says in a line of the log whose it is."""
        return {"job_id": self.id, "kind": self.kind, "attempt": self.attempt, "namespace": self.namespace}


class Running(Protocol):
    """A run of a job, as the code that runs in it may find it."""

    @property
    def context(self) -> Context | None:
        """None before it has begun."""

    def fail(self, error: BaseException) -> bool:
        """End it as failed; False when it has already ended."""


# Set in the context of each run, and so in that of every task and thread that comes from it.
running: Final[ContextVar[Running]] = ContextVar("ironforge_running")
