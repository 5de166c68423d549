"""The children that a job has submitted in one step: what its journal says of them, and their ids."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, NamedTuple

import msgspec

from ironforge.errors import IncompatibleRecord
from ironforge.formats.bounds import Count
from ironforge.steps.errors import InvalidStep

# Of one step.
MOST_CHILDREN: Final = 100_000


class Window(NamedTuple):
    """Of a step, at most `most` children are open at once; `low`: when more of them are submitted."""

    most: int
    low: int

    @classmethod
    def of(cls, max_parallel: object, count: int) -> Window | None:
        """None: all of them may be. Raises InvalidStep."""
        if max_parallel is None:
            return None
        if isinstance(max_parallel, bool) or not isinstance(max_parallel, int) or max_parallel < 1:
            raise InvalidStep(f"max_parallel is {max_parallel!r:.60}: give a whole number from 1 on, or leave it out")
        # A tenth at a time: each time the parent runs again.
        return cls(max_parallel, max_parallel - max(1, max_parallel // 10)) if max_parallel < count else None


class ChildrenState(msgspec.Struct, frozen=True):
    """The result of an entry that waits for children, or has: the first `submitted` of `count` have been submitted.

    `generations` in which some were, the newest last; each is the number of the parent's revivals at that time.
    """

    count: Annotated[int, msgspec.Meta(ge=0, le=MOST_CHILDREN)]
    submitted: Count = 0
    generations: tuple[Count, ...] = (0,)

    @property
    def generation(self) -> int:
        return self.generations[-1]

    @property
    def is_complete(self) -> bool:
        """Whether no more are to come."""
        return self.submitted >= self.count


_decode: Final = msgspec.json.Decoder(ChildrenState).decode
encode_state: Final = msgspec.json.Encoder().encode


def decode_state(result: bytes) -> ChildrenState:
    """Raises IncompatibleRecord when the bytes say nothing of children."""
    try:
        state = _decode(result)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise IncompatibleRecord(f"this entry of a journal says nothing of children: {error}") from None
    if not state.generations:
        raise IncompatibleRecord("this entry of a journal says nothing of children: it names no generation")
    return state


def child_id(parent: bytes, member: str, at_ms: int, tail: int) -> bytes:
    """The id of a child: whoever submits it comes to the same. A UUIDv7 with this time and last byte."""
    digest = hashlib.sha256(parent + member.encode()).digest()
    version, variant = 0x70 | digest[0] & 0x0F, 0x80 | digest[2] & 0x3F
    return at_ms.to_bytes(6) + bytes((version, digest[1], variant)) + digest[3:9] + bytes((tail,))
