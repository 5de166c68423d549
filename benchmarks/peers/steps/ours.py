"""IronForge: a job of recorded steps; `submit_many` with 500 jobs a call."""

from __future__ import annotations

import os

from benchmarks.peers import ours
from benchmarks.peers.kit import done
from benchmarks.peers.steps import STEPS
from ironforge import Context, Forge

forge = Forge()


async def _number(number: int) -> int:
    return number


@forge.job("steps")
async def steps(context: Context) -> None:
    for number in range(STEPS):
        await context.step(f"step-{number}", _number, number)
    done()


if __name__ == "__main__":
    ours.run(forge, os.environ)
