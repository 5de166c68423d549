"""Nodes of two versions are killed and replaced while jobs that stay with a version fail, wait and record steps."""

from __future__ import annotations

import contextlib
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.system.faults.kit import Ground, until

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

PROGRAM = Path(__file__).parent / "staying_app.py"
VERSIONS = ("1", "2")
JOBS = 200


class RollOut:
    """Two nodes of each version."""

    def __init__(self, ground: Ground, bug: str = "") -> None:
        self._ground = ground
        self._bug = bug
        self._version: dict[int, str] = {}
        self._nodes = [self._start(version) for version in VERSIONS * 2]

    def _start(self, version: str) -> subprocess.Popen[bytes]:
        node = self._ground.start_node(program=(str(PROGRAM), self._bug or "none"), app_version=version)
        self._version[node.pid] = version
        return node

    async def joined(self) -> None:
        async def are_there() -> bool:
            names = [view.name for view in await self._ground.store_client.inspector.nodes()]
            return all(any(f".{node.pid}." in name for name in names) for node in self._nodes)

        await until(are_there, "the nodes to join")

    async def disturb(self) -> None:
        """The node that has been there for longest is killed, and the next one ended, for one of its version each."""
        killed, ended = self._nodes[:2]
        killed.kill()
        self._nodes = [*self._nodes[2:], self._start(self._version[killed.pid]), self._start(self._version[ended.pid])]
        assert await self._ground.end(ended) == 0

    def strays(self) -> list[tuple[str, set[str]]]:
        """Jobs that runs of several versions have begun."""
        began = defaultdict(set)
        for line in self._ground.lines():
            if line.what == "start":
                began[line.job_id].add(self._version[line.pid])
        return [(job_id, versions) for job_id, versions in began.items() if len(versions) > 1]


async def disturbed(ground: Ground, bug: str = "") -> RollOut:
    """Until all jobs have ended."""
    nodes = RollOut(ground, bug)
    ids: list[str] = []
    for _ in range(3):
        await nodes.joined()
        ids += await ground.forge.submit_many("stays", [None] * JOBS)
        enough = len(ids) - JOBS // 2
        await until(lambda enough=enough: len(ground.starts()) >= enough, "jobs to begin")
        await nodes.disturb()
    await ground.drained(len(ids))
    await ground.check_settled(ids)
    return nodes


@pytest.mark.parametrize("shards", [1, 2])
async def test_no_job_goes_on_in_another_version(ground: Ground, shards: int) -> None:
    async with contextlib.aclosing(ground.again(shards=shards, concurrency=32)) as own:
        assert (await disturbed(own)).strays() == []


@pytest.mark.parametrize("bug", ["take_over_without_the_version", "run_what_another_began", "forget_with_a_step"])
async def test_bugs_are_found(ground: Ground, bug: str) -> None:
    async with contextlib.aclosing(ground.again(concurrency=32)) as own:
        assert (await disturbed(own, bug)).strays() != []
