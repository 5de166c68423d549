"""Examines one shard: its server's clock and disk, and whether the data stored there fit together.

It only reads. Counts are exact, because one transaction reads them all; single jobs are looked at as a sample.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from ironforge.doctor.consistency import inconsistencies
from ironforge.doctor.damage import damage, damages
from ironforge.doctor.finding import Finding
from ironforge.doctor.schedules import schedules_that_do_not_tick
from ironforge.doctor.waits import waiters
from ironforge.doctor.workflows import workflows_that_stand_still
from ironforge.formats.numbers import counted
from ironforge.formats.timestamps import now_ms
from ironforge.redis.connection import DoorConnection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import translating_errors
from ironforge.redis.server_info import info_of
from ironforge.redis.server_locator import ServerLocator
from ironforge.redis.wrong_types import WrongType, wrong_types
from ironforge.store.retention import milliseconds, score_ms

SKEW_SECONDS: Final = 1.0
LATE_SECONDS: Final = 10.0
MOST_SHOWN: Final = 100
# In front of a key that is put out of the way: its hash tag, and with it its slot, stay.
ASIDE: Final = "aside:"
NODE_START: Final = "ironforge node APP"
LAST_WRITES: Final = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")


class ShardExam:
    """Each check returns at least one finding, but those of schedules and workflows where there are none. StoreError
    when the server cannot be asked."""

    def __init__(self, url: str, keys: Keys) -> None:
        self._keys = keys
        self._address = ServerLocator(url, keys.prefix)
        self._connection = DoorConnection(url, keys.prefix)
        self._cli = "redis-cli"  # until `clock` has found out which server it is
        self.wrong_types: list[WrongType] = []

    async def clock(self) -> list[Finding]:
        with translating_errors():
            self._cli = cli(await self._address.find())
        before = time.time()
        reply = await self._connection.call("TIME")
        after = time.time()
        return [clock_finding(milliseconds(reply) / 1000 - (before + after) / 2, after - before)]

    async def persistence(self) -> list[Finding]:
        info = info_of(await self._connection.call("INFO", "persistence"))
        broken = [name for name in LAST_WRITES if info.get(name, "ok") != "ok"]
        fix = f"make room on the server's disk, then {self._cli} BGREWRITEAOF"
        failed = [Finding("fail", "persistence", f"the server cannot write to its disk: {', '.join(broken)}", fix)]
        return failed if broken else [Finding("ok", "persistence", "the server's last writes to its disk went well")]

    async def types(self) -> list[Finding]:
        self.wrong_types = await wrong_types(self._connection, self._keys)
        findings = wrong_type_findings(self.wrong_types, self._cli)
        return findings or [Finding("ok", "keys", "every key has its type")]

    async def schedule(self) -> list[Finding]:
        late_seconds = await self._late_seconds(self._keys.scheduled)
        if late_seconds > LATE_SECONDS:
            message = f"a scheduled job has been due for {late_seconds:.0f} s: no node moves it to its queue"
            return [Finding("warn", "schedule", message, NODE_START)]
        return [Finding("ok", "schedule", "nothing is overdue")]

    async def expiry(self) -> list[Finding]:
        """Whoever looks at a moment that is past forgets it, or puts it off while its job is there."""
        late_seconds = await self._late_seconds(self._keys.expiries)
        if late_seconds > LATE_SECONDS:
            message = f"for {late_seconds:.0f} s nothing has looked for jobs that expire: they may hold places and keys"
            return [Finding("warn", "expiry", message, f"{NODE_START}, or ironforge api")]
        return [Finding("ok", "expiry", "what expires is looked for")]

    async def waits(self) -> list[Finding]:
        return await waiters(self._connection, self._keys)

    async def workflows(self) -> list[Finding]:
        return await workflows_that_stand_still(self._connection, self._keys)

    async def schedules(self) -> list[Finding]:
        return await schedules_that_do_not_tick(self._connection, self._keys)

    async def _late_seconds(self, moments: str) -> float:
        """For how long the first of these moments has been past; below 0: it is to come."""
        first, now = await self._connection.pipeline([["ZRANGE", moments, 0, 0, "WITHSCORES"], ["TIME"]])
        return (milliseconds(now) - score_ms(first[1])) / 1000 if first else 0.0

    async def data(self) -> list[Finding]:
        quarantined = await self._connection.call("XLEN", self._keys.quarantine)
        problems = [damage(problem) for problem in await inconsistencies(self._connection, self._keys)]
        problems += await damages(self._connection, self._keys)
        findings = problems[:MOST_SHOWN]
        if len(problems) > MOST_SHOWN:
            message = f"and {len(problems) - MOST_SHOWN} more of this kind"
            findings.append(Finding("fail", "data", message, "see to those above, then ask again"))
        if not problems:
            findings.append(Finding("ok", "data", "index, streams, schedule and dead letter agree"))
        if quarantined:
            name = f"'{self._keys.quarantine}'"
            message = f"{counted(quarantined, 'record')} could not be read, or were written by a newer version"
            upgrade = "start a node of the newest version: it brings back what it can read"
            look = f"{upgrade}; the rest: {self._cli} XRANGE {name} - + COUNT 10; when done: {self._cli} DEL {name}"
            findings.append(Finding("warn", "quarantine", message, look))
        return findings

    async def close(self) -> None:
        await self._connection.close()


def wrong_type_findings(found: Sequence[WrongType], start: str) -> list[Finding]:
    """`start`: of a command for their server."""
    findings = []
    for key, kind, spec in found:
        aside = f"to keep what is there: {start} RENAME '{key}' '{ASIDE}{key}'"
        if spec.word == "epoch":  # it must never give out a number a second time
            aside += f"; then {start} SET '{key}' {now_ms()}"
        message = f"{key} is a {kind} and must be a {spec.type}: {spec.without}"
        findings.append(Finding("fail", "keys", message, aside))
    return findings


def clock_finding(ahead_seconds: float, trip_seconds: float) -> Finding:
    """What the round trip took cannot be told from a difference of the clocks."""
    off_seconds = abs(ahead_seconds)
    if off_seconds < SKEW_SECONDS + trip_seconds / 2:
        return Finding("ok", "clock", f"this machine and the server differ by {off_seconds * 1000:.0f} ms")
    message = (
        f"the server's clock is {off_seconds:.1f} s {'ahead of' if ahead_seconds > 0 else 'behind'} this machine's"
    )
    return Finding("warn", "clock", message, "timedatectl set-ntp true, on both machines")


def cli(url: str) -> str:
    """The start of a command for this server, without its password."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"redis-cli -s {unquote(parts.path)}"
    tls = " --tls" if parts.scheme == "rediss" else ""
    return f"redis-cli -h {parts.hostname or '127.0.0.1'} -p {parts.port or 6379}{tls}"
