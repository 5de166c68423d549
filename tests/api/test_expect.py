"""Who holds a body back until it is wanted is asked for it only when nothing speaks against it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from multidict import CIMultiDict

from ironforge.api.parsing import large_bodies

BODY = b'{"kind":"a"}'
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Send = Callable[..., Awaitable[bytes]]


def head(method: str, path: str, **headers: str) -> bytes:
    given = {"Host": "localhost", "Expect": "100-continue", "Content-Type": "application/json"}
    given["Content-Length"] = str(len(BODY))
    given.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = [f"{name}: {value}" for name, value in given.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


async def first_words(port: int, request: bytes) -> bytes:
    """The head of the first answer, while the body is still held back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (head("POST", "/jobs", Host="evil.example"), 403),
        (head("POST", "/jobs", Host=""), 400),
        (head("POST", "/jobs", Origin="https://evil.example"), 403),
        (head("POST", "/jobs", Content_Type="text/plain"), 415),
        (head("POST", "/jobs", Content_Encoding="gzip"), 415),
        (head("POST", "/jobs", Transfer_Encoding="gzip, chunked").replace(b"Content-Length: 12\r\n", b""), 415),
        (head("POST", "/jobs", Content_Length="1048577"), 413),
        (head("POST", "/jobs", Content_Length="99999999999999"), 413),
        (head("POST", "/jobs/batch", Content_Length="16777217"), 413),
        (head("POST", "/jobs", Idempotency_Key=""), 400),
        (head("POST", "/jobs?x=1"), 400),
        (head("PATCH", "/jobs"), 405),
        (head("POST", "/nothing"), 404),
        (head("POST", "/queues/default/pause"), 200),
    ],
)
async def test_a_body_that_nobody_will_read_is_not_asked_for(api: Any, request_head: bytes, status: int) -> None:
    answer = await first_words(api.port, request_head)

    assert answer.split()[1].decode() == str(status)
    assert b"Connection: close" in answer, "what comes next could be the body, or another request"


@pytest.mark.parametrize("path", ["/jobs", "/jobs/batch"])
async def test_a_large_body_without_room_is_not_asked_for(api: Any, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_bodies, "_LIMITS", ((429, "", 0), (503, "the bodies", 100_000)))

    assert b" 503 " in await first_words(api.port, head("POST", path, Content_Length="1000000"))


@pytest.mark.parametrize("expectation", ["100-continue", "100-Continue"])
async def test_a_body_that_is_wanted_is_asked_for_once(api: Any, expectation: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    for _ in range(2):
        writer.write(head("POST", "/jobs", Expect=expectation))
        assert await reader.readexactly(len(CONTINUE)) == CONTINUE
        writer.write(BODY)
        answer = await reader.readuntil(b"}")
        assert answer.startswith(b"HTTP/1.1 201")
        assert b"Connection: close" not in answer
    writer.close()


async def test_a_body_that_came_already_is_not_asked_for(api: Any) -> None:
    answer = await api.send_raw(head("POST", "/jobs", Connection="close") + BODY)

    assert answer.startswith(b"HTTP/1.1 201")


async def test_one_key_may_be_sent_twice_and_two_are_refused(api: Any) -> None:
    def keys(*values: str) -> CIMultiDict[str]:
        return CIMultiDict([("Idempotency-Key", value) for value in values])

    answers = {
        values: await api.call("POST", path, json=body, headers=keys(*values))
        for path, body in (("/jobs", {"kind": "a"}), ("/jobs/batch", [{"kind": "a"}]))
        for values in ((f"same {path}", f"same {path}"), (f"a {path}", f"b {path}"), (f"a {path}", ""))
    }

    assert [answer.status for answer in answers.values()] == [201, 400, 400] * 2
    assert {answer.code for answer in answers.values() if answer.status == 400} == {"invalid_idempotency_key"}
    assert len((await api.call("GET", "/jobs")).body["jobs"]) == 2
