"""Planted bugs in limits, unique keys, expiry and kinds that not every node knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ironforge.actors import worker
from ironforge.job.record import decode
from ironforge.job.uniqueness import held_key
from ironforge.redis.scripts import BURY, PARK, TAKE_DECLINED, TAKE_TURNS
from ironforge.store.consumer import acknowledger, declined_jobs, requeuer
from ironforge.store.expiry import ExpirySweep
from ironforge.verify.handlers import KIND
from tests.system.verify.planting import edit


def let_one_more_in() -> None:
    """A full key lets one more in."""
    for script in (TAKE_TURNS, TAKE_DECLINED):
        edit(script, ("held >= limit.concurrency", "held > limit.concurrency"))
    edit(TAKE_TURNS, ("held_of(claim) < limit.concurrency", "held_of(claim) <= limit.concurrency"))


def use_up_nothing() -> None:
    """A start uses nothing of its rate."""
    for script in (TAKE_TURNS, TAKE_DECLINED):
        edit(script, ("if claim.used then", "if false then"))


def charge_one_unit() -> None:
    """A start uses one unit of its rate, however many it says."""
    for script in (TAKE_TURNS, TAKE_DECLINED):
        edit(script, ("claim.used = used + tonumber(claim.units) * each", "claim.used = used + each"))


def count_one_more() -> None:
    """A key whose limit cancels those that come when it is full counts as full with one place left."""
    edit(
        TAKE_TURNS,
        (
            "held >= limit.concurrency",
            "held + (limit.when_full == 'cancel_new' and 1 or 0) >= limit.concurrency",
        ),
    )


def let_new_ones_wait() -> None:
    """Those that come when a key is full wait, whatever the limit says."""
    edit(TAKE_TURNS, ("if policy == 'cancel_new' then", "if false then"))


def cancel_the_newest() -> None:
    """The one that started last makes way for one that comes when a key is full."""
    edit(TAKE_TURNS, ("'ZRANGE', claim.holders, 0, math", "'ZREVRANGE', claim.holders, 0, math"))


def cancel_all_holders() -> None:
    """All that run make way for one."""
    one = "holder, 'preempted'\n"
    edit(TAKE_TURNS, ("0, math.min(waiting, AT_ONCE) - 1)", "0, -1)"), (f"{one}      return\n", one))


def go_on_after_a_death() -> None:
    """A key that is to stop behind a dead job goes on."""
    edit(BURY, ("policy == 'park' or", "policy == 'park' and not dead or"))


def keep_the_place_at_a_retry() -> None:
    """A job that waits for its retry keeps its place, whatever the limit says."""
    edit(PARK, ("if is_limited(ARGV[at + 3]) then", "if false then"))


def overtake_a_retry() -> None:
    """Of a fifo key the next one runs while the first one waits for its retry, whatever the limit says."""
    edit(PARK, (", false, keeps(ARGV[at + 3])) end", ") end"))


def settle_without(unwanted: Callable[[Sequence[Any]], bool]) -> None:
    """Settlements leave these commands out."""
    original = acknowledger.Acknowledger._commands

    def some(self: Any, batch: Any) -> Any:
        commands = original(self, batch)
        jobs = [command for command in commands.jobs if not unwanted(command)]
        return commands._replace(jobs=jobs, shared=[one for one in commands.shared if not unwanted(one)])

    acknowledger.Acknowledger._commands = some


def keep_the_place() -> None:
    """A job that ends keeps its place."""
    settle_without(lambda command: command[0] == "ZREM")


def say_nothing_of_room() -> None:
    """A job that ends gives its place back, and nobody hears of it."""
    settle_without(lambda command: command[0] == "PUBLISH" or (command[0] == "SADD" and command[1].endswith(":room")))


def keep_the_key() -> None:
    """A job that ends keeps its unique key."""
    settle_without(lambda command: command[0] == "SREM")


def drop_the_key_as_it_is_let_in() -> None:
    """A job holds its unique key no longer once its limit has let it in."""
    forget = f"redis.call('DEL', stem .. 'unique:{KIND}:' .. string.match(claims[1].key, '\\n(.*)$'))"
    edit(TAKE_TURNS, ("occupy(claims, id, true)", f"occupy(claims, id, true) {forget}"))


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
