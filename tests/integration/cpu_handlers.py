"""Handlers that child processes import by name."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from ironforge.context import Context
from ironforge.errors import Discard, Retry, Snooze


def add(a: int, b: int) -> int:
    return a + b


def whoami(context: Context) -> list[Any]:
    return [os.getpid(), context.id, context.kind, context.attempt, context.fence, context.seconds_left() > 0]


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
    }[name]


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
