"""Builds JSON answers: one encoder, no charset guessing, no second pass over the body."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from multidict import CIMultiDict

# Without versions, which would tell a caller what it may be worth to try.
SERVER: Final = "ironforge"
REQUEST_ID_OF: Final = web.RequestKey("request_id", str)
_encode: Final = msgspec.json.Encoder().encode


class Answer(web.Response):
    """JSON that goes out as it is: with nothing left to negotiate, it needs none of the questions that aiohttp asks
    before it writes a head and a body, which take longer than reading a job. What every answer has in its head is
    written and never kept: `headers` has the rest."""

    def __init__(self, body: bytes, status: int, content_type: str, headers: CIMultiDict[str]) -> None:
        web.StreamResponse.__init__(self, status=status, _real_headers=headers)
        self._body = body
        self._type = content_type

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Writes all of it."""
        await request.writer.write(self.message(request))
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """There is nothing left to write."""
        assert not data

    def message(self, request: web.BaseRequest) -> bytes:
        """Head and body. Raises ValueError for a header that would be several."""
        assert isinstance(self._body, bytes)
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        version, connection = request.version, ""
        if self._keep_alive is not (version >= HttpVersion11):  # it is not what this version does by itself
            connection = f"Connection: {'keep-alive' if self._keep_alive else 'close'}\r\n"
        head = (
            f"HTTP/{version.major}.{version.minor} {self._status} {self._reason}\r\n"
            f"Content-Type: {self._type}\r\nContent-Length: {len(self._body)}\r\n{_lines(self._headers)}"
            f"X-Request-ID: {request[REQUEST_ID_OF]}\r\nServer: {SERVER}\r\nDate: {rfc822_formatted_time()}\r\n"
            f"{connection}\r\n"
        )
        return head.encode() if request.method == hdrs.METH_HEAD else head.encode() + self._body


def _lines(headers: CIMultiDict[str]) -> str:
    lines = ""
    for name, value in headers.items():
        if "\n" in value or "\r" in value:
            raise ValueError(f"the header {name} of the answer holds a line break")
        lines += f"{name}: {value}\r\n"
    return lines


def answer(body: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> web.Response:
    """`headers` are written with underscores: `Location=…`, `Idempotency_Replayed=…`."""
    named: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        named[name.replace("_", "-")] = value
    return Answer(_encode(body), status, content_type, named)
