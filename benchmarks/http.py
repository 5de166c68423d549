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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import harness
from ironforge.settings import Settings

JOB = {"kind": "bench.noop", "payload": {"to": "someone@example.com"}}
CONNECTIONS = 32
START_SECONDS = 20.0
WARM_UP_SECONDS = 1


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


def _once(settings: Settings, seconds: int, batch: int, processes: int) -> dict[str, float]:
    api, bare = free_port(), free_port()
    environment = {"IRONFORGE_REDIS_URL": settings.redis_url, "IRONFORGE_LOG_LEVEL": "warning"}
    command = ["-m", "ironforge", "api", "--port", str(api), "--processes", str(processes)]
    single, many = json.dumps(JOB).encode(), json.dumps([JOB] * batch).encode()
    with (
        serving(command, api, environment),
        serving(["-m", "benchmarks.bare_http", str(bare)], bare, environment),
    ):
        urllib.request.urlopen(f"http://127.0.0.1:{api}/readyz").read()
        figures: dict[str, float] = {}
        for name, url, body, jobs in (
            ("bare aiohttp", f"http://127.0.0.1:{bare}/jobs", single, 1),
            ("POST /jobs", f"http://127.0.0.1:{api}/jobs", single, 1),
            (f"POST /jobs/batch of {batch}", f"http://127.0.0.1:{api}/jobs/batch", many, batch),
        ):
            _wrk(url, body, WARM_UP_SECONDS)
            figures[name] = _wrk(url, body, seconds) * jobs
    return {**figures, "POST /jobs, of bare": figures["POST /jobs"] / figures["bare aiohttp"]}


async def run(
    *, repeats: int = 3, seconds: int = 5, batch: int = 500, processes: Sequence[int] = (1,), **flags: Any
) -> dict[str, Any]:
    """Jobs per second by API processes; `of bare` compares single POSTs with the bare handler of the same run."""
    if shutil.which("wrk") is None:
        raise RuntimeError("this benchmark needs wrk: apt-get install wrk, brew install wrk")
    runs: dict[int, list[dict[str, float]]] = {count: [] for count in processes}
    for _ in range(repeats):
        for count in processes:
            with harness.server(**flags) as settings:
                runs[count].append(_once(settings, int(seconds), batch, count))
    figures = {
        f"{name}, {count} process{'es' if count > 1 else ''}": harness.spread([one[name] for one in found])
        for count, found in runs.items()
        for name in found[0]
    }
    return {"unit": "jobs/s", "seconds": seconds, "connections": CONNECTIONS, "figures": figures}
