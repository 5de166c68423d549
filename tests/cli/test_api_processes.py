"""`ironforge api --processes N`: one port, several processes, real kills and signals."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge import Client
from tests.cli.kit import Service, eventually, ironforge
from tests.support.servers import valkey
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow


class Api(Service):
    """`ironforge api` with several processes on a port that it chose."""

    def __init__(self, redis_url: str, processes: int) -> None:
        arguments = ("api", "--port", "0", "--processes", str(processes))
        super().__init__(*arguments, redis_url=redis_url, log_format="json")
        self.url = json.loads(self.logged("api is starting"))["url"]
        self.port = int(self.url.rpartition(":")[2])
        eventually(lambda: self.reports() >= processes, f"{processes} processes to listen")

    def reports(self) -> int:
        """How often a process has said that it listens."""
        return sum('"ready":true' in line.replace(" ", "") for line in list(self.stderr))

    def children(self) -> list[int]:
        """The process ids of all that were ever started, in order."""
        started = [json.loads(line) for line in list(self.stderr) if "api process started" in line]
        return [line["pid"] for line in started]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(
            self.url + path, timeout=PATIENCE_SECONDS
        ) as answer:  # a connection of its own each time
            return str(answer.read().decode())

    def submitted(self) -> float:
        """What /metrics says, whichever process answers it."""
        found = re.findall(r"^ironforge_jobs_submitted_total\{.*\} (\S+)$", self.get("/metrics"), re.MULTILINE)
        return sum(map(float, found))

    def refuses(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS).close()
        except ConnectionRefusedError:
            return True
        return False


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with valkey() as url:
        yield url


@pytest.fixture
def api(redis_url: str) -> Iterator[Api]:
    with Api(redis_url, processes=2) as api:
        yield api


def submit(api: Api, jobs: int) -> None:
    """Each over a connection of its own, and again when the process at its other end was killed."""
    for _ in range(jobs):
        with Client(api.url) as client:
            client.submit("demo.echo")


def test_requests_go_on_while_a_killed_process_is_replaced_and_metrics_count_on(api: Api) -> None:
    submit(api, 30)
    [victim, survivor] = api.children()
    os.kill(victim, signal.SIGKILL)
    submit(api, 30)
    eventually(lambda: api.reports() == 3, "another process to listen in its place")
    submit(api, 30)
    assert [api.submitted() for _ in range(10)] == [90.0] * 10
    assert api.children()[:2] == [victim, survivor]
    assert "signal 9" in api.logged("api process ended")


def test_both_processes_take_connections_and_both_know_the_depths(api: Api) -> None:
    for pid in api.children():
        eventually(lambda pid=pid: answers(api, pid), f"process {pid} to answer")
    eventually(lambda: all("ironforge_dlq_depth" in api.get("/metrics") for _ in range(10)), "both to know the depths")


def answers(api: Api, pid: int) -> bool:
    """Whether process `pid` takes the next connection and answers on it."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        return is_connected(pid, connection.getsockname()[1])


def is_connected(pid: int, port: int) -> bool:
    """Whether process `pid` holds an established connection to local `port`."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(f":{port:04X}")}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if str(link.readlink()) in inodes:
                return True
    return False


def test_a_request_that_is_being_served_is_answered_before_sigterm_ends_its_process(api: Api) -> None:
    body = b'{"kind": "demo.echo"}'
    head = f"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1024).startswith(b"HTTP/1.1 100")  # the handler waits for the body
        api.signal(signal.SIGTERM)
        eventually(api.refuses, "no process to take new connections")
        connection.sendall(body)
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 201")
    assert api.ended() == 0
    assert "Traceback" not in "".join(api.stderr)


def test_the_processes_end_when_their_parent_was_killed(api: Api) -> None:
    os.kill(api.pid, signal.SIGKILL)
    eventually(api.refuses, "no process to listen any more")


def test_a_port_that_is_taken_is_said_once_and_nothing_starts(redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = ironforge("api", "--processes", "3", "--port", port, redis_url=redis_url)
    assert done.returncode == 2
    assert f"ironforge: port {port} on 127.0.0.1 is in use" in done.stderr
    assert done.stderr.count("\n") == 1


def test_two_installations_do_not_share_a_port(api: Api, redis_url: str) -> None:
    done = ironforge("api", "--processes", "2", "--port", str(api.port), redis_url=redis_url)
    assert done.returncode == 2
    assert "is in use" in done.stderr


def test_a_server_that_does_not_answer_is_said_once() -> None:
    done = ironforge("api", "--processes", "3", "--port", "0", redis_url="redis://127.0.0.1:1")
    assert done.returncode == 2
    assert done.stderr.count("cannot talk to the server") == 1


def test_a_public_address_is_refused_before_anything_starts(redis_url: str) -> None:
    done = ironforge("api", "--processes", "2", "--host", "0.0.0.0", "--port", "0", redis_url=redis_url)
    assert done.returncode == 2
    assert done.stderr.count("--i-understand-no-auth") == 1
