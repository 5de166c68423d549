"""Libraries that a process is started with, so that its disk and its clock can be made to fail.

Each is compiled when first asked for; where that is not possible, the faults that need it are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from functools import cache
from pathlib import Path

import pytest


@cache
def _compiled(name: str) -> Path | None:
    """Of a C source beside this file; None: there is no C compiler here, or it cannot make such a library."""
    source = Path(__file__).with_name(f"{name}.c")
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    mark = f"{os.getuid()}-{zlib.crc32(source.read_bytes()):08x}"
    library = Path(tempfile.gettempdir()) / f"ironforge-{name}-{mark}.so"
    if not library.exists():
        made = library.with_suffix(f".{os.getpid()}")
        if subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", made, source, "-ldl"], check=False).returncode:
            return None
        made.replace(library)  # whole or not at all: other test processes look for it as well
    return library


def disk_library() -> Path | None:
    """The compiled disk.c; None where it cannot be had."""
    return _compiled("disk")


def disk_environment(folder: Path) -> dict[str, str]:
    """For a process whose files `synced_sizes` tells of, and whose disk is full while `folder`/full is there."""
    assert disk_library(), "needs a C compiler"
    noted = {"DISK_SYNCED": str(folder / "synced"), "DISK_FULL": str(folder / "full")}
    return {"LD_PRELOAD": str(disk_library()), **noted}


def synced_sizes(folder: Path) -> dict[int, int]:
    """How much of each file has reached the disk, by inode."""
    lines = (line.split() for line in (folder / "synced").read_text().splitlines())
    return {int(inode): int(size) for _, inode, size in lines}


def clock_library() -> Path | None:
    """The compiled clock.c; None where it cannot be had."""
    return _compiled("clock")


def clock_environment(file: Path) -> dict[str, str]:
    """For a process whose wall clock `set_clock` on `file` moves. The file must be there before the process is."""
    assert clock_library(), "needs a C compiler"
    return {"LD_PRELOAD": str(clock_library()), "CLOCK_OFFSET": str(file)}


def set_clock(file: Path, offset_seconds: float) -> None:
    """Relative to the true time. Written in place, as whoever moves by it has it mapped."""
    with file.open("r+b" if file.exists() else "w+b") as opened:
        opened.write(round(offset_seconds * 1e9).to_bytes(8, sys.byteorder, signed=True))


def needs(found: Path | None, package: str) -> None:
    """In a test: skip it where the library is missing, fail it where the checks of a change run."""
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing here: apt-get install {package}")
    pytest.skip(f"missing here: apt-get install {package}")
