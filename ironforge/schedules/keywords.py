"""A schedule as Python writes it, by keywords: for applications and for the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ironforge.formats.duration import Duration
from ironforge.job.json_values import encode
from ironforge.job.mismatch import mismatch
from ironforge.job.options import JobKeywords, check_names, in_words_of_json
from ironforge.schedules.checks import check_schedule
from ironforge.schedules.definition import CatchUp, Fold, Gap, Overlap, Schedule


class PolicyKeywords(JobKeywords, total=False):
    """`Schedule` without when it ticks and what it submits, and the options of its job, for type checkers."""

    timezone: str
    start: datetime | str | None
    end: datetime | str | None
    exclude: str | Sequence[str]
    jitter_seconds: Duration
    overlap: Overlap
    catch_up: CatchUp | Mapping[str, Any] | None
    gap: Gap
    fold: Fold


class ScheduleKeywords(PolicyKeywords, total=False):
    """And when it ticks: by one line, or by several, or every so many seconds."""

    cron: str | Sequence[str] | None
    every_seconds: Duration | None


def body_of(kind: str, payload: bytes, given: Mapping[str, Any]) -> bytes:
    """What HTTP takes for it, not checked yet. `given`: `ScheduleKeywords`, None is the same as leaving one out. Raises
    TypeError for other names, and for what JSON has no word for; SerializationError for NaN and such."""
    check_names("a schedule", given, ScheduleKeywords)
    said = {name: in_words_of_json(value) for name, value in given.items() if value is not None}
    options = {name: said.pop(name) for name in JobKeywords.__annotations__ if name in said}
    for name in ("cron", "exclude"):
        if isinstance(said.get(name), str):
            said[name] = [said[name]]
    body = msgspec.json.encode({**said, "job": {"kind": kind, "payload": msgspec.Raw(payload), **options}})
    encode({**said, **options}, "schedule")  # NaN would be null in it, as if nothing were said
    return body


def schedule_of(kind: str, payload: bytes, given: Mapping[str, Any]) -> Schedule:
    """As `body_of`, and checked. Raises InvalidJob."""
    try:
        schedule = msgspec.json.decode(body_of(kind, payload, given), type=Schedule)
    except msgspec.ValidationError as error:
        raise mismatch(str(error), Schedule) from None
    return check_schedule(schedule)
