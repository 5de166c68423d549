"""What a handler says at its end is the user's own: whatever reading it does, the attempt says so, and that is all."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ironforge import Backoff, Discard, Retry, Snooze
from ironforge.job import JobState
from ironforge.options import Options
from ironforge.store import Submission
from tests.node.kit import World


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
        assert [] == node.problems()
    assert 1 == len(view.job.errors)
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
    @world.forge.job("order")
    async def order(order: Order) -> int:
        return order.number

    async with world.node():
        strange = Options().job("order", b'{"number":-1}')
        await world.cluster.doors.submissions.submit([Submission(strange)])
        view = await world.dead(strange.text_id)
        await world.completed(await world.submit("order", {"number": 1}))
    assert "invalid_arguments: payload: SystemExit: 5" == view.job.reason


# --------------------------------------------------------------------------- groups and durations


async def test_a_group_that_says_one_thing_is_taken_at_its_word(world: World) -> None:
    @world.forge.job("grouped")
    async def grouped() -> None:
        raise BaseExceptionGroup("all", [Discard("no"), ExceptionGroup("more", [Discard("never"), Discard("no")])])

    async with world.node():
        view = await world.dead(await world.submit("grouped"))
    assert "no; never" == view.job.reason


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
