"""The executor step by step: prepare, run, and what the outcome says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ironforge import Backoff, Settings
from ironforge.errors import Discard, IncompatibleRecord, Retry, Snooze, UnknownKind
from ironforge.execution.executor import Ending
from ironforge.job.context import Context
from ironforge.job.record import decode, encode
from tests.execution.kit import last_error, record, run

STEADY = Backoff(jitter=0)


async def noop() -> None: ...


# --------------------------------------------------------------------------- prepare


async def test_a_known_kind_is_bound_to_its_arguments(executor_of):
    async def handler(to: str) -> str:
        return to

    outcome = await run(executor_of(handler), payload=b'{"to":"ada"}')
    assert decode(outcome.record).result == b'"ada"'


@pytest.mark.parametrize(
    ("job_ms", "kind_seconds", "expected"),
    [(None, None, 300.0), (None, 30.0, 30.0), (1_500, 30.0, 1.5)],
)
async def test_the_nearest_time_limit_counts(executor_of, job_ms, kind_seconds, expected):
    executor = executor_of(noop, timeout_seconds=kind_seconds)
    assert executor.prepare(record(timeout_ms=job_ms)).timeout_seconds == expected


async def test_a_job_of_an_unknown_kind_is_not_this_nodes_to_run(executor_of):
    with pytest.raises(UnknownKind, match="this node knows no kind 'zzz'"):
        executor_of(noop).prepare(record(kind="zzz"))


async def test_a_payload_that_does_not_fit_is_tried_again_and_names_every_parameter(executor_of):
    async def handler(to: str, count: int) -> None: ...

    outcome = await run(executor_of(handler), payload=b'{"to":1}')
    assert outcome.ending is Ending.FAILED
    assert last_error(outcome).type == "invalid_arguments"
    assert last_error(outcome).message == "to: Expected `str`, got `int`; count: required, but missing"


async def test_a_payload_that_never_fits_gives_up_after_its_retries(executor_of):
    async def handler(to: str) -> None: ...

    outcome = await run(executor_of(handler, max_retries=2), payload=b"{}", attempt=2)
    assert outcome.ending is Ending.DEAD
    assert last_error(outcome).message == "to: required, but missing"


async def test_fields_that_a_handler_does_not_name_do_not_stop_it(executor_of):
    async def handler(to: str) -> str:
        return to

    outcome = await run(executor_of(handler), payload=b'{"to":"ada","note":"of a newer version"}')
    assert decode(outcome.record).result == b'"ada"'


async def test_bytes_that_are_no_job_are_left_to_the_caller(executor_of):
    with pytest.raises(IncompatibleRecord):
        executor_of(noop).prepare(b"noise")


# --------------------------------------------------------------------------- what handlers do


async def test_a_normal_value_completes_the_job(executor_of):
    async def handler() -> dict[str, int]:
        return {"answer": 42}

    outcome = await run(executor_of(handler))
    done = decode(outcome.record)
    assert outcome.ending == Ending.COMPLETED
    assert outcome.retention_ms == 3_600_000
    assert done.result == b'{"answer":42}'
    assert done.ended == "completed"
    assert 0 < done.started_ms <= done.ended_ms
    assert done.id == outcome.job_id


@pytest.mark.parametrize(
    ("job_ms", "kind_seconds", "expected"), [(None, None, 3_600_000), (None, 60, 60_000), (5_000, 60, 5_000)]
)
async def test_the_nearest_retention_counts(executor_of, job_ms, kind_seconds, expected):
    outcome = await run(executor_of(noop, retain_seconds=kind_seconds), retain_ms=job_ms)
    assert outcome.retention_ms == expected


@pytest.mark.parametrize(
    ("job_ms", "kind_seconds", "expected"), [(None, None, None), (None, 60, 60_000), (5_000, 60, 5_000)]
)
async def test_a_record_that_is_kept_as_its_kind_says_tells_so_to_its_readers(
    executor_of, job_ms, kind_seconds, expected
):
    outcome = await run(executor_of(noop, retain_seconds=kind_seconds), retain_ms=job_ms)
    assert decode(outcome.record).retain_ms == expected


async def test_nothing_is_encoded_when_nothing_is_retained(executor_of):
    outcome = await run(executor_of(noop), retain_ms=0)
    assert outcome.ending == Ending.COMPLETED
    assert outcome.record == b""
    assert outcome.retention_ms == 0


async def test_an_exception_fails_the_attempt_and_is_kept(executor_of):
    async def handler() -> None:
        raise KeyError("missing")

    outcome = await run(executor_of(handler, backoff=STEADY), attempt=1, fence=4)
    assert outcome.job is not None
    assert outcome.ending == Ending.FAILED
    assert outcome.delay_ms == 4_000
    assert outcome.job.attempt == 2
    assert outcome.job.fence == 5
    error = last_error(outcome)
    assert error.attempt == 2
    assert error.type == "KeyError"
    assert error.message == "'missing'"
    assert error.node == "node-1"


@pytest.mark.parametrize(
    ("default", "of_the_kind", "of_the_job", "failed_before"), [(2, None, None, 2), (9, 1, None, 1), (9, 9, 0, 0)]
)
async def test_the_nearest_limit_of_retries_counts(executor_of, default, of_the_kind, of_the_job, failed_before):
    async def handler() -> None:
        raise KeyError

    executor = executor_of(handler, Settings(default_max_retries=default), max_retries=of_the_kind)
    last_but_one = await run(executor, max_retries=of_the_job, attempt=failed_before - 1) if failed_before else None
    last = await run(executor, max_retries=of_the_job, attempt=failed_before)

    assert last_but_one is None or Ending.FAILED is last_but_one.ending
    assert last.ending is Ending.DEAD
    assert last.job is not None
    attempts = f"{failed_before + 1} failed attempt{'s' if failed_before else ''}"
    assert last.job.reason == f"gave up after {attempts}"


@pytest.mark.parametrize(("crashes", "after"), [(2, 0), (1, 1)])
async def test_a_failure_clears_a_suspect_that_killed_nothing(executor_of, crashes, after):
    async def handler() -> None:
        raise KeyError

    outcome = await run(executor_of(handler, Settings(crash_budget=3)), crashes=crashes)
    assert outcome.job is not None
    assert outcome.job.crashes == after


async def test_a_trace_shows_the_users_frames_and_not_ours(executor_of):
    async def handler() -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    trace = last_error(await run(executor_of(handler))).trace
    assert 'raise KeyError("first")' in trace
    assert trace.rstrip().endswith("ValueError: second")
    assert "executor.py" not in trace.replace("test_executor.py", "")


async def test_a_long_error_is_cut(executor_of):
    async def handler() -> None:
        error = None
        for _ in range(10):
            cause, error = error, ValueError("x" * 10_000)
            error.__cause__ = cause
        raise error

    error = last_error(await run(executor_of(handler)))
    assert len(error.message) == 1_000
    assert len(error.trace) == 4_000


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even this")

    __repr__ = __str__


@pytest.mark.parametrize("executor", ["async", "thread"])
@pytest.mark.parametrize(
    ("error", "name"),
    [
        (SystemExit(1), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (asyncio.CancelledError(), "asyncio.exceptions.CancelledError"),
        (RecursionError(), "RecursionError"),
        (Unprintable(), f"{__name__}.Unprintable"),
        (ValueError("\ud800"), "ValueError"),
    ],
)
async def test_whatever_a_handler_raises_is_a_failure_and_the_worker_survives(executor_of, executor, error, name):
    async def on_loop() -> None:
        raise error

    def in_thread() -> None:
        raise error

    outcome = await run(executor_of(on_loop if executor == "async" else in_thread))
    assert outcome.ending == Ending.FAILED
    assert last_error(outcome).type == name
    assert decode(encode(outcome.job)) == outcome.job


@pytest.mark.parametrize("executor", ["async", "thread"])
async def test_stop_iteration_is_an_error_and_does_not_hang(executor_of, executor):
    async def on_loop() -> None:
        raise StopIteration("no more")

    def in_thread() -> None:
        raise StopIteration("no more")

    error = last_error(await run(executor_of(on_loop if executor == "async" else in_thread)))
    assert error.type == "StopIteration"
    assert error.message == "no more"


VERDICTS = [
    (Retry(after=1.5, reason="busy"), (Ending.FAILED, 1_500, 1)),
    (Retry(), (Ending.FAILED, 2_000, 1)),
    (Snooze(60), (Ending.SNOOZED, 60_000, 0)),
    (Discard("no such user"), (Ending.DEAD, 0, 1)),
    (Retry(after=-1), (Ending.FAILED, 2_000, 1)),
    (Snooze(float("nan")), (Ending.FAILED, 2_000, 1)),
]


@pytest.mark.parametrize("raised", [True, False])
@pytest.mark.parametrize(("verdict", "expected"), VERDICTS)
async def test_a_verdict_counts_returned_or_raised(executor_of, raised, verdict, expected):
    async def handler() -> Any:
        if raised:
            raise verdict
        return verdict

    outcome = await run(executor_of(handler, backoff=STEADY))
    assert outcome.job is not None
    assert (outcome.ending, outcome.delay_ms, outcome.job.attempt) == expected
    assert (outcome.job.fence == 1) == (outcome.ending is not Ending.DEAD)


async def test_a_discarded_job_keeps_the_reason(executor_of):
    async def handler() -> Discard:
        return Discard("no such user")

    outcome = await run(executor_of(handler))
    assert outcome.job is not None
    assert outcome.job.ended == "dead"
    assert outcome.job.reason == "no such user"
    assert last_error(outcome).type == "Discard"
    assert last_error(outcome).message == "no such user"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": [object()]}, "result_not_serialisable: result.a[0]: object is not a JSON value"),
        ("x" * 2_000_000, "result_too_large: 2000002 bytes, at most 1048576: return a reference"),
    ],
)
async def test_an_unusable_result_is_dead_at_once(executor_of, value, reason):
    async def handler() -> Any:
        return value

    outcome = await run(executor_of(handler))
    assert outcome.job is not None
    assert outcome.ending == Ending.DEAD
    assert outcome.job.reason == reason


async def test_the_context_belongs_to_this_attempt(executor_of):
    async def handler(context: Context, to: str) -> list[Any]:
        return [context.kind, context.attempt, context.fence, context.seconds_left() <= 30, to]

    outcome = await run(executor_of(handler, timeout_seconds=30), payload=b'{"to":"ada"}', attempt=2, fence=9)
    assert decode(outcome.record).result == b'["k",3,9,true,"ada"]'
