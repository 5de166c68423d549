"""Builds JSON answers: one encoder, no charset guessing, no second pass over the body."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

_encode: Final = msgspec.json.Encoder().encode


def answer(body: Any, status: int = 200, **headers: str) -> web.Response:
    """`headers` are written with underscores: `Location=…`, `Idempotency_Replayed=…`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named["Content-Type"] = "application/json"
    return web.Response(status=status, body=_encode(body), headers=named)
