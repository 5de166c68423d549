"""IronForge: workflows of nodes that are given results as Celery's tasks are, submitted one by one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from benchmarks import workflows
from benchmarks.peers import ours
from benchmarks.peers.kit import done, main
from benchmarks.peers.steps import CHAIN, SHAPE, STEPS
from ironforge import Forge
from ironforge.settings import load
from ironforge.workflows.builder import dag, node
from ironforge.workflows.definition import Workflow

forge = Forge()


@forge.job("step")
async def step(number: int) -> int:
    done()
    return number + 1


@forge.job("last")
async def last(numbers: int | list[int]) -> int | list[int]:
    done()
    return numbers


def _chain() -> Workflow:
    nodes = [node("step", {"number": 0}, id="n0")]
    for number in range(1, STEPS - 1):
        nodes.append(node("step", {"number": nodes[-1].result}, id=f"n{number}"))
    return dag("chain", node("last", {"numbers": nodes[-1].result}))


def _fan() -> Workflow:
    first = node("step", {"number": 0}, id="first")
    between = [node("step", {"number": first.result}, id=f"n{number}") for number in range(STEPS - 2)]
    return dag("fan", node("last", {"numbers": [each.result for each in between]}))


async def submit(url: str, jobs: int) -> AsyncIterator[None]:
    workflow = _chain() if os.environ[SHAPE] == CHAIN else _fan()
    async with Forge(load({}, redis_url=url)) as submitter:
        await submitter.submit_many("other", [None])
        yield
        await workflows.submit(submitter, workflow, jobs)


if __name__ == "__main__":
    main(submit, ours.worker(forge, {}))
