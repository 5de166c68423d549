"""What the store's tests share: a namespace of their own on a real server, jobs, nodes, and a look at every key."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import redis

from ironforge.job.definition import Announcement
from ironforge.job.limits import LimitUse, claims_of
from ironforge.job.record import Job, JobState, created_ms_of, decode, encode, is_alone, new_id
from ironforge.job.tracebacks import AttemptError
from ironforge.job.uniqueness import held_key
from ironforge.redis.key_spec import EXPIRES
from ironforge.redis.keys import Keys
from ironforge.redis.shards import shards_of
from ironforge.settings import Settings, load
from ironforge.steps.waits import ties_of
from ironforge.store import Delivery, Ended, Lease, NodeStore, Rewrite, Settled, StoreClient, Submission
from tests.store.holding import check_holding
from tests.store.kinship import check_kinship
from tests.store.snapshot import Snapshot

HOUR_MS = 3_600_000
_numbers = itertools.count()


def now_ms() -> int:
    """By this machine's clock, which is that of every server under test."""
    return time.time_ns() // 1_000_000


def job(queue: str = "default", priority: int = 2, kind: str = "k", **fields: Any) -> Job:
    job_id = fields.pop("id", None) or new_id()
    version = 2 if fields.get("limits") or fields.get("unique") else 1
    return Job(version, job_id, kind, queue, priority, b"{}", created_ms_of(job_id), **fields)


def keyed(key: str, count: int, weight: int = 1, **fields: Any) -> list[Job]:
    return [job(fairness_key=key, fairness_weight=weight, **fields) for _ in range(count)]


def limited(count: int, key: str = "a", name: str = "one", **fields: Any) -> list[Job]:
    return [job(limits=(LimitUse(name, key),), **fields) for _ in range(count)]


def early() -> bytes:
    """The id of a job that was submitted in 1970."""
    return (1).to_bytes(6) + new_id()[6:]


def job_in(delivery: Delivery) -> Job:
    return decode(delivery[2])


def ids_in(deliveries: Sequence[Delivery]) -> list[bytes]:
    return [job_in(delivery).id for delivery in deliveries]


def stream_of(delivery: Delivery) -> str:
    return delivery[0]


def completed(delivery: Delivery, *, retention_ms: int = HOUR_MS, state: Ended = "completed") -> Settled:
    stream, entry, record = delivery
    done = decode(record).finish(JobState("cancelled" if state == "expired" else state), now_ms())
    held = claims_of(done.limits), held_key(done.kind, done.unique), ties_of(done.parent, journal=done.journal)
    return stream, entry, done.id, encode(done) if retention_ms or done.parent else b"", retention_ms, state, *held


async def settle(node: Node, deliveries: Sequence[Delivery]) -> None:
    await node.work.settle([completed(delivery) for delivery in deliveries])


def rewrite(delivery: Delivery, delay_ms: int = 0) -> Rewrite:
    return Rewrite.of(*delivery[:2], job_in(delivery).again(), delay_ms=delay_ms, alone=is_alone(delivery[0]))


def retry(delivery: Delivery, delay_ms: int = 0) -> Rewrite:
    old = job_in(delivery)
    failed = old.failed(AttemptError(old.attempt + 1, 1, "ValueError", "no", "n")).again()
    return Rewrite.of(*delivery[:2], failed, delay_ms=delay_ms)


def dead(delivery: Delivery) -> Rewrite:
    gave_up = job_in(delivery).finish(JobState.DEAD, now_ms(), reason="no more")
    return Rewrite.of(*delivery[:2], gave_up)


class Node:
    """One node of the cluster, as the actors would use it."""

    def __init__(self, store: NodeStore, lease: Lease) -> None:
        self.store = store
        self.lease = lease
        self.leases = store.leases
        self.work = store.work(lease)


