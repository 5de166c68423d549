"""Planted bugs in limits, unique keys, expiry and kinds that not every node knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ironforge.actors import worker
from ironforge.job.record import decode
from ironforge.job.uniqueness import held_key
from ironforge.redis.scripts import PARK, TAKE_DECLINED, TAKE_TURNS
from ironforge.store.consumer import acknowledger, declined_jobs, requeuer
from ironforge.store.expiry import ExpirySweep
from tests.system.verify.planting import edit


def let_one_more_in() -> None:
    """A full key lets one more in."""
    for script in (TAKE_TURNS, TAKE_DECLINED):
        edit(script, ("held >= limit.concurrency and", "held > limit.concurrency and"))
    edit(TAKE_TURNS, ("'holders:' .. key) < limit.concurrency", "'holders:' .. key) <= limit.concurrency"))


def use_up_nothing() -> None:
    """A start uses nothing of its rate."""
    for script in (TAKE_TURNS, TAKE_DECLINED):
        edit(script, ("if claim.used then", "if false then"))


def overtake_a_retry() -> None:
    """Of a fifo key the next one runs while the first one waits for its retry, whatever the limit says."""
    edit(PARK, ("and not keeps(ARGV[at + 3]) then", "then"))


def settle_without(unwanted: Callable[[Sequence[Any]], bool]) -> None:
    """Settlements leave these commands out."""
    original = acknowledger.Acknowledger._commands

    def some(self: Any, batch: Any) -> Any:
        commands, touched = original(self, batch)
        return [command for command in commands if not unwanted(command)], touched

    acknowledger.Acknowledger._commands = some


def keep_the_place() -> None:
    """A job that ends keeps its place."""
    settle_without(lambda command: command[0] == "ZREM")


def say_nothing_of_room() -> None:
    """A job that ends gives its place back, and nobody hears of it."""
    settle_without(lambda command: command[0] == "PUBLISH" or (command[0] == "SADD" and command[1].endswith(":room")))


def drop_the_key_at_a_retry() -> None:
    """A job that waits for its retry holds its unique key no longer."""
    park = requeuer.Requeuer.park

    async def drop(self: Any, batch: Any) -> int:
        for item in batch:
            job = decode(item.record)
            if key := held_key(job.kind, job.unique):
                await self._connection.call("SREM", self._keys.unique(key), job.id)
        return await park(self, batch)

    requeuer.Requeuer.park = drop


def take_nothing_declined() -> None:
    """Nodes that know the kind of a declined job do not look for it."""
    declined_jobs.DeclinedJobs.look = lambda _self: []


def start_what_has_expired() -> None:
    """A node starts what it has fetched, however late that is."""
    worker.is_expired = lambda _job, _at_ms: False


def cancel_nothing_expired() -> None:
    """What has expired is cancelled only where a node fetches it."""

    async def nothing(_: Any) -> bool:
        return False

    ExpirySweep.sweep_if_due = nothing
