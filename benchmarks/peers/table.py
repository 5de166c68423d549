"""Who the peers are, and how each is installed: the newest release from its registry, in an environment of its own.

Environments stay in a cache folder; delete it to get newer releases.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ironforge-peers"
INSTALL_SECONDS = 300


class Peer(NamedTuple):
    """`beside` is what its guide installs with `package`; the best of `concurrencies` counts. `module`: of its two
    sides, when that is not called as it is."""

    name: str
    package: str
    beside: tuple[str, ...]
    concurrencies: tuple[str, ...] = ()
    module: str = ""


PEERS = (
    Peer("bullmq", "bullmq", ("ioredis",), ("50", "200", "500")),
    Peer("docket", "pydocket", ("uvloop", "hiredis"), ("10", "50", "100")),
    Peer("streaq", "streaq", ("uvloop",), ("16", "64", "256")),
    Peer("taskiq", "taskiq", ("taskiq-redis", "uvloop", "hiredis"), ("20", "100", "500")),
    Peer("saq", "saq", ("saq[hiredis]", "typing_extensions", "uvloop"), ("10", "50", "200")),
    Peer("arq", "arq", ("hiredis", "uvloop"), ("10", "100", "1000")),
    Peer("dramatiq", "dramatiq", ("dramatiq[redis]", "hiredis"), ("4", "8")),
    Peer("rq", "rq", ("hiredis",), ("1",)),
    Peer("celery", "celery", ("celery[redis]", "hiredis"), ("solo:1", "threads:4", "prefork:2")),
    Peer("huey", "huey", ("redis", "hiredis"), ("1", "4")),
)


class Installed(NamedTuple):
    """How to start a side of a peer (`command` and what it needs in its environment), and which release it is."""

    command: tuple[str, ...]
    environment: dict[str, str]
    version: str


def ours(module: str = "ours") -> Installed:
    root = {"PYTHONPATH": str(HERE.parent.parent)}
    return Installed((sys.executable, "-m", f"benchmarks.peers.{module}"), root, "this checkout")


def install(peer: Peer) -> Installed:
    """Raises RuntimeError with the installer's last line when the registry or the machine says no."""
    folder = CACHE / peer.name
    if peer.name == "bullmq":
        modules = folder / "node_modules"
        manifest = modules / peer.package / "package.json"
        if not manifest.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), peer.package, *peer.beside])
        version = json.loads(manifest.read_text(encoding="utf-8"))["version"]
        return Installed(("node", str(HERE / "bullmq.cjs")), {"NODE_PATH": str(modules)}, version)
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        venv.create(folder, clear=True, symlinks=True, with_pip=True)
        _run([str(python), "-m", "pip", "install", "--quiet", "--upgrade", peer.package, *peer.beside])
        ready.touch()
    asked = f"from importlib.metadata import version; print(version('{peer.package}'))"
    # -P with the checkout on the path: `import arq` must find the library, not the file of that name beside this one.
    return Installed(
        (str(python), "-P", "-m", f"benchmarks.peers.{peer.module or peer.name}"),
        {"PYTHONPATH": str(HERE.parent.parent)},
        _run([str(python), "-c", asked]),
    )


def _run(command: list[str]) -> str:
    """Its output. Raises RuntimeError when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(str(error)) from None
    if done.returncode:
        raise RuntimeError(last_line(done.stderr or done.stdout) or f"exit code {done.returncode}")
    return done.stdout.strip()


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
