"""Whether the server can keep what IronForge promises: checked before anything starts, and shown in /health.

A wrong setting is refused at start with the command that fixes it, because the other time to find out is when jobs
have been lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.exceptions import AuthenticationError, RedisError, ResponseError

from ironforge.config import Settings, environment_name
from ironforge.errors import ConfigError
from ironforge.server_url import without_password
from ironforge.store.contract import Health
from ironforge.store.keys import shards_of
from ironforge.store.link import Link
from ironforge.store.outage import answering

OLDEST_VERSION: Final = (7, 0)
NEEDED: Final = ("appendonly", "appendfsync", "maxmemory-policy")
# Used memory beyond this share of maxmemory is a problem that /health shows.
CROWDED: Final = 0.8

Ask = Callable[..., Awaitable[list[Any]]]


class _Server:
    """What INFO and CONFIG GET say, as text."""

    def __init__(self, info: dict[str, str], config: dict[str, str]) -> None:
        self.info = info
        self.config = config
        self.name = "Valkey" if "valkey_version" in info else "Redis"
        self.version = info.get("valkey_version") or info.get("redis_version", "0.0")
        self.aof = info.get("aof_enabled") == "1"
        # Where CONFIG is forbidden, as on managed servers, INFO still tells most of it.
        self.policy = config.get("maxmemory-policy") or info.get("maxmemory_policy", "")
        self.fsync = config.get("appendfsync", "")

    @property
    def durability(self) -> str:
        if not self.aof:
            return "none"
        return "local" if self.fsync == "always" else "relaxed"

    def number(self, field: str) -> int:
        return int(self.info.get(field, "0"))


async def verify(settings: Settings) -> None:
    """Raises ConfigError when a server cannot be reached, is too old, or is set up so that jobs would be lost."""
    where = f"{environment_name('redis_url')}={without_password(settings.redis_url)}"
    problems: dict[str, None] = {}
    for keys in shards_of(settings):
        link = Link(settings.redis_url, keys.prefix)
        try:
            server = await _read(lambda *commands: link.pipeline(commands, tolerate=_FORBIDDEN))  # noqa: B023
            problems |= dict.fromkeys(_refusals(server, settings))
        except (RedisError, OSError) as error:
            reason = str(error) or "no answer in time"
            # redis-py wraps a refused login in a ConnectionError on some kinds of connection.
            if isinstance(error, AuthenticationError) or isinstance(error.__cause__, AuthenticationError):
                raise ConfigError(
                    f"{where}: the server refused the login ({reason}): check user and password"
                ) from None
            raise ConfigError(
                f"{where}: cannot talk to the server ({reason}): does it run, is it reachable from here?"
            ) from None
        finally:
            await link.close()
    if problems:
        raise ConfigError("; ".join(problems))
    await check_shards(settings)


async def check_shards(settings: Settings) -> None:
    """Raises ConfigError when other processes spread this namespace over another number of shards.

    A job is looked for in the shard that its id names: with another number it would not be found.
    """
    first = shards_of(settings)[0]
    link = Link(settings.redis_url, first.prefix)
    try:
        with answering():
            if settings.shards > 1:
                used = await link.call("SCARD", first.queues)
                said = await link.call("SET", first.shards, 1 if used else settings.shards, "NX", "GET")
                spread = int(said) if said else (1 if used else settings.shards)
            else:
                spread = int(await link.call("GET", first.shards) or 1)
    finally:
        await link.close()
    if spread != settings.shards:
        raise ConfigError(
            f"{environment_name('shards')}={settings.shards}, but namespace {settings.namespace!r} was begun with "
            f"{spread}: set it to {spread}, or take another namespace"
        )


async def health_of(settings: Settings, ask: Ask) -> Health:
    """The server as it is now, with everything that should be otherwise."""
    server = await _read(ask)
    problems = _refusals(server, settings)
    if settings.durability == "relaxed" and not server.aof:
        problems.append(
            "accepted jobs do not survive a restart of the server: it has no AOF; CONFIG SET appendonly yes"
        )
    used, limit = server.number("used_memory"), server.number("maxmemory")
    if limit and used > limit * CROWDED:
        problems.append(f"memory is {used / limit:.0%} full; raise maxmemory, or add nodes")
    return Health(server.name, server.version, server.durability, used, limit, problems)


_FORBIDDEN: Final = ("this user has no permissions", "User ", "unknown command", "NOPERM")


async def _read(ask: Ask) -> _Server:
    (info,) = await ask(["INFO"])
    try:
        (config,) = await ask(["CONFIG", "GET", *NEEDED])
    except ResponseError:
        config = []
    lines = (line.partition(":") for line in info.decode().splitlines())
    pairs = [word.decode() for word in config] if isinstance(config, list) else []
    return _Server({name: value for name, _, value in lines}, dict(zip(pairs[::2], pairs[1::2], strict=True)))


def _refusals(server: _Server, settings: Settings) -> list[str]:
    problems = []
    if tuple(int(part) for part in server.version.split(".")[:2]) < OLDEST_VERSION:
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
    problems += _durability_refusals(server, settings)
    return problems


def _durability_refusals(server: _Server, settings: Settings) -> list[str]:
    wanted = f"{environment_name('durability')}={settings.durability}"
    problems = []
    if settings.durability == "local":
        if not server.aof:
            problems.append(f"{wanted} needs the AOF: CONFIG SET appendonly yes")
        if server.fsync != "always":
            problems.append(
                f"{wanted} needs appendfsync always, it is {server.fsync or 'unknown'}: CONFIG SET appendfsync always"
            )
    replicas = server.number("connected_slaves")
    if settings.durability == "replicated" and replicas < settings.replicas:
        problems.append(
            f"{wanted} needs {settings.replicas} connected replica(s), there are {replicas}: "
            f"connect one with REPLICAOF, or lower {environment_name('replicas')}"
        )
    return problems
