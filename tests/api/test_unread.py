"""Callers that ask and do not read their answers are cut off; others get in again, and slow readers are not meant."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from ironforge.api import connection_limits, create_app
from ironforge.api.server import serve
from ironforge.handlers.submission import SubmissionBuilder
from ironforge.settings import Settings
from ironforge.store import StoreClient

CONNECTIONS = 20
ASK = b"GET /jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.fixture
async def port(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Of an API with few connections, which looks after them often; an answer to ASK is more than the system holds."""
    monkeypatch.setattr(connection_limits, "READ_SECONDS", 0.5)
    store_client = StoreClient(settings)
    job = SubmissionBuilder("demo.echo", {}).submission(b'"' + b"x" * 1_000_000 + b'"')
    await store_client.producer.submit([job])
    app = create_app(settings, store_client)
    runner = await serve(app, "127.0.0.1", 0, connections=CONNECTIONS)
    yield runner.addresses[0][1]
    await runner.cleanup()
    await store_client.close()


def connect(port: int) -> socket.socket:
    """A caller with a small buffer of its own."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", port))
    one.setblocking(False)
    return one


async def status(port: int) -> int:
    """0: there was no answer."""
    try:
        async with aiohttp.request("GET", f"http://127.0.0.1:{port}/livez", headers={"Connection": "close"}) as answer:
            return answer.status
    except aiohttp.ClientError:
        return 0


async def until_status(port: int, wanted: int) -> None:
    while await status(port) != wanted:
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("asked", [ASK, ASK * 400, LAST])
@pytest.mark.parametrize("half_closed", [False, True])
async def test_whoever_takes_every_connection_and_reads_nothing_loses_them(
    port: int, asked: bytes, half_closed: bool
) -> None:
    held = [connect(port) for _ in range(CONNECTIONS)]
    for one in held:
        one.send(asked)
        if half_closed:
            one.shutdown(socket.SHUT_WR)
    await until_status(port, 200)

    for one in held:
        one.close()


async def test_a_slow_reader_that_reads_fast_enough_gets_everything(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "READ_BYTES_PER_SECOND", 1)
    loop = asyncio.get_running_loop()
    slow = connect(port)
    await loop.sock_sendall(slow, ASK + LAST)
    answer = b""
    while chunk := await loop.sock_recv(slow, 16_384):
        answer += chunk
        await asyncio.sleep(0.01)
    slow.close()

    assert answer.count(b"HTTP/1.1 200 OK") == 2


async def test_what_waits_behind_an_unread_answer_is_neither_answered_nor_read(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limits, "READ_BYTES_PER_SECOND", 0)
    one = connect(port)
    loop = asyncio.get_running_loop()
    sending = asyncio.create_task(loop.sock_sendall(one, ASK * 200_000))
    for _ in range(50):
        assert await status(port) == 200

    assert not sending.done()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    one.close()
