"""Any bytes into every decoder: it answers, or raises the one error that it documents.

`IRONFORGE_FUZZ_EXAMPLES` makes it longer; by default it is short and the same each time. `python -m tests.fuzz` goes
on where chance does not get: it follows the branches that are taken.
"""

from __future__ import annotations

import contextlib
import os
import time
import tracemalloc

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironforge.errors import IncompatibleRecord, InvalidJob
from ironforge.job.checks import check_run_at
from ironforge.job.record import Job, decode, encode, new_id
from tests.fuzz.targets import HOSTILE, TARGETS

EXAMPLES = int(os.environ.get("IRONFORGE_FUZZ_EXAMPLES", "0"))
profile = settings(max_examples=EXAMPLES or settings.default.max_examples, derandomize=not EXAMPLES, database=None)

# What the largest hostile text may cost: it is 1 MB, and the machine that runs this test may be busy.
LONGEST_SECONDS = 10.0
LARGEST_BYTES = 100_000_000

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9) | st.binary()
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner))
packed = trees.map(msgpack.packb)

# JSON of our own field names, so that more than the first check is reached; now and then damaged afterwards.
names = st.sampled_from(
    [
        "kind",
        "payload",
        "priority",
        "queue",
        "max_retries",
        "timeout_seconds",
        "delay_seconds",
        "run_at",
        "retain_seconds",
        "fairness_key",
        "fairness_weight",
        "jobs",
        "to",
        "count",
        "ratio",
        "where",
        "street",
        "number",
        "weight",
        "total",
        "lines",
        "invoice",
        "parcels",
        "code",
        "detail",
        "index",
        "field",
        "ids",
    ]
) | st.text(max_size=4)
words = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just("default")
values = st.recursive(
    words, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5), max_leaves=12
)


@st.composite
def texts(draw) -> bytes:
    import json

    raw = "\n".join(json.dumps(draw(values)) for _ in range(draw(st.integers(1, 3)))).encode()
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=3)) + raw[at + draw(st.integers(0, 2)) :]
    return raw


@st.composite
def mutated_jobs(draw) -> bytes:
    """A sound record with some fields replaced by anything."""
    fields = list(msgspec.to_builtins(Job(1, new_id(), "k", "default", 2, b"{}", 1), builtin_types=(bytes,)))
    for at in draw(st.lists(st.integers(0, len(fields) - 1), max_size=3)):
        fields[at] = draw(trees)
    return msgpack.packb(fields)


anything = st.binary(max_size=200) | packed | mutated_jobs() | texts() | st.from_regex(rb"[-+]?[0-9.:e]{1,30}|inf|nan")


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_raises_only_its_own_error(name: str) -> None:
    target, allowed = TARGETS[name]

    @profile
    @given(anything)
    def holds(raw: bytes) -> None:
        with contextlib.suppress(*allowed):
            target(raw)

    holds()


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", TARGETS)
def test_hostile_bytes_take_neither_long_nor_much_memory(name: str) -> None:
    target, allowed = TARGETS[name]
    for what, raw in HOSTILE.items():
        started = time.process_time()
        with contextlib.suppress(*allowed):
            target(raw)
        assert time.process_time() - started < LONGEST_SECONDS, what
        # Apart from the time: to trace memory takes five times as long as what is traced.
        tracemalloc.start()
        try:
            with contextlib.suppress(*allowed):
                target(raw)
            assert tracemalloc.get_traced_memory()[1] < LARGEST_BYTES, what
        finally:
            tracemalloc.stop()


@profile
@given(mutated_jobs())
def test_what_is_accepted_as_a_job_can_be_stored_and_shown(record: bytes) -> None:
    from ironforge.api.schemas.views import job_answer
    from ironforge.job.record import JobState
    from ironforge.store.contract import JobView

    with contextlib.suppress(IncompatibleRecord):
        job = decode(record)
        assert job == decode(encode(job))
        msgspec.json.decode(msgspec.json.encode(job_answer(JobView(job, JobState.QUEUED))))


@pytest.mark.parametrize(
    "run_at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2030-01-01T00:00:00+00:00:00.000001"]
)
def test_a_time_at_the_edge_of_the_calendar_is_refused_or_accepted(run_at: str) -> None:
    with contextlib.suppress(InvalidJob):
        check_run_at("run_at", run_at)


def test_a_deep_and_a_huge_record_are_no_jobs() -> None:
    for record in (b"\x91" * 1_000_000, msgpack.packb(["x" * 10_000_000])):
        with pytest.raises(IncompatibleRecord):
            decode(record)
