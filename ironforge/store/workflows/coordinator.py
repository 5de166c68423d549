"""The record that stands for a workflow: a job that no node gets."""

from __future__ import annotations

from typing import Final

import msgspec

from ironforge.errors import IncompatibleRecord
from ironforge.job.record import RECORD_VERSION, Job, created_ms_of
from ironforge.job.tick import JobTick
from ironforge.steps.waits import Wait
from ironforge.workflows.definition import NodeOptions, Workflow

_WAIT: Final = Wait("workflow", "")
_NO_OPTIONS: Final = NodeOptions().checked()


class Summary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Its payload, as JSON: what is asked of many workflows. `nodes`: how many it has; `queues`: all that its jobs go
    to; `by`: who submitted it; `on_success`, `on_failure`: kinds of jobs to submit once it has ended."""

    nodes: int
    queues: tuple[str, ...] = ()
    by: str = ""
    on_success: str | None = None
    on_failure: str | None = None


_decode: Final = msgspec.json.Decoder(Summary).decode
_encode: Final = msgspec.json.Encoder().encode


def coordinator_of(
    workflow_id: bytes, document: Workflow, queues: tuple[str, ...], by: str, tick: JobTick | None = None
) -> Job:
    """As it begins."""
    summary = Summary(len(document.nodes), queues, by, document.on_success, document.on_failure)
    options = _NO_OPTIONS if document.options is None else document.options.checked()
    return msgspec.structs.replace(
        options.record,
        version=RECORD_VERSION,
        id=workflow_id,
        kind=document.name,
        payload=_encode(summary),
        created_ms=created_ms_of(workflow_id),
        limits=(),
        unique=None,
        wait=_WAIT,
        tick=tick,
    )


def summary_of(coordinator: Job) -> Summary:
    """Raises IncompatibleRecord."""
    try:
        return _decode(coordinator.payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise IncompatibleRecord(f"this record stands for no workflow: {error}") from None
