"""Libraries that a process is started with, so that its disk and its clock can be made to fail.

Each is compiled or found when first asked for; where that is not possible, the faults that need it are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zlib
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "disk.c"


@cache
def disk_library() -> Path | None:
    """The compiled disk.c; None: there is no C compiler here, or it cannot make such a library."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = Path(tempfile.gettempdir()) / f"ironforge-disk-{os.getuid()}-{zlib.crc32(SOURCE.read_bytes()):08x}.so"
    if not library.exists():
        made = library.with_suffix(f".{os.getpid()}")
        if subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", made, SOURCE, "-ldl"], check=False).returncode:
            return None
        made.replace(library)  # whole or not at all: other test processes look for it as well
    return library


def disk_environment(folder: Path) -> dict[str, str]:
    """For a process whose files `synced_sizes` tells of, and whose disk is full while `folder`/full is there."""
    assert disk_library(), "needs a C compiler"
    noted = {"DISK_SYNCED": str(folder / "synced"), "DISK_FULL": str(folder / "full")}
    return {"LD_PRELOAD": str(disk_library()), **noted}


def synced_sizes(folder: Path) -> dict[int, int]:
    """How much of each file has reached the disk, by inode."""
    lines = (line.split() for line in (folder / "synced").read_text().splitlines())
    return {int(inode): int(size) for _, inode, size in lines}


@cache
def clock_library() -> Path | None:
    """libfaketime for programs with threads; None: it is not installed."""
    return next(iter(sorted(Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1"))), None)


def clock_environment(file: Path) -> dict[str, str]:
    """For a process whose wall clock `set_clock` on `file` moves; its monotonic clock stays true."""
    assert clock_library(), "needs libfaketime"
    return {
        "LD_PRELOAD": str(clock_library()),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }


def set_clock(file: Path, offset_seconds: float) -> None:
    """Relative to the true time."""
    new = file.with_suffix(".new")
    new.write_text(f"{offset_seconds:+.3f}\n")
    new.replace(file)


def needs(found: Path | None, package: str) -> None:
    """In a test: skip it where the library is missing, fail it where the checks of a change run."""
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing here: apt-get install {package}")
    pytest.skip(f"missing here: apt-get install {package}")
