"""Ending attempts for good, in one transaction that only the holder of the lease can commit.

The connection keeps a WATCH on the node's fence. When another node takes over it moves the fence, EXEC then answers
nil and nothing is written: fencing costs no round trip of its own. Native commands and not a script, because a script
costs the server nearly twice as much a job.

MULTI counts whatever it is given: it is sent once, and only for jobs that nobody else may be ending. What may have been
settled already goes by a script, which counts job by job. And what was given up may be on its way still: each
connection begins by writing the fence over itself, so that whatever an older one brings later aborts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from redis.exceptions import ExecAbortError, OutOfMemoryError

from ironforge.errors import LeaseLost
from ironforge.job.record import decode, encode
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import GROUP, Keys, minute_of
from ironforge.redis.location import TOLD_TO_STOP, Location
from ironforge.redis.outages import raise_first, retry_through_outage
from ironforge.redis.scripts import ARM, SETTLE
from ironforge.settings import Settings
from ironforge.store.node_contract import Lease, Settled
from ironforge.store.retention import RetentionBucket, RetentionBuckets
from ironforge.store.steps.ends import Tied, end_ties

BATCH: Final = 500


class Commands(NamedTuple):
    """Those of a settlement: of its jobs, and what need not be said of each; and the keys that they touch. The last of
    the shared ones ask for open children; `low`: parents that have no more go on."""

    jobs: list[Command]
    shared: list[Command]
    touched: list[str]
    low: Sequence[int] = ()


class Acknowledger:
    """One connection, armed with the fence of one lease."""

    def __init__(self, settings: Settings, keys: Keys, lease: Lease) -> None:
        self._keys = keys
        self._lease = lease
        self._epoch = str(lease.epoch).encode()
        self._retention = RetentionBuckets(keys, settings)
        self._fence = keys.fence(lease.node)
        self._arm: list[Command] = [["WATCH", self._fence], ["GET", self._fence]]
        opening = [ARM.by_text([self._fence], [lease.epoch]), *self._arm]
        self._connection = Connection(settings.redis_url, keys.prefix, opening=opening, check=self._check)

    async def settle(self, batch: Sequence[Settled]) -> None:
        """Raises LeaseLost when the fence has moved; then nothing was written."""
        await self._settle(batch, self._commit)

    async def settle_once(self, batch: Sequence[Settled]) -> None:
        """Like `settle`, for jobs that somebody else may be settling at the same time."""
        await self._settle(batch, self._commit_by_script)

    async def _settle(self, batch: Sequence[Settled], commit: Callable[[Sequence[Settled]], Awaitable[None]]) -> None:
        batch = await self._with_reasons(batch)
        try:
            await retry_through_outage(lambda: commit(batch), repetition=lambda: self._commit_by_script(batch))
        except LeaseLost:
            await self._connection.drop()
            raise

    async def close(self) -> None:
        await self._connection.close()

    def _check(self, replies: list[Any]) -> None:
        raise_first(*replies)
        if replies[-1] != self._epoch:
            raise _lost(self._lease)

    async def _commit(self, batch: Sequence[Settled]) -> None:
        commands, shared, _, low = self._commands(batch)
        replies = await self._connection.exchange([["MULTI"], *commands, *shared, ["EXEC"], *self._arm])
        outcome, epoch = replies[-3], replies[-1]
        if epoch != self._epoch:
            # Lost between two batches: the next call arms anew and finds out, this one may have been in time.
            await self._connection.drop()
        if outcome is None and epoch != self._epoch:
            raise _lost(self._lease)
        if outcome is None:
            # Another connection of this lease was armed meanwhile: nothing was written.
            await self._commit_by_script(batch)
            return
        if isinstance(outcome, ExecAbortError):
            refusals = [reply for reply in replies[1:-3] if isinstance(reply, Exception)]
            if not all(isinstance(refusal, OutOfMemoryError) for refusal in refusals):
                raise refusals[0]
            await self._commit_by_script(batch)
            return
        raise_first(*((outcome,) if isinstance(outcome, Exception) else outcome))
        if low and any(is_open <= most for is_open, most in zip(outcome[-len(low) :], low, strict=True)):
            # To whom that is lost it is told with the next look at what is due.
            await self._connection.call("PUBLISH", self._keys.signals, "due:0")

    async def _commit_by_script(self, batch: Sequence[Settled]) -> None:
        arguments: list[str | bytes | int] = [self._lease.epoch, len(batch)]
        touched: dict[str, None] = {}
        shared: dict[tuple[str | bytes | int, ...], None] = {}
        for one in batch:
            stream, entry, job_id, *_ = one
            commands, others, keys, _ = self._commands([one])
            arguments += (job_id, f":{stream}:{entry.decode()}", len(commands))
            for command in commands:
                arguments += (len(command), *command)
            shared.update(dict.fromkeys(map(tuple, others)))
            touched.update(dict.fromkeys(keys))
        for command in shared:
            arguments += (len(command), *command)
        await self._connection.run(SETTLE, SETTLE.keys(self._keys, *touched, fence=self._fence), arguments)

    async def _with_reasons(self, batch: Sequence[Settled]) -> Sequence[Settled]:
        """Jobs that their limits preempted say so in their records, also where the node was not told, or died: where
        they are in the index tells it."""
        stopped = [at for at, one in enumerate(batch) if one[6] and one[5] == "cancelled" and one[3]]
        if not stopped:
            return batch
        ask: Command = ["HMGET", self._keys.index, *(batch[at][2] for at in stopped)]
        places = await retry_through_outage(lambda: self._connection.call(*ask))
        told = list(batch)
        for at, place in zip(stopped, places, strict=True):
            if reason := place and TOLD_TO_STOP.get(Location(place).place):
                record = encode(msgspec.structs.replace(decode(batch[at][3]), reason=reason))
                told[at] = (*batch[at][:3], record, *batch[at][4:])
        return told

    def _commands(self, batch: Sequence[Settled]) -> Commands:
        keys = self._keys
        entries: dict[str, list[bytes]] = defaultdict(list)
        ids: list[bytes] = []
        retained: dict[tuple[int, int], list[bytes]] = defaultdict(list)
        held: dict[str, list[bytes]] = defaultdict(list)
        unique: dict[str, list[bytes]] = defaultdict(list)
        totals = {"completed": 0, "cancelled": 0, "expired": 0}
        tied: list[Tied] = []
        for stream, entry, job_id, record, retention_ms, state, claims, key, ties in batch:
            entries[stream].append(entry)
            ids.append(job_id)
            totals[state] += 1
            for claim in claims:
                held[claim].append(job_id)
            if record and retention_ms > 0:
                retained[minute_of(job_id), retention_ms] += (job_id, record)
            if key:
                unique[key].append(job_id)
            if ties:
                tied.append(Tied(job_id, record, retention_ms, ties))
        totals["cancelled"] += totals["expired"]
        commands: list[Command] = []
        for stream, taken in entries.items():
            name = keys.stream(stream)
            commands += (["XACK", name, GROUP, *taken], ["XDEL", name, *taken])
        records, shared, buckets, _ = self._retained(retained)
        commands += (["HDEL", keys.index, *ids], *records)
        commands += [["HINCRBY", keys.totals, state, count] for state, count in totals.items() if count]
        touched = [keys.index, keys.totals, keys.buckets, *map(keys.stream, entries), *buckets]
        if unique:
            commands += [["SREM", keys.unique(key), *gone] for key, gone in unique.items()]
            touched += map(keys.unique, unique)
        if held:
            commands += [["ZREM", keys.holders(claim), *gone] for claim, gone in held.items()]
            shared += [["SADD", keys.room, *held], ["PUBLISH", keys.signals, "room:"]]
            touched += [keys.room, *map(keys.holders, held)]
        asked = end_ties(keys, self._retention, tied, commands, touched) if tied else []
        shared += [each.command for each in asked]
        return Commands(commands, shared, touched, [each.low for each in asked])

    def _retained(self, retained: dict[tuple[int, int], list[bytes]]) -> Commands:
        """Ids and records by creation minute and retention: how to keep them, and in which buckets."""
        records: dict[str, list[bytes]] = defaultdict(list)
        places: dict[str, RetentionBucket] = {}
        for (_, retention_ms), pairs in sorted(retained.items()):  # the longest of those in one bucket comes last
            place = self._retention.place(pairs[0], retention_ms)
            records[place.bucket] += pairs
            places[place.bucket] = place
        shared: list[Command] = []
        for bucket, (_, seconds, expiry_ms) in places.items():
            # GT leaves a key without a time to live alone, so a new bucket gets its first one by NX.
            shared += (["EXPIRE", bucket, seconds, "NX"], ["EXPIRE", bucket, seconds, "GT"])
            shared.append(["ZADD", self._keys.buckets, "GT", expiry_ms, bucket])
        return Commands([["HSET", bucket, *pairs] for bucket, pairs in records.items()], shared, list(records))


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"node {lease.node} lost its lease: another node has taken over what it held")
