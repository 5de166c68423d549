"""The loop of a node process and its signals to stop stay as they are, whatever a handler does to them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from ironforge.execution import isolation
from ironforge.job.context import Context, running
from ironforge.job.record import new_id
from ironforge.process import stop_signals
from ironforge.process.stop_signals import StopSignals


class Run:
    context = Context(new_id(), "email.send", 1, 0, 30.0)

    def fail(self, _: BaseException) -> bool:
        return False


CHANGES: list[Callable[[asyncio.AbstractEventLoop], Any]] = [
    lambda loop: loop.stop(),
    lambda loop: loop.close(),
    lambda loop: loop.set_debug(True),
    lambda loop: loop.set_task_factory(None),
    lambda loop: loop.set_exception_handler(None),
    lambda loop: loop.set_default_executor(ThreadPoolExecutor()),
    lambda loop: loop.shutdown_default_executor(),
    lambda loop: loop.shutdown_asyncgens(),
    lambda loop: loop.add_signal_handler(signal.SIGTERM, print),
    lambda loop: loop.remove_signal_handler(signal.SIGTERM),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_handler_cannot_change_the_loop_for_everybody(change: Callable[[asyncio.AbstractEventLoop], Any]) -> None:
    async def handler() -> None:
        running.set(Run())
        change(asyncio.get_running_loop())

    async def main() -> str:
        return str((await asyncio.gather(handler(), return_exceptions=True))[0])

    assert "a handler cannot call " in isolation.run(main())


def find_run(*_: object) -> object:
    return running.get(None)


async def in_executor(pool: Executor | None, function: Callable[..., Any], argument: int) -> Any:
    running.set(Run())
    return await asyncio.get_running_loop().run_in_executor(pool, function, argument)


def test_what_a_handler_runs_in_a_thread_knows_its_job() -> None:
    with ThreadPoolExecutor() as pool:
        assert isinstance(isolation.run(in_executor(pool, find_run, 1)), Run)
    assert isinstance(isolation.run(in_executor(None, find_run, 1)), Run)


def test_what_a_handler_runs_in_a_process_needs_no_more_than_before() -> None:
    with ProcessPoolExecutor() as pool:
        assert isolation.run(in_executor(pool, abs, -2)) == 2


def test_a_coroutine_function_is_still_refused_by_a_thread() -> None:
    async def main() -> None:
        running.set(Run())
        await asyncio.get_running_loop().run_in_executor(None, main)

    with pytest.raises(TypeError, match="coroutine"):
        isolation.run(main())


@pytest.fixture
def signals() -> Iterator[None]:
    before = [(number, signal.getsignal(number)) for number in stop_signals.STOP_SIGNALS]
    yield
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stop_signals.STOP_SIGNALS)
    for number, handler in before:
        signal.signal(number, handler)


TAKEN: list[Callable[[], Any]] = [
    lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    lambda: signal.set_wakeup_fd(-1),
    lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]),
]


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("take", TAKEN)
@pytest.mark.parametrize("run", [asyncio.run, isolation.run], ids=["asyncio", "uvloop"])
def test_a_signal_to_stop_is_heard_again_soon_after_it_was_taken(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[Any], Any], take: Callable[[], Any]
) -> None:
    monkeypatch.setattr(stop_signals, "SECONDS", 0.001)

    async def main() -> str:
        told, turns = asyncio.Event(), 0
        keeping = asyncio.create_task(StopSignals(told.set, 600.0).keep())
        take()
        while not (signal.getsignal(signal.SIGTERM) not in (signal.SIG_IGN, signal.SIG_DFL) and turns > 1):
            await asyncio.sleep(0.01)
            turns += 1
        os.kill(os.getpid(), signal.SIGTERM)
        await told.wait()
        keeping.cancel()
        return "told"

    assert run(main()) == "told"
