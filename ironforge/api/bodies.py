"""Reads a request's body within its limits: media type, size and time, before anything is parsed.

aiohttp has no time limit for a body and would unpack a compressed one, so both are decided here. A body
that came together with its head, the usual case, is taken without a timer.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from ironforge.api.problems import ApiProblem

MAX_BODY_BYTES: Final = 1_048_576
MAX_BATCH_BYTES: Final = 16 * MAX_BODY_BYTES
# A body may take this long, and longer as it arrives: whoever sends at this rate or faster is not cut off.
BODY_SECONDS: Final = 10.0
BYTES_PER_SECOND: Final = 102_400

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"


def media_type(request: web.Request, *accepted: str) -> str:
    """The request's media type. Raises ApiProblem (415) when it is not one of `accepted`."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ApiProblem(
            415,
            "content_encoding_not_supported",
            "compressed bodies are not accepted: send the body without Content-Encoding",
        )
    given = request.headers.get("Content-Type", "")
    plain = given.partition(";")[0].strip().lower()
    if plain not in accepted:
        raise ApiProblem(
            415,
            "unsupported_media_type",
            f"Content-Type {given[:100]!r} is not accepted: send {' or '.join(accepted)}",
        )
    return plain


async def read(request: web.Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole body.

    Raises ApiProblem: 413 past `limit` bytes, 408 when it comes too slowly, 400 when it is broken.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    if request.content.is_eof():
        body = request.content.read_nowait()
        if len(body) > limit:
            raise _too_large(limit)
        return body
    try:
        async with asyncio.timeout(BODY_SECONDS) as deadline:
            return await _collect(request, limit, deadline)
    except TimeoutError:
        detail = (
            f"the body took longer than {BODY_SECONDS:g} seconds and arrived at less than {BYTES_PER_SECOND} bytes/s"
        )
        raise ApiProblem(408, "body_timeout", detail) from None
    except web.RequestPayloadError as error:
        raise ApiProblem(400, "invalid_body", f"the body could not be read: {error}") from None


async def _collect(request: web.Request, limit: int, deadline: asyncio.Timeout) -> bytes:
    chunks = []
    size = 0
    latest = asyncio.get_running_loop().time() + BODY_SECONDS
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        deadline.reschedule(latest + size / BYTES_PER_SECOND)
    return b"".join(chunks)


def _too_large(limit: int) -> ApiProblem:
    return ApiProblem(413, "payload_too_large", f"the body has more than {limit} bytes, the most accepted here")
