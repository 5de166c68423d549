"""One explicit connection to the server: commands in, replies out, strictly in turn.

It wraps redis-py's connection rather than its client: the client retries, pools and times out by rules of its own,
and here every one of these is a decision about durability. Anything that breaks an exchange half-way, cancellation
above all, closes the connection: a reply that nobody read would answer the next question (CVE-2023-28858).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, NamedTuple, Self

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, parse_url
from redis.asyncio.connection import Connection as TcpConnection
from redis.exceptions import AskError, NoScriptError, RedisError
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TimedOut

from ironforge.errors import StoreUnavailable
from ironforge.process.per_loop import let_go
from ironforge.redis.outages import needs_reconnect, raise_store_error
from ironforge.redis.scripts import Script
from ironforge.redis.server_locator import ServerLocator

COMMAND_SECONDS: Final = 2.0
BLOCKING_MARGIN_SECONDS: Final = 3.0

Command = Sequence[str | bytes | int]


def new_connection(url: str) -> AbstractConnection:
    """A connection that is not open yet, without redis-py's retries and without its per-read timeouts."""
    options: dict[str, Any] = {"socket_connect_timeout": COMMAND_SECONDS, **parse_url(url)}
    kind = options.pop("connection_class", TcpConnection)
    options.update(protocol=2, socket_timeout=None, driver_info=None)
    connection: AbstractConnection = kind(**options)
    return connection


def packed(command: Command) -> bytes:
    """As it is sent."""
    pack: Callable[[tuple[str | bytes | int, ...]], bytes] = pack_command  # type: ignore[assignment] # its stub errs
    return pack(tuple(command))


async def open_up(address: ServerLocator) -> AbstractConnection:
    """A connection to the server that holds the keys now, logged in. Raises what redis-py raises."""
    connection = new_connection(await address.find())
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        if address.may_be_replica:
            await connection.send_command("ROLE", check_health=False)
            address.check_role(await connection.read_response(timeout=COMMAND_SECONDS))
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


class _Window(NamedTuple):
    """So many commands are on their way at once; each reply puts the deadline off by so many seconds."""

    ahead: int
    deadline: asyncio.Timeout
    seconds: float

    async def swap(self, connection: AbstractConnection, parser: Any, commands: Sequence[bytes]) -> list[Any]:
        loop, replies = asyncio.get_running_loop(), []
        await connection.send_packed_command(commands[: self.ahead], check_health=False)
        for number in range(self.ahead, self.ahead + len(commands)):
            replies.append(await parser.read_response())
            self.deadline.reschedule(loop.time() + self.seconds)
            if number < len(commands):
                await connection.send_packed_command([commands[number]], check_health=False)
        return replies


