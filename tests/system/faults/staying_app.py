"""A node program whose jobs stay with the version of the application that began them, and wait and fail on their way.
Its argument plants a bug, or none."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Final

from ironforge import Backoff, Context, Forge
from ironforge.execution import executor, outcome
from ironforge.runtime.node import run_node
from ironforge.store import versions
from ironforge.store.consumer import recovery

LEDGER = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
forge = Forge()


def note(what: str, context: Context) -> None:
    os.write(LEDGER, f"{what} {context.id} {context.fence} {os.getpid()}\n".encode())


@forge.job("stays", version_policy="same", max_retries=100, backoff=Backoff(base_seconds=0.01, max_seconds=0.05))
async def stay(context: Context) -> int:
    note("start", context)
    # The first run is the one that a kill interrupts before anything says which version it was of.
    await asyncio.sleep(0.2 if context.fence == 0 else 0.01)
    await context.step("first", len, "abc")
    await context.sleep("pause", 0.02)
    if context.attempt < 3:
        raise RuntimeError("again")
    note("end", context)
    return context.fence


def take_over_without_the_version() -> None:
    """What a dead node held may go on anywhere."""
    recovery.stays = lambda job, _: job  # type: ignore[attr-defined]


def run_what_another_began() -> None:
    """A node does not look which version began a job."""
    executor.begun = lambda job, same: versions.stays(job, same[job.kind])  # type: ignore[attr-defined]


def forget_with_a_step() -> None:
    """Once something is recorded the version is lost."""
    outcome.recorded = lambda _: True  # type: ignore[attr-defined]


BUGS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each for each in (take_over_without_the_version, run_what_another_began, forget_with_a_step)
}

if __name__ == "__main__":
    if sys.argv[1] in BUGS:
        BUGS[sys.argv[1]]()
    sys.exit(run_node(forge))
