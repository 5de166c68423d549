"""Examines an installation: settings, server, nodes, data. Each finding says how bad it is and how to repair it.

It only reads, and it looks at the server itself: the API may be the part that does not work.
Counts are exact, because one transaction reads them all; single jobs are looked at as a sample.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import msgspec

from ironforge.config import PREFIX, Settings, environment_name
from ironforge.consistency import inconsistencies
from ironforge.damage import KEEP, damages
from ironforge.embedded import SOCKET
from ironforge.errors import ConfigError, StoreError
from ironforge.store import Doors, NodeStore
from ironforge.store.checks import verify
from ironforge.store.info import info_of
from ironforge.store.keys import Keys
from ironforge.store.link import Link
from ironforge.store.outage import answering
from ironforge.store.records import milliseconds, score_ms
from ironforge.store.types import Misfit, misfits

Level = Literal["ok", "warn", "fail"]

DEFAULT_SERVER: Final = "redis://127.0.0.1:6379/0"
PATIENCE_SECONDS: Final = 10.0
SKEW_SECONDS: Final = 1.0
# A queue whose oldest job has waited for this long is not served, or not served fast enough.
LONG_WAIT_SECONDS: Final = 300.0
LATE_SECONDS: Final = 10.0
MOST_SHOWN: Final = 100
# In front of a key that is put out of the way: its hash tag, and with it its slot, stay.
ASIDE: Final = "aside:"
NODE_START: Final = "ironforge node APP"
# Environment variables with our prefix that are no settings: processes tell them to their children.
INTERNAL: Final = ("IRONFORGE_PARENT_FD", "IRONFORGE_SLOT")

LAST_WRITES: Final = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")


class Finding(NamedTuple):
    """`fix` is the command that repairs it, or what to do; empty when there is nothing to do."""

    level: Level
    check: str
    message: str
    fix: str = ""


def server_of(settings: Settings) -> Settings:
    """The settings with the server to examine: the given one, that of a running `ironforge dev`, or the default."""
    if settings.redis_url:
        return settings
    socket = Path(settings.data_dir).absolute() / SOCKET
    url = f"unix://{quote(str(socket))}" if socket.exists() else DEFAULT_SERVER
    return msgspec.structs.replace(settings, redis_url=url)


async def examine(settings: Settings) -> list[Finding]:
    """Every check, in the order in which problems are best solved. Never raises for what it finds."""
    findings = list(_settings(settings))
    doors = Doors.open(settings)
    exam = _Exam(settings, doors)
    try:
        findings += await exam.server()
    except StoreError as error:
        fix = f"check that it runs: {_cli(settings)} PING; its address: {environment_name('redis_url')}"
        findings.append(Finding("fail", "server", str(error), fix))
    else:
        for check in (exam.clock, exam.persistence, exam.types):
            findings += await _guarded(check)
        # What leans on a key of the wrong type cannot be judged.
        rest = () if exam.misfits else (exam.strays, exam.schedule, exam.data)
        for check in (exam.nodes, exam.queues, *rest):
            findings += await _guarded(check)
    finally:
        await exam.close()
        await doors.close()
    return findings


async def _guarded(check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await check()
    except (StoreError, TimeoutError) as error:
        return [Finding("fail", check.__name__, f"could not be examined: {error or 'no answer in time'}")]


def _settings(settings: Settings) -> Iterator[Finding]:
    known = [*map(environment_name, Settings.__struct_fields__), *INTERNAL]
    unknown = [name for name in sorted(os.environ) if name.startswith(PREFIX) and name not in known]
    for name in unknown:
        close = difflib.get_close_matches(name, known, n=1)
        yield Finding("warn", "settings", f"{name} is no setting", f"export {close[0]}=…" if close else f"unset {name}")
    if not unknown:
        what = f"namespace {settings.namespace}, durability {settings.durability}, lease {settings.lease_seconds:g} s"
        yield Finding("ok", "settings", what)


class _Exam:
    """The checks that ask the server. Each returns at least one finding; StoreError when it cannot be asked."""

    def __init__(self, settings: Settings, doors: Doors) -> None:
        self._settings = settings
        self._inspection = doors.inspection
        self._keys = Keys(settings.namespace)
        self._link = Link(settings.redis_url, self._keys.prefix)
        self._cli = _cli(settings)
        self.misfits: list[Misfit] = []

    async def server(self) -> list[Finding]:
        health = await self._inspection.health()
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
        return findings

    async def clock(self) -> list[Finding]:
        before = time.time()
        with answering():
            reply = await self._link.call("TIME")
        after = time.time()
        return [clock_finding(milliseconds(reply) / 1000 - (before + after) / 2, after - before)]

    async def persistence(self) -> list[Finding]:
        with answering():
            info = info_of(await self._link.call("INFO", "persistence"))
        broken = [name for name in LAST_WRITES if info.get(name, "ok") != "ok"]
        fix = f"make room on the server's disk, then {self._cli} BGREWRITEAOF"
        failed = [Finding("fail", "persistence", f"the server cannot write to its disk: {', '.join(broken)}", fix)]
        return failed if broken else [Finding("ok", "persistence", "the server's last writes to its disk went well")]

    async def types(self) -> list[Finding]:
        with answering():
            self.misfits = await misfits(self._link, self._keys)
        findings = []
        for key, found, wanted, consequence in self.misfits:
            message = f"{key} is a {found} and must be a {wanted}: {consequence}"
            aside = f"to keep what is there: {self._cli} RENAME '{key}' '{ASIDE}{key}'"
            if key == self._keys.epoch:  # it must never give out a number a second time
                aside += f"; then {self._cli} SET '{key}' {time.time_ns() // 1_000_000}"
            findings.append(Finding("fail", "keys", message, aside))
        return findings or [Finding("ok", "keys", "every key has its type")]

    async def nodes(self) -> list[Finding]:
        nodes = await self._inspection.nodes()
        alive = [node for node in nodes if node.lease_ms_left > 0]
        running = sum(node.running for node in alive)
        findings = [Finding("ok", "nodes", f"{len(alive)} running, with {running} jobs")]
        if not alive:
            findings = [Finding("warn", "nodes", "no node is running: jobs wait", NODE_START)]
        for node in nodes:
            if node.lease_ms_left <= 0:
                message = f"the lease of {node.name} ran out {-node.lease_ms_left / 1000:.0f} s ago, "
                message += f"it held {node.running} jobs; a running node takes them over"
                findings.append(Finding("warn", "leases", message, "" if alive else NODE_START))
        return findings

    async def strays(self) -> list[Finding]:
        store = NodeStore.open(self._settings)
        try:
            strays = await store.leases.strays()
            # Nodes leave the list of leases and the groups one after the other: who has left by now is no stray.
            again = await store.leases.strays() if strays else []
        finally:
            await store.close()
        names = [name for name in strays if name in again]
        if not names:
            return [Finding("ok", "consumers", "every consumer is a node")]
        message = f"{len(names)} consumers are no nodes, and a running node clears them away: {', '.join(names[:5])}"
        return [Finding("warn", "consumers", message, NODE_START)]

    async def queues(self) -> list[Finding]:
        stats = await self._inspection.stats()
        queued = sum(stream.queued for stream in stats.streams)
        findings = [Finding("ok", "queues", f"{queued} jobs wait")]
        for stream in stats.streams:
            age_seconds = 0.0 if stream.oldest_ms is None else (stats.now_ms - stream.oldest_ms) / 1000
            if age_seconds > LONG_WAIT_SECONDS:
                message = f"the oldest job of queue {stream.queue} has waited for {age_seconds:.0f} s"
                fix = f"{NODE_START} --queues {stream.queue}"
                findings.append(Finding("warn", "queues", message, fix))
        if stats.dead:
            fix = "ironforge dlq list, then ironforge dlq retry --all"
            findings.append(Finding("warn", "dead letter", f"{stats.dead} jobs gave up", fix))
        return findings

    async def schedule(self) -> list[Finding]:
        with answering():
            first, now = await self._link.pipeline([["ZRANGE", self._keys.scheduled, 0, 0, "WITHSCORES"], ["TIME"]])
        late_seconds = (milliseconds(now) - score_ms(first[1])) / 1000 if first else 0.0
        if late_seconds > LATE_SECONDS:
            message = f"a scheduled job has been due for {late_seconds:.0f} s: no node moves it to its queue"
            return [Finding("warn", "schedule", message, NODE_START)]
        return [Finding("ok", "schedule", "nothing is overdue")]

    async def data(self) -> list[Finding]:
        with answering():
            quarantined = await self._link.call("XLEN", self._keys.quarantine)
            problems = [(problem, KEEP) for problem in await inconsistencies(self._link, self._keys)]
            problems += await damages(self._link, self._keys)
        findings = [Finding("fail", "data", message, fix) for message, fix in problems[:MOST_SHOWN]]
        if len(problems) > MOST_SHOWN:
            message = f"and {len(problems) - MOST_SHOWN} more of this kind"
            findings.append(Finding("fail", "data", message, "see to those above, then ask again"))
        if not problems:
            findings.append(Finding("ok", "data", "index, streams, schedule and dead letter agree"))
        if quarantined:
            name = f"'{self._keys.quarantine}'"
            message = f"{quarantined} records could not be read, or were written by a newer version"
            upgrade = "start a node of the newest version: it brings back what it can read"
            look = f"{upgrade}; the rest: {self._cli} XRANGE {name} - + COUNT 10; when done: {self._cli} DEL {name}"
            findings.append(Finding("warn", "quarantine", message, look))
        return findings

    async def close(self) -> None:
        await self._link.close()


def clock_finding(ahead_seconds: float, trip_seconds: float) -> Finding:
    """What the round trip took cannot be told from a difference of the clocks."""
    off_seconds = abs(ahead_seconds)
    if off_seconds < SKEW_SECONDS + trip_seconds / 2:
        return Finding("ok", "clock", f"this machine and the server differ by {off_seconds * 1000:.0f} ms")
    message = (
        f"the server's clock is {off_seconds:.1f} s {'ahead of' if ahead_seconds > 0 else 'behind'} this machine's"
    )
    return Finding("warn", "clock", message, "timedatectl set-ntp true, on both machines")


def _cli(settings: Settings) -> str:
    """The start of a command for this server, without its password."""
    url = urlsplit(settings.redis_url)
    if url.scheme == "unix":
        return f"redis-cli -s {unquote(url.path)}"
    tls = " --tls" if url.scheme == "rediss" else ""
    return f"redis-cli -h {url.hostname or '127.0.0.1'} -p {url.port or 6379}{tls}"


def _megabytes(size: int) -> str:
    return f"{size / 1_048_576:.1f} MB"
