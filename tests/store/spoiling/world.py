"""A namespace with jobs that have been accepted, a node that works, and what is known of each job in the end."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from ironforge.job.limits import Limit, LimitDefinition, Rate
from ironforge.job.record import Job, JobState
from ironforge.redis.keys import Keys
from ironforge.store import Delivery, Submission
from tests.store.kit import Cluster, Node, completed, job_in
from tests.store.test_kinds import announced

ROUNDS = 40
LIMITS = {
    "one": Limit(concurrency=1),
    "two": Limit(concurrency=1),
    "fast": Limit(rate=Rate(1000, burst=1)),
    "slow": Limit(rate=Rate(1, per_seconds=3600.0, burst=1)),
    "park": Limit(concurrency=1, order="fifo", on_failure="park"),
    "new": Limit(concurrency=1, when_full="cancel_new"),
    "old": Limit(concurrency=1, when_full="cancel_oldest"),
}
_TOUCHED = re.compile(rb'"((?:[^"\\]|\\.)*)"')


def each(raw: Any, keys: Sequence[bytes], command: str, *arguments: object) -> list[tuple[bytes, Any]]:
    """These keys with what a command says of each, in one round trip."""
    asked = raw.pipeline(transaction=False)
    for key in keys:
        getattr(asked, command)(key, *arguments)
    return list(zip(keys, asked.execute(), strict=True))


class World:
    """`accepted`: ids that a door has promised to bring to an end; `given_up`: those that an operation drops."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.raw = cluster.raw
        self.keys: Keys = cluster.keys
        self.accepted: set[bytes] = set()
        self.given_up: set[bytes] = set()
        self.settled: list[bytes] = []
        self.node: Node

    async def begin(self) -> None:
        self.cluster.with_settings(queues=("default",), dead_retention_seconds=3600.0)
        said = {name: msgspec.json.encode(LimitDefinition(limit)) for name, limit in LIMITS.items()}
        self.raw.hset(self.keys.limits, mapping=said)
        self.node = await self.cluster.node(announced("k"))

    @property
    def producer(self) -> Any:
        return self.cluster.store_client.producer

    @property
    def work(self) -> Any:
        return self.node.work

    async def submit(self, *jobs: Job, **options: Any) -> None:
        answers = await self.producer.submit([Submission(one, **options) for one in jobs])
        self.accepted.update(answer.id for answer in answers)

    def submitting(self, *jobs: Job, **options: Any) -> Callable[[], Awaitable[None]]:
        return lambda: self.submit(*jobs, **options)

    async def held(self, *jobs: Job, **options: Any) -> list[Delivery]:
        """These, delivered to the node."""
        await self.submit(*jobs, **options)
        return await self.work.fetch(len(jobs))

    async def rewrite(self, work: str, one: Any) -> None:
        await getattr(self.work, work)([one])
        if work == "settle":
            self.settled.append(one[2])

    async def finish(self) -> None:
        """Another node brings all to an end, as it would within time."""
        heir = await self.cluster.node(announced("k", "new.kind"))
        await heir.leases.take_over(heir.lease, self.node.lease.node, crashed=False, seen_dead=True)
        await heir.work.restore()
        for _ in range(ROUNDS):
            if not self.raw.hlen(self.keys.index):
                return
            await self._round(heir)

    async def _round(self, heir: Node) -> None:
        keys, raw = self.keys, self.raw
        self.cluster.ripen()
        for times in (keys.stops, keys.dueroom):
            for key in raw.zrange(times, 0, -1):
                raw.zadd(times, {key: 1})
        raw.delete(keys.tat("slow\na"))
        for job_id in raw.zrange(keys.dead, 0, -1):
            await self.producer.retry(job_id, reset_retry_count=True)
        await heir.work.audit_limits()
        await heir.work.promote()
        heir.work.reader.selector.look_again()
        deliveries = await heir.work.fetch(50)
        asked = await heir.work.cancel_requested([job_in(one).id for one in deliveries])
        for one in deliveries:
            state: Any = "cancelled" if job_in(one).id in asked else "completed"
            await heir.work.settle([completed(one, state=state)])
            self.settled.append(job_in(one).id)

    async def wrong_at_the_end(self) -> list[str]:
        """What is not as it was promised."""
        told = [f"{one.hex()} ended twice" for one in set(self.settled) if self.settled.count(one) > 1]
        for one in self.accepted - set(self.settled) - self.given_up:
            if (await self._state(one)) is not JobState.CANCELLED:
                where = self.raw.hget(self.keys.index, one)
                told.append(f"a job did not end: {where!r}")
        try:
            self.cluster.check()
        except AssertionError as error:
            told.append(f"not consistent: {str(error)[:200]}")
        return told

    async def _state(self, job_id: bytes) -> JobState | None:
        try:
            return (await self.cluster.store_client.inspector.get(job_id)).state
        except Exception:
            return None

    async def touched_by(self, act: Callable[[], Awaitable[Any]]) -> list[str]:
        """The keys that the server was asked about meanwhile, without the prefix; those of the node as `<node>`."""
        link = self.raw.connection_pool.get_connection()
        try:
            link.send_command("MONITOR")
            link.read_response()
            await act()
            self.raw.echo("that was all")
            lines = []
            while not lines or b"that was all" not in lines[-1]:
                lines.append(link.read_response())
        finally:
            link.disconnect()
        words = {_plain(word) for line in lines for word in _TOUCHED.findall(line)}
        found = {word.removeprefix(self.keys.prefix) for word in words if word.startswith(self.keys.prefix)}
        names = {word.replace(self.node.lease.node, "<node>") for word in found}
        # All priorities are alike.
        return sorted(name for name in names if not re.search(":[013][ar]?(:|$)", name))

    def key(self, name: str) -> str:
        return self.keys.prefix + name.replace("<node>", self.node.lease.node)

    def snapshot(self, without: str) -> dict[bytes, Any]:
        """Every key with its content; of a stream without when its consumers were last seen."""
        keys = [key for key in self.raw.keys(self.keys.prefix + "*") if key != without.encode()]
        streams = [key for key in keys if key.startswith(self.keys.stream("").encode())]
        # What is kept for less than a minute, as the time of a quick rate, may go by itself between two looks.
        kept = {key for key, ms in each(self.raw, keys, "pttl") if not 0 <= ms < 60_000}
        others = [key for key in keys if key not in streams and key in kept]
        entries = each(self.raw, streams, "xrange")
        pending = [[group["pending"] for group in groups] for _, groups in each(self.raw, streams, "xinfo_groups")]
        found = dict(zip(streams, zip(entries, pending, strict=True), strict=True))
        # One that expired meanwhile has none.
        return {**found, **{key: text for key, text in each(self.raw, others, "dump") if text is not None}}


def _plain(word: bytes) -> str:
    return word.decode("unicode_escape").encode("latin-1").decode(errors="replace")
