"""A handler that holds up the event loop of its node is named: in the log, and for whoever takes the node over."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from typing import Any

import pytest

from ironforge.actors.blocked_loop import SHOWN, blocker
from ironforge.job.record import parse_id
from ironforge.store.consumer.leases import RedisLeases
from ironforge.store.sharding import ShardedLeases
from tests.actors.node.kit import Gate, World, until


def crunch(until_noted: threading.Event) -> None:
    until_noted.wait(30)


async def test_a_handler_that_blocks_the_loop_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    noted: list[tuple[bytes, str]] = []
    enough = threading.Event()
    leases: Any = RedisLeases if world.settings.shards == 1 else ShardedLeases
    note = leases.note_blocked

    def listen(self: Any, lease: Any, job_id: bytes, seen: str) -> None:
        note(self, lease, job_id, seen)
        noted.append((job_id, seen))
        if len(noted) == 2:
            enough.set()

    monkeypatch.setattr(leases, "note_blocked", listen)

    @world.forge.job("blocking")
    async def blocking() -> None:
        crunch(enough)

    with caplog.at_level(logging.WARNING):
        async with world.node(lease_seconds=1.0):
            job_id = await world.submit("blocking")
            await world.completed(job_id)
            await until(lambda: len(noted) == 3, "the heart to forget it")

    assert {job for job, _ in noted} == {parse_id(job_id)}
    place = rf"\d\.\d s in .*threading\.py:\d+ wait, called from .*{re.escape(__file__)}:\d+ crunch"
    assert [bool(re.fullmatch(f"blocked the event loop for {place}", seen)) for _, seen in noted] == [True, True, False]
    assert noted[2][1] == ""
    (line, _) = [record for record in caplog.records if "blocks the event loop" in record.getMessage()]
    assert line.kind == "blocking"
    assert line.job_id == job_id
    assert "\n" not in line.getMessage()


async def test_a_loop_that_no_handler_blocks_is_said_to_be_blocked_by_what_is_there() -> None:
    found = await asyncio.to_thread(blocker, threading.get_ident())
    assert found.attempt is None
    assert len(found.place.split(", called from ")) == SHOWN


async def test_a_task_that_a_handler_left_behind_is_no_job(world: World, caplog: pytest.LogCaptureFixture) -> None:
    gate, kept = Gate(), []

    @world.forge.job("leaves")
    async def leaves() -> None:
        async def later() -> None:
            await gate.pass_through()
            time.sleep(1.0)  # noqa: ASYNC251 - this is the fault

        kept.append(asyncio.create_task(later()))

    with caplog.at_level(logging.WARNING):
        async with world.node(lease_seconds=1.0):
            await world.completed(await world.submit("leaves"))
            gate.open()
            await until(lambda: "the event loop is blocked for" in caplog.text, "it to be seen")
            await asyncio.gather(*kept)
    assert "test_blocked_loop.py" in caplog.text
