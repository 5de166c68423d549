"""Two nodes of an application are replaced by a newer version and back again, under load of both: nothing is lost."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.system.faults.kit import Ground, until

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

PROGRAM = str(Path(__file__).parent / "versions_app.py")
RATE = 200
LOOK_SECONDS = 0.05


class Load:
    """Of jobs of both kinds, until it is stopped."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.ids: list[str] = []
        self._task = asyncio.create_task(self._submit())

    async def _submit(self) -> None:
        loop, begun = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        while True:
            for kind in ("old", "new"):
                due = int((loop.time() - begun) * RATE) - len(self.ids)
                payloads = [{"n": n, "text": "more"} if kind == "old" else {"n": n} for n in range(due // 2 + 1)]
                self.ids += await self._ground.forge.submit_many(kind, payloads)
            await asyncio.sleep(LOOK_SECONDS)

    async def more(self) -> None:
        """Wait until some more were submitted, of whichever kind."""
        enough = len(self.ids) + RATE
        await until(lambda: len(self.ids) >= enough, "more submissions")

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


def start(ground: Ground, version: int) -> subprocess.Popen[bytes]:
    return ground.start_node(program=(PROGRAM, str(version)))


async def replace(ground: Ground, node: subprocess.Popen[bytes], version: int) -> subprocess.Popen[bytes]:
    """The new one is there before the old one goes."""
    newer = await joined(ground, version)
    assert await ground.end(node) == 0
    return newer


async def joined(ground: Ground, version: int) -> subprocess.Popen[bytes]:
    node = start(ground, version)

    async def is_there() -> bool:
        return any(f".{node.pid}." in view.name for view in await ground.store_client.inspector.nodes())

    await until(is_there, "the new node to join")
    return node


async def counting(ground: Ground) -> tuple[str, int | None]:
    """Of what the new version changes: the priority of a kind, and the concurrency of a limit."""
    kinds = await ground.store_client.inspector.kinds()
    pace = await ground.store_client.limits.get("pace")
    return str(kinds.known["moved"].definition.defaults["priority"]), pace.limit.concurrency


async def test_new_definitions_hold_while_old_nodes_crash_and_restart_and_the_old_ones_after_a_roll_back(
    ground: Ground,
) -> None:
    old = await joined(ground, 1)
    assert await counting(ground) == ("low", 1)
    new = await joined(ground, 2)
    for _ in range(2):
        old.kill()
        old = await joined(ground, 1)
        assert await counting(ground) == ("high", 2)
    assert await ground.end(new) == 0
    assert await counting(ground) == ("low", 1)


async def test_jobs_with_and_without_a_field_that_the_new_version_needs_complete(ground: Ground) -> None:
    for version in (1, 2):
        start(ground, version)

    async def is_known() -> bool:
        kinds = await ground.store_client.inspector.kinds()
        return "grown" in kinds.known and len(kinds.known["grown"].schemas) == 2

    await until(is_known, "both versions to be announced")
    payloads = [{"n": n} if n % 2 else {"n": n, "text": "more"} for n in range(200)]
    ids = await ground.forge.submit_many("grown", payloads)
    await ground.drained(len(ids))
    await ground.check_settled(ids)
    totals = await ground.totals()
    assert (totals["completed"], totals["dead"]) == (len(ids), 0)


async def test_nothing_is_lost_in_a_roll_out_and_back(ground: Ground) -> None:
    nodes = [start(ground, 1), start(ground, 1)]
    load = Load(ground)
    await load.more()
    for version in (2, 2, 1, 1):
        nodes = [nodes[1], await replace(ground, nodes[0], version)]
        await load.more()
    await load.stop()
    start(ground, 2)
    await ground.drained(len(load.ids))
    await ground.check_settled(load.ids)

    totals = await ground.totals()
    assert (totals["completed"], totals["dead"], totals["failed"]) == (totals["submitted"], 0, 0)
    declined = Counter(line[1:] for line in ground.lines() if line.what == "declined")
    assert declined.total() > 0
    assert max(declined.values()) == 1  # of a run, by a node
