"""The client in front of a server that is not IronForge, or not well: an error in words, never another one, in time."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from ironforge.client import transport
from ironforge.client.client import AsyncClient
from ironforge.errors import IronForgeError
from ironforge.job.record import format_id, new_id

JOB = format_id(new_id())
SMALL = 1_000_000

CALLS: list[Callable[[AsyncClient], Awaitable[object]]] = [
    lambda client: client.submit("a.kind"),
    lambda client: client.submit_many([{"kind": "a.kind"}]),
    lambda client: client.get(JOB),
    lambda client: client.wait(JOB, timeout_seconds=5.0),
    lambda client: _all(client.iter_jobs()),
]


async def _all(jobs: AsyncIterator[object]) -> list[object]:
    return [job async for job in jobs]


def whole(body: bytes, head: bytes = b"HTTP/1.1 200 OK\r\n") -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


ANSWERS = {
    "nothing": b"",
    "noise": b"\x00\xff\xfe\r\n\r\n" * 50,
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "half a head": b"HTTP/1.1 200",
    "absurd status": whole(b"{}", b"HTTP/1.1 99999 OK\r\n"),
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "cut body": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}",
    "huge head": b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n",
    "no gzip": whole(b"{}", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"),
    "bomb": whole(gzip.compress(b" " * 50_000_000), b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"),
    "too much": whole(b" " * (SMALL + 1)),
    "web page": whole(b"<!doctype html><h1>Welcome</h1>"),
    "no utf-8": whole(b'{"id":"\xff"'),
    "another object": whole(b'{"ids":7,"status":[],"jobs":null,"next":1}'),
    "deep": whole(b"[" * 900_000),
    "array": whole(b"[]"),
    "round and round": b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n",
    "nowhere": b"HTTP/1.1 302 Found\r\nLocation: http://[::\r\nContent-Length: 0\r\n\r\n",
    "problem of others": whole(b'{"code":[],"detail":{"a":1},"index":"x"}', b"HTTP/1.1 400 Bad Request\r\n"),
    "later": whole(b"", b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: nan\r\n"),
}


@contextlib.asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
                if answer[:12] != b"HTTP/1.1 302":
                    break
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("name", ANSWERS)
async def test_every_call_fails_in_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", SMALL)
    async with serving(ANSWERS[name]) as url, AsyncClient(url, timeout_seconds=5.0, retries=0) as client:
        for call in CALLS:
            with contextlib.suppress(IronForgeError):
                # Not every call looks into the answer: that is the caller's.
                assert isinstance(await call(client), dict)


async def test_a_page_that_leads_to_itself_ends() -> None:
    body = whole(b'{"jobs":[{}],"next":"again"}')
    async with serving(body) as url, AsyncClient(url, timeout_seconds=5.0, retries=0) as client:
        seen = []
        with pytest.raises(transport.ApiError, match="the same page again"):
            seen += [job async for job in client.iter_jobs()]


async def test_ids_that_are_not_as_many_as_the_jobs_are_no_answer() -> None:
    async with serving(whole(b'{"ids":["a","b"]}')) as url, AsyncClient(url, timeout_seconds=5.0, retries=0) as client:
        with pytest.raises(transport.ApiError, match="2 ids for 1 jobs"):
            await client.submit_many([{"kind": "a.kind"}])
