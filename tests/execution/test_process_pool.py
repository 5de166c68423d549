"""CPU-bound handlers run in real child processes, which may crash, hang or print without harm to the node."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ironforge import Backoff
from ironforge.execution.executor import Ending, Executor, Interrupt, Outcome
from ironforge.execution.process_frames import HEADER
from ironforge.execution.process_pool import COMMAND, Child
from ironforge.handlers.forge import Forge
from ironforge.job.limits import LimitUse, throttled_mark
from ironforge.job.record import decode, format_id
from ironforge.settings import Settings
from tests.execution import cpu_handlers
from tests.execution.kit import last_error, record
from tests.support.waiting import PATIENCE_SECONDS, until


@asynccontextmanager
async def executor(*functions: Callable[..., Any], processes: int = 1) -> AsyncIterator[Executor]:
    forge = Forge()
    for function in functions:
        forge.job(function.__name__, executor="process", backoff=Backoff(jitter=0))(function)
    made = Executor(forge, Settings(cpu_processes=processes), "node-1")
    try:
        yield made
    finally:
        await made.close()


async def run(made: Executor, kind: str, payload: bytes = b"{}", **changes: Any) -> Outcome:
    return await made.run(made.prepare(record(payload, kind, **changes)))


def is_gone(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


async def test_the_result_comes_from_another_process_with_its_context():
    async with executor(cpu_handlers.whoami) as made:
        done = decode((await run(made, "whoami", attempt=1, fence=3)).record)
    assert done.result[done.result.index(b",") :] == f',"{done.text_id}","whoami",2,3,true]'.encode()
    assert os.getpid() != int(done.result[1 : done.result.index(b",")])


async def test_a_child_serves_one_job_after_the_other():
    async with executor(cpu_handlers.whoami, cpu_handlers.add) as made:
        first, _, second = [
            decode((await run(made, kind, payload)).record).result.partition(b",")[0]
            for kind, payload in (("whoami", b"{}"), ("add", b'{"a":1,"b":2}'), ("whoami", b"{}"))
        ]
    assert second == first


async def test_jobs_run_in_as_many_processes_as_the_settings_say(tmp_path):
    async with executor(cpu_handlers.hang, processes=2) as made:
        attempts = [made.prepare(record(f'{{"path":"{tmp_path}/{number}"}}'.encode(), "hang")) for number in range(3)]
        tasks = [asyncio.create_task(made.run(attempt)) for attempt in attempts]
        await until(lambda: len(list(tmp_path.glob("[0-9]"))) == 2, "both to run")
        assert [attempt.started_ms > 0 for attempt in attempts] == [True, True, False]
        for attempt, task in zip(attempts, tasks, strict=True):
            attempt.interrupt = Interrupt.CANCEL
            task.cancel()
        assert [(await task).ending for task in tasks] == [Ending.CANCELLED] * 3


async def test_what_a_handler_prints_does_not_reach_the_protocol():
    async with executor(cpu_handlers.noisy) as made:
        assert decode((await run(made, "noisy")).record).result == b'"quiet"'


async def test_what_a_handler_logs_looks_like_the_nodes_own_lines(capfd):
    async with executor(cpu_handlers.log) as made:
        outcome = await run(made, "log")
    line = next(line for line in capfd.readouterr().err.splitlines() if "from the child" in line)
    assert {"event": "from the child", "job_id": format_id(outcome.job_id), "kind": "log"}.items() <= json.loads(
        line
    ).items()


async def test_an_exception_arrives_with_its_type_message_and_trace():
    async with executor(cpu_handlers.fail, cpu_handlers.leave) as made:
        error = last_error(await run(made, "fail"))
        left = last_error(await run(made, "leave"))
    assert error.type == "KeyError"
    assert error.message == "'missing'"
    assert 'raise KeyError("missing")' in error.trace
    assert "cpu_child.py" not in error.trace
    assert left.type == "SystemExit"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raise", (Ending.FAILED, 2_000)),
        ("retry", (Ending.FAILED, 2_000)),
        ("discard", (Ending.DEAD, 0)),
        ("snooze", (Ending.SNOOZED, 5_000)),
    ],
)
async def test_verdicts_cross_the_process_border(name, expected):
    async with executor(cpu_handlers.verdict) as made:
        outcome = await run(made, "verdict", f'{{"name":"{name}"}}'.encode())
    assert (outcome.ending, outcome.delay_ms) == expected


async def test_several_targets_that_throttle_cross_the_process_border():
    uses = LimitUse("stripe", "a"), LimitUse("llm", "b")
    async with executor(cpu_handlers.throttle_both) as made:
        outcome = await run(made, "throttle_both", limits=uses)
    assert outcome.throttled == throttled_mark({uses[0]: 5_000, uses[1]: 1_500})


async def test_an_unusable_result_is_dead_at_once():
    async with executor(cpu_handlers.unusable) as made:
        outcome = await run(made, "unusable")
    assert outcome.job is not None
    assert outcome.job.reason == "result_not_serialisable: result: object is not a JSON value"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("exit", "the process of this job exited with code 7"),
        ("signal", "the process of this job was ended by SIGSEGV"),
    ],
)
async def test_a_child_that_dies_fails_its_job_and_is_replaced(how, message):
    async with executor(cpu_handlers.die, cpu_handlers.add) as made:
        outcome = await run(made, "die", f'{{"how":"{how}"}}'.encode())
        after = await run(made, "add", b'{"a":1,"b":2}')
    assert outcome.ending == Ending.FAILED
    assert last_error(outcome).type == "ProcessDied"
    assert last_error(outcome).message == message
    assert decode(after.record).result == b"3"


async def test_an_idle_child_that_was_killed_is_replaced_unnoticed(monkeypatch):
    children = []
    start = Child.start

    async def started(settings: Settings) -> Child:
        children.append(await start(settings))
        return children[-1]

    monkeypatch.setattr(Child, "start", started)
    async with executor(cpu_handlers.whoami) as made:
        pid = int((await _result(made)).partition(b",")[0][1:])
        os.kill(pid, signal.SIGKILL)
        await children[0].gone()
        assert str(pid).encode() != (await _result(made)).partition(b",")[0][1:]


async def _result(made: Executor) -> bytes:
    return decode((await run(made, "whoami")).record).result


async def test_an_interrupt_kills_the_child_with_everything_it_started(tmp_path):
    path = tmp_path / "pids"
    async with executor(cpu_handlers.hang, cpu_handlers.add) as made:
        attempt = made.prepare(record(f'{{"path":"{path}"}}'.encode(), "hang"))
        task = asyncio.create_task(made.run(attempt))
        await until(path.exists, "the children to be noted")
        pids = [int(pid) for pid in path.read_text().split()]
        assert [is_gone(pid) for pid in pids] == [False, False]
        attempt.interrupt = Interrupt.TIMEOUT
        task.cancel()
        assert last_error(await task).type == "Timeout"
        assert last_error(task.result()).message == "the handler ran longer than its limit of 300 s"
        await until(lambda: all(is_gone(pid) for pid in pids), "all of them to be gone")
        assert decode((await run(made, "add", b'{"a":1,"b":2}')).record).result == b"3"


async def test_closing_leaves_no_process_behind():
    async with executor(cpu_handlers.whoami) as made:
        pid = int((await _result(made)).partition(b",")[0][1:])
    assert is_gone(pid)


async def test_a_wrong_payload_never_reaches_a_child():
    async with executor(cpu_handlers.add) as made:
        outcome = await run(made, "add", b'{"a":1}')
    assert last_error(outcome).type == "invalid_arguments"
    assert last_error(outcome).message == "b: required, but missing"


SCRIPT = """
    import asyncio, sys
    from ironforge import Forge, Settings
    from ironforge.execution.executor import Executor
    from ironforge.job.record import decode, encode
    from ironforge.job.options import JobOptions

    forge = Forge()

    @forge.job("double", executor="process")
    def double(number: int) -> int:
        return number * 2

    @forge.job("hang", executor="process")
    def hang(path: str) -> None:
        import os, pathlib, time
        pathlib.Path(path).write_text(f"{os.getpid()} ")
        time.sleep(600)

    async def main() -> None:
        executor = Executor(forge, Settings(), "node-1")
        attempt = executor.prepare(encode(JobOptions().checked().job(sys.argv[1], sys.argv[2].encode())))
        print(decode((await executor.run(attempt)).record).result.decode())
        await executor.close()

    if __name__ == "__main__":
        asyncio.run(main())
