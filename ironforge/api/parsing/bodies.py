"""Reads a request's body within its limits: media type, size and time, before anything is parsed.

aiohttp has no time limit for a body and would unpack a compressed one, so both are decided here. A body
that came together with its head, the usual case, is taken without a timer.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from aiohttp import hdrs, web

from ironforge.api.middleware import HELD_BACK
from ironforge.api.problems import ApiProblem

# Reading one that is larger would hold up every other request for longer than a millisecond.
SMALL_BYTES: Final = 65_536
MAX_BODY_BYTES: Final = 1_048_576
MAX_BATCH_BYTES: Final = 16 * MAX_BODY_BYTES
# A body may take this long, and longer as it arrives: whoever sends at this rate or faster is not cut off.
BODY_SECONDS: Final = 10.0
BYTES_PER_SECOND: Final = 102_400

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
# What a page of any site may have a browser send without asking first.
FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})


def media_type(request: web.Request, *accepted: str) -> str:
    """The request's media type. Raises ApiProblem (415) when it is not one of `accepted`."""
    headers = request.headers
    given = headers.get(hdrs.CONTENT_TYPE, "")
    if hdrs.CONTENT_ENCODING not in headers and hdrs.TRANSFER_ENCODING not in headers and given in accepted:
        return given
    coded = [each for each in request.headers.getall(hdrs.CONTENT_ENCODING, ()) if each.lower() != "identity"]
    # The parser takes the chunks apart, and leaves what else was done to a body on its way.
    coded += [each for each in request.headers.getall(hdrs.TRANSFER_ENCODING, ()) if each.lower() != "chunked"]
    if coded:
        raise ApiProblem(
            "content_encoding_not_supported",
            "compressed bodies are not accepted: send the body without Content-Encoding, and in chunks at most",
        )
    plain = given.partition(";")[0].strip().lower()
    if plain not in accepted:
        raise ApiProblem(
            "unsupported_media_type",
            f"Content-Type {given[:100]!r} is not accepted: send {' or '.join(accepted)}",
        )
    return plain


def json_at_most(request: web.Request) -> None:
    """For a call that needs no body: what comes all the same is JSON. Types of forms are refused without a body too:
    only a web page has a reason to send them."""
    if request.body_exists or request.content_type in FORMS:
        media_type(request, JSON)


class Room(Protocol):
    """For a body that is not small. Both raise ApiProblem when so many bytes more are too many."""

    def check(self, size: int) -> None: ...

    def take(self, size: int) -> None: ...


def is_small(request: web.Request) -> bool:
    """Whether it says that it is: a body in chunks does not say."""
    length = request.content_length
    return length is not None and length <= SMALL_BYTES


async def read(request: web.Request, limit: int = SMALL_BYTES, room: Room | None = None) -> bytes:
    """The whole body; `room`: where it takes its place as it arrives.

    Raises ApiProblem: 413 past `limit` bytes, 408 when it comes too slowly, 400 when it is broken.
    """
    if request.content.is_eof():
        body = request.content.read_nowait()
        if len(body) > limit:
            raise _too_large(limit)
        if room is not None:
            room.take(len(body))
        return body
    length = request.content_length or 0
    if length > limit:
        raise _too_large(limit)
    if room is not None:
        room.check(length)
    if HELD_BACK in request:  # and nothing speaks against it any more
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        async with asyncio.timeout(BODY_SECONDS) as deadline:
            return await _collect(request, limit, room, deadline)
    except TimeoutError:
        detail = (
            f"the body took longer than {BODY_SECONDS:g} seconds and arrived at less than {BYTES_PER_SECOND} bytes/s"
        )
        raise ApiProblem("body_timeout", detail) from None
    except web.RequestPayloadError as error:
        raise ApiProblem("invalid_body", f"the body could not be read: {error}") from None


async def _collect(request: web.Request, limit: int, room: Room | None, deadline: asyncio.Timeout) -> bytes:
    chunks = []
    size = 0
    latest = asyncio.get_running_loop().time() + BODY_SECONDS
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if room is not None:
            room.take(len(chunk))
        chunks.append(chunk)
        deadline.reschedule(latest + size / BYTES_PER_SECOND)
    return b"".join(chunks)


def _too_large(limit: int) -> ApiProblem:
    return ApiProblem("payload_too_large", f"the body has more than {limit} bytes, the most accepted here")
