"""Callers that send a byte now and then, or come in too great a number, are turned away; others do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest

from ironforge.api import connection_limits, create_app
from ironforge.api.parsing import bodies
from ironforge.api.server import serve
from ironforge.settings import Settings
from ironforge.store import StoreClient

SLOW = 300
HEAD = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Trickle:
    """One connection that sends its bytes one by one, and what it got for it after how long."""

    def __init__(self, port: int, start: bytes, rest: bytes, pause_seconds: float = 0.25) -> None:
        self._port = port
        self._start = start
        self._rest = rest
        self._pause_seconds = pause_seconds
        self.answer = b""
        self.seconds = 0.0

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        began = time.monotonic()
        writer.write(self._start)
        sending = asyncio.create_task(self._send(writer))
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(4096):
                self.answer += chunk
        self.seconds = time.monotonic() - began
        await sending
        writer.close()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for byte in self._rest:
                await asyncio.sleep(self._pause_seconds)
                if self.seconds:
                    return
                writer.write(bytes([byte]))
                await writer.drain()


def problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.proof
async def test_hundreds_of_slow_heads_end_in_time_and_nobody_else_waits(api: Any) -> None:
    slow = [Trickle(api.port, b"POST /jobs HTTP/1.1\r\nX-Slow: ", b"a" * 1000) for _ in range(SLOW)]
    running = asyncio.gather(*(one.run() for one in slow))
    await api.until(lambda: len(api.server.connections) >= SLOW)
    accepted = 0
    while not running.done():
        await api.submit()
        accepted += 1
        await asyncio.sleep(0.02)
    await running

    assert accepted > 10
    assert {problem(one.answer) for one in slow} == {(408, "head_timeout")}
    assert max(one.seconds for one in slow) < connection_limits.HEAD_SECONDS + 3.0
    await api.until(lambda: len(api.server.connections) <= 1)


async def test_a_connection_that_says_nothing_ends_without_a_word(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "HEAD_SECONDS", 0.1)

    assert await api.send_raw(b"") == b""


async def test_a_later_request_of_a_connection_has_as_little_time(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "HEAD_SECONDS", 0.5)
    second = Trickle(
        api.port, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /livez HTTP/1.1" + b"x" * 100, 0.05
    )
    await second.run()
    _first, _, rest = second.answer.partition(b"HTTP/1.1 408")

    assert second.answer.startswith(b"HTTP/1.1 200")
    assert b'"code":"head_timeout"' in rest


async def test_a_connection_may_idle_between_requests(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "HEAD_SECONDS", 0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(2):
        writer.write(request)
        assert (await reader.readuntil(b"}"))[:12] == b"HTTP/1.1 200"
        # One that began later has been given up by now.
        await api.send_raw(b"GET")
    writer.close()


@pytest.mark.proof
async def test_slow_bodies_end_in_time(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.5)
    slow = [Trickle(api.port, HEAD + b"Content-Length: 900\r\n\r\n{", b" " * 899) for _ in range(SLOW)]
    await asyncio.gather(*(one.run() for one in slow))

    assert {problem(one.answer) for one in slow} == {(408, "body_timeout")}
    # The refusal, and then two seconds in which what still comes is thrown away. To send all would take minutes.
    assert max(one.seconds for one in slow) < 0.5 + 2.0 + 1.0


async def test_a_body_that_comes_fast_enough_may_take_longer(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(bodies, "BYTES_PER_SECOND", 1)
    steady = Trickle(api.port, HEAD + b'Connection: close\r\nContent-Length: 12\r\n\r\n{"', b'kind":"a"}', 0.04)
    await steady.run()

    assert steady.seconds > 0.25
    assert steady.answer.startswith(b"HTTP/1.1 201")


@pytest.fixture
async def small(settings: Settings) -> Any:
    """An API that holds three connection_limits."""
    store_client = StoreClient(settings)
    runner = await serve(
        create_app(settings, store_client),
        "127.0.0.1",
        0,
        connections=3,
    )
    yield runner
    await runner.cleanup()
    await store_client.close()


async def test_one_connection_too_many_is_told_so_and_the_next_one_gets_in(small: Any) -> None:
    port = small.addresses[0][1]
    url = f"http://127.0.0.1:{port}"
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/jobs", json={"kind": "a"}) as refused:
            answer = await refused.json(content_type="application/problem+json")
            assert refused.status == 503
            assert answer["code"] == "too_many_connections"
            assert refused.headers["Retry-After"] == "1"
        held[0][1].close()
        while len(small.server.connections) == 3:
            await asyncio.sleep(0.01)
        async with session.get(f"{url}/livez") as accepted:
            assert accepted.status == 200
    for _, writer in held[1:]:
        writer.close()


async def test_refusals_are_bounded_too(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "REFUSALS", 2)
    port = small.addresses[0][1]
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 + 2)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        answer = await reader.read()
    except ConnectionError:
        answer = b""
    assert answer == b""
    # Those two have read nothing and sent nothing; they go all the same.
    for reader, _ in held[3:]:
        assert problem(await reader.read()) == (503, "too_many_connections")
    while small.server.refusals:
        await asyncio.sleep(0.01)
    for _, one in [*held, (reader, writer)]:
        one.close()


@pytest.fixture
def files() -> Iterator[Callable[[int, int], None]]:
    """Sets the limits of open files, until the end of the test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda soft, hard: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_open_files_is_raised_as_far_as_needed(files: Callable[[int, int], None]) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files(1024, hard)

    assert connection_limits.affordable(1500) == 1500
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1500 + connection_limits.RESERVED_FILES


def test_what_the_system_does_not_allow_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))

    assert connection_limits.affordable(10_000) == 1024 - connection_limits.RESERVED_FILES
    assert connection_limits.affordable(700) == 700
