"""Handlers that child processes import by name."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import signal
import stat
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from ironforge.errors import Discard, Retry, Snooze, Throttled
from ironforge.job.context import Context


def add(a: int, b: int) -> int:
    return a + b


def whoami(context: Context) -> list[Any]:
    return [os.getpid(), context.id, context.kind, context.attempt, context.fence, context.seconds_left() > 0]


def tick(context: Context) -> str:
    return f"{context.schedule} {context.tick_at}"


def noisy() -> str:
    print("x" * 100_000)  # noqa: T201 - this is what the handler is for
    os.write(1, b"straight to the descriptor")
    return "quiet"


def log(context: Context) -> None:
    context.logger.info("from the child")


def fail() -> None:
    raise KeyError("missing")


def leave() -> None:
    raise SystemExit(3)


def die(how: str) -> None:
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), signal.SIGSEGV)


def verdict(name: str) -> Any:
    if name == "raise":
        raise Retry(after=2, reason="raised")
    return {
        "retry": Retry(),
        "later": Retry(timedelta(minutes=1)),
        "discard": Discard("no"),
        "snooze": Snooze(timedelta(seconds=5)),
        "odd": Discard(Unreadable()),
        "throttled": Throttled("stripe", timedelta(seconds=5)),
    }[name]


def throttle_both() -> None:
    raise ExceptionGroup("both", [Throttled("stripe", 5), Throttled("llm", 1.5)])


class Unreadable:
    def __str__(self) -> str:
        raise SystemExit("no")


def later(to: str) -> Any:
    async def greet() -> str:
        await asyncio.sleep(0)
        return to

    return greet()


def unusable() -> object:
    return object()


def hang(path: str) -> None:
    """Says by a file that it runs, with the pid of a grandchild."""
    grandchild = os.fork()
    if grandchild == 0:
        time.sleep(600)
    Path(path).with_suffix(".tmp").write_text(f"{os.getpid()} {grandchild}")
    Path(path).with_suffix(".tmp").rename(path)
    time.sleep(600)


remembered: contextvars.ContextVar[list[int]] = contextvars.ContextVar("remembered")


def remember() -> list[int]:
    """What an earlier run has left in the context."""
    before = remembered.get([])
    remembered.set([1])
    return before


def pipes() -> list[int]:
    """The descriptors beyond the standard ones that lead to another process."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        with contextlib.suppress(OSError):
            mode = os.fstat(int(name)).st_mode
            if int(name) > 2 and (stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)):
                found.append(int(name))
    return found


def share_pipe(path: str) -> None:
    """Another program holds the pipe to the node as well; says by a file that it runs, with the pids of both."""
    other = subprocess.Popen(["sleep", "600"], pass_fds=pipes())
    Path(path).with_suffix(".tmp").write_text(f"{os.getpid()} {other.pid}")
    Path(path).with_suffix(".tmp").rename(path)
    time.sleep(600)


def daemonise() -> None:
    """The parent ends as if all were well, its child goes on with whatever it has inherited."""
    if os.fork():
        os._exit(0)
    os.setsid()
    time.sleep(600)


def close_pipes(then_open: str = "", wait_seconds: float = 0.0) -> str:
    mine = pipes()
    os.closerange(3, 1024)
    for _ in range(max(mine) if then_open else 0):
        os.open(then_open, os.O_CREAT | os.O_RDWR)
    time.sleep(wait_seconds)
    return "closed"


def write_pipe(data: str) -> str:
    for number in pipes():
        with contextlib.suppress(OSError):
            os.write(number, data.encode())
    return "written"


def stop_itself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def fork(name: str) -> str:
    """Returns in both processes."""
    os.fork()
    return name
