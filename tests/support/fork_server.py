"""Runs commands of IronForge, each as a process of its own with its own files, environment and exit code, forked from
one that has imported what commands need: starting Python and importing costs ten times what most of them do.

Libraries read the environment as they are imported, so each environment has a server of its own.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

# What most commands import.
PARTS = ("ironforge.cli.app", "ironforge.client.client", "ironforge.store", "typer.rich_utils")
LONGEST_REQUEST = 1_000_000
NUMBER = struct.Struct("i")


def run(
    arguments: list[str], *, stdin: bytes, cwd: Path, environment: dict[str, str], timeout_seconds: float
) -> tuple[int, bytes, bytes]:
    """Exit code (negative: the signal that ended it), output and errors of `python -m ironforge` with these."""
    read_at_import = {
        name: value for name, value in environment.items() if not name.startswith(("IRONFORGE_", "PYTEST_"))
    }
    control = server(tuple(sorted(read_at_import.items())))
    ours, theirs = socket.socketpair()
    with (
        ours,
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(stdin)
        given.seek(0)
        request = json.dumps([arguments, str(cwd), environment]).encode()
        with theirs:
            socket.send_fds(control, [request], [theirs.fileno(), given.fileno(), out.fileno(), err.fileno()])
        ours.settimeout(timeout_seconds)
        [pid] = NUMBER.unpack(ours.recv(NUMBER.size))
        try:
            [code] = NUMBER.unpack(ours.recv(NUMBER.size))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


@functools.cache
def server(environment: tuple[tuple[str, str], ...]) -> socket.socket:
    """Where one with this environment takes requests; it ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve(control: socket.socket) -> None:
    """Fork a process for each request and tell its id and its exit code; comes back in these processes only."""
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    request, files, _, _ = socket.recv_fds(control, LONGEST_REQUEST, 4)
                    if not request:
                        leave()
                    pid = os.fork()
                    if pid == 0:
                        become(json.loads(request), files[1:])
                        return
                    asking = socket.socket(fileno=files[0])
                    asking.send(NUMBER.pack(pid))
                    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, asking))
                    for file in files[1:]:
                        os.close(file)
                else:
                    pid, asking = key.data
                    _, status = os.waitpid(pid, 0)
                    with asking:
                        asking.send(NUMBER.pack(os.waitstatus_to_exitcode(status)))
                    selector.unregister(key.fileobj)
                    os.close(key.fd)


def become(request: tuple[list[str], str, dict[str, str]], files: list[int]) -> None:
    """What `python -m` makes of a new process."""
    arguments, cwd, environment = request
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path[0] = cwd
    sys.argv[1:] = arguments
    sys.orig_argv[1:] = ["-m", "ironforge", *arguments]


def leave() -> NoReturn:
    """Without writing down coverage, which may be read by now: all of it is in that of the commands."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


if __name__ == "__main__":
    for name in PARTS:
        importlib.import_module(name)
    # The first command makes what all have: later ones take a tenth of its time.
    sys.modules["ironforge.cli.app"].app(["version"], standalone_mode=False)
    gc.freeze()  # or each process would copy all memory as it looks at it at its end
    serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("ironforge", run_name="__main__", alter_sys=True)