class Connection:
    """`tag`: the hash tag of the keys that are asked for, as in `Keys.prefix`; it says which server of a cluster.

    `opening` is sent first on every new connection; `check` may refuse its replies by raising. While `may_be_woken`
    it asks for its `client_id`, by which another connection can end what it waits for (0: it has no right to know).
    """

    def __init__(
        self,
        url: str,
        tag: str = "",
        *,
        timeout_seconds: float = COMMAND_SECONDS,
        opening: Sequence[Command] = (),
        check: Callable[[list[Any]], None] | None = None,
        may_be_woken: bool = False,
    ) -> None:
        self._address = ServerLocator(url, tag)
        self._connection: AbstractConnection | None = None
        self._timeout_seconds = timeout_seconds
        self._opening = opening
        self._check = check
        self._turn = asyncio.Lock()
        self._closed = False
        self.may_be_woken = may_be_woken
        self.client_id: int | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None and bool(self._connection.is_connected)

    async def call(self, *command: str | bytes | int, timeout_seconds: float | None = None) -> Any:
        """One command. Raises what redis-py raises, OSError and TimeoutError included."""
        return (await self.pipeline((command,), timeout_seconds=timeout_seconds))[0]

    async def pipeline(
        self,
        commands: Sequence[Command],
        *,
        timeout_seconds: float | None = None,
        tolerate: tuple[str, ...] = (),
    ) -> list[Any]:
        """All commands in one round trip; the first error is raised after all replies were read.

        Errors that start with one of `tolerate` stay among the replies.
        """
        replies = await self.exchange(commands, timeout_seconds=timeout_seconds)
        for reply in replies:
            if isinstance(reply, Exception) and not (tolerate and str(reply).startswith(tolerate)):
                raise reply
        return replies

    async def exchange(self, commands: Sequence[Command], *, timeout_seconds: float | None = None) -> list[Any]:
        """Like `pipeline`, with errors among the replies."""
        return await self.exchange_packed([packed(command) for command in commands], timeout_seconds=timeout_seconds)

    async def exchange_packed(
        self, commands: Sequence[bytes], *, ahead: int | None = None, timeout_seconds: float | None = None
    ) -> list[Any]:
        """Of commands as `packed` makes them. `ahead`: so many are on their way at most, then the next one follows on
        each reply, and none may take longer than the timeout; None: all are, and together they may not."""
        seconds = timeout_seconds or self._timeout_seconds
        async with self._turn:
            try:
                async with asyncio.timeout(seconds) as deadline:
                    window = _Window(ahead, deadline, seconds) if ahead and ahead < len(commands) else None
                    replies = await self._swap(await self._ready(), commands, window)
                    if replies and all(isinstance(reply, AskError) for reply in replies):
                        # The slot has moved, and nothing was carried out: its new owner is asked, once.
                        await self.drop()
                        replies = await self._swap(await self._ready(), commands, window)
            except (TimeoutError, TimedOut):
                silence = "no answer" if self._connection else self._address.silence
                await self.drop()
                raise TimeoutError(f"{silence} within {seconds:g} s") from None
            except BaseException:
                await self.drop()
                raise
            if any(isinstance(reply, Exception) and needs_reconnect(reply) for reply in replies):
                await self.drop()
            return replies

    async def run(self, script: Script, keys: Sequence[str], arguments: Command) -> Any:
        """A script by its hash, or by its text where the server has forgotten it."""
        try:
            return await self.call(*script.by_hash(keys, arguments))
        except NoScriptError:
            return await self.call(*script.by_text(keys, arguments))

    async def drop(self) -> None:
        """Close the connection; the next call opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    def abandon(self) -> None:
        """Let go of the connection, for its loop is closed."""
        connection: Any = self._connection
        self._connection = None
        if connection is not None and connection.is_connected:
            let_go(connection._writer.transport)  # noqa: SLF001 - redis-py would ask the loop
            connection._reader = connection._writer = None  # noqa: SLF001

    async def close(self) -> None:
        """Close for good: later calls raise StoreUnavailable."""
        self._closed = True
        await self.drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ready(self) -> AbstractConnection:
        connection = self._connection
        # Between two exchanges there is nothing to read: it is the end of the connection, or a stray reply.
        if connection is not None and connection.is_connected and not await connection.can_read():
            await self._ask_for_id(connection)
            return connection
        await self.drop()
        connection = self._connection = None if self._closed else await open_up(self._address)
        if connection is None or self._closed:  # while it was being opened: its owner will not close it once more
            raise StoreUnavailable("this connection to the store was closed")
        self.client_id = None
        await self._ask_for_id(connection)
        if self._opening:
            replies = await self._swap(connection, [packed(command) for command in self._opening])
            if self._check:
                self._check(replies)
        return connection

    async def _ask_for_id(self, connection: AbstractConnection) -> None:
        if self.may_be_woken and self.client_id is None:
            (found,) = await self._swap(connection, [packed(["CLIENT", "ID"])])
            self.client_id = found if isinstance(found, int) else 0  # one may do without the right to it

    async def _swap(
        self, connection: AbstractConnection, commands: Sequence[bytes], window: _Window | None = None
    ) -> list[Any]:
        # Replies by the parser alone: the timer and the name that the connection keeps ready for each are twice its
        # cost, and here the deadline is one for the whole exchange.
        parser: Any = connection._parser  # noqa: SLF001
        try:
            if window is not None:
                return await window.swap(connection, parser, commands)
            await connection.send_packed_command(commands, check_health=False)
            return [await parser.read_response() for _ in commands]
        except RuntimeError as error:
            # uvloop's word for a connection that the other side has reset: asyncio's own loop raises an OSError.
            raise Disconnected(f"the connection was reset: {error}") from error
        except OSError as error:
            raise Disconnected(f"the connection broke: {error}") from error


class DoorConnection(Connection):
    """Of a door, which says at once what is wrong: what redis-py raises becomes StoreUnavailable or StoreError."""

    async def pipeline(
        self,
        commands: Sequence[Command],
        *,
        timeout_seconds: float | None = None,
        tolerate: tuple[str, ...] = (),
    ) -> list[Any]:
        try:
            return await super().pipeline(commands, timeout_seconds=timeout_seconds, tolerate=tolerate)
        except NoScriptError:  # it is `run` that meets it
            raise
        except (RedisError, OSError) as error:
            raise_store_error(error)


async def all_keys(connection: Connection, prefix: str) -> AsyncIterator[bytes]:
    """Every key with this prefix, some perhaps twice."""
    cursor = b"0"
    while True:
        cursor, keys = await connection.call("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", 1_000)
        for key in keys:
            yield key
        if cursor == b"0":
            return
