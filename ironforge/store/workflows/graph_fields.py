"""What a workflow is made of, as fields of its key `graph`."""

from __future__ import annotations

import zlib
from typing import Final, TypeAlias

from ironforge.errors import IncompatibleRecord, InvalidJob
from ironforge.store.workflows.contract import WorkflowSubmission
from ironforge.store.workflows.nodes import NodeJobs, field_of
from ironforge.workflows.decoding import decode_workflow, encode_workflow
from ironforge.workflows.definition import Workflow
from ironforge.workflows.program import begin_of, programs_of, roots_of

Fields: TypeAlias = list[tuple[str, bytes]]

DOCUMENT: Final = "d"
BEGIN: Final = "b"
# The last bytes of the ids of the nodes' jobs, where some are not that of the workflow.
TAILS: Final = "t"
# A larger document is kept compressed.
PLAIN_BYTES: Final = 4_096


def fields_of(one: WorkflowSubmission, shards: int) -> Fields:
    """Of one that has not begun, in a namespace of so many shards. Raises InvalidJob."""
    document, graph, options, *_ = one.prepared
    jobs = NodeJobs(one.id, document, graph, shards)
    made = [jobs.job(number, each) for number, each in enumerate(options)]
    fields = [field_of(number, node) for number, node in enumerate(made)]
    fields += [(str(number), program) for number, program in enumerate(programs_of(graph))]
    fields += [(BEGIN, begin_of(roots_of(graph))), (DOCUMENT, encode_document(document))]
    tails = bytes(node.job.id[-1] for node in made)
    if tails.strip(one.id[-1:]):
        fields.append((TAILS, tails))
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
