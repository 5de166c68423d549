"""What a CPU-bound handler does to its process, or to the pipe to its node, is a failure of its own job."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from ironforge.execution.executor import Ending, Executor, Interrupt
from ironforge.execution.process_frames import HEADER, Request
from ironforge.execution.process_pool import Child
from ironforge.job.record import decode
from ironforge.job.tracebacks import RemoteFailure
from ironforge.process.forks import withhold
from ironforge.settings import Settings
from tests.execution import cpu_handlers
from tests.execution.kit import last_error, record
from tests.execution.test_process_pool import executor, is_gone, run
from tests.support.waiting import until

pytestmark = pytest.mark.slow


async def result_of_next_job(made: Executor) -> bytes:
    return decode((await run(made, "add", b'{"a":1,"b":2}')).record).result


async def test_a_killed_process_is_noticed_although_another_one_holds_its_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    async with executor(cpu_handlers.share_pipe, cpu_handlers.add) as made:
        running = asyncio.create_task(run(made, "share_pipe", f'{{"path":"{path}"}}'.encode()))
        await until(path.exists, "the handler to run")
        child, other = (int(pid) for pid in path.read_text().split())
        os.kill(child, signal.SIGKILL)
        error = last_error(await running)
        assert error.type == "ProcessDied"
        assert error.message == "the process of this job was ended by SIGKILL"
        await until(lambda: is_gone(other), "the other program to be gone")
        assert await result_of_next_job(made) == b"3"


async def test_a_handler_that_daemonises_has_left_its_process() -> None:
    async with executor(cpu_handlers.daemonise, cpu_handlers.add) as made:
        error = last_error(await run(made, "daemonise"))
        assert error.type == "ProcessDied"
        assert error.message == "the process of this job exited with code 0"
        assert await result_of_next_job(made) == b"3"


async def test_a_hook_for_forks_that_came_after_ours_ends_no_process_of_ours(tmp_path: Path) -> None:
    os.register_at_fork(after_in_child=lambda: None)
    with (tmp_path / "lock").open("w") as held:
        withhold(held)
        async with executor(cpu_handlers.add) as made:
            assert await result_of_next_job(made) == b"3"


async def test_a_handler_that_closes_the_pipe_fails_while_it_still_runs() -> None:
    async with executor(cpu_handlers.close_pipes, cpu_handlers.add) as made:
        error = last_error(await run(made, "close_pipes", b'{"wait_seconds":600}'))
        assert error.type == "BrokenPipe"
        assert error.message == "the process of this job closed its pipe: it was ended"
        assert await result_of_next_job(made) == b"3"


async def test_a_result_does_not_go_into_a_file_that_took_the_place_of_the_pipe(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    async with executor(cpu_handlers.close_pipes, cpu_handlers.add) as made:
        outcome = await run(made, "close_pipes", f'{{"then_open":"{mine}"}}'.encode())
        assert outcome.ending is Ending.FAILED
        assert await result_of_next_job(made) == b"3"
    assert mine.read_bytes() == b""


@pytest.mark.parametrize("data", ["x", "\0" * 12, "\0" * 7 + "\1\0\0\0\2[]", "noise" * 1_000])
async def test_what_a_handler_writes_into_the_pipe_fails_its_own_job(data: str) -> None:
    async with executor(cpu_handlers.write_pipe, cpu_handlers.add) as made:
        assert await result_of_next_job(made) == b"3"
        outcome = await run(made, "write_pipe", json.dumps({"data": data}).encode())
        assert outcome.ending is Ending.FAILED
        assert await result_of_next_job(made) == b"3"


async def test_a_process_that_stops_is_killed_when_its_job_is_out_of_time() -> None:
    async with executor(cpu_handlers.stop_itself, cpu_handlers.add) as made:
        attempt = made.prepare(record(b"{}", "stop_itself"))
        running = asyncio.create_task(made.run(attempt))
        await until(lambda: attempt.started_ms > 0, "the handler to run")
        attempt.interrupt = Interrupt.TIMEOUT
        running.cancel()
        assert last_error(await running).type == "Timeout"
        assert await result_of_next_job(made) == b"3"


@pytest.mark.parametrize(
    "output",
    [
        b"\xff" * 100,
        HEADER.pack(1, 3) + b"\xc1\xc1\xc1",
        HEADER.pack(1, 2**32 - 1),
        HEADER.pack(2, 3),
        HEADER.pack(1, 9)[:3],
    ],
)
async def test_what_is_no_reply_is_the_failure_of_that_job(output: bytes) -> None:
    write = f"import sys; sys.stdin.buffer.read(4); sys.stdout.buffer.write({output!r}); sys.stdout.flush()"
    child = await Child.start(Settings(), [sys.executable, "-c", write])
    request = Request("m", "", "f", "k", b"{}", b"", 1, 0, 1.0)
    with pytest.raises(RemoteFailure, match="process of this job"):
        await child.ask(request)
    child.kill()
    await child.gone()


async def test_a_child_that_speaks_unasked_is_used_no_more() -> None:
    speak = "import sys; sys.stdout.write('hello'); sys.stdout.flush(); sys.stdin.read()"
    child = await Child.start(Settings(), [sys.executable, "-c", speak])
    await until(lambda: not child.is_usable, "the child to be given up")
    await child.gone()


async def test_a_handler_that_returns_in_two_processes_answers_for_no_job_but_its_own() -> None:
    async with executor(cpu_handlers.fork) as made:
        for name in map(str, range(5)):
            done = decode((await run(made, "fork", f'{{"name":"{name}"}}'.encode())).record)
            assert done.result == f'"{name}"'.encode()
