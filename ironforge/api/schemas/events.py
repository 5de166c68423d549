"""The types of the calls about events."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ironforge.api.schemas.jobs import Time
from ironforge.job.checks import KEEP_SECONDS, MAX_KEEP_SECONDS, MIN_KEEP_SECONDS


class EventRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What jobs that wait for the event get; the body may be left out."""

    payload: Annotated[msgspec.Raw, Meta(description="any JSON, of at most 64 KiB")] = msgspec.field(
        default_factory=lambda: msgspec.Raw(b"null")
    )
    keep_seconds: Annotated[
        float,
        Meta(
            description="how long it stays for jobs that come to wait for it later",
            extra_json_schema={"minimum": MIN_KEEP_SECONDS, "maximum": MAX_KEEP_SECONDS},
        ),
    ] = KEEP_SECONDS


class SentEvent(msgspec.Struct):
    """An event is sent once: the first one of its name stays, as long as it is kept."""

    name: str
    first: Annotated[bool, Meta(description="false: there was one of this name already, and this one was not taken")]


class EventAnswer(msgspec.Struct):
    """An event that is kept."""

    name: str
    payload: msgspec.Raw
    kept_until: Time
