"""Planted bugs in how jobs are fetched, settled and put somewhere else."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import uvloop

from ironforge.actors import worker
from ironforge.execution import executor, isolation
from ironforge.job import retry
from ironforge.job.record import Job
from ironforge.redis import connection, scripts
from ironforge.store.consumer import acknowledger, consumer, consumer_groups, leases, requeuer, stream_reader
from ironforge.store.node_contract import Settled
from tests.system.verify.planting import edit

STALE = "if redis.pcall('GET', fence) ~= epoch then return redis.error_reply('STALE the fence has moved') end"


def settle_without_the_fence() -> None:
    """A node that was taken over settles all the same."""
    original = acknowledger.Acknowledger.__init__

    def unguarded(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        self._arm = [["GET", self._fence], ["GET", self._fence]]
        self._connection._opening = self._arm
        self._connection._check = None
        self._epoch = None

    async def commit(self: Any, batch: list[Settled]) -> None:
        commands, shared, *_ = self._commands(batch)
        await self._connection.exchange([["MULTI"], *commands, *shared, ["EXEC"]])

    acknowledger.Acknowledger.__init__ = unguarded
    acknowledger.Acknowledger._commit = commit


def watch_too_late() -> None:
    """The fence is watched from the settlement on: whoever was fenced before it commits."""
    original = acknowledger.Acknowledger.__init__

    def unchecked(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        self._connection._opening = ()
        self._connection._check = None

    async def commit(self: Any, batch: list[Settled]) -> None:
        commands, shared, *_ = self._commands(batch)
        await self._connection.exchange([["WATCH", self._fence]])
        replies = await self._connection.exchange([["MULTI"], *commands, *shared, ["EXEC"]])
        if replies[-1] is None:
            raise acknowledger._lost(self._lease)

    acknowledger.Acknowledger.__init__ = unchecked
    acknowledger.Acknowledger._commit = commit


def settle_twice() -> None:
    """A settlement is sent again although its answer has arrived, and counted again."""
    settle = acknowledger.Acknowledger.settle

    async def again(self: Any, batch: list[Settled]) -> None:
        await settle(self, batch)
        await settle(self, batch)

    acknowledger.Acknowledger.settle = again


def leave_the_index_behind() -> None:
    """A settlement leaves the job in the index."""
    original = acknowledger.Acknowledger._commands

    def leaky(self: Any, batch: list[Settled]) -> Any:
        commands = original(self, batch)
        return commands._replace(jobs=[command for command in commands.jobs if command[0] != "HDEL"])

    acknowledger.Acknowledger._commands = leaky


def as_soon_as_fetched(*commands: str) -> None:
    """Runs these commands on every entry that was just read."""

    def early(read: Callable[..., Any]) -> Callable[..., Any]:
        async def reading(self: Any, *arguments: Any) -> Any:
            deliveries = await read(self, *arguments)
            for stream, entry, _ in deliveries:
                key = self._keys.stream(stream)
                words = {"XACK": ["XACK", key, "nodes", entry], "XDEL": ["XDEL", key, entry]}
                await self._connection.pipeline([words[command] for command in commands])
            return deliveries

        return reading

    stream_reader.StreamReader.fetch = early(stream_reader.StreamReader.fetch)
    stream_reader.StreamReader.wait = early(stream_reader.StreamReader.wait)


def settle_before_running() -> None:
    """Jobs leave the server as soon as they are fetched: whoever dies now has lost them."""
    as_soon_as_fetched("XACK", "XDEL")


def delete_before_running() -> None:
    """Jobs stay pending, and their records are gone: a take-over finds nothing to requeue."""
    as_soon_as_fetched("XDEL")


def start_at_the_end() -> None:
    """The group of a new stream begins at its end: what came before the first node is never read."""

    async def make(connection: Any, streams: list[str]) -> None:
        commands = [["XGROUP", "CREATE", key, "nodes", "$", "MKSTREAM"] for key in streams]
        await connection.pipeline(commands, tolerate=("BUSYGROUP",))

    consumer_groups.make_groups = make
    leases.make_groups = make


def lose_replies() -> None:
    """No bug but a bad network: every third delivery is lost on its way, with its connection."""
    pipeline = connection.Connection.pipeline
    turn = itertools.count(1)

    async def broken(self: Any, commands: Any, **options: Any) -> Any:
        replies = await pipeline(self, commands, **options)
        delivered = any(command[0] == "XREADGROUP" and reply for command, reply in zip(commands, replies, strict=True))
        if delivered and not next(turn) % 3:
            await self.drop()
            raise ConnectionResetError("the reply was lost")
        return replies

    connection.Connection.pipeline = broken


def never_audit() -> None:
    """What was delivered and never arrived is not asked for."""

    async def nothing(self: Any) -> None:
        pass

    stream_reader.StreamReader._audit_if_due = nothing


def same_fence_again() -> None:
    """Jobs that are requeued do not get a higher fence."""

    def again(self: Job, **changes: Any) -> Job:
        return msgspec.structs.replace(self, **changes)

    Job.again = again


def rewrite_without_the_fence() -> None:
    """A node that was taken over parks, buries and requeues all the same, also what it no longer holds."""
    held = "redis.call('XACK', stream, 'nodes', entry) == 1"
    taken = "redis.call('XACK', stream, 'nodes', entry) >= 0"
    for script in (requeuer.PARK, requeuer.BURY, requeuer.REQUEUE):
        edit(script, (STALE, ""), (held, taken))


def forget_whose_turn_it_is() -> None:
    """The records of those whose turn has come are dropped before they are read."""
    records = "local records = redis.call('HMGET', parked, unpack(ids))"
    edit(scripts.TAKE_TURNS, (records, f"redis.call('HDEL', parked, unpack(ids)) {records}"))


def give_a_turn_twice() -> None:
    """Whose turn has come goes into the stream twice."""
    entry = "redis.call('XADD', redelivery, '*', 'j', records[at])"
    edit(scripts.TAKE_TURNS, ("local n = #located\n", f"local n = #located {entry}\n"))


def leave_the_turns_behind() -> None:
    """When nobody waits any longer, the next ones still have to wait behind turns that were taken."""
    edit(scripts.TAKE_TURNS, ("redis.call('DEL', turns)", "local _"))


def never_retry() -> None:
    """A failed job goes to the dead letter at once."""
    retry.decide = lambda *_arguments, **_options: retry.Verdict(retry=False, delay_ms=0)


def retry_for_ever() -> None:
    """The limit of retries is not looked at."""
    retry.decide = lambda *_arguments, **_options: retry.Verdict(retry=True, delay_ms=50)


def due_at_once() -> None:
    """The schedule hands out what is not due yet."""
    edit(consumer.PROMOTE, ("'-inf', now, 'BYSCORE'", "'-inf', '+inf', 'BYSCORE'"))


def cancel_what_failed() -> None:
    """A failed attempt ends its job as cancelled, though nobody asked for it."""
    edit(requeuer.PARK, ("if letter and where == name .. ':' .. entry then", "if true then"))


def share_the_context() -> None:
    """Every run has the same context, and finds there what the one before has left."""
    original = executor.Executor.__init__

    def shared(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        base = self._base
        self._base = SimpleNamespace(copy=lambda: base)

    executor.Executor.__init__ = shared


def end_unnoticed() -> None:
    """A worker whose task a handler has cancelled does not go on, and nobody hears of it."""
    original = worker.Worker._go_on

    def go_on(self: Any) -> None:
        if self._runner is None:
            original(self)

    worker.Worker._go_on = go_on


def let_tasks_out() -> None:
    """What a handler's task raises ends the event loop, and with it the node."""
    executor.contain_tasks = lambda _loop: None
    isolation.run = uvloop.run


def park_in_two_steps() -> None:
    """Between leaving its queue and coming into the schedule a job is nowhere."""
    edit(requeuer.PARK, ("redis.call('ZADD', scheduled, due, id)", ""))
    park = requeuer.Requeuer.park

    async def late(self: Any, batch: Any) -> int:
        moved = await park(self, batch)
        await asyncio.sleep(0.2)
        for item in batch:
            await self._connection.call("ZADD", self._keys.scheduled, 1, item.job_id)
        return moved

    requeuer.Requeuer.park = late
