"""The application that the nodes under test run: its handlers write every run into the ledger.

Nodes of its older version do not know one of the kinds.

A node also tells when the machine gave it no processor: then it cannot renew its lease, and that is no bug.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from ironforge.handlers.forge import Forge
from ironforge.job.context import Context
from ironforge.job.retry import Backoff
from ironforge.process.first_process import be_told_of_parents_end
from ironforge.settings import environment_name
from ironforge.steps.errors import EventTimeout
from ironforge.steps.parking import Parked
from ironforge.verify.ledger import Ledger
from ironforge.verify.misbehaviour import MISBEHAVIOUR, left_behind

LEDGER_FOLDER: Final = "IRONFORGE_VERIFY_LEDGER"
KIND: Final = "verify.work"
KILLER: Final = "verify.kill"
STEPS: Final = "verify.steps"
NODE: Final = "verify.node"
UNDO: Final = "verify.undo"
OVER: Final = "verify.over"
NEWER_KIND: Final = "verify.newer"
UNKNOWN_KIND: Final = "verify.unknown"
# Of the application, as its nodes announce it.
OLDER, NEWER = "1", "2"
MAX_RETRIES: Final = 5
LOOK_SECONDS: Final = 0.05
# Of a list that a node returns.
ITEMS: Final = 3
# Behind the name of what is undone, and of the workflow that has ended so.
UNDONE: Final = "/undone"
TOLD: Final = "/told/"
_TEXT: Final = 'é \u2028 "1.50"'
BACKOFF: Final = Backoff(base_seconds=0.05, max_seconds=0.2)

Payload = Mapping[str, float | str]

forge = Forge()
# A node that is paused when its run is killed has to go on, or it could not find out that the run is over.
be_told_of_parents_end(signal.SIGCONT)


@cache
def ledger() -> Ledger:
    opened = Ledger(Path(os.environ[LEDGER_FOLDER]) / f"node-{os.getpid()}.ledger")
    starved_seconds = float(os.environ[environment_name("lease_seconds")]) / 3
    threading.Thread(target=_watch, args=(opened, starved_seconds), name="starvation", daemon=True).start()
    return opened


def _watch(told: Ledger, starved_seconds: float) -> None:
    last = time.monotonic()
    while True:
        time.sleep(LOOK_SECONDS)
        now = time.monotonic()
        if now - last > starved_seconds:
            told.note("starved", pid=os.getpid(), seconds=now - last)
        last = now


def _note(context: Context, what: str, name: str = "", **fields: float) -> None:
    ledger().note(what, [context.id], fence=context.fence, pid=os.getpid(), name=name, **fields)


@forge.job(KIND, max_retries=MAX_RETRIES, backoff=BACKOFF)
async def work(context: Context, seconds: float = 0.0, failures: int = 0, how: str = "") -> int:
    """Returns the fence of its run, so that the accepted result names the run that it came from.

    `how` it fails: by raising an error, or by one of the ways to misbehave.
    """
    _note(context, "start", context.schedule or "")
    if left_behind.get():
        _note(context, "felt", left_behind.get())
    left_behind.set(context.id)
    if seconds:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            _note(context, "left")
            raise
    if context.attempt <= failures:
        _note(context, "fail")
        if how:
            await MISBEHAVIOUR[how]()
        raise RuntimeError(f"attempt {context.attempt} shall fail")
    _note(context, "end")
    return context.fence


if os.environ.get(environment_name("app_version")) != OLDER:
    forge.job(NEWER_KIND, max_retries=MAX_RETRIES, backoff=BACKOFF)(work)


@forge.job(STEPS, max_retries=MAX_RETRIES, backoff=BACKOFF)
async def take_steps(  # noqa: PLR0917 - all are named in a payload
    context: Context,
    seconds: float = 0.0,
    pause: float = 0.0,
    event: str = "",
    patience: float | None = None,
    failures: int = 0,
) -> int:
    """Steps around a sleep and an event. Returns the fence of its last run."""
    _note(context, "start")
    try:
        await _step(context, "before", seconds)
        if pause:
            _note(context, "slept", "pause", seconds=pause)
            await context.sleep("pause", pause)
            _note(context, "woke", "pause")
        await _step(context, "between", seconds)
        if event:
            await _wait(context, event, patience)
        if context.attempt <= failures:
            _note(context, "fail")
            raise RuntimeError(f"attempt {context.attempt} shall fail")
        await _step(context, "after", seconds)
    except Parked:
        _note(context, "parked")
        raise
    except asyncio.CancelledError:
        _note(context, "left")
        raise
    _note(context, "end")
    return context.fence


async def _step(context: Context, name: str, seconds: float) -> None:
    async def function() -> int:
        _note(context, "stepped", name)
        await asyncio.sleep(seconds)
        return random.getrandbits(32)

    _note(context, "recorded", name, value=await context.step(name, function))


async def _wait(context: Context, event: str, patience: float | None) -> None:
    _note(context, "waits", event, seconds=patience or 0.0)
    try:
        value = await context.event(event, timeout_seconds=patience)
    except EventTimeout:
        _note(context, "timed_out", event)
    else:
        _note(context, "heard", event, value=value)


@forge.job(NODE, max_retries=MAX_RETRIES, backoff=BACKOFF)
async def run_node(  # noqa: PLR0917 - all are named in a payload
    context: Context,
    name: str,
    seconds: float = 0.0,
    failing: float = 0.0,
    given: Mapping[str, Any] | None = None,
    item: int = 0,
) -> dict[str, Any]:
    """A node of a workflow, or an item of one. It fails in every run, or in none, so often of all jobs (`failing`).

    Returns the fence of its run, and what nobody could guess.
    """
    _note(context, "node", name)
    _note(context, "start")
    for need, result in (given or {}).items():
        _note(context, "given", need, value=digest(result))
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        _note(context, "left")
        raise
    if _is_among(failing, context):
        _note(context, "fail")
        raise RuntimeError("each of its runs shall fail")
    result = {"fence": context.fence, "item": item, "items": [*range(ITEMS)], "text": _TEXT, "value": random.random()}
    _note(context, "made", name, value=digest(result))
    _note(context, "end")
    return result


@forge.job(UNDO, max_retries=MAX_RETRIES, backoff=BACKOFF)
async def undo_node(context: Context, payload: Mapping[str, Any]) -> int:
    """What undoes a node. It is given what that returned."""
    _note(context, "node", f"{payload['payload']['name']}{UNDONE}")
    _note(context, "start")
    _note(context, "given", payload["node"], value=digest(payload["result"]))
    await asyncio.sleep(0.02)
    if _is_among(0.05, context):
        _note(context, "fail")
        raise RuntimeError("each of its runs shall fail")
    _note(context, "end")
    return context.fence


@forge.job(OVER, max_retries=MAX_RETRIES, backoff=BACKOFF)
async def hear_of_end(context: Context, payload: Mapping[str, Any]) -> int:
    """What is told how a workflow ended."""
    _note(context, "node", f"{payload['name']}{TOLD}{payload['status']}")
    _note(context, "start")
    _note(context, "end")
    return context.fence


def digest(result: Any) -> int:
    """0 of nothing."""
    return 0 if result is None else zlib.crc32(msgspec.json.encode(result, order="sorted")) + 1


def _is_among(share: float, context: Context) -> bool:
    """The same in every run of a job."""
    return zlib.crc32(context.id.encode()) / 2**32 < share


@forge.job(KILLER)
async def kill(context: Context) -> None:
    """Ends its node in every run. The fault is told first: afterwards there is no process to tell it."""
    _note(context, "start")
    ledger().note("fault", name="kill", pid=os.getpid(), by=context.id, fence=context.fence)
    os.kill(os.getpid(), signal.SIGKILL)
