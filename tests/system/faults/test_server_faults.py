"""What happens to the server: killed in the middle of everything, it comes back with its data, and work goes on."""

from __future__ import annotations

import os
import signal

import pytest

from tests.system.faults.kit import Ground, until

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]


async def test_a_server_that_is_killed_and_comes_back_has_lost_nothing(ground: Ground) -> None:
    await ground.started_nodes(2)
    ids = await ground.submit(2_000, seconds=0.01)
    await until(lambda: len(ground.starts()) > 200, "the nodes to be busy")

    process = ground.server._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    ground.server.stop()
    ground.server.start()
    await ground.drained(len(ids))

    assert set(ids) == set(ground.starts())
    await ground.check_settled(ids)


async def test_scripts_that_the_server_forgot_are_sent_again(ground: Ground) -> None:
    import redis

    await ground.started_nodes(1)
    with redis.Redis.from_url(ground.settings.redis_url) as client:
        ids = await ground.submit(50)
        await ground.drained(50)
        client.script_flush()
        ids += await ground.submit(50)
        await ground.drained(100)

    await ground.check_settled(ids)
