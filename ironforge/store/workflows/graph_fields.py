"""What a workflow is made of, as fields of its key `graph`."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

from ironforge.errors import IncompatibleRecord, InvalidJob
from ironforge.store.workflows.contract import Prepared, WorkflowSubmission
from ironforge.store.workflows.nodes import NodeJobs, field_of, held_of
from ironforge.store.workflows.staging import Fields
from ironforge.workflows.decoding import decode_workflow, encode_workflow
from ironforge.workflows.definition import NodeOptions, Workflow
from ironforge.workflows.graph import Graph
from ironforge.workflows.program import begin_of, programs_of, roots_of
from ironforge.workflows.progress import Outcome, Progress

DOCUMENT: Final = "d"
BEGIN: Final = "b"
# The last bytes of the ids of the nodes' jobs, where some are not that of the workflow.
TAILS: Final = "t"
# The number of the node whose undoing was begun last.
UNDONE_LAST: Final = "x"
# Why it fails though no node did: what was lost of it.
LOST: Final = "w"
# The job that is told of an end.
CALLBACKS: Final[dict[Outcome, str]] = {"completed": "os", "failed": "of"}
# A larger document is kept compressed.
PLAIN_BYTES: Final = 4_096


def fields_of(one: WorkflowSubmission, shards: int, progress: Progress | None = None) -> Fields:
    """Of one that has not begun, in a namespace of so many shards. `progress`: of one that begins with some of its
    nodes ended, whose results it has. Raises InvalidJob."""
    document, graph, each_job, options, *_ = one.prepared
    jobs = NodeJobs(one.id, document, graph, shards, tick=one.tick)
    made = {
        number: jobs.job(number, job, each)
        for number, (job, each) in enumerate(zip(each_job, options, strict=True))
        if runs(progress, number)
    }
    fields = [field_of(number, node) for number, node in made.items()]
    fields += _of_its_end(one.prepared, jobs)
    ready = roots_of(graph) if progress is None else progress.ready
    fields += constant_fields(document, graph, ready)
    tails = bytes(made[number].job.id[-1] if number in made else one.id[-1] for number in range(len(graph)))
    if tails.strip(one.id[-1:]):
        fields.append((TAILS, tails))
    return fields


def runs(progress: Progress | None, number: int) -> bool:
    """Whether this node has a job to come."""
    return progress is None or not progress.states[number].has_ended


def constant_fields(document: Workflow, graph: Graph, ready: Iterable[int]) -> Fields:
    """What no option changes. `ready`: the nodes that it begins with."""
    fields = [(str(number), program) for number, program in enumerate(programs_of(graph))]
    return [*fields, (BEGIN, begin_of(ready)), (DOCUMENT, encode_document(document))]


def undo_field(number: int) -> str:
    """The field with the job that undoes this node."""
    return f"u{number}"


def moved_field(number: int) -> str:
    """The field with the id under which the job of this node is stored, where that is not its own."""
    return f"i{number}"


def _of_its_end(prepared: Prepared, jobs: NodeJobs) -> Fields:
    """What may have to be submitted then: it is accepted with the workflow."""
    document, usual = prepared.document, (prepared.document.options or NodeOptions()).checked()
    fields: Fields = []
    for number, node in enumerate(document.nodes):
        if node.compensate is not None:
            made = jobs.undoing(number, prepared.undoing.get(number, usual))
            fields.append((undo_field(number), held_of(made)))
    kinds: dict[Outcome, str | None] = {"completed": document.on_success, "failed": document.on_failure}
    for outcome, kind in kinds.items():
        if kind is not None:
            made = jobs.callback(outcome, kind, prepared.callbacks.get(outcome, usual))
            fields.append((CALLBACKS[outcome], held_of(made)))
    return fields


def size_of(fields: Fields) -> int:
    return sum(len(value) for _, value in fields)


def encode_document(document: Workflow) -> bytes:
    """JSON; compressed where it is large."""
    text = encode_workflow(document)
    return text if len(text) <= PLAIN_BYTES else zlib.compress(text)


def decode_document(stored: bytes | None) -> Workflow:
    """Raises IncompatibleRecord."""
    try:
        text = stored if stored is None or stored[:1] == b"{" else zlib.decompress(stored)
        return decode_workflow(text or b"")
    except (zlib.error, InvalidJob) as error:
        raise IncompatibleRecord(f"this is no document of a workflow: {error}") from None