class Cluster:
    """A namespace: its doors, its nodes, and the raw client that looks behind them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.settings = load({}, redis_url=url, namespace=f"t{next(_numbers)}", queues=("default",))
        self.keys = Keys(self.settings.namespace)
        self.raw: Any = redis.Redis.from_url(url, protocol=2)
        self.checked = True
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self._store_client: StoreClient | None = None

    @property
    def store_client(self) -> StoreClient:
        if self._store_client is None:
            self._store_client = self.open_doors()
        return self._store_client

    def with_settings(self, **changes: object) -> Settings:
        values = {name: getattr(self.settings, name) for name in Settings.__struct_fields__}
        self.settings = Settings(**{**values, **changes})
        return self.settings

    def open_doors(self) -> StoreClient:
        store_client = StoreClient(self.settings)
        self._closing.append(store_client.close)
        return store_client

    async def node(
        self,
        announced: Sequence[Announcement] | None = None,
        limits: Sequence[Announcement] = (),
        schedules: Sequence[Announcement] = (),
    ) -> Node:
        """`limits` and `schedules` that its code defines."""
        for limit in limits:
            await self.store_client.limits.announce(limit)
        store = NodeStore(self.settings, announced, limits, schedules)
        self._closing.append(store.close)
        await store.announce_schedules()
        return Node(store, await store.leases.join())

    async def submit(self, *jobs: Job, **options: Any) -> None:
        await self.store_client.producer.submit([Submission(one, **options) for one in jobs])

    async def state(self, one: Job) -> JobState:
        return (await self.store_client.inspector.get(one.id)).state

    def lapse(self, *nodes: Node) -> None:
        """The leases of these nodes have run out."""
        for keys in shards_of(self.settings):
            self.raw.zadd(keys.nodes, {node.lease.node: 1 for node in nodes})

    def ripen(self) -> None:
        """Everything that is scheduled is due."""
        for keys in shards_of(self.settings):
            for job_id in self.raw.zrange(keys.scheduled, 0, -1):
                self.raw.zadd(keys.scheduled, {job_id: 1})

    def snapshot(self) -> dict[bytes, bytes | None]:
        """Every key with its content, as far as a write would change it."""
        return {key: self.raw.dump(key) for key in self.raw.keys(self.keys.prefix + "*")}

    def totals(self) -> dict[str, int]:
        return {name.decode(): int(count) for name, count in self.raw.hgetall(self.keys.totals).items()}

    def entries(self) -> dict[bytes, bytes]:
        """Location by job id, of everything that is in a stream."""
        return _entries(self.look(), self.keys)

    def pending(self) -> int:
        return self.look().pending

    def look(self) -> Snapshot:
        return Snapshot(self.raw, self.keys.prefix)

    def check(self) -> list[Snapshot]:
        """No key without an owner, and every job in exactly one place; what is in each shard."""
        found = []
        for shard, keys in enumerate(shards_of(self.settings)):
            self.keys = keys
            found.append(self.look())
            self._check_shard(found[-1])
            families = dict(self.raw.zrange(keys.families, 0, -1, withscores=True))
            check_kinship(found[-1], keys, families, shard, self.settings.shards)
        return found

    def _check_shard(self, seen: Snapshot) -> None:
        keys = self.keys
        nodes = {name.decode() for name in seen.members(keys.nodes)}
        # Those that are still to wake their waiters.
        events = {f"event:{member[2:].decode()}" for member in seen.members(keys.wake) if member[:2] == b"e:"}
        for key, left_ms in seen.left_ms.items():
            name = key.removeprefix(keys.prefix)
            if left_ms > 0:
                continue
            spec = keys.spec_of(key)
            assert spec, f"{name} has no owner"
            assert spec.lifetime != EXPIRES or name in events, f"{name} stays"
            if name.startswith("fence:"):
                assert name.removeprefix("fence:") in nodes, f"{name} outlives its node"
        index = seen.hash(keys.index)
        by_place: dict[bytes, set[bytes]] = {place: set() for place in (b"q", b"s", b"d", b"f", b"l", b"k", b"w")}
        for job_id, location in index.items():
            by_place[b"q" if location[:1] in b"cp" else location[:1]].add(job_id)
        assert _entries(seen, keys) == {one: b"q" + index[one][1:] for one in by_place[b"q"]}
        assert by_place[b"s"] == seen.members(keys.scheduled)
        assert by_place[b"w"] == seen.members_of(keys.waiting)
        delayed = Counter(index[one].split(b":")[1] for one in by_place[b"s"] | by_place[b"w"])
        assert delayed == {name: int(count) for name, count in seen.hash(keys.delayed).items()}
        assert by_place[b"d"] == seen.members(keys.dead)
        waits = by_place[b"f"] | by_place[b"l"]
        assert waits == seen.members_of(keys.fair) | seen.members_of(keys.behind)
        assert by_place[b"l"] == seen.members_of(keys.line)
        assert seen.members_of(keys.holders) <= set(index)
        assert len(seen.family(keys.turns)) <= len(seen.family(keys.fair))
        self._check_declined(seen, {one: index[one] for one in by_place[b"k"]})
        check_holding(seen, keys)
        shelved = by_place[b"s"] | by_place[b"w"] | by_place[b"d"] | waits | by_place[b"k"]
        assert shelved == set(seen.hash(keys.parked))

    def _check_declined(self, seen: Snapshot, index: dict[bytes, bytes]) -> None:
        index = {one: location.partition(b"\n")[0] for one, location in index.items()}
        members = {}
        for place, declined in seen.family(self.keys.declined).items():
            for member in declined:
                members[member[-16:]] = b"k:" + place.encode() + b":" + member[:-17]
        assert members == index
        lines = {b"", b"at", *(location[2:] for location in index.values())} if index else set()
        assert seen.members(self.keys.unserved) == lines
        assert seen.members(self.keys.versionlines) == {line for line in lines if b"@" in line}

    async def close(self) -> None:
        for close in reversed(self._closing):
            await close()
        if self.checked:
            self.check()
        self.raw.close()


def _entries(seen: Snapshot, keys: Keys) -> dict[bytes, bytes]:
    return {
        decode(fields[1]).id: f"q:{name}:".encode() + entry
        for name, entries in seen.family(keys.stream).items()
        for entry, fields in entries
    }
