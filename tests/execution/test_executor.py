"""The executor step by step: prepare, run, and what the outcome says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ironforge import Backoff, Settings
from ironforge.errors import Discard, IncompatibleRecord, Retry, Snooze
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
    assert b'"ada"' == decode(outcome.record).result


@pytest.mark.parametrize(
    ("job_ms", "kind_seconds", "expected"),
    [(None, None, 300.0), (None, 30.0, 30.0), (1_500, 30.0, 1.5)],
)
async def test_the_nearest_time_limit_counts(executor_of, job_ms, kind_seconds, expected):
    executor = executor_of(noop, timeout_seconds=kind_seconds)
    assert expected == executor.prepare(record(timeout_ms=job_ms)).timeout_seconds


async def test_an_unknown_kind_is_dead_and_says_what_this_node_knows(executor_of):
    outcome = await run(executor_of(noop), kind="zzz")
    assert outcome.job is not None
    assert (Ending.DEAD, "dead", 1) == (outcome.ending, outcome.job.ended, outcome.job.attempt)
    assert "unknown_kind: no handler for kind 'zzz': this application knows k" == outcome.job.reason
    assert [error.message for error in outcome.job.errors] == ["no handler for kind 'zzz': this application knows k"]


async def test_a_payload_that_does_not_fit_is_dead_with_every_parameter(executor_of):
    async def handler(to: str, count: int) -> None: ...

    outcome = await run(executor_of(handler), payload=b'{"to":1}')
    assert outcome.job is not None
    assert "invalid_arguments: to: Expected `str`, got `int`; count: required, but missing" == outcome.job.reason


async def test_bytes_that_are_no_job_are_left_to_the_caller(executor_of):
    with pytest.raises(IncompatibleRecord):
        executor_of(noop).prepare(b"noise")


# --------------------------------------------------------------------------- what handlers do


async def test_a_normal_value_completes_the_job(executor_of):
    async def handler() -> dict[str, int]:
        return {"answer": 42}

    outcome = await run(executor_of(handler))
    done = decode(outcome.record)
    assert (Ending.COMPLETED, 3_600_000, b'{"answer":42}', "completed") == (
        outcome.ending,
        outcome.keep_ms,
        done.result,
        done.ended,
    )
    assert 0 < done.started_ms <= done.ended_ms
    assert outcome.job_id == done.id


@pytest.mark.parametrize(
    ("job_ms", "kind_seconds", "expected"), [(None, None, 3_600_000), (None, 60, 60_000), (5_000, 60, 5_000)]
)
async def test_the_nearest_retention_counts(executor_of, job_ms, kind_seconds, expected):
    outcome = await run(executor_of(noop, retain_seconds=kind_seconds), retain_ms=job_ms)
    assert expected == outcome.keep_ms


async def test_nothing_is_encoded_when_nothing_is_retained(executor_of):
    outcome = await run(executor_of(noop), retain_ms=0)
    assert (Ending.COMPLETED, b"", 0) == (outcome.ending, outcome.record, outcome.keep_ms)


async def test_an_exception_fails_the_attempt_and_is_kept(executor_of):
    async def handler() -> None:
        raise KeyError("missing")

    outcome = await run(executor_of(handler, backoff=STEADY), attempt=1, fence=4)
    assert outcome.job is not None
    assert (Ending.FAILED, 4_000, 2, 5) == (
        outcome.ending,
        outcome.delay_ms,
        outcome.job.attempt,
        outcome.job.fence,
    )
    error = last_error(outcome)
    assert (2, "KeyError", "'missing'", "node-1") == (error.attempt, error.type, error.message, error.node)


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
    assert Ending.DEAD is last.ending
    assert last.job is not None
    attempts = f"{failed_before + 1} failed attempt{'s' if failed_before else ''}"
    assert f"gave up after {attempts}" == last.job.reason


@pytest.mark.parametrize(("crashes", "after"), [(2, 0), (1, 1)])
async def test_a_failure_clears_a_suspect_that_killed_nothing(executor_of, crashes, after):
    async def handler() -> None:
        raise KeyError

    outcome = await run(executor_of(handler, Settings(crash_budget=3)), crashes=crashes)
    assert outcome.job is not None
    assert after == outcome.job.crashes


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
    assert (1_000, 4_000) == (len(error.message), len(error.trace))


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
    assert (Ending.FAILED, name) == (outcome.ending, last_error(outcome).type)
    assert outcome.job == decode(encode(outcome.job))


@pytest.mark.parametrize("executor", ["async", "thread"])
async def test_stop_iteration_is_an_error_and_does_not_hang(executor_of, executor):
    async def on_loop() -> None:
        raise StopIteration("no more")

    def in_thread() -> None:
        raise StopIteration("no more")

    error = last_error(await run(executor_of(on_loop if executor == "async" else in_thread)))
    assert ("StopIteration", "no more") == (error.type, error.message)


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
    assert expected == (outcome.ending, outcome.delay_ms, outcome.job.attempt)
    assert (outcome.ending is not Ending.DEAD) == (outcome.job.fence == 1)


async def test_a_discarded_job_keeps_the_reason(executor_of):
    async def handler() -> Discard:
        return Discard("no such user")

    outcome = await run(executor_of(handler))
    assert outcome.job is not None
    assert ("dead", "no such user") == (outcome.job.ended, outcome.job.reason)
    assert ("Discard", "no such user") == (last_error(outcome).type, last_error(outcome).message)


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
    assert (Ending.DEAD, reason) == (outcome.ending, outcome.job.reason)


async def test_the_context_belongs_to_this_attempt(executor_of):
    async def handler(context: Context, to: str) -> list[Any]:
        return [context.kind, context.attempt, context.fence, context.seconds_left() <= 30, to]

    outcome = await run(executor_of(handler, timeout_seconds=30), payload=b'{"to":"ada"}', attempt=2, fence=9)
    assert b'["k",3,9,true,"ada"]' == decode(outcome.record).result
