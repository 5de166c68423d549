"""Examines an installation: settings, server, nodes, data. Each finding says how bad it is and how to repair it.

It only reads, and it looks at the server itself: the API may be the part that does not work.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from ironforge.addresses.server_url import parse
from ironforge.doctor.finding import Finding, Level
from ironforge.doctor.schedules import schedules_of_the_namespace
from ironforge.doctor.shard import MOST_SHOWN, NODE_START, ShardExam, cli, wrong_type_findings
from ironforge.errors import ConfigError, StoreError
from ironforge.formats.numbers import counted
from ironforge.formats.suggest import closest
from ironforge.job.definition import Announcement
from ironforge.metrics.exposition import SLOT
from ironforge.redis.causes import is_known
from ironforge.redis.connection import Connection
from ironforge.redis.outages import translating_errors
from ironforge.redis.ring_keys import RingKeys
from ironforge.redis.server_locator import ServerLocator
from ironforge.redis.shards import shards_of
from ironforge.redis.wrong_types import wrong_types
from ironforge.runtime.parent_pipe import PARENT_FD
from ironforge.settings import PREFIX, Settings, environment_name
from ironforge.store import NodeStore, StoreClient
from ironforge.store.counts import Stats
from ironforge.store.kinds import Kinds
from ironforge.store.server_checks import verify

PATIENCE_SECONDS: Final = 10.0
# A queue whose oldest job has waited for this long is not served, or not served fast enough.
LONG_WAIT_SECONDS: Final = 300.0
# Environment variables with our prefix that are no settings: processes tell them to their children.
INTERNAL: Final = (PARENT_FD, SLOT)

Check = Callable[[], Awaitable[list[Finding]]]


async def examine(settings: Settings) -> list[Finding]:
    """Every check, in the order in which problems are best solved. Never raises for what it finds."""
    findings = list(_settings(settings))
    store_client = StoreClient(settings)
    exam = _Exam(settings, store_client)
    shards = [ShardExam(settings.redis_url, keys) for keys in shards_of(settings)]
    try:
        findings += await exam.server()
    except StoreError as error:
        fix = f"check that it runs: {_cli(settings)} PING; its address: {environment_name('redis_url')}"
        if is_known(error.__cause__):  # the message says what to do
            fix = f"after that: {_cli(settings)} PING"
        findings.append(Finding("fail", "server", str(error), fix))
    else:
        findings += await _in_each(shards, lambda shard: (shard.clock, shard.persistence, shard.types))
        findings += await _guarded(exam.api_keys)
        # What leans on a key of the wrong type cannot be judged.
        sound = not any(shard.wrong_types for shard in shards)
        for check in (exam.nodes, exam.queues, exam.kinds, exam.limits, *((exam.orphan_consumers,) if sound else ())):
            findings += await _guarded(check)
        if sound:
            findings += await _guarded(exam.schedules)
            findings += await _in_each(
                shards,
                lambda shard: (shard.schedule, shard.expiry, shard.waits, shard.workflows, shard.schedules, shard.data),
            )
    finally:
        for shard in shards:
            await shard.close()
        await store_client.close()
    return findings


async def _in_each(shards: list[ShardExam], checks: Callable[[ShardExam], tuple[Check, ...]]) -> list[Finding]:
    findings = []
    for number, shard in enumerate(shards):
        for check in checks(shard):
            found = await _guarded(check)
            several = len(shards) > 1
            findings += [one._replace(message=f"shard {number}: {one.message}") if several else one for one in found]
    return findings


async def _guarded(check: Check) -> list[Finding]:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await check()
    except (StoreError, TimeoutError) as error:
        return [Finding("fail", check.__name__, f"could not be examined: {error or 'no answer in time'}")]


def _settings(settings: Settings) -> Iterator[Finding]:
    known = [*map(environment_name, Settings.__struct_fields__), *INTERNAL]
    unknown = [name for name in sorted(os.environ) if name.startswith(PREFIX) and name not in known]
    for name in unknown:
        close = closest(name, known)
        yield Finding("warn", "settings", f"{name} is no setting", f"export {close}=…" if close else f"unset {name}")
    if not unknown:
        what = f"namespace {settings.namespace}, durability {settings.durability}, lease {settings.lease_seconds:g} s"
        yield Finding("ok", "settings", what)


class _Exam:
    """The checks that ask the server. Each returns at least one finding; StoreError when it cannot be asked."""

    def __init__(self, settings: Settings, store_client: StoreClient) -> None:
        self._settings = settings
        self._inspector = store_client.inspector
        self._limits = store_client.limits
        self._schedules = store_client.schedules
        self._cli = _cli(settings)

    async def server(self) -> list[Finding]:
        health = await self._inspector.health()
        limit = f"of {_megabytes(health.max_memory)}" if health.max_memory else "without limit"
        summary = f"{health.server} {health.version}, durability {health.durability}, "
        findings = [Finding("ok", "server", f"{summary}{_megabytes(health.used_memory)} used {limit}")]
        try:
            await verify(self._settings)
            refusals = ""
        except ConfigError as error:
            refusals = str(error)
        for problem in health.problems:
            message, found, value = problem.partition("CONFIG SET ")
            fix = f"{self._cli} CONFIG SET {value}; to keep it: {self._cli} CONFIG REWRITE" if found else ""
            level: Level = "fail" if problem in refusals else "warn"
            findings.append(Finding(level, "server settings", message.rstrip(" :;"), fix))
        if refusals and not any(problem in refusals for problem in health.problems):
            findings.append(Finding("fail", "settings", refusals))  # not the server's, but ours
        return findings

    async def api_keys(self) -> list[Finding]:
        """What all namespaces share may be on another server of a cluster than any of the shards."""
        keys = RingKeys()
        async with Connection(self._settings.redis_url, keys.prefix) as connection:
            with translating_errors():
                start = cli(await ServerLocator(self._settings.redis_url, keys.prefix).find())
                return wrong_type_findings(await wrong_types(connection, keys), start)

    async def nodes(self) -> list[Finding]:
        nodes = await self._inspector.nodes()
        alive = [node for node in nodes if node.lease_ms_left > 0]
        running = sum(node.running for node in alive)
        findings = [Finding("ok", "nodes", f"{len(alive)} running, with {counted(running, 'job')}")]
        if not alive:
            findings = [Finding("warn", "nodes", "no node is running: jobs wait", NODE_START)]
        for node in nodes:
            if node.lease_ms_left <= 0:
                message = f"the lease of {node.name} ran out {-node.lease_ms_left / 1000:.0f} s ago, "
                message += f"it held {counted(node.running, 'job')}; a running node takes them over"
                findings.append(Finding("warn", "leases", message, "" if alive else NODE_START))
        return findings

    async def orphan_consumers(self) -> list[Finding]:
        store = NodeStore(self._settings)
        try:
            orphan_consumers = await store.leases.orphan_consumers()
            # A node leaves the list of leases before the groups: one that has left both by now is no orphan.
            again = await store.leases.orphan_consumers() if orphan_consumers else []
        finally:
            await store.close()
        names = [name for name in orphan_consumers if name in again]
        if not names:
            return [Finding("ok", "consumers", "every consumer is a node")]
        message = f"{counted(len(names), 'consumer')} without a node, to be cleared away by a running one: "
        message += ", ".join(names[:5])
        return [Finding("warn", "consumers", message, NODE_START)]

    async def kinds(self) -> list[Finding]:
        kinds = await self._inspector.kinds()
        if not kinds.nodes:  # which `nodes` says
            return [Finding("ok", "kinds", f"{counted(len(kinds.known), 'known kind')}")]
        servers = kinds.servers()
        findings = [
            Finding("warn", "kinds", f"no running node runs kind {name}, which was announced before", NODE_START)
            for name in kinds.unserved[:MOST_SHOWN]
        ]
        for name, kind in sorted(kinds.known.items()):
            if kind.nodes and not servers(kind.queue):
                message = f"jobs of kind {name} go to queue {kind.queue}, which no running node serves"
                findings.append(Finding("warn", "kinds", message, f"{NODE_START} --queues {kind.queue}"))
        return findings or [Finding("ok", "kinds", f"running nodes run each of {counted(len(kinds.known), 'kind')}")]

    async def limits(self) -> list[Finding]:
        """Whether what holds is what code of running nodes defines, where some does."""
        nodes = (await self._inspector.kinds()).nodes.values()
        findings = []
        for name, definition in (defined := await self._limits.all()).items():
            said = {about.limits[name] for about in nodes if name in about.limits}
            if said and Announcement.of_limit(name, definition.limit).digest not in said:
                message = f"limit {name} is as an operator put it, and not as the code of running nodes defines it"
                fix = f"define it so in the code; or ironforge limits delete {name}, and restart the nodes"
                findings.append(Finding("warn", "definitions", message, fix))
        return findings[:MOST_SHOWN] or [Finding("ok", "definitions", counted(len(defined), "limit"))]

    async def schedules(self) -> list[Finding]:
        return await schedules_of_the_namespace(self._schedules, self._inspector)

    async def queues(self) -> list[Finding]:
        stats = await self._inspector.stats()
        queued = sum(stream.queued for stream in stats.streams)
        paused = f"; paused: {', '.join(stats.paused)}" if stats.paused else ""
        findings = [Finding("ok", "queues", f"{counted(queued, 'waiting job')}{paused}")]
        kinds = await self._inspector.kinds()
        unserved = _unserved(stats, kinds)
        for queue, waiting in unserved.items():
            message = f"queue {queue} has {counted(waiting, 'waiting job')}, and no running node serves it"
            findings.append(Finding("warn", "queues", message, f"{NODE_START} --queues {queue}"))
        if declined := sum(each.declined for each in stats.streams) - sum(line.jobs for line in stats.versions):
            message = f"{counted(declined, 'declined job')}, for no node that serves their queue runs their kind"
            findings.append(Finding("warn", "queues", message, NODE_START))
        findings += _of_versions(stats, kinds)
        for stream in stats.streams:
            age_seconds = 0.0 if stream.oldest_ms is None else (stats.now_ms - stream.oldest_ms) / 1000
            if age_seconds > LONG_WAIT_SECONDS and stream.queue not in unserved:
                message = f"the oldest job of queue {stream.queue} has waited for {age_seconds:.0f} s"
                fix = f"{NODE_START} --queues {stream.queue}"
                if stream.queue in stats.paused:
                    message += ", for the queue is paused"
                    fix = f"ironforge queues resume {stream.queue}"
                findings.append(Finding("warn", "queues", message, fix))
        if stats.dead:
            fix = "ironforge dlq list, then ironforge dlq retry --all"
            findings.append(Finding("warn", "dead letter", f"{counted(stats.dead, 'job')} gave up", fix))
        return findings


def _of_versions(stats: Stats, kinds: Kinds) -> Iterator[Finding]:
    for line in kinds.without_node(stats.versions)[:MOST_SHOWN]:
        message = (
            f"{counted(line.jobs, 'job')} of kind {line.kind} in queue {line.queue}, begun by version {line.version} "
        )
        fix = (
            f"start a node with {environment_name('app_version')}={line.version}; to have any version go on with them: "
        )
        fix += f"ironforge kinds release {line.kind} --version {line.version}"
        yield Finding("warn", "versions", f"{message}of the application, which no running node has", fix)


def _unserved(stats: Stats, kinds: Kinds) -> Counter[str]:
    """Waiting jobs by queue, where nodes run, and none takes them."""
    waiting: Counter[str] = Counter()
    servers = kinds.servers()
    for stream in stats.streams:
        if stream.queued and kinds.nodes and not servers(stream.queue):
            waiting[stream.queue] += stream.queued
    return waiting


def _cli(settings: Settings) -> str:
    """The start of a command for the server of the settings, or for the first of several."""
    parsed = parse(settings.redis_url)
    return cli(parsed.server(*parsed.hosts[0])) if parsed.hosts else cli(settings.redis_url)


def _megabytes(size: int) -> str:
    return f"{size / 1_048_576:.1f} MB"
