"""Behind Sentinel: nodes and API follow the primary wherever it goes, and what was acknowledged is not lost with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironforge.errors import ConfigError
from ironforge.settings import load
from ironforge.store.server_checks import verify
from tests.support.topologies import SentinelTopology, until
from tests.system.topologies.kit import Load, api, ground_on

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_a_failover_under_load_loses_nothing_and_nobody_restarts(
    sentinel: SentinelTopology, tmp_path: Path, fault: str
) -> None:
    # Both replicas: with one, a primary that comes back from a pause can acknowledge what it shares with nobody but a
    # replica that has not yet heard of the new primary, and that is lost.
    async with ground_on(sentinel.url, tmp_path, replicas=2) as ground:
        nodes = await ground.started_nodes(2)
        load = Load(ground)
        async with api(ground) as client, load.running():
            await load.more()
            load.acknowledged.append((await client.submit("work"))["id"])
            old = sentinel.primary
            if fault == "kill":
                sentinel.fail_over()
                old.start()
            else:  # cut off, it still believes to be the primary when it comes back
                old.pause()
                until(lambda: sentinel.primary is not old, "a new primary")
                old.resume()
            await load.more()
            until(lambda: old.has_role("slave"), "the old primary to be a replica")
            await load.more()
            load.acknowledged.append((await client.submit("work"))["id"])
        await load.all_done()

        assert [node.poll() for node in nodes] == [None, None]
        assert set(load.acknowledged) <= set(ground.starts())
        until(lambda: all(one.has_replicas(2) for one in [sentinel.primary]), "two replicas again")


async def test_an_address_that_no_sentinel_knows_is_refused_in_one_line(sentinel: SentinelTopology) -> None:
    url = sentinel.url.replace("/forge", "/smithy")
    with pytest.raises(
        ConfigError, match=r"no sentinel names a primary for this service \(No master found for 'smithy'\)"
    ) as refusal:
        await verify(load({}, redis_url=url))
    assert "\n" not in str(refusal.value)
