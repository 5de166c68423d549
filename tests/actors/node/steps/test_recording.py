"""What a node says to the journal with each step that it records."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ironforge import Context
from ironforge.job.record import parse_id
from ironforge.redis.step_keys import journal_of
from ironforge.steps.journal import HEAD
from ironforge.store import NewStep
from ironforge.store.steps.recorder import Recorder
from tests.actors.node.kit import QUICK, World

pytestmark = pytest.mark.one_shard


async def test_the_journal_names_each_run_that_records_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bool] = []
    record = Recorder.record

    async def noted(self: Recorder, batch: Sequence[NewStep]) -> list[bytes | None]:
        begun.extend(each.begins for each in batch)
        return await record(self, batch)

    monkeypatch.setattr(Recorder, "record", noted)

    @world.forge.job("order", backoff=QUICK)
    async def order(context: Context) -> None:
        for number in range(3 * context.attempt):
            await context.step("pack", str, number, key=number)
        if context.attempt == 1:
            raise ConnectionError

    async with world.node():
        job_id = await world.submit("order")
        await world.completed(job_id)
    assert begun == [True, False, False] * 2
    assert world.cluster.raw.hget(journal_of(world.cluster.keys, parse_id(job_id)), HEAD) == b"1"
