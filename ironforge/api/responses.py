"""Builds JSON answers: one encoder, no charset guessing, no second pass over the body."""

from __future__ import annotations

import functools
from typing import Any, Final

import msgspec
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from multidict import CIMultiDict, istr

_encode: Final = msgspec.json.Encoder().encode


class Answer(web.Response):
    """A body that goes out as it is: with nothing left to negotiate, it needs none of the questions that aiohttp asks
    before it writes a head and a body, which take longer than reading a job."""

    def __init__(self, body: bytes, status: int, headers: CIMultiDict[str]) -> None:
        web.StreamResponse.__init__(self, status=status, _real_headers=headers)
        self._body = body
        headers[hdrs.CONTENT_LENGTH] = str(len(body))

    def suits(self, request: web.BaseRequest) -> bool:
        """Whether `message` can answer it; aiohttp can answer any."""
        return request.version == HttpVersion11 and request.method != hdrs.METH_HEAD

    def message(self, request: web.BaseRequest) -> bytes:
        """Head and body. Raises ValueError for a header that would be several."""
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        headers = self._headers
        headers[hdrs.DATE] = rfc822_formatted_time()
        if not self._keep_alive:
            headers[hdrs.CONNECTION] = "close"
        lines = [f"HTTP/1.1 {self._status} {self._reason}", *map(": ".join, headers.items())]
        head = "\r\n".join(lines)
        if head.count("\n") + head.count("\r") != 2 * len(lines) - 2:
            raise ValueError("a header of the answer holds a line break")
        assert isinstance(self._body, bytes)
        return b"%b\r\n\r\n%b" % (head.encode(), self._body)


@functools.cache
def _header(name: str) -> istr:
    return istr(name.replace("_", "-"))


def answer(body: Any, status: int = 200, **headers: str) -> web.Response:
    """`headers` are written with underscores: `Location=…`, `Idempotency_Replayed=…`."""
    named: CIMultiDict[str] = CIMultiDict()
    named[hdrs.CONTENT_TYPE] = "application/json"
    for name, value in headers.items():
        named[_header(name)] = value
    return Answer(_encode(body), status, named)
