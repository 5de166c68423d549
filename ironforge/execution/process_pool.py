"""Child processes for CPU-bound handlers: one job at a time each, killed when the job is out of time.

Requests and replies are length-prefixed msgpack over the child's stdin and stdout. The standard process pool
speaks pickle, cannot kill one worker, and is broken as a whole by one that crashes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

import msgspec

from ironforge.errors import Discard, Retry, Snooze, Throttled
from ironforge.execution.conclusion import Conclusion, Verdict
from ironforge.execution.process_frames import (
    HEADER,
    Answer,
    Ask,
    PackedChild,
    Request,
    encode,
    frame,
    frame_size,
    read_reply,
)
from ironforge.execution.steps.journal import Journal
from ironforge.execution.steps.run import Steps
from ironforge.job.context import Context
from ironforge.job.tracebacks import RemoteFailure, UnusableResult, describe
from ironforge.settings import Settings, environment_name
from ironforge.steps.calls import ChildJob
from ironforge.steps.journal import Entry
from ironforge.steps.journal import encode as encode_entry

# What a process wrote before its end is still to be read when its end is known, and the other way round.
LAST_WORDS_SECONDS: Final = 0.1
COMMAND: Final = (sys.executable, "-m", "ironforge.execution.process_worker")


class Child(asyncio.SubprocessProtocol):
    """One child process. Everything but `ask` may be called at any time; after a failed one it is to be killed.

    The process is watched and not only its pipe, which lives on in processes that the handler has started. What comes
    out of step (a reply that answers another request, or none) ends the process: nothing it says can be told apart
    from what belongs to the next job.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.SubprocessTransport | None = None
        self._received = bytearray()
        self._number = 0
        self._reply: asyncio.Future[Conclusion | Ask] | None = None
        self._code: asyncio.Future[int] = self._loop.create_future()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._is_killed = False

    @classmethod
    async def start(cls, settings: Settings, command: Sequence[str] = COMMAND) -> Child:
        """Logs as `settings` say; finds modules where this process finds them."""
        _transport, child = await asyncio.get_running_loop().subprocess_exec(
            cls,
            *command,
            stderr=None,
            start_new_session=True,  # Ctrl-C is for the node; it decides what happens to its children
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                environment_name("log_level"): settings.log_level,
                environment_name("log_format"): settings.log_format,
            },
        )
        return child

    @property
    def is_usable(self) -> bool:
        return not (self._is_killed or self.has_ended)

    @property
    def has_ended(self) -> bool:
        return self._code.done()

    async def ask(self, request: Request, answer: Callable[[Ask], Awaitable[Answer]] | None = None) -> Conclusion:
        """How the run ends; what it asks meanwhile is answered. Raises RemoteFailure of type ProcessDied when the child
        dies first, BrokenPipe when it is out of step."""
        self._number += 1
        said = await self._say(request)
        while isinstance(said, Ask):
            if answer is None:
                raise RemoteFailure("BrokenPipe", "the process of this job asked for a journal, and there is none")
            said = await self._say(await answer(said))
        return said

    async def _say(self, what: Request | Answer) -> Conclusion | Ask:
        """What the child says to it."""
        assert self._transport is not None
        self._reply = self._loop.create_future()
        pipe: Any = self._transport.get_pipe_transport(0)
        if not pipe.is_closing():  # else its end is known already, or about to be
            pipe.write(frame(self._number, encode(what)))
        if not self.is_usable:
            self._last_words()
        return await self._reply

    def kill(self) -> None:
        """With everything the handler may have started."""
        assert self._transport is not None
        self._is_killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), signal.SIGKILL)

    async def gone(self) -> None:
        assert self._transport is not None
        await asyncio.shield(self._code)
        self._transport.close()
        await asyncio.shield(self._lost)

    # ----------------------------------------------------------------------- what the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, _fd: int, data: bytes) -> None:
        self._received += data
        if self._reply is None or self._reply.done():
            self.kill()
            return
        try:
            size = frame_size(self._received, self._number)
            if size is not None and len(self._received) >= HEADER.size + size:
                body = self._received[HEADER.size : HEADER.size + size]
                del self._received[: HEADER.size + size]
                self._reply.set_result(read_reply(body))
                if self._received:
                    self.kill()
        except RemoteFailure as error:
            self._fail(error)

    def pipe_connection_lost(self, _fd: int, _error: Exception | None) -> None:
        self._loop.call_later(0 if self.has_ended else LAST_WORDS_SECONDS, self._last_words)

    def process_exited(self) -> None:
        assert self._transport is not None
        self._code.set_result(self._transport.get_returncode() or 0)
        self._loop.call_later(LAST_WORDS_SECONDS, self._last_words)

    def connection_lost(self, _error: Exception | None) -> None:
        self._lost.set_result(None)

    def _last_words(self) -> None:
        """No reply will come any more. The waiting job need not wait for processes that still hold the pipe."""
        assert self._transport is not None
        if self.has_ended:
            self._transport.close()
            how = "ProcessDied", f"the process of this job {_death(self._code.result())}"
        else:
            self.kill()
            how = "BrokenPipe", "the process of this job closed its pipe: it was ended"
        if self._reply is not None and not self._reply.done():
            self._fail(RemoteFailure(*how))

    def _fail(self, error: RemoteFailure) -> None:
        assert self._reply is not None
        self._reply.set_exception(error)
        self._reply.exception()  # whoever waits may be cancelled before it wakes up: that is no error to log


