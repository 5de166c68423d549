"""Child processes for CPU-bound handlers: one job at a time each, killed when the job is out of time.

Requests and replies are length-prefixed msgpack over the child's stdin and stdout. The standard process pool
speaks pickle, cannot kill one worker, and is broken as a whole by one that crashes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import sys
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

from ironforge.errors import Discard, Retry, Snooze, Throttled
from ironforge.execution.conclusion import Conclusion, Verdict
from ironforge.job.context import Context
from ironforge.job.limits import LimitUse
from ironforge.job.tick import JobTick
from ironforge.job.tracebacks import RemoteFailure, UnusableResult
from ironforge.settings import Settings, environment_name

# The number of the request, and how many bytes follow.
HEADER: Final = struct.Struct("!QI")
# A result or a payload, with room for a trace.
MAX_FRAME_BYTES: Final = 16 * 1_048_576
# What a process wrote before its end is still to be read when its end is known, and the other way round.
LAST_WORDS_SECONDS: Final = 0.1
COMMAND: Final = (sys.executable, "-m", "ironforge.execution.process_worker")


class Request(msgspec.Struct, array_like=True, frozen=True):
    """One run: where the function is found, the payload, and what the Context needs."""

    module: str
    path: str  # the file of a module that cannot be imported by name (a script), else empty
    function: str
    kind: str
    payload: bytes
    job_id: bytes
    attempt: int
    fence: int
    timeout_seconds: float
    namespace: str = "default"
    limits: tuple[LimitUse, ...] = ()
    tick: JobTick | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode_reply = msgspec.msgpack.Decoder(Conclusion).decode


def frame(number: int, body: bytes) -> bytes:
    """`number`: which request this is, or which one it answers."""
    return HEADER.pack(number, len(body)) + body


def frame_size(received: bytes | bytearray, number: int) -> int | None:
    """How many bytes follow the header that `received` begins with; None: it is not whole yet.

    Raises RemoteFailure for the header of another request, or when no request and no reply is that large.
    """
    if len(received) < HEADER.size:
        return None
    found, size = HEADER.unpack_from(received)
    if found != number:
        raise RemoteFailure(
            "BrokenPipe",
            "the process of this job answered another request than it was asked: "
            "its handler, or a process that a handler started, wrote into the pipe",
        )
    if size > MAX_FRAME_BYTES:
        raise RemoteFailure("BrokenPipe", f"the process of this job announced {size} bytes: its pipe is out of step")
    return int(size)


def read_reply(body: bytes | bytearray) -> Conclusion:
    """Raises RemoteFailure for bytes that are no reply."""
    try:
        return _decode_reply(body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise RemoteFailure("BrokenPipe", f"the process of this job sent what is no reply: {error}") from None


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
        self._reply: asyncio.Future[Conclusion] | None = None
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

    async def ask(self, request: Request) -> Conclusion:
        """Raises RemoteFailure of type ProcessDied when the child dies first, BrokenPipe when it is out of step."""
        assert self._transport is not None
        self._number += 1
        self._reply = self._loop.create_future()
        pipe: Any = self._transport.get_pipe_transport(0)
        if not pipe.is_closing():  # else its end is known already, or about to be
            pipe.write(frame(self._number, _encode(request)))
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

    async def run(self, request: Request, context: Context) -> Any:
        """The handler's result as raw JSON; raises what the handler raised. Cancelled, it kills the child. What the
        handler said to its own context is said to this one."""
        child = await self._take()
        try:
            reply = await child.ask(request)
        except BaseException:
            child.kill()
            raise
        self._idle.append(child)
        for name, ms in reply.told:
            context.throttle(name, retry_after=ms / 1000)
        for name, units in reply.used:
            context.used(name, units)
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