"""


def script(tmp_path: Path, *arguments: str, as_module: bool = False) -> subprocess.Popen[str]:
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), *sys.path]))}
    return subprocess.Popen(
        [sys.executable, *(("-m", path.stem) if as_module else (str(path),)), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    )


@pytest.mark.parametrize("as_module", [False, True])
def test_handlers_of_a_script_run_too(tmp_path, as_module):
    output, _ = script(tmp_path, "double", '{"number": 21}', as_module=as_module).communicate(timeout=PATIENCE_SECONDS)
    assert output == "42\n"


async def test_a_busy_child_ends_with_its_node(tmp_path):
    path = tmp_path / "pid"
    node = script(tmp_path, "hang", f'{{"path": "{path}"}}')
    pid = int(await until(lambda: path.exists() and path.read_text().endswith(" ") and path.read_text(), "its pid"))
    assert not is_gone(pid)
    node.kill()
    node.communicate()
    await until(lambda: is_gone(pid), "it to be gone")


@pytest.mark.parametrize(
    "sent", [HEADER.pack(1, 3) + b"\xc1\xc1\xc1", HEADER.pack(1, 2**32 - 1) + b"x", HEADER.pack(2, 1)]
)
def test_a_child_ends_at_a_request_that_it_cannot_read(sent: bytes) -> None:
    done = subprocess.run(COMMAND, input=sent, capture_output=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 1
    assert b"this is no request" in done.stderr
    assert b"Traceback" not in done.stderr
