"""The first process of a container adopts orphans, and has to wait for them: else they stay zombies.

Waiting for every child would take the exit codes that other code here waits for. So the work is done in a
second process, and the first one does nothing but that: it waits for all, and passes signals on.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_GET_CHILD_SUBREAPER: Final = 37
# The sender of a signal is the terminal: it has sent it to the second process as well.
SI_KERNEL: Final = 0x80

logger = logging.getLogger(__name__)


def leave_first_process() -> None:
    """Returns in a second process where this one adopts orphans, else at once; the first ends with its exit code."""
    if not _adopts_orphans():
        return
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        logger.warning(
            "this process has threads already, so orphans stay zombies: start it with an init (docker --init)"
        )
        return
    sys.stdout.flush()
    sys.stderr.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    worker = os.fork()
    if worker:
        os._exit(_wait_for_all(worker))
    be_told_of_parents_end(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def be_told_of_parents_end(by: signal.Signals) -> None:
    """This process gets the signal when the one that started it ends, however it ends; on Linux alone."""
    if sys.platform == "linux":
        _prctl(PR_SET_PDEATHSIG, by)


def _adopts_orphans() -> bool:
    """PID 1, or a process that has asked for it (a "child subreaper")."""
    if sys.platform != "linux":
        return False
    found = ctypes.c_int(0)
    return os.getpid() == 1 or (_prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(found)) == 0 and found.value == 1)


def _prctl(option: int, argument: object) -> int:
    return int(ctypes.CDLL(None).prctl(option, argument, 0, 0, 0))


def _wait_for_all(worker: int) -> int:
    """The exit code of `worker`, as a shell has it."""
    while True:
        received = signal.sigwaitinfo(signal.valid_signals())
        if received.si_signo != signal.SIGCHLD:
            if received.si_code != SI_KERNEL:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, received.si_signo)
            continue
        for pid, status in _ended():
            if pid == worker:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code


def _ended() -> list[tuple[int, int]]:
    found = []
    with contextlib.suppress(ChildProcessError):
        while (one := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(one)
    return found
