"""A PostgreSQL of Debian's packages for peers that are built on it: fresh, with its own advice for this memory."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

INSTALLED = Path("/usr/lib/postgresql")
OWNER = "postgres"
SETTINGS = {"shared_buffers": "1GB", "max_connections": "200", "listen_addresses": "127.0.0.1"}


@contextlib.contextmanager
def server(*, synchronous_commit: bool) -> Iterator[str]:
    """Its URL. `synchronous_commit`: each commit is on disk before it is answered. Raises RuntimeError when there is no
    PostgreSQL."""
    programs = sorted(INSTALLED.glob("*/bin"))
    if not programs:
        raise RuntimeError("this needs PostgreSQL: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="ironforge-postgres-") as folder:
        if os.geteuid() == 0:  # it does not run as root
            shutil.chown(folder, OWNER)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = {**SETTINGS, "synchronous_commit": "on" if synchronous_commit else "off", "port": str(port)}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        data = f"{folder}/data"
        _run(programs[-1], folder, "initdb", "-D", data, "-U", OWNER, "-A", "trust", "-E", "UTF8")
        _run(
            programs[-1],
            folder,
            "pg_ctl",
            "-D",
            data,
            "-w",
            "-l",
            f"{folder}/log",
            "-o",
            f"{options} -k {folder}",
            "start",
        )
        try:
            _run(programs[-1], folder, "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", OWNER, "bench")
            yield f"postgresql://{OWNER}@127.0.0.1:{port}/bench"
        finally:
            _run(programs[-1], folder, "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def _run(programs: Path, folder: str, command: str, *arguments: str) -> None:
    user = pwd.getpwnam(OWNER).pw_uid if os.geteuid() == 0 else None
    # Not through pipes: the server would keep them open.
    with Path(folder, f"{command}.said").open("w+") as said:
        done = subprocess.run(
            [programs / command, *arguments], cwd=folder, user=user, stdout=said, stderr=said, check=False
        )
        if done.returncode:
            said.seek(0)
            raise RuntimeError(f"{command}: {said.read().strip().splitlines()[-1:] or done.returncode}")
