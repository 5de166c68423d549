"""How a run parks its job: what it is to wait for, and what leaves the handler to say so."""

from __future__ import annotations

import msgspec

from ironforge.formats.bounds import Count, DurationMs, TimeMs
from ironforge.steps.waits import WaitFor


class Pending(msgspec.Struct, array_like=True, frozen=True):
    """What a run parks its job for. `field`: its name in the journal. `event`: the name of one, else "".

    `delay_ms`: it ends by itself so long from now; None: at `until_ms`, Unix time, as an earlier run has said, or never
    (0). `started_ms`: since when it waits. `low`: of children of which more are to be submitted, as in `Wait`.
    """

    for_: WaitFor
    field: str
    event: str = ""
    delay_ms: DurationMs | None = None
    until_ms: TimeMs = 0
    started_ms: TimeMs = 0
    low: Count = 0


class Parked(BaseException):
    """Leaves a handler whose job waits from now on; the job runs again once that is over. Not an Exception, so that
    `except Exception` lets it pass: what catches it has to raise it again."""

    def __init__(self, pending: Pending) -> None:
        super().__init__(f"the job is parked: it waits for its {pending.for_}")
        self.pending = pending
