"""The call of the script that accepts workflows, and what it says where it refuses one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ironforge.errors import StoreError, StoreUnavailable
from ironforge.job.record import encode
from ironforge.redis.connection import Command
from ironforge.redis.keys import Keys
from ironforge.redis.scripts import SUBMIT_WORKFLOWS
from ironforge.settings import Settings
from ironforge.store.producer.refusals import refusal
from ironforge.store.producer.routes import answer_key, digest_of, remembered_seconds
from ironforge.store.workflows.contract import WorkflowSubmission
from ironforge.store.workflows.coordinator import coordinator_of
from ironforge.store.workflows.graph_fields import fields_of
from ironforge.store.workflows.staging import UNSTAGED, Fields
from ironforge.workflows.program import begun


class Accepted(NamedTuple):
    """One that is to be: `fields` of its graph go with the call, of one that is staged the last part; `staged`: of how
    many it then consists (0: it is not). `results`: how many of nodes were copied before."""

    one: WorkflowSubmission
    fields: Fields
    cells: bytes
    staged: int = 0
    results: int = 0


def as_accepted(one: WorkflowSubmission, shards: int) -> Accepted:
    """One that begins with its roots, in a namespace of so many shards. Raises InvalidJob for what its jobs lack."""
    return Accepted(one, fields_of(one, shards), begun(one.prepared.graph))


def submit_words(
    keys: Keys, settings: Settings, most_queues: int, accepted: Sequence[Accepted]
) -> tuple[list[str], Command]:
    """Keys and arguments."""
    names = SUBMIT_WORKFLOWS.keys(keys, waiting=keys.waiting("workflow"))
    arguments: list[str | bytes | int] = [keys.signals, remembered_seconds(settings), most_queues]
    for one, fields, cells, staged, results in accepted:
        prepared, number, fingerprint = one.prepared, 0, b""
        if one.idempotency_key is not None:
            names.append(answer_key(keys, one.idempotency_key))
            number, fingerprint = len(names), digest_of(one.fingerprint)
        job = coordinator_of(one.id, prepared.document, prepared.queues, prepared.by, one.tick)
        arguments += (one.id, f"w:{job.stream}", encode(job), cells, number, fingerprint, staged, results)
        arguments += (len(prepared.queues), *prepared.queues, 2 * len(fields))
        for field in fields:
            arguments += field
    return names, arguments


def workflow_refusal(reply: Any) -> Exception | None:
    """None for a reply that refuses nothing."""
    if not isinstance(reply, list):
        return None
    match reply[0]:
        case b"unstaged":
            return StoreUnavailable(UNSTAGED)
        case b"wrong":
            return StoreError(reply[1].decode(errors="replace"))
    return refusal(reply)
