"""The folder of the embedded server: no other user may look into it, and one process at a time uses it."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import IO, Final

from ironforge.errors import ConfigError
from ironforge.process.forks import withhold

# For the server as well: it writes the jobs of all that submit here.
PRIVATE_UMASK: Final = 0o077


def make(folder: Path) -> None:
    """Raises ConfigError when it cannot be made, or is open to other users of this machine."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise _unusable(folder, error) from None
    if found.st_mode & PRIVATE_UMASK:
        raise ConfigError(
            f"IRONFORGE_DATA_DIR={str(folder)!r} is open to other users of this machine (mode "
            f"{stat.S_IMODE(found.st_mode):o}), and jobs carry what is not for them: "
            "make it private with chmod 700, or name another folder"
        )
    if os.geteuid() not in (found.st_uid, 0):
        raise ConfigError(f"IRONFORGE_DATA_DIR={str(folder)!r} belongs to another user: name a folder of your own")


def open_private(path: Path, mode: str) -> IO[str]:
    """A file that only this user may read. Raises ConfigError."""
    try:
        return open(path, mode, encoding="ascii", opener=_opened)
    except OSError as error:
        raise _unusable(path.parent, error) from None


def _opened(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def lock(folder: Path) -> IO[str]:
    """The lock lives as long as the open file: it cannot outlive this process, however that ends."""
    file = open_private(folder / "lock", "a+")
    if not is_locked(file):
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise ConfigError(
            f"another ironforge (process {holder}) uses the data folder {folder}: "
            "end it, or choose another folder with IRONFORGE_DATA_DIR"
        )
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def is_locked(file: IO[str]) -> bool:
    """Whether the lock on this file could be taken; then no process shares it that a handler forks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    withhold(file)
    return True


def _unusable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(f"IRONFORGE_DATA_DIR={str(folder)!r} cannot be used: {error.strerror}")
