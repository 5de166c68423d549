"""The server is away for a while: API and node processes live on, say so, and go on by themselves when it is back.

IRONFORGE_TEST_OUTAGE_SECONDS makes it longer than the ten seconds that a quick run has time for.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import Settings
from tests.cli.kit import Service, eventually
from tests.cli.test_services import APPLICATION, free_port
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.proof, pytest.mark.unmeasured]

OUTAGE_SECONDS = float(os.environ.get("IRONFORGE_TEST_OUTAGE_SECONDS", "10"))
RESUMED_SECONDS = 3.0
JOB = {"kind": "here.where"}


def ask(port: str, path: str, body: object = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except urllib.error.URLError:
        return 0, {}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(Settings(data_dir=str(tmp_path / "data"))) as server:
        yield server


def stay_away(server: EmbeddedServer, api_port: str, node_port: str) -> None:
    """Ends the server for OUTAGE_SECONDS, and hears what the two say meanwhile."""
    server.stop()
    away = time.monotonic()
    status, refused = ask(api_port, "/jobs", JOB)
    assert status == 503
    assert refused["code"] == "storage_unavailable"
    for port in (api_port, node_port):
        eventually(lambda port=port: ask(port, "/readyz")[0] == 503, "both to notice")
        assert ask(port, "/readyz")[1]["problems"]
    while time.monotonic() - away < OUTAGE_SECONDS:
        assert [ask(port, "/livez")[0] for port in (api_port, node_port)] == [200, 200]
        time.sleep(0.1)
    server.start()


def test_api_and_node_outlast_their_server_and_resume_at_once(server: EmbeddedServer, tmp_path: Path) -> None:
    (tmp_path / "jobs_here.py").write_text(APPLICATION)
    api_port, node_port = free_port(), free_port()

    def completed(job_id: str) -> bool:
        return ask(api_port, f"/jobs/{job_id}")[1].get("status") == "completed"

    with (
        Service("api", "--port", api_port, redis_url=server.url) as api,
        Service("node", "jobs_here", "--node-http-port", node_port, cwd=tmp_path, redis_url=server.url) as node,
    ):
        api.logged("api is listening")
        for port in (api_port, node_port):
            eventually(lambda port=port: ask(port, "/readyz")[0] == 200, "both to be ready")
        eventually(lambda: completed(ask(api_port, "/jobs", JOB)[1]["id"]), "a job to run before")

        stay_away(server, api_port, node_port)
        back = time.monotonic()
        eventually(lambda: ask(api_port, "/readyz")[0] == 200, "the API to be ready")
        status, accepted = ask(api_port, "/jobs", JOB)
        assert status == 201
        eventually(lambda: completed(accepted["id"]), "a job to run after")
        eventually(lambda: ask(node_port, "/readyz")[0] == 200, "the node to be ready")
        assert time.monotonic() - back < RESUMED_SECONDS

    for service in (api, node):
        assert "Traceback" not in "".join(service.stderr)
    # The same processes: nobody started anew.
    assert sum("node process started" in line for line in node.stderr) == 1
