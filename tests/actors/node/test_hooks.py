"""Events of a real node and the hooks that get them, which never hurt a job, the node or each other."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ironforge import ConfigError, Context, Discard, Forge, Snooze
from ironforge.execution import event_hooks
from ironforge.handlers.events import EVENTS, JobDead, NodeEvent
from ironforge.job.record import JobState
from tests.actors.node.kit import QUICK, Gate, World
from tests.support.waiting import until

pytestmark = pytest.mark.one_shard


class Alerts:
    is_open = True


def names(seen: list[NodeEvent]) -> list[str]:
    return [event.event for event in seen]


def listening(world: World, *events: str) -> list[Any]:
    seen: list[Any] = []

    def listen(event: NodeEvent) -> None:
        seen.append(event)

    for event in events or EVENTS:
        world.forge.on(event, listen)  # type: ignore[call-overload]
    return seen


async def test_a_node_tells_of_itself_and_of_its_attempts_in_their_order(world: World):
    seen = listening(world)
    async with world.node():
        await world.completed(await world.submit("note", 1))
    assert names(seen) == ["node_started", "attempt_started", "attempt_completed", "node_draining", "node_stopped"]
    assert [type(event) for event in seen] == [EVENTS[event.event][0] for event in seen]


async def test_an_attempt_is_told_with_its_job(world: World):
    seen = listening(world, "attempt_completed")
    async with world.node():
        job_id = await world.submit("note", 1, queue="default")
        await world.completed(job_id)
    (event,) = seen
    assert event.job_id == job_id
    assert event.kind == "note"
    assert event.queue == "default"
    assert event.namespace == world.settings.namespace
    assert event.attempt == 1
    assert event.schedule is None
    assert event.tick_at is None
    assert event.seconds < 60
    assert event.node == f"{socket.gethostname()}-{os.getpid()}"


async def test_a_failed_attempt_says_what_comes_next_and_the_last_one_that_the_job_is_dead(world: World):
    @world.forge.job("fail", max_retries=1, backoff=QUICK)
    async def fail(context: Context) -> None:
        raise ValueError(f"attempt {context.attempt}")

    seen = listening(world, "attempt_failed", "job_dead")
    async with world.node():
        job_id = await world.submit("fail")
        await world.dead(job_id)
    first, last, dead = seen
    assert first.attempt == 1
    assert first.error.type == "ValueError"
    assert first.error.message == "attempt 1"
    assert first.retry_seconds == 0.001
    assert last.attempt == 2
    assert last.retry_seconds is None
    assert dead.job_id == job_id
    assert dead.reason == "gave up after 2 failed attempts"
    assert [error.message for error in dead.errors] == ["attempt 1", "attempt 2"]


async def test_a_job_that_is_given_up_at_once_fails_and_is_dead(world: World):
    @world.forge.job("discard")
    async def discard() -> None:
        raise Discard("of no use")

    seen = listening(world, "attempt_failed", "job_dead")
    async with world.node():
        await world.dead(await world.submit("discard"))
    assert names(seen) == ["attempt_failed", "job_dead"]
    assert {event.namespace for event in seen} == {world.settings.namespace}
    assert [event.retry_seconds for event in seen if event.event == "attempt_failed"] == [None]


async def test_snoozed_and_cancelled_attempts_are_told_as_that(world: World):
    gate = Gate()

    @world.forge.job("snooze")
    async def snooze() -> None:
        raise Snooze(seconds=600)

    @world.forge.job("wait")
    async def wait() -> None:
        await gate.pass_through()

    seen = listening(world, "attempt_snoozed", "attempt_cancelled")
    async with world.node():
        await world.reached(await world.submit("snooze"), JobState.SCHEDULED)
        job_id = await world.submit("wait")
        await until(lambda: gate.entered, "the job to run")
        await world.cancel(job_id)
        await world.reached(job_id, JobState.CANCELLED)
    assert names(seen) == ["attempt_snoozed", "attempt_cancelled"]
    assert seen[0].snooze_seconds == 600


async def raises(event: NodeEvent) -> None:
    raise ValueError("broken")


async def exits(event: NodeEvent) -> None:
    raise SystemExit(3)


async def interrupts(event: NodeEvent) -> None:
    raise KeyboardInterrupt


async def cancels_itself(event: NodeEvent) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


def exits_in_a_thread(event: NodeEvent) -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("hurts", [raises, exits, interrupts, cancels_itself, exits_in_a_thread])
async def test_a_hook_that_fails_hurts_no_job_and_no_other_hook(
    world: World, caplog: pytest.LogCaptureFixture, hurts: Callable[..., Any]
):
    called: list[NodeEvent] = []

    if asyncio.iscoroutinefunction(hurts):

        async def hook(event: NodeEvent) -> None:
            called.append(event)
            await hurts(event)
    else:

        def hook(event: NodeEvent) -> None:  # type: ignore[misc]
            called.append(event)
            hurts(event)

    world.forge.on("attempt_completed", hook)
    seen = listening(world, "attempt_completed")
    async with world.node():
        for number in range(3):
            await world.completed(await world.submit("note", number))
            await until(lambda number=number: len(called) == number + 1, "the hook to be called")
    assert len(seen) == 3
    assert caplog.text.count("failed, which is said once") == int(hurts is not cancels_itself)


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_hook_that_hangs_loses_events_and_holds_up_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_async: bool
):
    monkeypatch.setattr(event_hooks, "CAPACITY", 3)
    monkeypatch.setattr(event_hooks, "CLOSE_SECONDS", 0.1)
    over, began = threading.Event(), threading.Event()

    async def hang() -> None:
        began.set()
        await asyncio.Event().wait()

    def block(event: NodeEvent) -> None:
        began.set()
        over.wait()

    world.forge.on("attempt_started", hanging(hang) if is_async else block)
    seen = listening(world, "attempt_completed")
    try:
        async with world.node():
            await world.completed(await world.submit("note", 0))
            await until(began.is_set, "the hook to hang")
            await until(lambda: seen, "the other hook to hear of the first job")
            for job_id in [await world.submit("note", number) for number in range(5)]:
                await world.completed(job_id)
    finally:
        over.set()
    slow = "hook is too slow" if is_async else "block is too slow"
    assert caplog.text.count(f"{slow}, 3 events wait for it: further ones are dropped") == 1
    assert "5 events did not reach it" in caplog.text


def hanging(hang: Callable[[], Any]) -> Callable[[NodeEvent], Any]:
    async def hook(event: NodeEvent) -> None:
        await hang()

    return hook


async def test_an_event_may_take_a_hook_so_long_and_no_longer(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(event_hooks, "HOOK_SECONDS", 0.05)
    called: list[NodeEvent] = []

    @world.forge.on("attempt_completed")
    async def hangs(event: NodeEvent) -> None:
        called.append(event)
        await asyncio.Event().wait()

    async with world.node():
        await world.completed(await world.submit("note", 1))
        await world.completed(await world.submit("note", 2))
        await until(lambda: len(called) == 2, "the second call")
    assert "TimeoutError" in caplog.text


async def test_a_hook_may_submit_jobs(world: World):
    submitted: list[str] = []

    @world.forge.job("fail", max_retries=0)
    async def fail() -> None:
        raise ValueError

    @world.forge.on("job_dead")
    async def follow_up(event: JobDead) -> None:
        submitted.append(await world.forge.submit("note", event.kind))

    async with world.node():
        await world.dead(await world.submit("fail"))
        await until(lambda: submitted, "the hook to submit")
        await world.completed(submitted[0])
    assert world.ran == ["fail"]


async def test_a_hook_gets_what_lifespans_yield_while_it_is_open(world: World):
    sent: list[str] = []

    @world.forge.lifespan
    async def alerts() -> AsyncIterator[Alerts]:
        opened = Alerts()
        yield opened
        opened.is_open = False

    @world.forge.on("node_stopped")
    async def alert(event: NodeEvent, alerts: Alerts) -> None:
        sent.append(f"{event.event} {alerts.is_open}")

    async with world.node():
        await world.completed(await world.submit("note", 1))
    assert sent == ["node_stopped True"]


async def test_a_hook_cannot_register_others_while_the_node_runs(world: World, caplog: pytest.LogCaptureFixture):
    called: list[NodeEvent] = []

    @world.forge.on("attempt_completed")
    def registers(event: NodeEvent) -> None:
        called.append(event)
        world.forge.on("attempt_completed", called.append)

    async with world.node():
        await world.completed(await world.submit("note", 1))
    assert len(called) == 1
    assert "a running node takes no more registrations" in caplog.text


async def test_without_hooks_there_is_nothing_to_tell(world: World):
    async with world.node() as node:
        await world.completed(await world.submit("note", 1))
        assert node._executor.hooks is None


def test_an_event_that_there_is_not_is_said_at_once():
    with pytest.raises(ConfigError, match="there is no event 'attempt_faild': did you mean 'attempt_failed'"):
        Forge().on("attempt_faild")  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="there is no event 'x': there are node_started, node_draining, "):
        Forge().on("x", print)  # type: ignore[call-overload]


async def yields(event: NodeEvent) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(("hook", "message"), [("text", "a hook must be a function, not str"), (yields, "yields")])
def test_what_is_no_hook_is_said_at_once(hook: Any, message: str):
    with pytest.raises(ConfigError, match=message):
        Forge().on("job_dead", hook)
