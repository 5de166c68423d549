"""What 16 MiB may cost a process of the API: never much more than a batch of ordinary jobs of the same size."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.kit import Service
from tests.support.waiting import PATIENCE_SECONDS

SIZE = 16 * 1_048_576
# Hostile bodies are allowed this much of what the ordinary one costs.
CPU_SHARE = 2.0
MEMORY_SHARE = 1.5


def repeated(unit: bytes, *, tail: bytes = b"0]", size: int = SIZE) -> bytes:
    return b"[" + unit * ((size - len(tail) - 1) // len(unit)) + tail


def jobs(payload: bytes, most: int = 10_000) -> bytes:
    job = b'{"kind":"a","payload":' + payload + b"},"
    return b"[" + (job * min(most, (SIZE - 2) // len(job)))[:-1] + b"]"


def nested(unit: bytes, size: int = 1_600) -> bytes:
    return jobs(repeated(unit, size=size))


def ordinary_batch() -> bytes:
    return jobs(b'{"to":"' + b"x" * 700 + b'","items":[' + b'{"sku":"a-123456","price":1.5},' * 26 + b"0]}")


def hostile_bodies() -> dict[str, bytes]:
    deep = b"[" * 28 + b"]" * 28 + b","
    deep_keys = b'{"":' * 28 + b"0" + b"}" * 28 + b","
    keys = b",".join(b'"%x":0' % number for number in range(100_000))
    return {
        "empty arrays": repeated(b"[],"),
        "open arrays": b"[" * SIZE,
        "open objects": b'{"a":' * (SIZE // 5),
        "numbers and an escape": repeated(b"1,", tail=b'"\\u0041"]'),
        "short strings": repeated(b'"",'),
        "repeated keys": b"{" + b'"":0,' * (SIZE // 5 - 1) + b'"":0}',
        "white space": b" " * SIZE,
        "digits": b"9" * SIZE,
        "huge exponents": repeated(b"1e99999,"),
        "escapes": b'"' + b"\\u0000" * (SIZE // 6 - 1) + b'"',
        "smallest jobs": b"[" + (b'{"kind":"a"},' * (SIZE // 13))[:-1] + b"]",
        "one endless job": b'[{"kind":"a","payload":"' + b"a" * (SIZE - 30),
        "jobs of empty arrays": nested(b"[],"),
        "jobs of deep arrays": nested(deep),
        "jobs of deep objects": nested(deep_keys),
        "jobs of objects": nested(b'{"a":1},'),
        "jobs of numbers": nested(b"1,"),
        "jobs of spelled colons": nested(b'"\\u003a",'),
        "jobs of brackets in texts": nested(b'"[",[],'),
        "large jobs of empty arrays": nested(b"[],", 290_000),
        "large jobs of deep arrays": nested(deep, 350_000),
        "large jobs of deep objects": nested(deep_keys, 900_000),
        "large jobs of keys": jobs(b"{" + keys + b"}"),
        "a repeated key behind many": jobs(b"{" + keys + b',"0":0}'),
        "large jobs of quotes": jobs(b'"' + b'\\"' * 500_000 + b'"'),
        "large jobs of digits": jobs(b"0." + b"1" * 1_000_000),
    }


def hostile_lines() -> dict[str, bytes]:
    return {"lines": b"1\n" * (SIZE // 2), "blank lines": b"\n" * SIZE, "jobs on lines": nested(b"[],").strip(b"[]")}


class ApiProcess:
    def __init__(self, service: Service) -> None:
        self._pid = service.pid
        self._port = int(json.loads(service.logged("api is listening"))["url"].rpartition(":")[2])

    def post(self, body: bytes, media_type: str = "application/json", **headers: str) -> tuple[int, float]:
        """The status of the answer, and the seconds of CPU that the process spent on it."""
        before = self.cpu_seconds
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        connection.request("POST", "/jobs/batch", body, {"Content-Type": media_type, **headers})
        status = connection.getresponse().status
        connection.close()
        return status, self.cpu_seconds - before

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def peak_bytes(self) -> int:
        status = Path(f"/proc/{self._pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.fixture(scope="module")
def api(server: str) -> Iterator[ApiProcess]:
    with Service("api", "--port", "0", redis_url=server, namespace="large-bodies") as service:
        yield ApiProcess(service)


@pytest.mark.proof
@pytest.mark.unmeasured
def test_no_body_costs_much_more_than_an_ordinary_batch_of_its_size(api: ApiProcess) -> None:
    measured = {}
    body = ordinary_batch()
    status, ordinary = min(api.post(body) for _ in range(3))
    peak = api.peak_bytes
    for name, body in hostile_bodies().items():
        measured[name] = api.post(body, **{"Idempotency-Key": name})
    for name, body in hostile_lines().items():
        measured[name] = api.post(body, "application/x-ndjson")
    print(f"{'ordinary':28} {status} {ordinary:5.2f} s, peak {peak >> 20} MiB")  # noqa: T201 - the table is the point
    for name, (answered, seconds) in measured.items():
        print(f"{name:28} {answered} {seconds:5.2f} s")  # noqa: T201
    print(f"peak {api.peak_bytes >> 20} MiB")  # noqa: T201

    assert status == 201
    assert {name: answered for name, (answered, _) in measured.items() if answered not in (201, 400, 413)} == {}
    assert {name: seconds for name, (_, seconds) in measured.items() if seconds > CPU_SHARE * ordinary} == {}
    assert api.peak_bytes < MEMORY_SHARE * peak
