"""What tells a repeated submission from a different one under the same idempotency key, by whichever door it comes."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from ironforge.job.options import OPTIONS, JobOptions

_decode: Final = msgspec.json.Decoder().decode
_sorted: Final = msgspec.json.Encoder(order="deterministic").encode


def in_order(payload: bytes) -> bytes:
    """JSON without white space and with sorted keys: all spellings of a value become one."""
    return _sorted(_decode(payload))


def content(kind: str, payload: bytes, given: JobOptions) -> bytes:
    """What was submitted, with a payload that is `in_order`. Options that were not given are left out: what a kind
    fixes for its jobs may change between two repetitions, and no other door knows of it."""
    known: dict[str, Any] = {"kind": kind, "payload": msgspec.Raw(payload)}
    for option in OPTIONS:
        value = getattr(given, option.name)
        if value is not None:
            known[option.name] = option.shown(option.check(option.name, value))
    return _sorted(known)


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
