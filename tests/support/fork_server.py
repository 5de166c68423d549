"""Starts programs of IronForge, each as a process of its own with its own files, environment and exit code, forked from
one that has imported what most of them need: starting Python and importing costs ten times what most of them do.

Libraries read the environment as they are imported, so each environment has a server of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

# What most programs import.
PARTS = (
    "ironforge.cli.app",
    "ironforge.cli.application",
    "ironforge.client.client",
    "ironforge.runtime.dev",
    "ironforge.runtime.process_manager",
    "typer.rich_utils",
)
LONGEST_REQUEST = 1_000_000
MOST_FILES = 16
# Above every number that a program is given a file under.
ASIDE = 100
NUMBER = struct.Struct("i")
MODULE = (sys.executable, "-m")


def run(
    arguments: list[str], *, stdin: bytes, cwd: Path, environment: dict[str, str], timeout_seconds: float
) -> tuple[int, bytes, bytes]:
    """Exit code (negative: the signal that ended it), output and errors of `python -m ironforge` with these."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        process = Forked([*MODULE, "ironforge", *arguments], cwd, environment, stdin=given, stdout=out, stderr=err)
        try:
            code = process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


def popen(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[Any] | Forked:
    """As `subprocess.Popen`, which starts what is no module of Python, or has a library loaded into it as it starts. Of
    the options it takes those that `Forked` has."""
    environment = dict(os.environ if env is None else env)
    if tuple(command[:2]) == MODULE and "LD_PRELOAD" not in environment:
        return Forked(command, cwd or Path.cwd(), environment, **options)
    return subprocess.Popen(command, cwd=cwd, env=environment, **options)


class Request(NamedTuple):
    """`program`: a module and its arguments. `numbers`: under which the process finds the files that are sent along."""

    program: list[str]
    cwd: str
    environment: dict[str, str]
    numbers: list[int]
    new_session: bool


class Forked:
    """A process as `subprocess.Popen` shows it: of `python -m module argument …`."""

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        environment: dict[str, str],
        *,
        pass_fds: Sequence[int] = (),
        start_new_session: bool = False,
        text: bool = False,
        **standard: int | IO[Any],
    ) -> None:
        """`standard`: `stdin`, `stdout` and `stderr`, where they are not ours."""
        self.args = command
        self.returncode: int | None = None
        self._reading = threading.Lock()
        self._server, theirs = socket.socketpair()
        with ExitStack() as stack:
            stack.enter_context(theirs)
            files = []
            for number, name in enumerate(("stdin", "stdout", "stderr")):
                given = standard.get(name, number)
                if given == subprocess.PIPE:
                    ours, given = os.pipe()
                    setattr(self, name, os.fdopen(ours, "r" if text else "rb"))
                    stack.callback(os.close, given)
                elif given == subprocess.DEVNULL:
                    given = stack.enter_context(Path(os.devnull).open("r+b"))
                files.append(given if isinstance(given, int) else given.fileno())
            request = Request([*command[2:]], str(cwd), environment, [0, 1, 2, *pass_fds], start_new_session)
            sent = [theirs.fileno(), *files, *pass_fds]
            socket.send_fds(server(read_at_import(environment)), [json.dumps(request).encode()], sent)
        self.pid = self._told()

    def poll(self) -> int | None:
        with self._reading:
            if self.returncode is None and select.select([self._server], [], [], 0)[0]:
                self.returncode = self._told()
                self._server.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and not select.select([self._server], [], [], timeout)[0]:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _told(self) -> int:
        """First its id, when it is what it is to become, and then its exit code."""
        [told] = NUMBER.unpack(self._server.recv(NUMBER.size))
        return int(told)


def read_at_import(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    own = ("IRONFORGE_", "PYTEST_")
    return tuple(sorted((name, value) for name, value in environment.items() if not name.startswith(own)))


@functools.cache
def server(environment: tuple[tuple[str, str], ...]) -> socket.socket:
    """Where one with this environment takes requests; it ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [*MODULE, __name__, str(theirs.fileno())],
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


def serve(control: socket.socket) -> str:
    """Fork a process for each request and tell its exit code; comes back in these processes only, with what to run."""
    with selectors.DefaultSelector() as selector, control:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    request, files, _, _ = socket.recv_fds(control, LONGEST_REQUEST, MOST_FILES)
                    if not request:
                        leave()
                    pid = os.fork()
                    if pid == 0:
                        for other in [other for other in selector.get_map().values() if other.data]:
                            other.data[1].close()
                            os.close(other.fd)
                        selector.close()
                        control.close()  # the program may want their numbers
                        return become(Request(*json.loads(request)), files)
                    asking = socket.socket(fileno=files[0])
                    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, asking))
                    for file in files[1:]:
                        os.close(file)
                else:
                    pid, asking = key.data
                    _, status = os.waitpid(pid, 0)
                    with asking, contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
                        asking.send(NUMBER.pack(os.waitstatus_to_exitcode(status)))
                    selector.unregister(key.fileobj)
                    os.close(key.fd)


def become(request: Request, files: list[int]) -> str:
    """What `python -m` makes of a new process; the module to run."""
    aside = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, ASIDE) for file in files]
    for file in files:
        os.close(file)
    for number, file in zip(request.numbers, aside[1:], strict=True):
        os.dup2(file, number)
        os.close(file)
    if request.new_session:
        os.setsid()
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.cwd)
    sys.path[0] = request.cwd
    sys.argv[1:] = request.program[1:]
    sys.orig_argv[1:] = ["-m", *request.program]
    with socket.socket(fileno=aside[0]) as asking:
        asking.send(NUMBER.pack(os.getpid()))
    return request.program[0]


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
    runpy.run_module(serve(socket.socket(fileno=int(sys.argv[1]))), run_name="__main__", alter_sys=True)
