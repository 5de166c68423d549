"""A job as its submitter asks for it, and what tells a repeated submission from a different one under the same
idempotency key, by whichever door it comes."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from ironforge.job.checks import NAME_PATTERN
from ironforge.job.options import OPTIONS, JobOptions

_decode: Final = msgspec.json.Decoder().decode
_sorted: Final = msgspec.json.Encoder(order="deterministic").encode


class JobRequest(JobOptions, kw_only=True, omit_defaults=True):
    """A job to accept. Only `kind` is required; null means the same as leaving a field out."""

    kind: Annotated[
        str,
        Meta(
            description="selects the handler",
            examples=["email.send"],
            extra_json_schema={"pattern": NAME_PATTERN},
        ),
    ]
    payload: Annotated[
        msgspec.Raw,
        Meta(
            description="any JSON value up to 1 MiB; handed to the handler byte for byte",
            examples=[{"to": "ada@example.com"}],
        ),
    ] = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


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