def _death(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


class Processes:
    """Children on demand; the caller bounds how many run at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: list[Child] = []
        self._all: set[Child] = set()

    async def run(self, request: Request, context: Context, steps: Callable[[], Steps]) -> Any:
        """The handler's result as raw JSON; raises what the handler raised. Cancelled, it kills the child. What the
        handler said to its own context is said to this one, and its steps are those of this run."""
        child = await self._take()
        try:
            reply = await child.ask(request, lambda asked: _answer(asked, steps))
        except BaseException:
            child.kill()
            raise
        self._idle.append(child)
        for name, ms in reply.told:
            context.throttle(name, retry_after=ms / 1000)
        for name, units in reply.used:
            context.used(name, units)
        if reply.pending is not None:
            raise steps().park(reply.pending)
        return _value(reply)

    async def close(self) -> None:
        for child in self._all:
            child.kill()
        await asyncio.gather(*(child.gone() for child in self._all))
        self._all.clear()
        self._idle.clear()

    async def _take(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            if child.is_usable:
                return child
        self._all = {child for child in self._all if not child.has_ended}
        child = await Child.start(self._settings)
        self._all.add(child)
        return child


async def _answer(asked: Ask, steps: Callable[[], Steps]) -> Answer:
    """Errors are answers as well, for the handler to hear; what ends the run ends the child."""
    try:
        return await _asked(asked, steps().journal)
    except Exception as error:  # noqa: BLE001 - of the store, of what a child job is made of
        return Answer(error=describe(error))


async def _asked(asked: Ask, journal: Journal) -> Answer:
    match asked:
        case Ask("record", field, Entry() as entry):
            return Answer(entry=await journal.record(field, entry, encode_entry(entry)))
        case Ask("submit", field, entry, children=children, window=window):
            named = [_unpacked(child) for child in children]
            return Answer(entry=await journal.submit(field, named, window, entry))
        case Ask("results", field, Entry() as entry, first):
            return Answer(jobs=tuple(await journal.results(field, entry, first)))
    return Answer(entries=await journal.load())


def _unpacked(child: PackedChild) -> ChildJob:
    kind, payload, options = child
    given = {name: value for name, value in msgspec.structs.asdict(options).items() if value is not None}
    return kind, msgspec.json.decode(payload), given


def _value(reply: Conclusion) -> Any:
    """As the handler's end would have come in this process: around it there may be middleware."""
    match reply.verdict:
        case Verdict.RESULT:
            return msgspec.Raw(reply.result)
        case Verdict.RETRY:
            raise Retry(None if reply.pause_ms is None else reply.pause_ms / 1000, reply.message)
        case Verdict.DISCARD:
            raise Discard(reply.message)
        case Verdict.SNOOZE:
            raise Snooze((reply.pause_ms or 0) / 1000)
        case Verdict.THROTTLED:
            throttled = [Throttled(name, ms / 1000) for name, ms in reply.throttled]
            raise throttled[0] if len(throttled) == 1 else ExceptionGroup("limits", throttled)
        case Verdict.UNUSABLE:
            raise UnusableResult(reply.message)
        case _:
            raise RemoteFailure(reply.type, reply.message, reply.trace)
