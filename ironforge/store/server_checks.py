"""Whether the server can keep what IronForge promises: checked before anything starts, while it runs, and in /health.

A wrong setting is refused with the command that fixes it, because the other time to find out is when jobs have been
lost. What is refused at start is also refused later: somebody may change a server that is in use.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from redis.exceptions import RedisError

from ironforge.addresses.server_url import without_password
from ironforge.errors import ConfigError, StoreUnavailable
from ironforge.redis.causes import said
from ironforge.redis.connection import Command, Connection, DoorConnection
from ironforge.redis.keys import Keys
from ironforge.redis.server_info import config_of, info_of, number_in, version_of
from ironforge.redis.shards import namespace_shards_of
from ironforge.settings import Settings, environment_name, shares_of
from ironforge.store.contract import Health

OLDEST_VERSION: Final = (7, 0)
POLICY: Final = "noeviction"
# Settings without which a write is not as durable as `local` says. The last one would let a rewrite of the AOF suspend
# the writing through. Only this mode asks CONFIG GET, for who may do that may read the server's passwords as well.
THROUGH: Final = {
    "maxmemory-policy": POLICY,
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
}
# A replica acknowledges every second; one that is silent for longer than this does not count.
REPLICA_LAG_SECONDS: Final = 3
# Used memory beyond this share of maxmemory is a problem that /health shows.
CROWDED: Final = 0.8

Ask = Callable[..., Awaitable[list[Any]]]


def look(settings: Settings) -> list[Command]:
    """What `Server.of` reads."""
    return [["INFO"], ["CONFIG", "GET", *THROUGH]] if settings.durability == "local" else [["INFO"]]


class Server:
    """What INFO and, in mode `local`, CONFIG GET say, as text."""

    @classmethod
    def of(cls, info: bytes, *config: Any) -> Server:
        """From the replies to `look`; where CONFIG is forbidden, its reply is an error and tells nothing."""
        return cls(info_of(info), config_of(config[0]) if config else {})

    def __init__(self, info: dict[str, str], config: dict[str, str]) -> None:
        self.info = info
        self.config = config
        self.name = "Valkey" if "valkey_version" in info else "Redis"
        self.version = info.get("valkey_version") or info.get("redis_version", "0.0")
        self.aof = info.get("aof_enabled") == "1"
        self.policy = info.get("maxmemory_policy", "")
        self.fsync = config.get("appendfsync", "")
        self.interrupted = config.get("no-appendfsync-on-rewrite") == "yes"

    @property
    def durability(self) -> str:
        if not self.aof:
            return "none"
        return "local" if self.fsync == "always" and not self.interrupted else "relaxed"

    @property
    def replicas(self) -> int:
        """Those that are connected and have acknowledged lately."""
        lines = (line for name, line in self.info.items() if name.startswith("slave") and "state=online" in line)
        fields = (dict(field.partition("=")[::2] for field in line.split(",")) for line in lines)
        return sum(number_in(one, "lag") <= REPLICA_LAG_SECONDS for one in fields)

    @property
    def memory(self) -> float:
        """The used share of maxmemory, counted as the server does; 0 where there is no limit."""
        limit = self.number("maxmemory")
        return (self.number("used_memory") - self.number("mem_not_counted_for_evict")) / limit if limit else 0.0

    def room(self, share: float) -> float:
        """Bytes until so much of maxmemory is used; at least a hundredth of it, and endless where there is no limit."""
        limit = self.number("maxmemory")
        return max((share - self.memory) * limit, limit / 100) if limit else math.inf

    def number(self, field: str) -> int:
        return number_in(self.info, field)


async def verify(settings: Settings, *, accepts_jobs: bool = True) -> None:
    """Raises ConfigError when a server cannot be reached, is too old, or is set up so that jobs would be lost.

    With `accepts_jobs` False, as for a node, INFO is all that is asked: whether accepted jobs are written through,
    which INFO does not tell, is for those to look at who accept them.
    """
    where = f"{environment_name('redis_url')}={without_password(settings.redis_url)}"
    problems: dict[str, None] = {}
    for part in namespace_shards_of(settings):
        try:
            async with Connection(settings.redis_url, part.keys.prefix) as connection:
                asked = look(settings) if accepts_jobs else look(settings)[:1]
                server = await _read(partial(_ask, connection), asked)
        except (RedisError, OSError) as error:
            raise ConfigError(f"{where}: cannot talk to the server: {said(error)}") from None
        problems |= dict.fromkeys(_refusals(server, settings, accepts_jobs=accepts_jobs))
    if problems:
        raise ConfigError("; ".join(problems))
    await check_shards(settings)


async def _ask(connection: Connection, *commands: Command, tolerate: tuple[str, ...] = ()) -> list[Any]:
    return await connection.pipeline(commands, tolerate=tolerate)


async def check_shards(settings: Settings) -> None:
    """Raises ConfigError when other processes spread a namespace over another number of shards.

    A job is looked for in the shard that its id names: with another number it would not be found.
    """
    for share in shares_of(settings):
        first = Keys(share.namespace)
        async with DoorConnection(settings.redis_url, first.prefix) as connection:
            spread = await _spread(connection, first, settings.shards)
        if spread != settings.shards:
            raise ConfigError(
                f"{environment_name('shards')}={settings.shards}, but namespace {share.namespace!r} was begun with "
                f"{spread}: set it to {spread}, or take another namespace"
            )


async def _spread(connection: Connection, first: Keys, shards: int) -> int:
    """How many shards the namespace has; it is begun here if nobody did before."""
    if shards == 1:
        return int(await connection.call("GET", first.shards) or 1)
    begun = 1 if await connection.call("SCARD", first.queues) else shards
    return int(await connection.call("SET", first.shards, begun, "NX", "GET") or begun)


async def health_of(settings: Settings, ask: Ask) -> Health:
    """The server as it is now, with everything that should be otherwise."""
    server = await _read(ask, look(settings))
    problems = _refusals(server, settings)
    if settings.durability == "relaxed" and not server.aof:
        problems.append(
            "accepted jobs do not survive a restart of the server: it has no AOF; CONFIG SET appendonly yes"
        )
    if server.memory > settings.max_memory_share:
        problems.append(_memory_refusal(server, settings))
    elif server.memory > CROWDED:
        problems.append(f"memory is {server.memory:.0%} full; raise maxmemory, or add nodes")
    used, limit = server.number("used_memory"), server.number("maxmemory")
    return Health(server.name, server.version, server.durability, used, limit, problems)


def refusal_of(server: Server, settings: Settings) -> StoreUnavailable | None:
    """Why no job can be accepted now, though the server would take it."""
    problems = _refusals(server, settings)
    if problems:
        return StoreUnavailable(f"jobs cannot be kept safe now: {'; '.join(problems)}", code="durability_lost")
    if server.memory > settings.max_memory_share:
        return StoreUnavailable(_memory_refusal(server, settings), code="storage_full")
    return None


def _memory_refusal(server: Server, settings: Settings) -> str:
    return (
        f"the server's memory is {server.memory:.0%} full, and no jobs are accepted beyond "
        f"{settings.max_memory_share:.0%}, so that those it has can be completed: try again when nodes have worked "
        "some off, add nodes, or raise maxmemory"
    )


async def _read(ask: Ask, asked: Sequence[Command]) -> Server:
    info_command, *config_commands = asked
    (info,) = await ask(info_command)
    # Whatever the server has against it: what it does not say counts as not known.
    config = await ask(*config_commands, tolerate=("",)) if config_commands else []
    return Server.of(info, *config)


def _refusals(server: Server, settings: Settings, *, accepts_jobs: bool = True) -> list[str]:
    problems = []
    if version_of(server.version) < OLDEST_VERSION:
        problems.append(f"{server.name} {server.version} is too old: IronForge needs Redis 7.0 or Valkey 7.2")
    if server.info.get("role") != "master":
        problems.append(
            f"the server is a read-only replica of {server.info.get('master_host')}:"
            f"{server.info.get('master_port')}: point {environment_name('redis_url')} there"
        )
    if server.policy != "noeviction":
        problems.append(
            f"maxmemory-policy is {server.policy or 'unknown'}, and a full server would throw jobs away: "
            "CONFIG SET maxmemory-policy noeviction"
        )
    problems += _durability_refusals(server, settings, accepts_jobs=accepts_jobs)
    return problems


def _durability_refusals(server: Server, settings: Settings, *, accepts_jobs: bool) -> list[str]:
    wanted = f"{environment_name('durability')}={settings.durability}"
    problems = []
    if settings.durability == "local":
        if not server.aof:
            problems.append(f"{wanted} needs the AOF: CONFIG SET appendonly yes")
        if accepts_jobs and not server.fsync:
            problems.append(
                f"{wanted} needs appendfsync always, which cannot be checked: let this user of the server ask CONFIG "
                "GET (+config|get; it can read the server's passwords as well), or choose another durability"
            )
        elif accepts_jobs and server.fsync != "always":
            problems.append(f"{wanted} needs appendfsync always, it is {server.fsync}: CONFIG SET appendfsync always")
        if server.interrupted:
            problems.append(
                f"{wanted} needs no-appendfsync-on-rewrite no, it is yes: CONFIG SET no-appendfsync-on-rewrite no"
            )
    if settings.durability == "replicated" and server.replicas < settings.replicas:
        problems.append(
            f"{wanted} needs {settings.replicas} connected replica(s) that keep up, there are {server.replicas}: "
            f"connect one with REPLICAOF, or lower {environment_name('replicas')}"
        )
    return problems
