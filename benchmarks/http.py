"""How many jobs a second go through the HTTP API: single POSTs against a bare aiohttp handler, and batches of 500?

The load comes from wrk, whose own cost is small; each figure is taken in turn with the bare handler's, so the ratio
holds on a noisy machine. Every 201 has been durably acknowledged.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import harness
from ironforge.config import Settings

JOB = {"kind": "bench.noop", "payload": {"to": "someone@example.com"}}
CONNECTIONS = 32
START_SECONDS = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(command: list[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, *command], env={**os.environ, **environment})
    try:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _wrk(url: str, body: bytes, seconds: int) -> float:
    """Requests per second that were answered with 2xx."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "body").write_bytes(body)
        script = Path(folder) / "post.lua"
        script.write_text(
            f'wrk.method = "POST"; wrk.headers["Content-Type"] = "application/json"\n'
            f'local file = io.open("{folder}/body", "rb"); wrk.body = file:read("*a"); file:close()\n'
        )
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    assert rate, printed
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    if refused:
        raise RuntimeError(f"{refused[1]} requests were refused:\n{printed}")
    return float(rate[1])


def _once(settings: Settings, seconds: int, batch: int) -> dict[str, float]:
    api, bare = free_port(), free_port()
    environment = {"IRONFORGE_REDIS_URL": settings.redis_url, "IRONFORGE_LOG_LEVEL": "warning"}
    body = json.dumps(JOB).encode()
    many = json.dumps([JOB] * batch).encode()
    with (
        serving(["-m", "ironforge", "api", "--port", str(api)], api, environment),
        serving(["-m", "benchmarks.bare_http", str(bare)], bare, environment),
    ):
        urllib.request.urlopen(f"http://127.0.0.1:{api}/readyz").read()
        bound = _wrk(f"http://127.0.0.1:{bare}/jobs", body, seconds)
        single = _wrk(f"http://127.0.0.1:{api}/jobs", body, seconds)
        batches = _wrk(f"http://127.0.0.1:{api}/jobs/batch", many, seconds) * batch
    return {
        "bare aiohttp": bound,
        "POST /jobs": single,
        "ratio": single / bound,
        f"POST /jobs/batch of {batch}": batches,
    }


async def run(*, repeats: int, seconds: int = 5, batch: int = 500, **flags: Any) -> dict[str, Any]:
    """Jobs per second; `ratio` compares single POSTs with the bare handler of the same run."""
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs wrk: apt-get install wrk, brew install wrk")
    runs: list[dict[str, float]] = []
    for _ in range(repeats):
        with harness.server(**flags) as settings:
            runs.append(_once(settings, seconds, batch))
    figures = {name: harness.spread([one[name] for one in runs]) for name in runs[0]}
    return {"unit": "jobs/s", "seconds": seconds, "connections": CONNECTIONS, "figures": figures}
