"""The jobs of a workflow's nodes, as its graph in the server has them."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import msgspec

from ironforge.errors import IncompatibleRecord
from ironforge.job.checked_options import CheckedOptions
from ironforge.job.record import RECORD_VERSION, Job, created_ms_of, encode, shard_of, tail_of
from ironforge.steps.children import child_id
from ironforge.steps.waits import ParentRef, member_of
from ironforge.store.producer.common_key import only_key
from ironforge.workflows.definition import Workflow
from ironforge.workflows.graph import Graph
from ironforge.workflows.jobs import job_of

# How long the names of its stream and its mark are, and where in the record stands since when it is ready.
_released: Final = struct.Struct(">HHI")
# As msgpack has a number of 8 bytes.
_LONG: Final = b"\xcf"


class NodeJob(NamedTuple):
    """`job` of a node, with the options for when it starts that are no part of it. `tail`: the last byte of its id."""

    job: Job
    delay_ms: int | None
    run_at_ms: int | None
    expires_in_ms: int

    @property
    def is_plain(self) -> bool:
        """Whether a script can put it into its stream: it starts at once, and need not be alone in anything."""
        job = self.job
        apart = job.parent is not None and job.parent.apart
        return not (self.delay_ms or self.run_at_ms or self.expires_in_ms or job.limits or job.unique or apart)


class HeldJob(msgspec.Struct, array_like=True, frozen=True):
    """A job with options that no script goes by, until its node may start: field `R<number>` of the graph."""

    stream: str
    id: bytes
    mark: str
    record: bytes
    delay_ms: int | None = None
    run_at_ms: int | None = None
    expires_in_ms: int = 0


_decode: Final = msgspec.msgpack.Decoder(HeldJob).decode


def decode_held(value: bytes) -> HeldJob:
    """Raises IncompatibleRecord."""
    try:
        return _decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise IncompatibleRecord(f"this is no job of a node: {error}") from None


def node_id(workflow: bytes, number: int, generation: int = 0, tail: int | None = None) -> bytes:
    """The id of the job of this node, in a generation. `tail`: where the graph says another one than the workflow's."""
    tail = workflow[-1] if tail is None else tail
    return child_id(workflow, member_of("", number, generation), created_ms_of(workflow), tail)


class NodeJobs:
    """Makes the jobs of the nodes of a workflow."""

    def __init__(self, workflow_id: bytes, document: Workflow, graph: Graph, shards: int) -> None:
        self._id = workflow_id
        self._document = document
        self._graph = graph
        self._shards = shards
        self._created_ms = created_ms_of(workflow_id)

    def job(
        self, number: int, options: CheckedOptions, generation: int = 0, generations: dict[int, int] | None = None
    ) -> NodeJob:
        """Of the node with this number. `generations` in which its sources run, or ran, by number: else the same.
        Raises InvalidJob for a payload without the key that its kind takes from it."""
        graph, node = self._graph, self._graph.nodes[number]
        made = job_of(self._document, node)
        kept = generations or {}
        numbers = ((name, graph.numbers[name]) for name in made.references)
        sources = tuple((name, member_of("", at, kept.get(at, generation))) for name, at in numbers)
        job = options.job(made.kind, made.payload, self._id)
        tail, apart = self._id[-1], False
        if self._shards > 1 and (text := only_key([job])) is not None:
            tail = tail_of(text)
            apart = tail % self._shards != shard_of(self._id, self._shards)
        job = msgspec.structs.replace(
            job,
            version=RECORD_VERSION,
            id=node_id(self._id, number, generation, tail),
            # Where it is put into its stream that is written over.
            ready_ms=self._created_ms,
            parent=ParentRef(self._id, "", number, generation, apart, sources, node.id),
        )
        return NodeJob(job, options.delay_ms, options.run_at_ms, options.expires_in_ms)


def field_of(number: int, node: NodeJob) -> tuple[str, bytes]:
    """Name and value of the field of the graph that has this job."""
    job = node.job
    record = encode(job)
    if not node.is_plain:
        held = HeldJob(job.stream, job.id, job.mark, record, node.delay_ms, node.run_at_ms, node.expires_in_ms)
        return f"R{number}", msgspec.msgpack.encode(held)
    stream, mark = job.stream.encode(), job.mark.encode()
    at = record.rfind(_LONG + job.ready_ms.to_bytes(8))
    return f"r{number}", b"".join((_released.pack(len(stream), len(mark), at + 1), stream, mark, job.id, record))
