"""Whether the server can keep what IronForge promises: checked before anything starts, and shown in /health.

A wrong setting is refused at start with the command that fixes it, because the other time to find out is when jobs
have been lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from redis.exceptions import AuthenticationError, RedisError, ResponseError

from ironforge.config import Settings, environment_name
from ironforge.errors import ConfigError
from ironforge.store.contract import Health
from ironforge.store.info import config_of, info_of, number_in, version_of
from ironforge.store.link import Link

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
        return number_in(self.info, field)


async def verify(settings: Settings) -> None:
    """Raises ConfigError when the server cannot be reached, is too old, or is set up so that jobs would be lost."""
    where = f"{environment_name('redis_url')}={_without_password(settings.redis_url)}"
    link = Link(settings.redis_url)
    try:
        server = await _read(lambda *commands: link.pipeline(commands, tolerate=_FORBIDDEN))
    except (RedisError, OSError) as error:
        reason = str(error) or "no answer in time"
        # redis-py wraps a refused login in a ConnectionError on some kinds of connection.
        if isinstance(error, AuthenticationError) or isinstance(error.__cause__, AuthenticationError):
            raise ConfigError(f"{where}: the server refused the login ({reason}): check user and password") from None
        raise ConfigError(
            f"{where}: cannot talk to the server ({reason}): does it run, is it reachable from here?"
        ) from None
    finally:
        await link.close()
    problems = _refusals(server, settings)
    if problems:
        raise ConfigError("; ".join(problems))


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
    return _Server(info_of(info), config_of(config))


def _refusals(server: _Server, settings: Settings) -> list[str]:
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


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]).geturl()
