"""The types of the calls about limits."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ironforge.api.schemas.jobs import JobId, Note, Time
from ironforge.job.limits import MAX_LIMIT_KEY, Concurrency, Limit, Rate

Until = Annotated[Time | None, Meta(description="when it ends by itself; null: when it is taken back")]


class OverrideRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What holds instead of what the definition says; null: as that says. One of them at least."""

    concurrency: Concurrency | None = None
    rate: Rate | None = None


class LimitPatch(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator says instead of the code."""

    override: Annotated[OverrideRequest | None, Meta(description="null takes it back")]
    until: Annotated[str | None, Meta(extra_json_schema={"format": "date-time"}, description="default: no end")] = None
    note: Note = ""


class LimitQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which key of it to show."""

    key: Annotated[
        str | msgspec.UnsetType,
        Meta(
            description="how this key stands; empty: the one for all jobs that name none",
            extra_json_schema={"maxLength": MAX_LIMIT_KEY},
        ),
    ] = msgspec.UNSET


class ResumeQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which key of it goes on."""

    key: Annotated[
        str, Meta(description="default: the one of jobs that name none", extra_json_schema={"maxLength": MAX_LIMIT_KEY})
    ] = ""


class OverrideAnswer(msgspec.Struct):
    """What an operator says instead of the code; null: as that says."""

    concurrency: int | None
    rate: Rate | None
    until: Until
    note: str


class HolderAnswer(msgspec.Struct):
    """A job that has one of the places."""

    id: JobId
    since: Time


class LimitKeyAnswer(msgspec.Struct):
    """One key of a limit. What concerns jobs of all queues is null for a caller that is limited to some."""

    key: str
    running: int | None
    waiting: int | None
    remaining: Annotated[int, Meta(description="how many may start now, as far as it goes by this limit")]
    resets_at: Annotated[Time, Meta(description="when its rate is as if unused, or it is stopped no longer")]
    next_at: Annotated[Time | None, Meta(description="when the next job is let in; null: that is not known")]
    stopped_until: Annotated[Time | None, Meta(description="its target throttles, or jobs used too much")]
    probing: Annotated[bool, Meta(description="its target throttled: one job goes first, and has not ended yet")]
    holders: Annotated[list[HolderAnswer] | None, Meta(description="the first 100")]


class LimitAnswer(msgspec.Struct):
    """`limit`: as defined; `effective`: what holds now."""

    name: str
    limit: Limit
    override: OverrideAnswer | None
    effective: Limit


class LimitWithKey(LimitAnswer):
    """And the key that was asked for."""

    key: LimitKeyAnswer | None


class LimitsAnswer(msgspec.Struct):
    """In the order of their names."""

    limits: list[LimitAnswer]


class DeletedLimit(msgspec.Struct):
    """Jobs that use it run as if they did not."""

    name: str
    deleted: bool


class ResumedKey(msgspec.Struct):
    """`released`: how many dead jobs it waited for."""

    name: str
    key: str
    released: int
