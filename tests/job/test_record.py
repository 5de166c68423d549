"""The record: every legal arrow between states, and bytes that are a job, no job, or a job of another version."""

from __future__ import annotations

import contextlib
import uuid
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.errors import IncompatibleRecord
from ironforge.formats.bounds import MAX_DURATION_MS, MAX_TIME_MS
from ironforge.job import record as jobs
from ironforge.job.limits import LimitUse
from ironforge.job.options import JobOptions
from ironforge.job.record import RECORD_VERSION, TRANSITIONS, Job, JobState, Priority
from ironforge.job.tick import JobTick
from ironforge.job.tracebacks import AttemptError
from ironforge.job.uniqueness import MAX_WINDOW_MS, Holding, OnConflict, UniqueUse
from ironforge.store.pending_jobs import record_head

ERROR = AttemptError(1, 0, "ValueError", "boom", "node-1")
COUNTS = st.integers(0, 2**53)
TIMES = st.integers(0, MAX_TIME_MS)
DURATIONS = st.integers(0, MAX_DURATION_MS)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
KEY_LETTERS = st.characters(min_codepoint=33, max_codepoint=126)
WINDOWS = st.integers(0, MAX_WINDOW_MS)
HOLDINGS, CONFLICTS = st.sampled_from(get_args(Holding)), st.sampled_from(get_args(OnConflict))


def unlike(uses: list[LimitUse]) -> tuple[LimitUse, ...]:
    """A job uses each limit once."""
    return tuple({use.name: use for use in uses}.values())


JOBS = st.builds(
    Job,
    version=st.sampled_from([1, 2]),
    id=st.binary(min_size=16, max_size=16),
    kind=st.text(),
    queue=st.text(),
    priority=st.integers(0, 3),
    payload=st.binary(),
    created_ms=TIMES,
    max_retries=st.none() | st.integers(0, 1000),
    timeout_ms=st.none() | DURATIONS,
    retain_ms=st.none() | DURATIONS,
    attempt=COUNTS,
    crashes=COUNTS,
    fence=COUNTS,
    errors=st.lists(st.builds(AttemptError, COUNTS, TIMES, st.text(), st.text(), st.text()), max_size=3).map(tuple),
    result=st.binary(),
    reason=st.text(),
    limits=st.lists(
        st.builds(LimitUse, NAMES, st.text(KEY_LETTERS, max_size=128), st.integers(1, 10**9)), max_size=4
    ).map(unlike),
    unique=st.none() | st.builds(UniqueUse, st.text(), HOLDINGS, WINDOWS, CONFLICTS, WINDOWS),
    expires_ms=TIMES,
    tick=st.none() | st.builds(JobTick, st.text(), TIMES),
)


def new_job() -> Job:
    return JobOptions().checked().job("email.send", b"{}")


@given(JOBS)
def test_a_record_decodes_to_the_job_that_was_encoded(job):
    assert jobs.decode(jobs.encode(job)) == job


