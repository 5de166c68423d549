"""What a handler says at its end is the user's own: whatever reading it does, the attempt says so, and that is all."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ironforge import Backoff, Discard, Retry, Snooze
from ironforge.job.options import JobOptions
from ironforge.job.record import JobState
from ironforge.store import Submission
from tests.actors.node.kit import QUICK, World


class Unreadable(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even this")


class Moody(dict[str, int]):
    """Raises as soon as anybody looks for what cannot be encoded."""

    def __iter__(self) -> Any:
        raise SystemExit("no")

    keys = values = items = __getitem__ = __len__ = __iter__  # type: ignore[assignment]


class Liar:
    @property
    def __class__(self) -> Any:
        raise KeyboardInterrupt


OUTCOMES: dict[str, Callable[[], Any]] = {
    "discard": lambda: Discard(Unreadable()),  # type: ignore[arg-type]
    "retry": lambda: Retry(reason=Unreadable()),  # type: ignore[arg-type]
    "raised": Unreadable,
    "result": lambda: Moody(a=object()),  # type: ignore[arg-type]
    "result in a list": lambda: [Moody(a=object())],  # type: ignore[arg-type]
    "class": Liar,
}


@pytest.mark.parametrize("how", OUTCOMES)
@pytest.mark.parametrize("executor", ["async", "thread"])
async def test_an_outcome_that_cannot_be_read_is_a_failed_attempt_that_says_so(
    world: World, how: str, executor: str
) -> None:
    def end() -> Any:
        outcome = OUTCOMES[how]()
        if how == "raised":
            raise outcome
        return outcome

    async def on_loop() -> Any:
        return end()

    world.forge.job("odd", max_retries=0)(on_loop if executor == "async" else end)
    async with world.node() as node:
        view = await world.dead(await world.submit("odd"))
        await world.completed(await world.submit("note"))
        assert node.problems() == []
    assert len(view.job.errors) == 1
    assert "could not be read" in view.job.errors[0].message


@dataclasses.dataclass
class Order:
    """Refuses what does not please it, in a way that no validation would."""

    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            sys.exit(5)


async def test_arguments_whose_own_code_exits_are_invalid_and_no_more(world: World) -> None:
    @world.forge.job("order", max_retries=0)
    async def order(order: Order) -> int:
        return order.number

    async with world.node():
        strange = JobOptions().checked().job("order", b'{"number":-1}')
        await world.cluster.store_client.producer.submit([Submission(strange)])
        view = await world.dead(strange.text_id)
        await world.completed(await world.submit("order", {"number": 1}))
    assert view.job.errors[-1].type == "invalid_arguments"
    assert view.job.errors[-1].message == "payload: SystemExit: 5"


# --------------------------------------------------------------------------- groups and durations


async def test_a_group_that_says_one_thing_is_taken_at_its_word(world: World) -> None:
    @world.forge.job("grouped")
    async def grouped() -> None:
        raise BaseExceptionGroup("all", [Discard("no"), ExceptionGroup("more", [Discard("never"), Discard("no")])])

    async with world.node():
        view = await world.dead(await world.submit("grouped"))
    assert view.job.reason == "no; never"


@pytest.mark.parametrize("pause", [timedelta(hours=1), 3600])
async def test_pauses_may_be_durations(world: World, pause: Any) -> None:
    @world.forge.job("later")
    async def later(how: str) -> Any:
        return Retry(after=pause) if how == "retry" else Snooze(pause)

    async with world.node():
        for how in ("retry", "snooze"):
            view = await world.reached(await world.submit("later", {"how": how}), JobState.SCHEDULED)
            assert view.due_ms is not None
            assert abs(view.due_ms - view.job.created_ms - 3_600_000) < 10_000


async def test_a_backoff_that_raises_costs_the_default_pause_and_no_node(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Backoff, frozen=True):
        def delay_seconds(self, *_: Any) -> float:
            raise SystemExit("no")

    @world.forge.job("fail", backoff=Broken())
    async def fail() -> None:
        raise ValueError

    async with world.node():
        view = await world.reached(await world.submit("fail"), JobState.SCHEDULED)
        await world.completed(await world.submit("note"))
    assert view.due_ms is not None
    assert 1_000 < view.due_ms - view.job.created_ms < 20_000
    assert "the backoff of fail cannot be used: SystemExit: no" in caplog.text


# --------------------------------------------------------------------------- lines of the log


def told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "ironforge.job"]


@pytest.mark.parametrize("executor", ["async", "thread"])
async def test_every_failed_attempt_is_one_line_that_says_what_comes_next(
    world: World, caplog: pytest.LogCaptureFixture, executor: str
) -> None:
    def fail() -> None:
        raise ValueError("no such user")

    async def on_loop() -> None:
        fail()

    caplog.set_level(logging.INFO, "ironforge.job")
    world.forge.job("mail", max_retries=1, backoff=QUICK)(on_loop if executor == "async" else fail)
    async with world.node():
        job_id = await world.submit("mail")
        await world.dead(job_id)
    lines = [[getattr(line, name) for name in ("job_id", "kind", "attempt", "next")] for line in told(caplog)]
    assert lines == [
        [job_id, "mail", 1, "retry in 0.001 s"],
        [job_id, "mail", 2, "dead: gave up after 2 failed attempts"],
    ]
    assert told(caplog)[0].getMessage() == "attempt 1 of mail failed: ValueError: no such user"
    assert not hasattr(told(caplog)[0], "exception")


async def test_the_line_of_a_failed_attempt_has_its_trace_where_the_level_is_debug(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    @world.forge.job("mail", max_retries=0)
    async def mail() -> None:
        raise ValueError("no such user")

    caplog.set_level(logging.DEBUG, "ironforge.job")
    async with world.node():
        view = await world.dead(await world.submit("mail"))
    assert [line.exception for line in told(caplog)] == [view.job.errors[0].trace]  # type: ignore[attr-defined]
    assert 'raise ValueError("no such user")' in view.job.errors[0].trace


async def test_a_job_that_is_discarded_is_one_line_too(world: World, caplog: pytest.LogCaptureFixture) -> None:
    @world.forge.job("mail")
    async def mail() -> Discard:
        return Discard("the account is closed")

    async with world.node():
        await world.dead(await world.submit("mail"))
    assert [line.getMessage() for line in told(caplog)] == ["attempt 1 of mail failed: Discard: the account is closed"]
    assert told(caplog)[0].next == "dead", "the reason is said once"  # type: ignore[attr-defined]
