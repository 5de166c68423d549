"""Where the server is that holds some keys: one server, the primary that Sentinel names, or the owner of a slot.

It is asked for anew before each connection and never remembered, so a failover or a moved slot is followed by
reconnecting. Only that happens here: commands are sent by `Link`, to one server, as if there were no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import redis
from redis.asyncio.connection import parse_url
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry
from redis.sentinel import Sentinel

from ironforge.addresses.server_url import SENTINEL_PORT, parse
from ironforge.process.forks import withhold
from ironforge.process.thread_pool import aside

ASK_SECONDS: Final = 1.0


def plain(patience_seconds: float) -> dict[str, Any]:
    """The options of a client that does nothing by rules of its own."""
    return {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,
        "socket_timeout": patience_seconds,
        "socket_connect_timeout": patience_seconds,
    }


def blocking(url: str, patience_seconds: float) -> redis.Redis:
    """A client for threads, of one server."""
    return redis.Redis.from_url(url, **plain(patience_seconds), redis_connect_func=_connected)


def _connected(connection: Any) -> None:
    withhold(connection._sock)  # noqa: SLF001 - no event loop watches it
    connection.on_connect()


class ServerLocator:
    """The address of the keys with one hash tag. `tag`: any of them, or their common beginning with the whole tag."""

    def __init__(self, url: str, tag: str) -> None:
        self._url = url
        self._tag = tag
        self._parsed = parse(url)
        self._known = list(self._parsed.hosts)

    @property
    def may_be_replica(self) -> bool:
        """Sentinel may name a primary that is none any more, and that one would still take writes."""
        return self._parsed.kind == "sentinel"

    @property
    def silence(self) -> str:
        """What it means when no connection comes about in time."""
        return "no TLS connection" if self._parsed.scheme == "rediss" else "no connection"

    def check_role(self, role: list[Any]) -> None:
        """Of what such a server says to ROLE. Raises redis-py's ReadOnlyError."""
        if role[0] != b"master":
            raise redis.ReadOnlyError(f"Sentinel named a server that is no primary: it is a {role[0].decode()}")

    async def find(self) -> str:
        """The plain URL of the server to connect to now. Raises what redis-py raises."""
        return await aside(self.find_blocking) if self._parsed.kind else self._url

    def find_blocking(self) -> str:
        """Like `find`, for threads."""
        if self._parsed.kind == "sentinel":
            return self._by_sentinel()
        return self._by_slot() if self._parsed.kind == "cluster" else self._url

    def _by_sentinel(self) -> str:
        # redis-py types nothing of this.
        sentinel: Any = Sentinel(self._parsed.hosts, sentinel_kwargs=self._for_sentinels())  # type: ignore[no-untyped-call]
        try:
            host, port = sentinel.discover_master(self._parsed.path.strip("/"))
        finally:
            for client in sentinel.sentinels:
                client.close()
        return self._parsed.server(host, port)

    def _for_sentinels(self) -> dict[str, Any]:
        """They share nothing with the server but the way in which TLS is used."""
        tls = parse_url(self._parsed.server("sentinel", SENTINEL_PORT)) if self._parsed.scheme == "rediss" else {}
        options = {name: value for name, value in tls.items() if name.startswith("ssl")}
        return {**plain(ASK_SECONDS), **self._parsed.asking, **options, "ssl": self._parsed.scheme == "rediss"}

    def _by_slot(self) -> str:
        """Asks one node after the other, those first that were there last time."""
        problem: Exception | None = None
        for host, port in list(self._known):
            client: Any = blocking(self._parsed.server(host, port), ASK_SECONDS)
            try:
                owner = self._owner(host, client.execute_command("CLUSTER", "SLOTS"))
            except (redis.RedisError, OSError) as error:
                problem = error
            else:
                return self._parsed.server(*owner)
            finally:
                client.close()
        raise redis.ConnectionError(f"no node of the cluster says who holds slot {self._slot}: {problem}") from problem

    @property
    def _slot(self) -> int:
        return key_slot(self._tag.encode())

    def _owner(self, asked: str, slots: Any) -> tuple[str, int]:
        """From the reply to CLUSTER SLOTS. A node that does not know its own name says nothing for it."""
        primaries = [(first, last, (_name(host) or asked, port)) for first, last, (host, port, *_), *_ in slots]
        for first, last, owner in primaries:
            if first <= self._slot <= last:
                self._known = _unique([owner, *(other for _, _, other in primaries), *self._parsed.hosts])
                return owner
        raise redis.exceptions.ClusterDownError(f"nobody holds slot {self._slot}")


def _name(host: bytes | None) -> str:
    return (host or b"").decode()


def _unique(hosts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return list(dict.fromkeys(hosts))
