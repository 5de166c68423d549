"""What a process that a handler forks must not have: our signals, our connections, and our code to return to.

A forked process begins as a copy of ours in the middle of a handler. Left alone it would wake our event loop with its
own signals, keep our connections open after our end, and go on as a second node under our name as soon as the handler
returns in it. So it gets the default signal handlers, `/dev/null` in the place of our files, and ends where control
would come back to us.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import select
import signal
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol

# Frames of these packages call handlers; what a handler is, may be among them.
CALLERS: Final = frozenset({"ironforge", "asyncio", "concurrent", "uvloop"})
HANDLERS: Final = ("ironforge.examples", "ironforge.verify")
# A process that these have forked never returns: it becomes another program, or ends behind its target.
# uvloop, which has no frames, forks for its callers: `process_pool` asks it for our own children.
SAFE: Final = frozenset(
    {"subprocess", "asyncio.subprocess", "ironforge.execution.process_pool", "multiprocessing.popen_fork"}
)
DESCRIPTORS: Final = Path("/proc/self/fd")


class HasDescriptor(Protocol):
    def fileno(self) -> int: ...


_withheld: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
_loops: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, int | None]] = weakref.WeakKeyDictionary()


def withhold(file: HasDescriptor) -> None:
    """No process that is forked from now on shares this file or socket, while it is open."""
    _withheld.add(file)


async def withhold_loop() -> None:
    """None shares what the running event loop watches, then or later; nor does it get the signals of this process.

    What a loop watches is known where the system tells: on Linux.
    """
    _loops[asyncio.get_running_loop()] = await _epoll_of_running_loop()


async def _epoll_of_running_loop() -> int | None:
    """Its descriptor, found by something that only this loop watches."""
    loop = asyncio.get_running_loop()
    ours, theirs = os.pipe()
    loop.add_reader(ours, lambda: None)
    try:
        for _ in range(3):  # it begins to watch when it polls next
            await asyncio.sleep(0)
            for epoll in _epolls():
                if ours in _watched_by(epoll):
                    return epoll
    finally:
        loop.remove_reader(ours)
        os.close(ours)
        os.close(theirs)
    return None


def _epolls() -> Iterator[int]:
    with contextlib.suppress(OSError):
        for link in list(DESCRIPTORS.iterdir()):
            with contextlib.suppress(OSError):
                if link.readlink().name == "anon_inode:[eventpoll]":
                    yield int(link.name)


def _watched_by(epoll: int) -> set[int]:
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/self/fdinfo/{epoll}").read_text(encoding="ascii").splitlines()
        return {int(line.split()[1]) for line in lines if line.startswith("tfd:")}
    return set()


# --------------------------------------------------------------------------- in the forked process


def _after_fork() -> None:
    epolls = [epoll for loop, epoll in _loops.items() if not loop.is_closed()]
    files = [number for number in map(_number_of, _withheld) if number >= 0]
    if not epolls and not files:
        return
    _let_go([epoll for epoll in epolls if epoll is not None], files)
    if epolls:
        _reset_signals()
    here = inspect.currentframe()
    _end_on_return(here and here.f_back)


def _number_of(file: HasDescriptor) -> int:
    try:
        return file.fileno()
    except ValueError:  # closed
        return -1


def _reset_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # uvloop's own


def _let_go(epolls: list[int], files: list[int]) -> None:
    """The numbers stay taken: objects that own them here may close them as if nothing had happened."""
    numbers = {number for epoll in epolls for number in _watched_by(epoll)}
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (*numbers, *files, signal.set_wakeup_fd(-1)):
        if number >= 0:
            os.dup2(nowhere, number, inheritable=False)
    os.close(nowhere)
    for epoll in epolls:  # shared, it would change what our loop watches
        with select.epoll() as unshared:
            os.dup2(unshared.fileno(), epoll, inheritable=False)


def _end_on_return(frame: FrameType | None) -> None:
    """As soon as control comes back to a frame that calls handlers, or one of them makes the next call."""
    if frame is None or _module(frame) in SAFE:
        return
    callers = set()
    while frame is not None:
        if _calls_handlers(frame):
            frame.f_trace = _end
            callers.add(frame)
        frame = frame.f_back

    def trace(called: FrameType, event: str, value: Any) -> None:
        if called.f_back in callers:
            _end(called, event, value)

    sys.settrace(trace)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _calls_handlers(frame: FrameType) -> bool:
    name = _module(frame)
    return name.partition(".")[0] in CALLERS and not name.startswith(HANDLERS)


def _end(_frame: FrameType, event: str, value: Any) -> None:
    code = 1
    if event == "exception" and isinstance(value[1], SystemExit):
        code = _exit_code(value[1])
    else:
        how = f"raised {value[0].__name__}" if event == "exception" else "came back"
        message = f"a process that a handler forked {how} where the handler was called: it ends (call os._exit in it)"
        sys.stderr.write(f"ironforge: {message}\n")
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return int(error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


os.register_at_fork(after_in_child=_after_fork)
