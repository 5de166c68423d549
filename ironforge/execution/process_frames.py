"""What a node and its child processes say to each other: length-prefixed msgpack.

The node sends a request, and the child replies; before that it may ask for the journal of the job, and gets an answer.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from ironforge.execution.conclusion import Conclusion
from ironforge.job.context import WorkflowNode
from ironforge.job.limits import LimitUse
from ironforge.job.options import JobOptions
from ironforge.job.record import Job
from ironforge.job.tick import JobTick
from ironforge.job.tracebacks import RemoteFailure
from ironforge.steps.children import Window
from ironforge.steps.journal import Entry

# Of a child job: its kind, its payload as JSON, and its options.
PackedChild: TypeAlias = tuple[str, bytes, JobOptions]

# The number of the request, and how many bytes follow.
HEADER: Final = struct.Struct("!QI")
# A result or a payload, with room for a trace.
MAX_FRAME_BYTES: Final = 16 * 1_048_576


class Request(msgspec.Struct, array_like=True, frozen=True, tag_field="said", tag="run"):
    """One run: where the function is found, the payload, and what the Context needs."""

    module: str
    path: str  # the file of a module that cannot be imported by name (a script), else empty
    function: str
    kind: str
    payload: bytes
    job_id: bytes
    attempt: int
    fence: int
    timeout_seconds: float
    namespace: str = "default"
    limits: tuple[LimitUse, ...] = ()
    tick: JobTick | None = None
    workflow: WorkflowNode | None = None


class Ask(msgspec.Struct, array_like=True, frozen=True, tag_field="said", tag="ask"):
    """What a run asks of its journal: a method of `steps.journal.Journal`, and what it is given."""

    what: Literal["load", "record", "submit", "results"]
    field: str = ""
    entry: Entry | None = None
    first: int = 0
    children: tuple[PackedChild, ...] = ()
    window: Window | None = None


class Answer(msgspec.Struct, array_like=True, frozen=True, tag_field="said", tag="answer"):
    """What the journal answers; `error`: type, message and traceback of what it has raised instead."""

    entries: Mapping[str, Entry] = {}
    entry: Entry | None = None
    jobs: tuple[Job, ...] = ()
    error: tuple[str, str, str] | None = None


encode = msgspec.msgpack.Encoder().encode
_decode_to_child = msgspec.msgpack.Decoder(Request | Answer).decode
_decode_to_node = msgspec.msgpack.Decoder(Conclusion | Ask).decode


def frame(number: int, body: bytes) -> bytes:
    """`number`: which request this is, or which one it answers."""
    return HEADER.pack(number, len(body)) + body


def frame_size(received: bytes | bytearray, number: int) -> int | None:
    """How many bytes follow the header that `received` begins with; None: it is not whole yet.

    Raises RemoteFailure for the header of another request, or when no request and no reply is that large.
    """
    if len(received) < HEADER.size:
        return None
    found, size = HEADER.unpack_from(received)
    if found != number:
        raise RemoteFailure(
            "BrokenPipe",
            "the process of this job answered another request than it was asked: "
            "its handler, or a process that a handler started, wrote into the pipe",
        )
    if size > MAX_FRAME_BYTES:
        raise RemoteFailure("BrokenPipe", f"the process of this job announced {size} bytes: its pipe is out of step")
    return int(size)


def read_request(body: bytes) -> Request | Answer:
    """Raises RemoteFailure for bytes that are neither."""
    try:
        request: Request | Answer = _decode_to_child(body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise RemoteFailure("BrokenPipe", str(error)) from None
    return request


def read_reply(body: bytes | bytearray) -> Conclusion | Ask:
    """Raises RemoteFailure for bytes that are no reply."""
    try:
        reply: Conclusion | Ask = _decode_to_node(body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise RemoteFailure("BrokenPipe", f"the process of this job sent what is no reply: {error}") from None
    return reply
