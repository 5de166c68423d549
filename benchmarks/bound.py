"""What is the most that this server could do: the bare Redis commands of a job, sent at C speed?

The commands of a whole run are packed before the clock starts, in batches of 64 as a node sends them; while it runs,
one thread sends bytes and another one counts replies, both in C. So the server alone sets the pace. Submitting is
XADD and HSET; draining is XREADGROUP, then XACK, XDEL, HDEL and the HSET of the result in one MULTI. What it leaves
out is what a scheduler adds: scripts, fences, handlers, answers to callers.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any
from urllib.parse import unquote

import hiredis

from benchmarks import harness

BATCH = 64
JOBS = 200_000
STREAM, INDEX, DONE, GROUP = "bound:stream", "bound:index", "bound:done", "nodes"
RECORD = b"r" * 120


def _pack(*command: Any) -> bytes:
    packed: bytes = hiredis.pack_command(command)
    return packed


def _submissions(jobs: int) -> tuple[bytes, int]:
    """The bytes that submit `jobs` jobs, and how many replies they get."""
    parts: list[bytes] = []
    for start in range(1, jobs + 1, BATCH):
        numbers = range(start, min(start + BATCH, jobs + 1))
        parts += (_pack("XADD", STREAM, f"1-{number}", "j", RECORD) for number in numbers)
        places = [part for number in numbers for part in (_job_id(number), f"q:default:2:1-{number}")]
        parts.append(_pack("HSET", INDEX, *places))
    return b"".join(parts), len(parts)


def _drains(jobs: int) -> tuple[bytes, int]:
    """The bytes that fetch and settle all of them, and how many replies they get."""
    parts: list[bytes] = []
    for start in range(1, jobs + 1, BATCH):
        numbers = range(start, min(start + BATCH, jobs + 1))
        entries = [f"1-{number}" for number in numbers]
        ids = [_job_id(number) for number in numbers]
        results = [part for job_id in ids for part in (job_id, RECORD)]
        parts.append(_pack("XREADGROUP", "GROUP", GROUP, "node", "COUNT", str(BATCH), "STREAMS", STREAM, ">"))
        parts += (_pack("MULTI"), _pack("XACK", STREAM, GROUP, *entries), _pack("XDEL", STREAM, *entries))
        parts += (_pack("HDEL", INDEX, *ids), _pack("HSET", DONE, *results), _pack("EXEC"))
    return b"".join(parts), len(parts)


def _job_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _exchange(connection: socket.socket, commands: bytes, replies: int) -> float:
    """Send `commands`, wait for all `replies`; the seconds that took. Raises what the server refuses with."""
    reader = hiredis.Reader()
    sender = threading.Thread(target=connection.sendall, args=(commands,))
    start = time.perf_counter()
    sender.start()
    while replies:
        data = connection.recv(1 << 20)
        if not data:
            raise RuntimeError("the server hung up")
        reader.feed(data)
        while (reply := reader.gets()) is not False:
            if isinstance(reply, Exception):
                raise reply
            replies -= 1
    seconds = time.perf_counter() - start
    sender.join()
    return seconds


def _once(jobs: int, flags: dict[str, Any]) -> tuple[float, float]:
    with harness.server(**flags) as settings, socket.socket(socket.AF_UNIX) as connection:
        connection.connect(unquote(settings.redis_url.removeprefix("unix://")))
        _exchange(connection, _pack("XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM"), 1)
        submitted = _exchange(connection, *_submissions(jobs))
        return jobs / submitted, jobs / _exchange(connection, *_drains(jobs))


async def run(*, repeats: int = 3, jobs: int = JOBS, **flags: Any) -> dict[str, Any]:
    """Jobs per second that the server's part alone allows."""
    runs = [await asyncio.to_thread(_once, jobs, flags) for _ in range(repeats)]
    return {
        "unit": "jobs/s",
        "jobs": jobs,
        "figures": {
            "submit: XADD, HSET": harness.spread([submitted for submitted, _drained in runs]),
            "drain: XREADGROUP, MULTI … EXEC": harness.spread([drained for _submitted, drained in runs]),
        },
    }
