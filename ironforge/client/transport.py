"""Carries the client's calls over HTTP: retries what is safe to repeat, and turns problems into exceptions.

A call is repeated when nobody answered or the server asked for it (429, 502, 503, 504). That is safe because every
submission carries an idempotency key; only a cancel or a retry whose answer got lost may then say InvalidState.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from ironforge import errors
from ironforge.addresses.web_url import checked
from ironforge.auth import AUDIT_HEADER
from ironforge.client.api_url import api_url
from ironforge.client.refusals import UNREADABLE, refusal, refused
from ironforge.client.unreachable import said
from ironforge.process.per_loop import PerLoop, let_go
from ironforge.settings import load

Json = dict[str, Any]
T = TypeVar("T")

REPEATABLE: Final = frozenset({429, 502, 503, 504})
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
# Whoever is told to come back later than this is told so instead of being made to wait.
LONGEST_WAIT_SECONDS: Final = 60.0
# The largest page holds 500 jobs; one that is larger than this is asked for in parts, or is no answer of ours.
MAX_ANSWER_BYTES: Final = 256 * 1_048_576
CHUNK_BYTES: Final = 65_536


class ApiUnreachable(errors.IronForgeError):
    """Nobody answered at the API's address, in spite of the retries."""


# The name by which users of the client know it.
ApiError = errors.Refused


class Transport:
    """Sessions with one API, one for each event loop. `url` and `api_key` None: the settings IRONFORGE_URL and
    IRONFORGE_API_KEY; `retries` come after the first try."""

    def __init__(self, url: str | None, timeout_seconds: float, retries: int, api_key: str | None = None) -> None:
        self.url = checked("url", url) if url else api_url(load())
        credential = (load().api_key if api_key is None else api_key).strip()
        if not (credential.isascii() and credential.isprintable()):
            raise errors.ConfigError("the API key holds a character that no key or token has: was it copied whole?")
        sent = {"Authorization": f"Bearer {credential}"} if credential else {}
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._retries = retries
        self._sessions = PerLoop(lambda: aiohttp.ClientSession(timeout=timeout, headers=sent), _abandon)

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        expected: tuple[int, ...] = (200, 201, 202),
    ) -> Json:
        """The answer, decoded; with `audit` when what was done could not be written down.

        Raises ApiError (a subclass where one says more) and ApiUnreachable.
        """
        options: dict[str, Any] = {"data": body, "headers": headers}
        options["params"] = {name: str(value) for name, value in (query or {}).items() if value is not None}
        failure: Exception
        for attempt in range(self._retries + 1):
            retry_after = None
            try:
                status, answer_headers, content = await self._send(method, path, options)
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
                failure = self._unreachable(error)
            except (aiohttp.ClientError, ValueError) as error:
                raise self._unreachable(error) from None  # what answers there is no HTTP, nor will it be soon
            else:
                if status in expected:
                    answer = _decode(status, content)
                    if AUDIT_HEADER in answer_headers:
                        answer["audit"] = answer_headers[AUDIT_HEADER]
                    return answer
                if 300 <= status < 400:
                    raise self._redirected(status, answer_headers.get("Location", ""))
                failure = refusal(status, content)
                retry_after = answer_headers.get("Retry-After")
                if status not in REPEATABLE or _asked_seconds(retry_after, 0.0) > LONGEST_WAIT_SECONDS:
                    raise failure
            if attempt < self._retries:
                await asyncio.sleep(_pause_seconds(attempt, retry_after))
        raise failure

    async def close(self) -> None:
        """Close the session of the running loop; others are closed as their loops end."""
        await self._sessions.close()

    async def _send(self, method: str, path: str, options: dict[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        session = await self._sessions.here()
        # What a job carries and the credential are for the address that was given, and for no other that it may name.
        async with session.request(method, self.url + path, allow_redirects=False, **options) as response:
            return response.status, response.headers, await _read(response)

    def _redirected(self, status: int, location: str) -> ApiError:
        there = location.partition("?")[0][:200]
        detail = f"{self.url} answers with a redirection to {there!r}, which is not followed: if that is the API, set"
        return refused(status, {"code": "redirected", "detail": f"{detail} IRONFORGE_URL or pass url="})

    def _unreachable(self, error: Exception) -> ApiUnreachable:
        return ApiUnreachable(
            f"no answer from {self.url} (IRONFORGE_URL, --url or url= gives another address): {said(error)}"
        )


def _abandon(session: aiohttp.ClientSession) -> None:
    connector: Any = session.connector
    session.detach()
    for kept in connector._conns.values():  # noqa: SLF001 - to close it would need the loop
        for protocol, _ in kept:
            let_go(protocol.transport)
    connector._conns.clear()  # noqa: SLF001
    connector._closed = True  # noqa: SLF001


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            problem = f"the answer has more than {MAX_ANSWER_BYTES} bytes: ask for less, for a page with a lower limit"
            raise refused(response.status, {"code": "answer_too_large", "detail": problem})
    return bytes(content)


def _decode(status: int, content: bytes) -> Json:
    try:
        return msgspec.json.decode(content, type=Json)
    except UNREADABLE:
        raise refused(status, {"detail": "the answer is not JSON: does the URL lead to IronForge?"}) from None


def member(answer: Json, name: str, kind: type[T]) -> T:
    """One member of an answer. Raises ApiError when it is missing or of another type: somebody else answered."""
    value = answer.get(name)
    if not isinstance(value, kind):
        detail = f"the answer has no `{name}` as IronForge gives it: does the URL lead to IronForge?"
        raise refused(200, {"code": "unexpected_answer", "detail": detail})
    return value


def _pause_seconds(attempt: int, retry_after: str | None) -> float:
    """What the server asked for, else doubling; jitter keeps many clients from coming back at once."""
    asked = _asked_seconds(retry_after, FIRST_PAUSE_SECONDS * 2**attempt)
    if not asked >= FIRST_PAUSE_SECONDS:  # also when it is not a number
        asked = FIRST_PAUSE_SECONDS
    return min(asked, LONGEST_PAUSE_SECONDS) * random.uniform(1.0, 1.5)


def _asked_seconds(retry_after: str | None, otherwise: float) -> float:
    try:
        return float(retry_after or "")
    except ValueError:
        return otherwise
