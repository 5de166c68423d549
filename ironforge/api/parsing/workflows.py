"""Turns a request's bytes into a workflow that can be accepted. Of a large one this takes a while: in a thread."""

from __future__ import annotations

import msgspec

from ironforge.api.parsing import strict_json
from ironforge.errors import InvalidJob
from ironforge.job.checks import check_payload_size
from ironforge.job.record import new_id, tail_of
from ironforge.job.request import digest, in_order
from ironforge.store.workflows.contract import Fork, WorkflowSubmission
from ironforge.store.workflows.preparing import Preparing
from ironforge.workflows.checks import check_workflow
from ironforge.workflows.decoding import content, decode_workflow
from ironforge.workflows.definition import MAX_DOCUMENT_VALUES


def read_workflow(body: bytes, key: str | None, prepare: Preparing) -> WorkflowSubmission:
    """Raises InvalidJob with the place of what is wrong, StoreUnavailable."""
    strict_json.canonical(body, most=MAX_DOCUMENT_VALUES)
    document = decode_workflow(body)
    prepared = prepare(document, check_workflow(document))
    if key is None:
        return WorkflowSubmission(new_id(), prepared)
    return WorkflowSubmission(new_id(tail_of(key)), prepared, key, digest(content(document)))


def read_fork(workflow_id: bytes, node: str | None, payload: bytes | None, key: str | None) -> Fork:
    """Of this workflow. Raises InvalidJob."""
    if payload is not None and node is None:
        hint = "name the node that is to get it"
        raise InvalidJob(f"payload: there is no node: {hint}", code="missing_field", field="node", hint=hint)
    if payload is not None:
        check_payload_size(payload)
    # The shard of a workflow is that of what it is forked from.
    made = new_id(workflow_id[-1])
    if key is None:
        return Fork(made, node, payload)
    said = msgspec.msgpack.encode((workflow_id, node, None if payload is None else in_order(payload)))
    return Fork(made, node, payload, key, digest(said))