@given(st.binary())
def test_bytes_that_are_no_job_never_raise_anything_else(noise):
    with contextlib.suppress(IncompatibleRecord):
        assert jobs.encode(jobs.decode(noise)) == noise


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\xc1",
        jobs.encode(new_job())[:-1],
        jobs.encode(new_job()) + b"x",
        b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff",
        msgspec.msgpack.encode(["not", "a", "job"]),
        jobs.encode(msgspec.structs.replace(new_job(), id=b"short")),
        jobs.encode(msgspec.structs.replace(new_job(), priority=4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_damaged_record_is_refused(record):
    with pytest.raises(IncompatibleRecord, match="this record is not a job"):
        jobs.decode(record)


def test_a_newer_record_asks_for_an_upgrade():
    newer = msgspec.structs.replace(new_job(), version=RECORD_VERSION + 1)
    with pytest.raises(IncompatibleRecord, match="upgrade this node"):
        jobs.decode(jobs.encode(newer))


def test_records_of_older_and_newer_nodes_are_read():
    job = new_job()
    fields = msgspec.msgpack.decode(jobs.encode(job))
    assert jobs.decode(msgspec.msgpack.encode(fields[:7])) == job
    assert jobs.decode(msgspec.msgpack.encode([*fields, "a field of the future"])) == job


@pytest.mark.parametrize("field", ["limits", "unique", "expires_ms", "tick", "journal", "wait", "parent"])
def test_records_of_before_there_was_this_field_can_be_read(field):
    job = new_job()
    fields = list(msgspec.structs.astuple(job))[: Job.__struct_fields__.index(field)]
    assert jobs.decode(msgspec.msgpack.encode(fields)) == job


ARROWS = {
    ("scheduled", "queued"),
    ("scheduled", "cancelled"),
    ("queued", "running"),
    ("queued", "cancelled"),
    ("running", "completed"),
    ("running", "scheduled"),
    ("running", "queued"),
    ("running", "cancelled"),
    ("running", "dead"),
    ("running", "waiting"),
    ("waiting", "queued"),
    ("waiting", "cancelled"),
    ("dead", "queued"),
    ("dead", "cancelled"),
}


@pytest.mark.parametrize("source", JobState)
@pytest.mark.parametrize("target", JobState)
def test_exactly_the_documented_transitions_are_legal(source, target):
    assert (target in TRANSITIONS[source]) == ((source.value, target.value) in ARROWS)


@pytest.mark.parametrize("state", JobState)
def test_a_state_is_terminal_when_no_arrow_leaves_it(state):
    assert state.is_terminal == (not TRANSITIONS[state])


def test_a_further_run_carries_a_higher_fence():
    job = new_job()
    assert job.again().fence == 1
    assert job.again().retried(1, reset_retry_count=False).fence == 2


def test_a_failure_spends_an_attempt_and_keeps_its_error():
    failed = new_job().failed(ERROR)
    assert failed.attempt == 1
    assert failed.errors == (ERROR,)


def test_only_the_newest_errors_are_kept():
    job = new_job()
    for attempt in range(1, 61):
        job = job.failed(AttemptError(attempt, 0, "E", "m", "n"))
    assert job.attempt == 60
    assert len(job.errors) == 50
    assert job.errors[0].attempt == 11
    assert job.errors[-1].attempt == 60


def test_a_revived_job_keeps_its_errors_and_its_attempts_unless_asked():
    dead = new_job().failed(ERROR).finish(JobState.DEAD, 5, started_ms=4, reason="spent")
    kept, reset = dead.retried(7, reset_retry_count=False), dead.retried(7, reset_retry_count=True)
    assert kept.attempt == 1
    assert reset.attempt == 0
    assert kept.errors == (ERROR,)
    assert reset.errors == (ERROR,)
    assert reset.ended == ""
    assert reset.ended_ms == 0
    assert reset.started_ms == 0
    assert reset.reason == ""
    assert kept.ready_ms == 7
    assert reset.ready_ms == 7


def test_each_error_says_to_which_revival_its_attempt_belongs():
    job = new_job()
    for revival in range(3):
        for attempt in (1, 2):
            job = job.failed(AttemptError(attempt, 0, "E", "m", "n"))
        job = job.finish(JobState.DEAD, 5).retried(7, reset_retry_count=revival != 1)
    assert job.revivals == 3
    assert [(one.revival, one.attempt) for one in job.errors] == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]


def test_records_of_before_there_were_revivals_can_be_read():
    job = new_job().failed(ERROR)
    fields = list(msgspec.structs.astuple(job))[: Job.__struct_fields__.index("revivals")]
    fields[Job.__struct_fields__.index("errors")] = [list(msgspec.structs.astuple(ERROR))[:6]]
    assert jobs.decode(msgspec.msgpack.encode(fields)) == job


@given(JOBS)
def test_the_beginning_of_a_record_tells_id_and_kind(job):
    encoded = jobs.encode(job)
    size = len(job.kind.encode())
    if size < 256:
        assert record_head(encoded[:300]) == (job.id, job.kind)
        assert record_head(msgspec.msgpack.encode(msgspec.structs.astuple(job)[:15])[:300]) == (job.id, job.kind)


@given(st.binary(max_size=40) | st.sampled_from([b"", b"\x90", b"\xdc\x00\x17", jobs.encode(new_job())[:21]]))
def test_the_beginning_of_something_else_tells_nothing(beginning):
    assert record_head(beginning) is None


def test_ids_are_uuids_of_version_7_that_sort_by_creation():
    ids = [jobs.new_id() for _ in range(100)]
    assert ids == sorted(ids)
    assert {uuid.UUID(bytes=job_id).version for job_id in ids} == {7}


def test_an_id_survives_its_text_form():
    job_id = jobs.new_id()
    assert job_id == jobs.parse_id(jobs.format_id(job_id)) == jobs.parse_id(jobs.format_id(job_id).upper())


@pytest.mark.parametrize(
    "text",
    ["", "x", str(uuid.uuid4()), "{01900000-0000-7000-8000-000000000000}"],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_id_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        jobs.parse_id(text)


def test_priorities_are_strict_and_parsed_by_their_label_only():
    assert [priority.label for priority in sorted(Priority)] == ["critical", "high", "medium", "low"]
    assert [priority.weight for priority in Priority] == [0, 1000, 2000, 3000]
    assert Priority.parse("low") is Priority.LOW
    for label in ("LOW", "Low", "", "urgent", "__class__"):
        with pytest.raises(ValueError, match="is not one of critical, high, medium, low"):
            Priority.parse(label)


def test_a_node_takes_a_higher_priority_of_any_queue_first():
    streams = jobs.streams_of(["a", "b"])

    assert streams[1::2] == ("a:0", "b:0", "a:1", "b:1", "a:2", "b:2", "a:3", "b:3")
    assert streams[::2] == tuple(map(jobs.redelivery_stream, streams[1::2]))  # each behind its own twin


@given(queue=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True), priority=st.sampled_from(Priority))
def test_the_name_of_a_stream_can_be_taken_apart(queue, priority):
    assert jobs.split_stream(jobs.stream_name(queue, priority)) == (queue, priority)


@pytest.mark.parametrize(("key", "weight"), [("a:b", 1), ("-", 1), ("x" * 129, 1), ("a", 0), ("a", 101)])
def test_a_record_with_an_impossible_fairness_key_is_no_job(key, weight):
    record = jobs.encode(Job(1, jobs.new_id(), "k", "q", 1, b"", 0, fairness_key=key, fairness_weight=weight))
    with pytest.raises(IncompatibleRecord):
        jobs.decode(record)
