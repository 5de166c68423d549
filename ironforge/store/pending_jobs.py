"""Who reads the streams of a shard, and what each node runs: one script looks at all pending lists at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from ironforge.job.definition import Announcement, same_version
from ironforge.job.record import split_stream
from ironforge.redis.connection import Command
from ironforge.redis.keys import STREAM_ENDINGS, Keys
from ironforge.redis.replies import pairs, rows
from ironforge.redis.scripts import CONSUMERS, Script
from ironforge.settings import Settings
from ironforge.store.node_view import JOBS_NAMED, About, NodeView, RunningJob
from ironforge.store.retention import score_ms
from ironforge.store.versions import in_line
from ironforge.version import VERSION
from ironforge.workflows.jobs import MAP_KIND

# What may be read for the names: the server has to read a payload to see what is in front of it.
NAMING_BYTES: Final = 4 * 1024 * 1024

T = TypeVar("T")
Run = Callable[[Script, Sequence[str], Command], Awaitable[Any]]


class RecordHead(NamedTuple):
    id: bytes
    kind: str


def record_head(beginning: bytes) -> RecordHead | None:
    """What stands in front of a record's payload, from its first bytes; None when these are no job's."""
    # An array of up to 15 fields, or of more: a version of one byte, 16 bytes of id, the kind.
    start = {0x90: 1, 0xD0: 3}.get(beginning[0] & 0xF0, 0) if beginning else 0
    fields = beginning[start + 1 + 18 :]
    if not start or beginning[start + 1 : start + 3] != b"\xc4\x10" or not fields:
        return None
    size, at = (fields[0] & 0x1F, 1) if fields[0] & 0xE0 == 0xA0 else (int.from_bytes(fields[1:2], "big"), 2)
    return RecordHead(beginning[start + 3 : start + 19], fields[at : at + size].decode(errors="replace"))


class Consumer(NamedTuple):
    """Of one stream. `jobs`: entry, ms since it was delivered, the beginning of its record; of the first of them."""

    stream: str
    name: str
    running: int
    jobs: list[tuple[bytes, int, bytes]]


class Muster(NamedTuple):
    """`nodes`: each with the end of its lease. `runs`: the kinds that nodes announced, each with the digest of its
    definition; empty where no job is named."""

    now_ms: int
    nodes: dict[str, int]
    about: dict[str, About]
    runs: dict[str, dict[str, str]]
    consumers: list[Consumer]


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(About).decode
_decode_runs: Final = msgspec.json.Decoder(dict[str, str]).decode


def about(
    settings: Settings,
    since_ms: int,
    kinds: Iterable[Announcement],
    limits: Iterable[Announcement],
    schedules: Iterable[Announcement],
) -> bytes:
    given = settings.queues, settings.concurrency, VERSION, since_ms, settings.app_version
    same = {kind: in_line(version) for kind, version in same_version(kinds).items()}
    return _encode(About(*given, _digests(limits), _digests(schedules), same))


def runs(announced: Iterable[Announcement]) -> bytes:
    """What `announced` holds of a node: its kinds, each with the digest of its definition."""
    return _encode(_digests(announced))


def _digests(announced: Iterable[Announcement]) -> dict[str, str]:
    return {each.name: each.digest for each in announced}


async def muster(keys: Keys, run: Run, jobs_named: int = 0) -> Muster:
    """Raises what redis-py raises."""
    now_ms, leases, roster, announced, found = await run(
        CONSUMERS, CONSUMERS.keys(keys), (jobs_named, NAMING_BYTES, *STREAM_ENDINGS)
    )
    consumers = [
        Consumer(_text(stream), _text(name), running, list(rows(jobs, 3)))
        for stream, name, running, jobs in rows(found, 4)
    ]
    return Muster(
        now_ms,
        {_text(node): score_ms(deadline) for node, deadline in pairs(leases)},
        read_roster(roster),
        read_runs(announced),
        consumers,
    )


async def nodes(keys: Keys, run: Run) -> list[NodeView]:
    """Those that hold a lease, in the order in which these end."""
    now_ms, leases, roster, announced, consumers = await muster(keys, run, JOBS_NAMED)
    by_queue: dict[str, Counter[str]] = {node: Counter() for node in leases}
    jobs: dict[str, list[RunningJob]] = {node: [] for node in leases}
    for consumer in consumers:
        if consumer.name in leases and consumer.running:
            by_queue[consumer.name][split_stream(consumer.stream)[0]] += consumer.running
            jobs[consumer.name] += _jobs(consumer, now_ms)
    return [
        NodeView(
            node,
            deadline - now_ms,
            dict(by_queue[node]),
            sorted(jobs[node], key=lambda job: job.started_ms),
            *(*roster.get(node, About()).shown, sorted({*announced.get(node, ())} - {MAP_KIND})),
        )
        for node, deadline in leases.items()
    ]


def _jobs(consumer: Consumer, now_ms: int) -> Iterator[RunningJob]:
    queue, _ = split_stream(consumer.stream)
    for _, idle_ms, record in consumer.jobs:
        if head := record_head(record):  # else bytes that are no job: a node is about to put them aside
            yield RunningJob(head.id, head.kind, queue, now_ms - idle_ms)


def read_roster(flat: Sequence[bytes]) -> dict[str, About]:
    """By node."""
    return {_text(node): _read(_decode, said, About()) for node, said in pairs(flat)}


def read_runs(flat: Sequence[bytes]) -> dict[str, dict[str, str]]:
    """By node, the kinds that it announced, each with the digest of its definition."""
    return {_text(node): _read(_decode_runs, said, {}) for node, said in pairs(flat)}


def _read(decode: Callable[[bytes], T], said: bytes, nothing: T) -> T:
    try:
        return decode(said)
    except (msgspec.MsgspecError, ValueError):
        return nothing


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
