"""The jobs that are told how a workflow has ended: made as it is submitted, put into a stream as it ends."""

from __future__ import annotations

from typing import Final

import msgspec

from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, created_ms_of, decode
from ironforge.steps.children import child_id
from ironforge.store.workflows.nodes import HeldJob
from ironforge.workflows.progress import Outcome

# By outcome, the field of the graph that has this job.
FIELDS: Final[dict[Outcome, str]] = {"completed": "os", "failed": "of"}


class Callback(msgspec.Struct, frozen=True):
    """A job as it goes to its stream with the end of its workflow."""

    job: Job
    expires_in_ms: int


def callback_id(workflow: bytes, outcome: Outcome, generation: int, tail: int) -> bytes:
    """Each end of a workflow has one: whoever ends it comes to the same."""
    return child_id(workflow, f"{FIELDS[outcome]}\n{generation}", created_ms_of(workflow), tail)


def callback_of(workflow: bytes, outcome: Outcome, generation: int, held: HeldJob, payload: bytes) -> Callback:
    """`held`: the job as it was made with the workflow. Raises IncompatibleRecord."""
    job_id = callback_id(workflow, outcome, generation, held.id[-1])
    job = msgspec.structs.replace(decode(held.record), id=job_id, payload=payload, ready_ms=now_ms())
    return Callback(job, held.expires_in_ms)
