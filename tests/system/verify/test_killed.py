"""A verification that is killed leaves none of its nodes behind, whatever state they are in."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import redis

from tests.cli.kit import Service, eventually
from tests.runtime.node_parent import alive
from tests.support.servers import valkey

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

NODES = 2


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_its_nodes_end_also_one_that_is_paused() -> None:
    arguments = ("--seconds", "600", "--rate", "20", "--node-processes", str(NODES), "--fault-every-seconds", "0")
    with valkey(appendonly="yes") as url, Service("verify", *arguments, redis_url=url, lease_seconds="1") as running:
        namespace = "if:{verify-*}:nodes"

        def joined() -> bool:
            with redis.Redis.from_url(url) as client:
                return any(client.zcard(key) == NODES for key in client.keys(namespace))

        eventually(joined, "the nodes to join")
        nodes = children_of(running.pid)
        os.kill(nodes[0], signal.SIGSTOP)
        os.kill(running.pid, signal.SIGKILL)
        running.ended()

        assert len(nodes) == NODES
        eventually(lambda: not any(alive(pid) for pid in nodes), "its nodes to end")
