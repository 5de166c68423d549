"""An application in two versions, by `BENCH_VERSION`: the second one knows a kind more.

What a node declines it writes into the file `BENCH_LEDGER`: job, run and process, a line each.
"""

from __future__ import annotations

import os

from ironforge import Forge
from ironforge.actors.outcome_reporter import OutcomeReporter
from ironforge.job.record import decode
from ironforge.store import Delivery

forge = Forge()
ledger = os.open(os.environ["BENCH_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
decline = OutcomeReporter.declined


def declined(self: OutcomeReporter, delivered: Delivery) -> None:
    """A node has no event for it: it is nothing that happened to the job."""
    job = decode(delivered[2])
    os.write(ledger, f"{job.text_id} {job.fence} {os.getpid()}\n".encode())
    decline(self, delivered)


OutcomeReporter.declined = declined  # type: ignore[method-assign]


@forge.job("bench.old")
async def old() -> None:
    """Both versions know it."""


if os.environ["BENCH_VERSION"] == "2":

    @forge.job("bench.new")
    async def new() -> None:
        """Only the second version knows it."""
