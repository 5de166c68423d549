"""The jobs of a workflow's nodes, as its graph in the server has them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from ironforge.errors import IncompatibleRecord
from ironforge.formats.bounds import MAX_TIME_MS
from ironforge.job.checked_options import CheckedOptions
from ironforge.job.record import RECORD_VERSION, Job, created_ms_of, decode, encode, format_id, shard_of, tail_of
from ironforge.job.tick import JobTick
from ironforge.steps.children import child_id
from ironforge.steps.waits import ParentRef, member_of
from ironforge.store.producer.common_key import only_key
from ironforge.workflows import jobs
from ironforge.workflows.definition import MAX_NODES, Workflow
from ironforge.workflows.endings import callback_payload, undo_payload
from ironforge.workflows.graph import Graph
from ironforge.workflows.payloads import words_in
from ironforge.workflows.progress import Outcome

# How long the names of its stream and its mark are, and where in the record stands since when it is ready.
_released: Final = struct.Struct(">HHI")
# As msgpack has a number of 8 bytes.
_LONG: Final = b"\xcf"
# Where a job is put into its stream the server writes when that is, over this: the record has it nowhere else.
_WRITTEN_OVER_MS: Final = MAX_TIME_MS


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


def node_id_by(tails: bytes | None, workflow: bytes, number: int, generation: int) -> bytes:
    """The id of that job, by the last bytes that the graph has of all of them, if any."""
    return node_id(workflow, number, generation, tails[number] if tails and number < len(tails) else None)


def undo_number(number: int) -> int:
    """That of the job which undoes this node, among those of nodes."""
    return MAX_NODES + number


class NodeJobs:
    """Makes the jobs of the nodes of a workflow, and those that undo them, in this generation. `kept`: in which ones
    those ran that keep their results, by number. `tick`: of the schedule that it is from."""

    def __init__(
        self,
        workflow_id: bytes,
        document: Workflow,
        graph: Graph,
        shards: int,
        *,
        generation: int = 0,
        kept: Mapping[int, int] = MappingProxyType({}),
        tick: JobTick | None = None,
    ) -> None:
        self._id = workflow_id
        self._document = document
        self._graph = graph
        self._shards = shards
        self._generation = generation
        self._kept = kept
        self._tick = tick
        self._created_ms = created_ms_of(workflow_id)

    def job(self, number: int, made: jobs.NodeJob, options: CheckedOptions) -> NodeJob:
        """Of the node with this number. Raises InvalidJob for a payload without the key that its kind takes from it."""
        node = self._graph.nodes[number]
        return self._made(number, made.references, options.job(made.kind, made.payload, self._id), options, node.id)

    def undoing(self, number: int, options: CheckedOptions) -> NodeJob:
        """Of what undoes this node. Raises InvalidJob as `job` does."""
        node = self._graph.nodes[number]
        assert node.compensate is not None
        payload = undo_payload(format_id(self._id), node)
        names = tuple(dict.fromkeys(reference.node for _, reference in words_in(payload).results))
        return self._made(undo_number(number), names, options.job(node.compensate, payload, self._id), options, node.id)

    def anew(self, number: int, before: NodeJob) -> NodeJob:
        """A job of another generation in this one; its `number` is that of a node, or of what undoes one."""
        parent = before.job.parent
        assert parent is not None
        names = [name for name, _ in parent.sources]
        return before._replace(job=self._with_parent(number, names, before.job, parent.node, parent.apart))

    def callback_anew(self, outcome: Outcome, before: NodeJob) -> NodeJob:
        """What is told of an end, in this generation."""
        job_id = callback_id(self._id, outcome, self._generation, before.job.id[-1])
        return before._replace(job=msgspec.structs.replace(before.job, id=job_id))

    def callback(self, outcome: Outcome, kind: str, options: CheckedOptions) -> NodeJob:
        """Of what is told of this end, but for what it is told of nodes. Raises InvalidJob as `job` does."""
        payload = callback_payload(format_id(self._id), self._document.name, outcome)
        job, tail, _ = self._located(options.job(kind, payload, self._id))
        job_id = callback_id(self._id, outcome, self._generation, tail)
        job = msgspec.structs.replace(job, id=job_id, created_ms=self._created_ms)
        return NodeJob(job, None, None, options.expires_in_ms)

    def _made(self, number: int, references: Sequence[str], job: Job, options: CheckedOptions, name: str) -> NodeJob:
        job, tail, apart = self._located(job)
        if tail != job.id[-1]:
            job = msgspec.structs.replace(job, id=job.id[:-1] + bytes((tail,)))
        made = self._with_parent(number, references, job, name, apart)
        return NodeJob(made, options.delay_ms, options.run_at_ms, options.expires_in_ms)

    def _with_parent(self, number: int, references: Sequence[str], job: Job, name: str, apart: bool) -> Job:
        """Under its id in this generation, of which only the last byte is that of `job`."""
        numbers = self._graph.numbers
        sources = tuple(
            (source, member_of("", at, self._kept.get(at, self._generation)))
            for source, at in ((each, numbers[each]) for each in references)
        )
        return msgspec.structs.replace(
            job,
            version=RECORD_VERSION,
            id=node_id(self._id, number, self._generation, job.id[-1]),
            ready_ms=_WRITTEN_OVER_MS,
            parent=ParentRef(self._id, "", number, self._generation, apart, sources, name),
            tick=self._tick or job.tick,
        )

    def _located(self, job: Job) -> tuple[Job, int, bool]:
        """And the last byte of its id, as its keys say, and whether that leads to another shard."""
        if self._shards > 1 and (text := only_key([job])) is not None:
            tail = tail_of(text)
            return job, tail, tail % self._shards != shard_of(self._id, self._shards)
        return job, self._id[-1], False


def callback_id(workflow: bytes, outcome: Outcome, generation: int, tail: int) -> bytes:
    """Each end of a workflow has one: whoever ends it comes to the same."""
    return child_id(workflow, f"on_{outcome}\n{generation}", created_ms_of(workflow), tail)


def field_of(number: int, node: NodeJob) -> tuple[str, bytes]:
    """Name and value of the field of the graph that has this job."""
    job = node.job
    record = encode(job)
    if not node.is_plain:
        return f"R{number}", held_of(node)
    stream, mark = job.stream.encode(), job.mark.encode()
    at = record.rfind(_LONG + job.ready_ms.to_bytes(8))
    return f"r{number}", b"".join((_released.pack(len(stream), len(mark), at + 1), stream, mark, job.id, record))


def held_of(node: NodeJob) -> bytes:
    """A job as it waits to be put into a stream."""
    job = node.job
    held = HeldJob(job.stream, job.id, job.mark, encode(job), node.delay_ms, node.run_at_ms, node.expires_in_ms)
    return msgspec.msgpack.encode(held)


def job_in(name: str, value: bytes) -> NodeJob:
    """The job that a field of the graph with this name has. Raises IncompatibleRecord."""
    if name[:1] != "r":
        held = decode_held(value)
        return NodeJob(decode(held.record), held.delay_ms, held.run_at_ms, held.expires_in_ms)
    stream, mark, _ = _released.unpack_from(value)
    return NodeJob(decode(value[_released.size + stream + mark + 16 :]), None, None, 0)
