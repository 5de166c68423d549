"""What does each option cost? One node drains, and one process submits in bulk, with one thing changed at a time.

Each variation takes its turn in every round, next to the plain one, so the ratios hold on a noisy machine. What
cannot be turned off (metrics, time limits, retries, results) is part of the plain one; its variations turn on more.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import redis

from benchmarks import harness
from benchmarks.peers.measure import server as server_over_tcp
from ironforge.handlers.forge import Forge
from ironforge.metrics.exposition import MULTIPROCESS_DIR, SLOT
from ironforge.settings import Settings, load

BATCH = 500
PRIORITIES = ("critical", "high", "medium", "low")


class Variation(NamedTuple):
    """`given` are options of the submission, `flags` settings, `environment` is the node's."""

    name: str
    kind: str = "bench.noop"
    payload: Any = None
    priorities: tuple[str, ...] = ("medium",)
    given: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it
    flags: dict[str, Any] = {}  # noqa: RUF012
    environment: dict[str, str] = {}  # noqa: RUF012
    replica: bool = False


PLAIN = Variation("plain")
VARIATIONS = (
    PLAIN,
    Variation("four priorities mixed", priorities=PRIORITIES),
    Variation("a time limit of its own for each job", given={"timeout_seconds": 5.0}),
    Variation("results not kept", given={"retain_seconds": 0}),
    Variation("typed payload", kind="bench.typed", payload={"to": "someone@example.com", "subject": "hello"}),
    Variation("handler in a thread", kind="bench.thread"),
    Variation("handler writes a line to the log", kind="bench.log", flags={"log_level": "info"}),
    Variation("log level debug", flags={"log_level": "debug"}),
    Variation("metrics shared between processes", environment={SLOT: "0"}),
    Variation("durability local", flags={"durability": "local"}),
    Variation("durability replicated, one replica", flags={"durability": "replicated"}, replica=True),
)


async def _once(variation: Variation, jobs: int) -> dict[str, float]:
    with contextlib.ExitStack() as stack:
        settings = stack.enter_context(_replicated() if variation.replica else harness.server(**variation.flags))
        environment = dict(variation.environment)
        if environment:
            environment[MULTIPROCESS_DIR] = stack.enter_context(tempfile.TemporaryDirectory())
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            await submitter.submit_many("bench.noop", [None] * BATCH, queue="elsewhere")
            batches = [(variation.priorities[number % len(variation.priorities)]) for number in range(jobs // BATCH)]
            start = time.perf_counter()
            for priority in batches:
                payloads = [variation.payload] * BATCH
                await submitter.submit_many(variation.kind, payloads, priority=priority, **variation.given)
            submitted = jobs / (time.perf_counter() - start)
            first, last = int(jobs * 0.2), int(jobs * 0.95)
            with harness.nodes(settings, 1, quiet=True, **environment):
                begin, end = await harness.time_of(opened, [first, last])
                await harness.time_of(opened, [jobs])
    return {"submit": submitted, "drain": (last - first) / (end - begin)}


@contextlib.contextmanager
def _replicated() -> Iterator[Settings]:
    """A server with one replica, and the settings that wait for it."""
    with server_over_tcp() as url, tempfile.TemporaryDirectory(prefix="ironforge-bench-") as folder:
        port = url.rpartition(":")[2].partition("/")[0]
        config = {"replicaof": f"127.0.0.1 {port}", "appendonly": "yes", "save": ""}
        with harness.bare_server(Path(folder), config, port=0, unix_socket_path=Path(folder) / "s"):
            with redis.Redis.from_url(url) as client:
                while client.info("replication").get("slave0", {}).get("state") != "online":
                    time.sleep(0.05)
            settings = load({}, redis_url=url, durability="replicated", log_level="warning")
            yield msgspec.structs.replace(settings, data_dir=folder)


async def run(*, jobs: int = 100_000, repeats: int = 3, **flags: Any) -> dict[str, Any]:
    """Jobs per second of each variation, and as a share of the plain one."""
    runs: dict[str, list[dict[str, float]]] = {variation.name: [] for variation in VARIATIONS}
    for _ in range(repeats):
        for variation in VARIATIONS:
            changed = variation._replace(flags={**flags, **variation.flags})
            runs[variation.name].append(await _once(changed, jobs))
    medians = {
        name: {what: harness.spread([one[what] for one in found])["median"] for what in ("submit", "drain")}
        for name, found in runs.items()
    }
    figures = {
        name: {
            **found,
            "submit, of plain": found["submit"] / medians[PLAIN.name]["submit"],
            "drain, of plain": found["drain"] / medians[PLAIN.name]["drain"],
        }
        for name, found in medians.items()
    }
    return {"unit": "jobs/s", "jobs": jobs, "runs": runs, "figures": figures}
