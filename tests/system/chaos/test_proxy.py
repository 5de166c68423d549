"""The proxy does what it says to a real connection of a real server, and `heal` makes the link whole again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TimedOut

from tests.support.servers import valkey
from tests.support.waiting import PATIENCE_SECONDS, until
from tests.system.chaos.proxy import Mode, Proxy
from tests.system.chaos.resp import Frames, words

LOST = (Disconnected, TimedOut, OSError)


@pytest.fixture(scope="module")
def server() -> object:
    with valkey() as url:
        yield url


@pytest.fixture
async def proxy(server: str) -> AsyncIterator[Proxy]:
    async with Proxy(server.removeprefix("unix://")) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[Redis]:
    """One connection without retries: what happens to it is what happened to the link."""
    async with once(proxy.url, PATIENCE_SECONDS) as client:
        yield client


@contextlib.contextmanager
def impatient(client: Redis) -> Iterator[None]:
    """It gives up soon, as it does only where nothing is going to come."""
    assert client.connection
    client.connection.socket_timeout = 0.3
    yield
    client.connection.socket_timeout = PATIENCE_SECONDS


@pytest.fixture
async def direct(server: str) -> AsyncIterator[Redis]:
    async with once(server, PATIENCE_SECONDS) as client:
        await client.flushall()
        yield client


def once(url: str, timeout_seconds: float) -> Redis:
    return Redis.from_url(
        url, retry=Retry(NoBackoff(), 0), socket_timeout=timeout_seconds, single_connection_client=True
    )


async def until_reset(reader: asyncio.StreamReader) -> bytes:
    seen = b""
    try:
        while byte := await reader.read(1):
            seen += byte
    except ConnectionResetError:
        return seen
    raise AssertionError("the connection ended in order")


async def test_requests_and_replies_pass_unchanged_whatever_their_size(proxy: Proxy, client: Redis) -> None:
    value = bytes(range(256)) * 4_000
    await client.set("big", value)

    assert await client.get("big") == value


async def test_cut_resets_and_refuses_until_healed(proxy: Proxy, client: Redis) -> None:
    await client.ping()
    reader, _ = await asyncio.open_connection("127.0.0.1", proxy.port)
    await asyncio.sleep(0)
    while len(proxy.links) < 2:
        await asyncio.sleep(0.001)
    proxy.set(Mode.CUT)

    with pytest.raises(ConnectionResetError):
        await reader.read()
    for _ in range(2):
        with pytest.raises(LOST):
            await client.ping()
    proxy.heal()
    assert await client.ping()


async def test_a_black_hole_takes_the_request_and_the_server_never_sees_it(
    proxy: Proxy, client: Redis, direct: Redis
) -> None:
    await client.set("key", "before")
    proxy.set(Mode.BLACK_HOLE)

    with impatient(client):
        for _ in range(2):  # the old connection, then a new one
            with pytest.raises(TimedOut):
                await client.set("key", "swallowed")
    assert await direct.get("key") == b"before"
    proxy.heal()
    assert await client.set("key", "after")
    assert await direct.get("key") == b"after"


async def test_a_connection_that_lost_bytes_is_reset_when_the_hole_closes(proxy: Proxy, client: Redis) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"*1\r\n$4\r\nPING\r\n")
    assert await reader.readexactly(7) == b"+PONG\r\n"
    proxy.set(Mode.BLACK_HOLE)
    writer.write(b"*1\r\n$4\r\nPING\r\n")
    while not any(link.torn for link in proxy.links):
        await asyncio.sleep(0.001)
    proxy.heal()

    with pytest.raises(ConnectionResetError):
        await reader.read()


async def test_a_stall_holds_everything_and_loses_nothing(proxy: Proxy, direct: Redis) -> None:
    async with once(proxy.url, PATIENCE_SECONDS) as patient:
        await patient.ping()
        proxy.set(Mode.STALL)
        setting = asyncio.create_task(patient.set("key", "late"))
        done, _ = await asyncio.wait([setting], timeout=0.2)

        assert not done
        assert await direct.get("key") is None
        proxy.heal()
        assert await setting
        assert await direct.get("key") == b"late"


async def test_half_open_ends_the_servers_side_only(proxy: Proxy, client: Redis, direct: Redis) -> None:
    await client.client_setname("half")
    proxy.set(Mode.HALF_OPEN)

    async def is_gone() -> bool:
        return all(row["name"] != "half" for row in await direct.client_list())

    await until(is_gone, "the server's side to end")
    with impatient(client), pytest.raises(TimedOut):  # the client waits: nobody told it
        await client.ping()
    proxy.heal()
    assert await client.ping()


async def test_latency_delays_and_keeps_the_order(proxy: Proxy) -> None:
    async with once(proxy.url, PATIENCE_SECONDS) as patient:
        await patient.ping()
        proxy.latency_seconds, proxy.jitter_seconds = 0.1, 0.1
        begin = time.monotonic()
        async with patient.pipeline(transaction=False) as pipe:
            for number in range(50):
                pipe.set("key", number)
            pipe.get("key")
            replies = await pipe.execute()
        slowed = time.monotonic() - begin
        proxy.heal()
        begin = time.monotonic()
        await patient.ping()

        assert replies[-1] == b"49"
        assert slowed > 0.02
        assert time.monotonic() - begin < slowed


async def test_a_lost_reply_belongs_to_a_request_that_was_carried_out(
    proxy: Proxy, client: Redis, direct: Redis
) -> None:
    proxy.drop_reply("INCRBY")

    assert await client.set("other", 1)
    with pytest.raises(LOST):
        await client.incr("count")
    assert await direct.get("count") == b"1"
    assert proxy.dropped == [b"INCRBY"]
    assert await client.incr("count") == 2


async def test_replies_before_the_lost_one_arrive(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.drop_reply("ECHO", containing=b"two")
    writer.write(b"".join(b"*2\r\n$4\r\nECHO\r\n$3\r\n%b\r\n" % word for word in (b"one", b"two", b"six")))

    assert await reader.readexactly(9) == b"$3\r\none\r\n"
    with pytest.raises(ConnectionResetError):
        await reader.read()


@pytest.mark.parametrize("direction", ["reply", "request"])
async def test_a_connection_is_cut_after_exactly_so_many_bytes(proxy: Proxy, direct: Redis, direction: str) -> None:
    for count in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        while not proxy.links:
            await asyncio.sleep(0.001)
        proxy.close_after(count, direction)
        writer.write(b"*2\r\n$4\r\nINCR\r\n$5\r\ncount\r\n")
        seen = await until_reset(reader)

        if direction == "reply":
            assert len(seen) == count
        proxy.heal()
    wanted = b"5" if direction == "reply" else None
    assert await direct.get("count") == wanted


async def test_nobody_behind_the_proxy_is_a_reset_and_no_hang(server: str) -> None:
    async with Proxy("/nowhere/socket") as proxy:
        with pytest.raises(LOST):
            async with once(proxy.url, PATIENCE_SECONDS):
                pass
        proxy.upstream = server.removeprefix("unix://")
        async with once(proxy.url, PATIENCE_SECONDS) as client:
            assert await client.ping()


MESSAGES = [
    *(b"+OK\r\n", b":12\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"*-1\r\n"),
    *(b"*2\r\n:1\r\n*1\r\n$2\r\n\r\n\r\n", b"%1\r\n+a\r\n:1\r\n"),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_end_where_they_end_however_they_are_cut(message: bytes) -> None:
    for at in range(len(message)):
        frames = Frames()
        found = frames.feed(message[:at]) + frames.feed(message[at:] + message)
        assert found == [message, message]


def test_words_of_a_request() -> None:
    assert words(b"*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n") == [b"SET", b"k\r\n", b""]
