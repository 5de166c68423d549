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
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from ironforge.config import Settings, environment_name
from ironforge.errors import ConfigError, Discard, Retry, Snooze
from ironforge.failure import RemoteFailure, UnusableResult

HEADER: Final = struct.Struct("!I")
# A result or a payload, with room for a trace.
MAX_FRAME_BYTES: Final = 16 * 1_048_576


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
    started_ms: int
    timeout_seconds: float
    namespace: str = "default"


class Reply(msgspec.Struct, array_like=True, frozen=True):
    """`verdict`: result, unusable, failure, retry, discard or snooze; the others as it needs them."""

    verdict: str
    result: bytes = b""
    text: str = ""
    type: str = ""
    trace: str = ""
    seconds: float | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode_reply = msgspec.msgpack.Decoder(Reply).decode


def frame_size(header: bytes) -> int:
    """How many bytes follow. Raises RemoteFailure when no request and no reply is that large."""
    (size,) = HEADER.unpack(header)
    if size > MAX_FRAME_BYTES:
        raise RemoteFailure("BrokenPipe", f"the process of this job announced {size} bytes: its pipe is out of step")
    return int(size)


def read_reply(body: bytes) -> Reply:
    """Raises RemoteFailure for bytes that are no reply."""
    try:
        return _decode_reply(body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise RemoteFailure("BrokenPipe", f"the process of this job sent what is no reply: {error}") from None


def target_of(function: Callable[..., Any]) -> tuple[str, str, str]:
    """Module, file (of a script only) and name under which a child finds `function`.

    Raises ConfigError when it cannot: lambdas, and functions inside functions.
    """
    name, module = function.__qualname__, function.__module__
    if "<" in name:
        raise ConfigError(
            f'handler {name}() with executor="process" must stand at the top of its module: '
            "the child process imports it by name"
        )
    if module != "__main__":
        return module, "", name
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return spec.name, "", name
    path = getattr(main, "__file__", None)
    if path is None:
        raise ConfigError(f'handler {name}() with executor="process" must be in a file, not in an interactive session')
    return module, str(Path(path).resolve()), name


class Child:
    """One child process. Everything but `ask` may be called at any time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, settings: Settings) -> Child:
        """Logs as `settings` say; finds modules where this process finds them."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ironforge.cpu_child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the node; it decides what happens to its children
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                environment_name("log_level"): settings.log_level,
                environment_name("log_format"): settings.log_format,
            },
        )
        return cls(process)

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, request: Request) -> Reply:
        """Raises RemoteFailure of type ProcessDied when the child dies first."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        body = _encode(request)
        try:
            stdin.write(HEADER.pack(len(body)) + body)
            await stdin.drain()
            size = frame_size(await stdout.readexactly(HEADER.size))
            return read_reply(await stdout.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            code = await self._process.wait()
            raise RemoteFailure("ProcessDied", f"the process of this job {_death(code)}") from None

    def kill(self) -> None:
        """With everything the handler may have started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def gone(self) -> None:
        await self._process.wait()


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

    async def run(self, request: Request) -> Any:
        """The handler's result as raw JSON; raises what the handler raised. Cancelled, it kills the child."""
        child = await self._take()
        try:
            reply = await child.ask(request)
        except BaseException:
            child.kill()
            raise
        self._idle.append(child)
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
            if child.is_alive:
                return child
        self._all = {child for child in self._all if child.is_alive}
        child = await Child.start(self._settings)
        self._all.add(child)
        return child


def _value(reply: Reply) -> Any:
    match reply.verdict:
        case "result":
            return msgspec.Raw(reply.result)
        case "retry":
            raise Retry(reply.seconds, reply.text)
        case "discard":
            raise Discard(reply.text)
        case "snooze":
            raise Snooze(reply.seconds or 0.0)
        case "unusable":
            raise UnusableResult(reply.text)
        case _:
            raise RemoteFailure(reply.type, reply.text, reply.trace)
