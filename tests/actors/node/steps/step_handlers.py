"""Handlers with steps, which run in threads or processes; child processes import them by name."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

from ironforge import Context, errors
from ironforge.steps.errors import StepError


def note(path: str, what: str) -> str:
    """One line for each call, written at once: whoever kills this process has it still."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(what + "\n")
    return what


def order(path: str, failures: int, context: Context) -> list[Any]:
    """Fails between its steps so many times."""
    charge = context.step("charge", note, path, "charge")
    if context.attempt <= failures:
        raise ConnectionError("between the steps")
    parts = [context.step("pack", note, path, f"pack {part}", key=part) for part in range(2)]
    return [charge, *parts, context.step_key("charge")[-7:]]


def die_after(path: str, context: Context) -> str:
    """Kills its process between two steps, in the first run."""
    context.step("charge", note, path, "charge")
    if context.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return str(context.step("ship", note, path, "ship"))


def die_in(path: str, context: Context) -> str:
    """Kills its process in a step, in the first run."""

    def ship() -> str:
        note(path, "ship")
        if context.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return "shipped"

    context.step("charge", note, path, "charge")
    return str(context.step("ship", ship))


def awaits(context: Context) -> list[Any]:
    """Steps of an asynchronous function, from a handler that has no event loop, and from one that it runs itself."""

    async def double(value: int) -> int:
        await asyncio.sleep(0)
        return 2 * value

    async def by_itself() -> Any:
        return await context.step("third", double, 3)

    return [context.step("first", double, 1), asyncio.run(by_itself())]


def from_threads(context: Context) -> list[str]:
    """Steps from threads of its own, all at once."""
    names = [f"s{number}" for number in range(8)]
    threads = [threading.Thread(target=context.step, args=(name, name.upper)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [context.step("sum", lambda: "".join(names))]


def twice(context: Context) -> None:
    context.step("a", str)
    context.step("a", str)


def caught(context: Context) -> str:
    """An error of steps that the handler knows."""
    try:
        context.step("a b", str)
    except StepError as error:
        return type(error).__name__
    raise errors.Discard("no error")


def swallows(context: Context) -> str:
    try:
        context.sleep("nap", 3600)
    except BaseException:
        return "done"
    return "awake"


def naps(path: str, seconds: float, context: Context) -> str:
    context.step("before", note, path, "before")
    context.sleep("nap", seconds)
    return str(context.step("after", note, path, "after"))


def family(size: int, context: Context) -> list[Any]:
    results = context.map("all", "note", range(size), priority="high")
    return [results, context.gather("one", [("note", 5)])]
