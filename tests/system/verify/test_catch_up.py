"""What is caught up with, judged where the server's clock leaps forward, as after an outage of most of a minute; and a
planted bug that starts all that was missed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ironforge.settings import load
from ironforge.store import StoreClient
from ironforge.store.schedules import ticking
from ironforge.verify.account import Account
from ironforge.verify.ledger import Ledger, read
from ironforge.verify.schedules.load import ScheduleLoad
from ironforge.verify.schedules.verdict import CATCH_UP, judge_ticks
from tests.support.preload import clock_library, needs
from tests.system.chaos.server import Server

MISSED_SECONDS = 40.0
PATIENCE_SECONDS = 20.0


async def broken(folder: Path) -> set[str]:
    found: Counter[str] = Counter()
    async with Server(folder / "server", moving_clock=True) as server:
        settings = load({}, redis_url=server.url)
        store_client = StoreClient(settings)
        ledger = Ledger(folder / "run.ledger")
        schedules = ScheduleLoad(random.Random(1), settings, store_client, ledger)
        async with schedules.watched():
            await schedules.begin()
            await schedules.caught_up(0.0)
            server.set_clock(MISSED_SECONDS)
            # The server may look at its clock later than it answers: what it tells next would be from before the leap.
            async with server.client() as client:
                while (await client.time())[0] < time.time() + MISSED_SECONDS / 2:
                    await asyncio.sleep(0.01)
            async with store_client.keeping_time():
                assert await schedules.caught_up(PATIENCE_SECONDS)
        await store_client.close()
        ledger.close()
    judge_ticks(Account(read(folder)), schedules.found, lambda promise, _job, _why: found.update([promise]))
    return set(found)


async def test_after_an_outage_no_more_starts_than_a_schedule_says(monkeypatch: pytest.MonkeyPatch) -> None:
    needs(clock_library(), "gcc libc6-dev")
    with TemporaryDirectory(prefix="chaos-") as folder:
        assert await broken(Path(folder)) == set()

    monkeypatch.setattr(ticking, "_first_to_start", lambda *_: 0)
    with TemporaryDirectory(prefix="chaos-") as folder:
        assert await broken(Path(folder)) == {CATCH_UP}
