"""A schedule as Python writes it, by keywords: for applications and for the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ironforge.formats.duration import Duration
from ironforge.job.json_values import encode, encode_payload
from ironforge.job.options import JobKeywords, check_names, in_words_of_json
from ironforge.schedules.checks import check_schedule
from ironforge.schedules.decoding import decode_schedule
from ironforge.schedules.definition import CatchUp, Fold, Gap, Overlap, Schedule
from ironforge.schedules.errors import check_starts_one, wrong
from ironforge.workflows.decoding import encode_workflow
from ironforge.workflows.definition import Workflow


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


class JobStart(NamedTuple):
    """`payload`: JSON."""

    kind: str
    payload: bytes


Start = JobStart | Workflow | Mapping[str, Any]


def start_of(kind: str | None, payload: object, workflow: Workflow | Mapping[str, Any] | None) -> Start:
    """What each tick starts, of a door that takes a kind, or a workflow as `dag` makes it or HTTP takes it. Raises
    InvalidJob where there is not one of both, SerializationError."""
    check_starts_one(kind, workflow, ("a kind", "a workflow"))
    if workflow is None:
        return JobStart(str(kind), encode_payload(payload))
    if payload is not None:
        raise wrong("job.payload", "a schedule of a workflow has none", "give it to the nodes that take it")
    return workflow


def body_of(start: Start, given: Mapping[str, Any]) -> bytes:
    """What HTTP takes for it, not checked yet. `given`: `ScheduleKeywords`, None is the same as leaving one out. Raises
    TypeError for other names, and for what JSON has no word for; SerializationError for NaN and such, InvalidJob for
    options of a job beside a workflow."""
    check_names("a schedule", given, ScheduleKeywords)
    said = {name: in_words_of_json(value) for name, value in given.items() if value is not None}
    options = {name: said.pop(name) for name in JobKeywords.__annotations__ if name in said}
    for name in ("cron", "exclude"):
        if isinstance(said.get(name), str):
            said[name] = [said[name]]
    body = msgspec.json.encode({**said, **_started(start, options)})
    encode({**said, **options}, "schedule")  # NaN would be null in it, as if nothing were said
    return body


def schedule_of(start: Start, given: Mapping[str, Any]) -> Schedule:
    """As `body_of`, and checked. Raises InvalidJob."""
    return check_schedule(decode_schedule(body_of(start, given)))


def _started(start: Start, options: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(start, JobStart):
        return {"job": {"kind": start.kind, "payload": msgspec.Raw(start.payload), **options}}
    if options:
        name = next(iter(options))
        hint = f"give it in `options` of the workflow, or of a node: workflow.options.{name}"
        raise wrong(name, "it is an option of a job, and a workflow is given", hint)
    document = encode_workflow(start) if isinstance(start, Workflow) else encode(start, "workflow")
    return {"workflow": msgspec.Raw(document)}
