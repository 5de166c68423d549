"""Any bytes into every decoder: it answers, or raises the one error that it documents.

`IRONFORGE_FUZZ_EXAMPLES` makes it longer; by default it is short and the same each time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.kernel.errors import BadFrame
from actors.kernel.frames import decode as decode_frame
from ironforge.api import strict_json
from ironforge.api.strict_json import InvalidJson
from ironforge.config import Settings
from ironforge.errors import IncompatibleRecord, InvalidJob
from ironforge.job import Job, decode, encode, new_id, parse_id
from ironforge.options import validate_options
from ironforge.store.keys import Location, queue_names
from ironforge.store.listing import _read_cursor
from ironforge.store.quarantine import _id_in
from ironforge.store.records import readable, terminal_record
from ironforge.store.signals import _parse

EXAMPLES = int(os.environ.get("IRONFORGE_FUZZ_EXAMPLES", "0"))
profile = settings(max_examples=EXAMPLES or 150, derandomize=not EXAMPLES, deadline=None, database=None)

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9) | st.binary()
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner))
packed = st.binary(max_size=200) | trees.map(msgpack.packb)


@st.composite
def mutated_jobs(draw) -> bytes:
    """A sound record with some fields replaced by anything."""
    fields = list(msgspec.to_builtins(Job(1, new_id(), "k", "default", 2, b"{}", 1), builtin_types=(bytes,)))
    for at in draw(st.lists(st.integers(0, len(fields) - 1), max_size=3)):
        fields[at] = draw(trees)
    return msgpack.packb(fields)


DECODERS: dict[str, tuple[Callable[[bytes], object], tuple[type[Exception], ...]]] = {
    "job": (decode, (IncompatibleRecord,)),
    "frame": (decode_frame, (BadFrame,)),
    "json": (strict_json.parse, (InvalidJson,)),
    "location": (Location, ()),
    "signal": (lambda raw: _parse([b"message", b"", raw]), ()),
    "readable": (readable, ()),
    "terminal record": (lambda raw: terminal_record(raw, Settings()), ()),
    "id in record": (_id_in, ()),
    "queue names": (lambda raw: queue_names([raw]), ()),
    "cursor": (lambda raw: _read_cursor(raw.decode("latin-1")), (ValueError,)),
    "job id": (lambda raw: parse_id(raw.decode("latin-1")), (ValueError,)),
    "run_at": (lambda raw: validate_options(run_at=raw.decode("latin-1")), (InvalidJob,)),
}


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_raises_only_its_own_error(name: str) -> None:
    decoder, allowed = DECODERS[name]

    @profile
    @given(packed | mutated_jobs())
    def holds(raw: bytes) -> None:
        with contextlib.suppress(*allowed):
            decoder(raw)

    holds()


@profile
@given(mutated_jobs())
def test_what_is_accepted_as_a_job_can_be_stored_and_shown(record: bytes) -> None:
    from ironforge.api.views import job_answer
    from ironforge.job import JobState
    from ironforge.store.contract import JobView

    with contextlib.suppress(IncompatibleRecord):
        job = decode(record)
        assert job == decode(encode(job))
        job_answer(JobView(job, JobState.QUEUED))


@pytest.mark.parametrize(
    "run_at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2030-01-01T00:00:00+00:00:00.000001"]
)
def test_a_time_at_the_edge_of_the_calendar_is_refused_or_accepted(run_at: str) -> None:
    with contextlib.suppress(InvalidJob):
        validate_options(run_at=run_at)


def test_a_deep_and_a_huge_record_are_no_jobs() -> None:
    for record in (b"\x91" * 1_000_000, msgpack.packb(["x" * 10_000_000])):
        with pytest.raises(IncompatibleRecord):
            decode(record)
