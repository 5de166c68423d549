"""What goes out on a connection: answers in turn, whatever the caller speaks or offers to speak."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from aiohttp import web

from ironforge.api.middleware import guarded_application
from ironforge.api.responses import answer
from ironforge.api.server import serve

ASK = b"GET /livez %b\r\nHost: localhost\r\n"
LAST = (ASK % b"HTTP/1.1") + b"Connection: close\r\n\r\n"


def statuses(answers: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.\d \d+", answers)


async def test_requests_that_come_together_are_answered_in_turn(api: Any) -> None:
    body = b'{"kind":"a"}'
    job = (
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n" + body
    )

    answers = await api.send_raw(job + ASK % b"HTTP/1.1" + b"\r\n" + job + LAST)

    created, ok = b"HTTP/1.1 201", b"HTTP/1.1 200"
    assert statuses(answers) == [created, ok, created, ok]


async def test_an_offer_to_speak_something_else_is_not_taken_up(api: Any) -> None:
    asked = ASK % b"HTTP/1.1" + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    answers = await api.send_raw(asked + LAST)

    assert statuses(answers) == [b"HTTP/1.1 200"] * 2


async def test_a_caller_of_http_1_0_keeps_its_connection_when_it_asks_to(api: Any) -> None:
    kept = ASK % b"HTTP/1.0" + b"Connection: keep-alive\r\n\r\n"

    answers = await api.send_raw(kept + ASK % b"HTTP/1.0" + b"\r\n")

    assert statuses(answers) == [b"HTTP/1.0 200"] * 2
    assert answers.count(b"Connection: keep-alive") == 1


async def test_the_head_of_an_answer_has_the_length_of_its_body_and_nothing_else_follows(api: Any) -> None:
    answer = await api.send_raw(LAST.replace(b"GET", b"HEAD"))

    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: 0" not in head
    assert body == b""


async def test_a_caller_that_is_gone_before_its_answer_leaves_others_alone(api: Any) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
    )
    writer.write(b'{"kind":"a"}')
    writer.transport.abort()

    assert (await api.call("GET", "/livez")).status == 200


async def test_a_header_never_becomes_two() -> None:
    async def tell(_request: web.Request) -> web.Response:
        return answer(None, Note="a\r\nSet-Cookie: b=c")

    app = guarded_application(asks_callers=False)
    app.router.add_get("/livez", tell)
    runner = await serve(app, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    writer.write(LAST)

    assert await reader.read() == b""
    writer.close()
    await runner.cleanup()
