"""What a verification does beside its load: where that ends, the run ends with the reason."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis.asyncio

from ironforge.errors import StoreError
from ironforge.redis.keys import Keys
from ironforge.settings import Settings, load
from ironforge.verify.ledger import Ledger
from ironforge.verify.limits.watch import watching_lines
from ironforge.verify.load import Plan
from ironforge.verify.nodes import COMMAND
from ironforge.verify.run import verify
from tests.support.waiting import until


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return load({}, redis_url=redis_url, namespace="watched", lease_seconds=1.0)


def is_over(name: str) -> bool:
    return name not in {task.get_name() for task in asyncio.all_tasks()}


async def test_what_keeps_the_lines_from_being_looked_at_ends_the_run(settings: Settings, tmp_path: Path) -> None:
    keys = Keys(settings.namespace)
    async with redis.asyncio.Redis.from_url(settings.redis_url) as client:
        await client.set(keys.in_use, "of another type")

        with pytest.raises(StoreError, match="WRONGTYPE"):
            async with watching_lines(settings, Ledger(tmp_path / "run.ledger")):
                await until(lambda: is_over("lines"), "the look to end")


async def test_a_node_that_cannot_be_started_again_ends_the_run(settings: Settings, tmp_path: Path) -> None:
    once = tmp_path / "node"
    once.write_text(f'#!/bin/sh\nrm "$0"\nexec {" ".join(COMMAND)}\n')
    once.chmod(0o700)
    plan = Plan(seed=1, seconds=1.0, rate=20, nodes=1, pause_seconds=0, drain_seconds=1.0, killers=1)

    with pytest.raises(FileNotFoundError, match=str(once)):
        await verify(settings, plan, say=lambda _: None, command=[str(once)])
