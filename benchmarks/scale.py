"""Does the work of the servers stay the same for each job, when a namespace is spread over more of them?

One, two and four shards on as many server processes, the same two nodes, jobs in proportion. One machine cannot show
the throughput of four, but it can show what a job costs the servers' processors; as long as that is flat, N servers
bear N times what one does. The projection says so in jobs per second of one server core. Where the machine has fewer
cores than there are processes, they also take each other's caches away, which many servers pay for and one does not.
"""

from __future__ import annotations

import contextlib
import random
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis

from benchmarks import harness
from benchmarks.drain import fill
from ironforge.handlers.forge import Forge
from ironforge.settings import Settings, load

SLOTS = 16_384
NAMESPACE = "bench"
NODES = 2
# Looking costs each server something as well, and here its processor time is what counts.
LOOK_SECONDS = 0.25
# Below the ports that the system gives to those who connect; the cluster's own bus is 10,000 above.
PORTS = (20_000, 30_000)
PROJECTED = (4, 16)
SERVER = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction"}


async def _once(shards: int, jobs: int, flags: dict[str, Any]) -> dict[str, float]:
    with _cluster(shards, flags) as (settings, servers):
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            await submitter.submit("bench.noop")
            before = _cpu_seconds(servers)
            await fill(submitter, jobs * shards)
            submitted = _cpu_seconds(servers)
            with harness.nodes(settings, NODES):
                await harness.time_of(opened, [1 + jobs * shards], look_seconds=LOOK_SECONDS)
            drained = _cpu_seconds(servers)
    each = jobs * shards / 1e6
    return {"submit, us a job": (submitted - before) / each, "drain, us a job": (drained - submitted) / each}


@contextlib.contextmanager
def _cluster(shards: int, flags: dict[str, Any]) -> Iterator[tuple[Settings, list[redis.Redis]]]:
    """As many primaries as shards, a shard on each; settings that lead there, and a connection to each server."""
    with contextlib.ExitStack() as stack:
        servers: list[redis.Redis] = []
        addresses: list[str] = []
        for _ in range(shards):
            port = _free_port()
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ironforge-scale-"))
            config = {**SERVER, "cluster-enabled": "yes"}
            stack.enter_context(harness.bare_server(Path(folder), config, port=port))
            servers.append(stack.enter_context(redis.Redis(port=port)))
            addresses.append(f"127.0.0.1:{port}")
        for number, server in enumerate(servers):
            first, after = (SLOTS * part // shards for part in (number, number + 1))
            _ask(server, "CLUSTER SET-CONFIG-EPOCH", number + 1)
            _ask(server, "CLUSTER ADDSLOTSRANGE", first, after - 1)
            _ask(server, "CLUSTER MEET", *addresses[0].split(":"))
        while not all(_whole(server, shards) for server in servers):
            time.sleep(0.05)
        url = f"redis+cluster://{','.join(addresses)}"
        chosen = {"redis_url": url, "shards": shards, "namespace": NAMESPACE, "log_level": "warning"}
        yield load({}, **{**chosen, **flags}), servers


def _free_port() -> int:
    while True:
        port = random.randrange(*PORTS)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for number in (port, port + 10_000):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", number))
            return port


def _ask(server: redis.Redis, command: str, *arguments: object) -> Any:
    return server.execute_command(*command.split(), *arguments)  # type: ignore[no-untyped-call]


def _whole(server: redis.Redis, size: int) -> bool:
    found = dict(line.split(":") for line in _ask(server, "CLUSTER INFO").decode().split())
    return (found["cluster_state"], found["cluster_size"]) == ("ok", str(size))


def _cpu_seconds(servers: Sequence[redis.Redis]) -> float:
    """Of all servers together."""
    found = [server.info("cpu") for server in servers]
    return float(sum(each["used_cpu_user"] + each["used_cpu_sys"] for each in found))


async def run(
    *, jobs: int = 100_000, repeats: int = 3, shards: Sequence[int] = (1, 2, 4), **flags: Any
) -> dict[str, Any]:
    """Processor time of the servers for each job, and what that comes to on one core, and on more machines."""
    runs: dict[int, list[dict[str, float]]] = {count: [] for count in shards}
    for _ in range(repeats):
        for count, found in runs.items():
            found.append(await _once(count, jobs, flags))
    figures: dict[str, dict[str, float]] = {}
    for count, found in runs.items():
        medians = {what: harness.spread([one[what] for one in found])["median"] for what in found[0]}
        together = sum(medians.values())
        figures[f"{count} shard{'s' if count > 1 else ''}"] = {
            **medians,
            "together, us a job": together,
            "jobs/s of a server core": 1e6 / together,
        }
    first, *_, last = (figure["together, us a job"] for figure in figures.values())
    core = min(figure["jobs/s of a server core"] for figure in figures.values())
    figures["last against first"] = {"together, us a job": last / first}
    for machines in PROJECTED:
        figures[f"projected for {machines} servers"] = {"jobs/s of a server core": core * machines}
    points = [(count, figures[f"{count} shard{'s' if count > 1 else ''}"]["together, us a job"]) for count in shards]
    plot = {"x": "shards", "y": "us of server processor a job", "series": {"submit and drain": points}}
    return {"unit": "see the column", "jobs of a shard": jobs, "figures": figures, "plot": plot}
