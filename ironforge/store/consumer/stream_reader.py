"""Reading jobs for a node, and knowing what it holds.

The server remembers every delivery, also one whose reply was lost with a connection. Such a job belongs to a node
that is alive and does not know of it, so nobody would ever run it. Therefore this module keeps the entries that it
handed out, and from time to time asks for those that the server counts as delivered and it does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.exceptions import RedisError, ResponseError

from ironforge.job.record import split_stream
from ironforge.redis.connection import BLOCKING_MARGIN_SECONDS, Command, Connection
from ironforge.redis.keys import GROUP, Keys
from ironforge.redis.outages import retry_through_outage
from ironforge.settings import Settings
from ironforge.store.consumer.consumer_groups import ConsumerGroups
from ironforge.store.consumer.declined_jobs import DeclinedJobs, OwnLines
from ironforge.store.consumer.fair_queue import FairQueue
from ironforge.store.consumer.priority_aging import PriorityAging
from ironforge.store.consumer.stream_selector import StreamSelector
from ironforge.store.located_jobs import LocatedJobs
from ironforge.store.node_contract import Delivery, Lease, Rewrite, Settled
from ironforge.store.steps.contract import NewWait

PAGE: Final = 500
WAKE_SECONDS: Final = 0.002
# From this many wanted jobs a stream on, one round trip for all streams is worth the looser order within it.
PLENTY: Final = 4
# When many are wanted, this part of them may come with the next call: a round trip for it costs a node 9 % of a drain.
FEW: Final = 1 / 32


def enough(given: int, want: int) -> bool:
    """Whether what is missing is not worth asking for."""
    return want - given <= want * FEW


class StreamReader:
    """Reads the streams of the node's queues, one call at a time. `waking`: a link that can end what it waits for;
    `lines`: of which it takes jobs that other nodes declined."""

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        lease: Lease,
        connection: Connection,
        *,
        waking: Connection,
        lines: OwnLines,
    ) -> None:
        self._keys = keys
        self._node = node = lease.node
        self._connection = connection
        self._waking = waking
        self.declined = DeclinedJobs(keys, lease, connection, lines)
        self.selector = StreamSelector(settings, keys, connection, self.declined)
        self.groups = ConsumerGroups(keys, connection, self.selector)
        self._busiest = 0
        self._fair_queue = FairQueue(keys, node, connection, LocatedJobs(settings, keys, waking).make_way)
        self._priority_aging = PriorityAging(keys, connection, settings.starvation_seconds, self.declined)
        self._audit_seconds = settings.lease_seconds
        self._audited = time.monotonic()
        self._held: dict[str, set[bytes]] = defaultdict(set)
        self._found: list[Delivery] = []
        self._turn = asyncio.Lock()
        self._woken = asyncio.Event()
        self._blocks = False

    async def fetch(self, want: int) -> list[Delivery]:
        """At most `want` jobs, strictly by priority where nothing is overdue."""
        async with self._turn:
            return await retry_through_outage(lambda: self._guarded(self._fetch(want)))

    async def wait(self, want: int, timeout_seconds: float) -> list[Delivery]:
        """Blocks until there is a job or the time is over."""
        block_ms = max(1, round(timeout_seconds * 1000))
        async with self._turn:
            return await retry_through_outage(lambda: self._guarded(self._wait(want, block_ms)))

    async def wake(self) -> None:
        """End a `wait` that is under way, without a job. Harmless when there is none, or no server."""
        self._woken.set()
        self.selector.look_again()
        self._connection.may_be_woken = True  # from its next read on: most nodes need never be
        with contextlib.suppress(RedisError, OSError):
            # What blocks may not have got there yet.
            while self._blocks and self._connection.client_id:
                if await self._waking.call("CLIENT", "UNBLOCK", self._connection.client_id):
                    return
                await asyncio.sleep(WAKE_SECONDS)

    def release(self, batch: Sequence[Delivery] | Sequence[Settled] | Sequence[Rewrite] | Sequence[NewWait]) -> None:
        """These have left the node: to be called after the write that made it so, never before."""
        held = self._held
        for stream, entry, *_ in batch:
            held[stream].discard(entry)

    async def _guarded(self, reading: Any) -> Any:
        try:
            return await reading
        except BaseException:
            # What the broken call may have been given is looked for before anything new is read.
            self._audited = float("-inf")
            raise

    async def _fetch(self, want: int) -> list[Delivery]:
        await self._audit_if_due()
        await self.selector.look()
        names = self.selector.readable
        deliveries, self._found = self._found[:want], self._found[want:]
        if not names:
            return deliveries
        try:
            overdue, share = await self._priority_aging.overdue(list(names.values()), want - len(deliveries))
            if share:
                deliveries += await self._by_turns(overdue, share, all_streams=False)
            if self.declined.within(names.values()):
                deliveries += await self._with_declined(want - len(deliveries))
            at = 0
            if not self._fair_queue.has_waiting and want - len(deliveries) >= PLENTY * len(names):
                deliveries += await self._read_plenty(want - len(deliveries))
                # One that gave its one job may have more: from there on it goes stream by stream.
                at = min([self.selector.place(stream) for stream, _, _ in deliveries[:1]] + [self._busiest + 1])
            for number, key in enumerate(list(names)[at:], at):
                if enough(len(deliveries), want) or self._fair_queue.has_waiting:
                    break
                command = [*self._read(want - len(deliveries)), "STREAMS", key, ">"]
                deliveries += self._take(await self._ask(command, look=not number))
            if self._fair_queue.has_waiting and len(deliveries) < want:
                deliveries += await self._by_turns(names.values(), want - len(deliveries))
        except BaseException:
            self._found = deliveries + self._found
            raise
        if deliveries:
            self._busiest = self.selector.place(deliveries[0][0])
        return deliveries

    async def _read_plenty(self, want: int) -> list[Delivery]:
        """One round trip instead of one a stream: those before the busiest are only asked for one job each.

        A stream that had more is the busiest next time, within the few milliseconds that a node's window lasts.
        """
        keys = list(self.selector.readable)
        at = min(self._busiest, len(keys) - 1)  # queues may have been paused since
        before, busiest = keys[:at], keys[at]
        commands: list[Command] = [[*self._read(1), "STREAMS", key, ">"] for key in before]
        commands.append([*self._read(want - len(before)), "STREAMS", busiest, ">"])
        deliveries: list[Delivery] = []
        *replies, some = await self._connection.pipeline(
            [*commands, self._fair_queue.look(self.selector.readable.values())], tolerate=("NOGROUP",)
        )
        self._fair_queue.note(some)
        for reply in replies:
            if isinstance(reply, ResponseError):
                await self.groups.make()
            else:
                deliveries += self._take(reply)
        return deliveries

    async def _wait(self, want: int, block_ms: int) -> list[Delivery]:
        await self._audit_if_due()
        if self._found:
            deliveries, self._found = self._found[:want], self._found[want:]
            return deliveries
        self._woken.clear()
        await self.selector.look()
        names = self.selector.readable
        if self.declined.within(names.values()) and (deliveries := await self._with_declined(want)):
            return deliveries
        if not names:  # all queues are paused
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), block_ms / 1000)
            return []
        if not self._fair_queue.has_waiting:
            self._fair_queue.note(await self._connection.call(*self._fair_queue.look(names.values())))
        if self._fair_queue.has_waiting:
            deliveries = await self._by_turns(names.values(), want)
            if deliveries:
                return deliveries
        count = max(1, want // len(names))
        if self._fair_queue.next_ms is not None:
            block_ms = max(1, min(block_ms, self._fair_queue.next_ms))
        if self._woken.is_set():
            return []
        command = [*self._read(count), "BLOCK", block_ms, "STREAMS", *names, *([">"] * len(names))]
        self._blocks = True
        try:
            return self._take(await self._ask(command, block_ms / 1000 + BLOCKING_MARGIN_SECONDS))
        finally:
            self._blocks = False

    def _read(self, count: int) -> list[str | bytes | int]:
        return ["XREADGROUP", "GROUP", GROUP, self._node, "COUNT", count]

    async def _ask(self, command: Command, timeout_seconds: float | None = None, *, look: bool = False) -> Any:
        looks = [self._fair_queue.look(self.selector.readable.values())] if look else []
        *some, reply = await self.groups.with_group(
            lambda: self._connection.pipeline([*looks, command], timeout_seconds=timeout_seconds)
        )
        if look:
            self._fair_queue.note(some[0])
        return reply

    async def _by_turns(self, streams: Iterable[str], want: int, *, all_streams: bool = True) -> list[Delivery]:
        """What was declined comes first: it came before what is new."""
        lines = self.declined.within(streams)
        deliveries = self._take(await self.groups.with_group(lambda: self.declined.read(lines, want)))
        left = want - len(deliveries)
        if not left:
            return deliveries
        try:
            read = functools.partial(self._fair_queue.read, streams, left, all_streams=all_streams)
            return deliveries + self._take(await self.groups.with_group(read))
        except BaseException:
            self._found = deliveries + self._found
            raise

    async def _with_declined(self, want: int) -> list[Delivery]:
        """One priority after the other."""
        deliveries: list[Delivery] = []
        by_priority = itertools.groupby(self.selector.readable.values(), key=lambda name: split_stream(name)[1])
        try:
            for streams in [list(same) for _, same in by_priority]:
                if len(deliveries) < want:
                    deliveries += await self._by_turns(streams, want - len(deliveries), all_streams=False)
        except BaseException:
            self._found = deliveries + self._found
            raise
        return deliveries

    def _take(self, reply: Any) -> list[Delivery]:
        deliveries: list[Delivery] = []
        for key, entries in reply or ():
            stream = self.selector.all[key]
            deliveries += [(stream, entry, fields[1]) for entry, fields in entries]
            self._held[stream].update(entry for entry, _ in entries)
        return deliveries

    async def _audit_if_due(self) -> None:
        if time.monotonic() - self._audited < self._audit_seconds:
            return
        # Of paused queues as well: what was delivered before is this node's to run.
        for key, stream in self.selector.all.items():
            start = "-"
            while True:
                command: Command = ["XPENDING", key, GROUP, start, "+", PAGE, self._node]
                pending = await self._ask(command)
                missing = [row[0] for row in pending if row[0] not in self._held[stream]]
                bodies = await self._connection.pipeline([["XRANGE", key, entry, entry] for entry in missing])
                found = [(stream, entry, body[0][1][1]) for entry, body in zip(missing, bodies, strict=True) if body]
                self._found += found
                self._held[stream].update(entry for _, entry, _ in found)
                if len(pending) < PAGE:
                    break
                start = "(" + pending[-1][0].decode()
        self._audited = time.monotonic()
