"""What becomes of a job: every way in which a handler can end, on a whole node."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ironforge import Context, Discard, Retry, Snooze
from ironforge.actors import attempt_timers
from ironforge.job.record import JobState
from tests.actors.node.kit import QUICK, Gate, World, until


async def test_a_job_completes_and_its_result_can_be_read(world: World) -> None:
    async with world.node():
        job_id = await world.submit("note", {"to": "someone"})

        view = await world.completed(job_id)

    assert view.job.result == b'{"to":"someone"}'
    assert world.ran == [{"to": "someone"}]
    assert view.job.created_ms <= view.job.started_ms <= view.job.ended_ms


async def test_a_failing_job_is_retried_and_then_dead_with_its_whole_history(world: World) -> None:
    @world.forge.job("fail", max_retries=2, backoff=QUICK)
    async def fail(context: Context) -> None:
        raise ValueError(f"attempt {context.attempt}")

    async with world.node():
        view = await world.dead(await world.submit("fail"))

    assert [error.message for error in view.job.errors] == ["attempt 1", "attempt 2", "attempt 3"]
    assert [error.attempt for error in view.job.errors] == [1, 2, 3]
    assert {error.type for error in view.job.errors} == {"ValueError"}
    assert view.job.attempt == 3
    assert view.job.reason == "gave up after 3 failed attempts"


async def test_the_retries_of_a_job_overrule_those_of_its_kind(world: World) -> None:
    @world.forge.job("fail", max_retries=5, backoff=QUICK)
    async def fail() -> None:
        raise ValueError

    async with world.node():
        view = await world.dead(await world.submit("fail", max_retries=0))

    assert view.job.attempt == 1


async def test_a_job_that_failed_may_complete_later(world: World) -> None:
    @world.forge.job("flaky", backoff=QUICK)
    async def flaky(context: Context, failures: int) -> int:
        if context.attempt <= failures:
            raise RuntimeError
        return context.attempt

    async with world.node():
        view = await world.completed(await world.submit("flaky", {"failures": 2}))

    assert view.job.result == b"3"
    assert len(view.job.errors) == 2
    assert view.job.fence == 2  # every further run carries a higher fence


@pytest.mark.parametrize(("reset", "attempts"), [(True, 1), (False, 3)])
async def test_a_dead_job_can_be_revived(world: World, reset: bool, attempts: int) -> None:
    broken = True

    @world.forge.job("fragile", max_retries=1, backoff=QUICK)
    async def fragile(context: Context) -> int:
        if broken:
            raise RuntimeError
        return context.attempt

    async with world.node():
        job_id = await world.submit("fragile")
        await world.dead(job_id)
        broken = False
        await world.retry(job_id, reset_retry_count=reset)

        view = await world.completed(job_id)

    assert view.job.result == str(attempts).encode()
    assert len(view.job.errors) == 2


async def test_a_job_revived_without_a_reset_gets_one_attempt(world: World) -> None:
    @world.forge.job("fail", max_retries=1, backoff=QUICK)
    async def fail() -> None:
        raise RuntimeError

    async with world.node():
        job_id = await world.submit("fail")
        await world.dead(job_id)
        await world.retry(job_id, reset_retry_count=False)

        async def has_run_again() -> bool:
            view = await world.get(job_id)
            return view.state is JobState.DEAD and view.job.attempt == 3

        await until(has_run_again, "the job to be dead again")


async def test_retry_spends_an_attempt_and_waits_as_long_as_it_says(world: World) -> None:
    @world.forge.job("busy")
    async def busy() -> Retry:
        return Retry(after=3600, reason="come back later")

    async with world.node():
        view = await world.reached(await world.submit("busy"), JobState.SCHEDULED)

    assert view.job.attempt == 1
    assert [error.message for error in view.job.errors] == ["come back later"]
    assert view.due_ms is not None
    assert abs(view.due_ms - view.job.created_ms - 3_600_000) < 10_000


async def test_snooze_spends_no_attempt(world: World) -> None:
    @world.forge.job("sleepy")
    async def sleepy(context: Context) -> int:
        if context.fence < 3:
            raise Snooze(0)
        return context.attempt

    async with world.node():
        view = await world.completed(await world.submit("sleepy"))

    assert view.job.result == b"1"
    assert view.job.errors == ()


async def test_discard_goes_to_the_dead_letter_at_once(world: World) -> None:
    @world.forge.job("hopeless")
    async def hopeless() -> None:
        raise Discard("the account is closed")

    async with world.node():
        view = await world.dead(await world.submit("hopeless"))

    assert view.job.reason == "the account is closed"
    assert view.job.attempt == 1


async def test_a_payload_that_does_not_fit_is_kept_with_a_reason(world: World) -> None:
    @world.forge.job("typed", max_retries=0)
    async def typed(count: int) -> None:
        """Never runs."""

    from ironforge.store import Submission
    from tests.store.kit import job

    strange = job(kind="typed")
    async with world.node():
        await world.cluster.store_client.producer.submit([Submission(strange)])
        view = await world.dead(strange.text_id)

    assert view.job.errors[-1].type == "invalid_arguments"
    assert view.job.errors[-1].message == "count: required, but missing"


async def test_a_result_that_json_cannot_carry_is_a_clear_failure(world: World) -> None:
    @world.forge.job("odd")
    async def odd() -> object:
        return socket.socket

    async with world.node():
        view = await world.dead(await world.submit("odd"))

    assert view.job.reason.startswith("result_not_serialisable")


async def test_a_job_past_its_time_limit_is_cancelled_and_counts_as_failed(world: World) -> None:
    gate = Gate()

    @world.forge.job("endless", timeout_seconds=0.02, max_retries=0)
    async def endless() -> None:
        await gate.pass_through("endless")

    async with world.node():
        view = await world.dead(await world.submit("endless"))

    assert gate.cancelled == ["endless"]
    assert [error.type for error in view.job.errors] == ["Timeout"]
    assert "0.02 s" in view.job.errors[0].message


async def test_a_handler_that_ignores_its_cancellation_does_not_keep_its_worker(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(attempt_timers, "STUBBORN_SECONDS", 0.02)
    world.change(concurrency=1)
    let_go = asyncio.Event()

    @world.forge.job("stubborn", timeout_seconds=0.02, max_retries=0)
    async def stubborn() -> str:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    async with world.node():
        job_id = await world.submit("stubborn")
        view = await world.dead(job_id)
        await world.completed(await world.submit("note"))  # the only worker is free again
        let_go.set()

    assert [error.type for error in view.job.errors] == ["Timeout"]
    assert await world.state(job_id) is JobState.DEAD
    assert "ignores its cancellation" in caplog.text


async def test_synchronous_handlers_run_beside_the_loop(world: World) -> None:
    @world.forge.job("blocking")
    def blocking(context: Context, word: str) -> str:
        return f"{word} {context.attempt}"

    async with world.node():
        view = await world.completed(await world.submit("blocking", {"word": "hello"}))

    assert view.job.result == b'"hello 1"'


@pytest.mark.one_shard
async def test_bytes_that_are_no_job_are_put_aside_and_others_go_on(world: World) -> None:
    raw, keys = world.cluster.raw, world.cluster.keys
    raw.xadd(keys.stream("default:0"), {"j": b"\xc1 nonsense"})
    raw.sadd(keys.queues, "default")
    async with world.node():
        await world.completed(await world.submit("note"))
        await until(lambda: raw.exists(keys.quarantine), "the record to be put aside")

    assert world.cluster.pending() == 0


async def test_nothing_is_kept_of_a_job_without_retention(world: World) -> None:
    from ironforge.errors import JobNotFound

    async with world.node():
        job_id = await world.submit("note", "x", retain_seconds=0)
        await until(lambda: world.ran == ["x"], "the job to run")

        async def is_gone() -> bool:
            try:
                await world.state(job_id)
            except JobNotFound:
                return True
            return False

        await until(is_gone, "the job to be forgotten")


async def test_middleware_wraps_every_call(world: World) -> None:
    @world.forge.middleware
    async def polite(context: Context, call_next):
        world.ran.append(("before", context.kind))
        result = await call_next()
        world.ran.append("after")
        return result

    async with world.node():
        await world.completed(await world.submit("note", "x"))

    assert world.ran == [("before", "note"), "x", "after"]
