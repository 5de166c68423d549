"""`ironforge api` and `ironforge node`, each a process of its own, and applications that cannot be loaded."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest
import redis

from ironforge.cli.application import load_application
from ironforge.errors import ConfigError
from ironforge.redis.keys import Keys
from tests.cli.kit import Service, eventually, ironforge
from tests.support.servers import valkey

pytestmark = pytest.mark.slow

APPLICATION = """
from ironforge import Forge
forge = Forge()

@forge.job("here.where")
async def where() -> str:
    return __file__
"""


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


def child_of(node: Service, slot: int) -> int:
    """The process id of the child that runs in this slot now."""
    started = [json.loads(line) for line in list(node.stderr) if "node process started" in line]
    return int([line["pid"] for line in started if line["process"] == slot][-1])


def test_an_api_alone_cancels_what_expires(client: redis.Redis, server: str):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with Service("api", "--port", port, redis_url=server) as api:
        api.logged("api is listening")
        for where in ((), ("--delay-seconds", "0.01"), ("--fairness-key", "a")):
            done = ironforge("submit", "a.kind", "--expires-in-seconds", "0.05", *where, url=url)
            assert done.returncode == 0, done.stderr

        def counted() -> bool:
            with urlopen(f"{url}/queues/stats") as answer:
                stats = json.load(answer)
            return (stats["totals"]["expired"], stats["queued"], stats["scheduled"]) == (3, 0, 0)

        eventually(counted, "the jobs to be cancelled")
    assert client.hlen(Keys("default").index) == 0


def test_api_and_node_work_together_and_a_killed_child_is_replaced(tmp_path: Path, client: redis.Redis, server: str):
    (tmp_path / "jobs_here.py").write_text(APPLICATION)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    node_arguments = ("node", "jobs_here", "--processes", "2", "--node-http-port", free_port(), "--concurrency", "3")
    with (
        Service("api", "--port", port, redis_url=server) as api,
        Service(*node_arguments, cwd=tmp_path, redis_url=server, lease_seconds="2") as node,
    ):
        api.logged("api is listening")

        def names() -> set[str]:
            with urlopen(f"{url}/nodes") as answer:
                nodes = {node["name"] for node in json.load(answer)["nodes"]}
            return nodes if len(nodes) == 2 else set()

        before = eventually(names, "two nodes")
        killed = child_of(node, 1)
        os.kill(killed, signal.SIGKILL)
        after = eventually(lambda: names() - before and names(), "a new child to take the place of the killed one")
        assert len(before & after) == 1
        done = ironforge("submit", "here.where", "--wait", "--json", url=url)
        assert str(tmp_path / "jobs_here.py") == json.loads(done.stdout)["result"]
        node.signal(signal.SIGTERM)
        assert node.ended() == 0
        api.signal(signal.SIGINT)
        assert api.ended() == 0
    assert "Traceback" not in "".join(node.stderr + api.stderr)


def test_an_api_alone_outlives_its_server():
    port = free_port()
    with ExitStack() as server:
        url = server.enter_context(valkey())
        with Service("api", "--port", port, redis_url=url, log_level="debug") as api:
            api.logged("api is listening")
            assert "no node is running" in ironforge("nodes", url=f"http://127.0.0.1:{port}").stderr
            server.close()
            api.logged("no sample of the totals")
            api.signal(signal.SIGTERM)
            assert api.ended() == 0


def test_the_password_of_the_server_is_not_on_the_command_line_of_a_child(server: str, client: redis.Redis):
    arguments = ("node", "ironforge.examples.app", "--node-http-port", "0", "--redis-url", server + "?password=secret")
    client.config_set("requirepass", "secret")
    try:
        with Service(*arguments) as node:
            node.logged("joined the cluster")
            line = Path(f"/proc/{child_of(node, 0)}/cmdline").read_bytes()
        assert b"node-child" in line
        assert b"secret" not in line
    finally:
        client.config_set("requirepass", "")


@pytest.mark.parametrize("command", [("api", "--port", "0"), ("node", "ironforge.examples.app")])
def test_a_server_that_cannot_be_reached_is_a_message(command: tuple[str, ...]):
    done = ironforge(*command, redis_url="redis://127.0.0.1:1", node_http_port="0")
    assert done.returncode == 2
    assert "cannot talk to the server" in done.stderr


@pytest.mark.parametrize(
    ("source", "application", "message"),
    [
        (None, "no_such_module", "there is no module 'no_such_module'"),
        (None, "no_such.module:forge", "there is no module 'no_such'"),
        (None, "jobs.py:forge", "there is no module 'jobs'"),
        (None, "../jobs", "write module:attribute"),
        ("", "broken_app", "has no attribute 'forge': make one with"),
        ("from ironforge import Forge\napp = Forge()", "broken_app", "did you mean broken_app:app?"),
        ("forge = 3", "broken_app:forge", "is not a Forge but int"),
        ("import json\n\njson.loads('{')", "broken_app", "failed with JSONDecodeError"),
        ("x = 1\nx.nothing", "broken_app", "broken_app.py, line 2)"),
        ("def (", "broken_app", "failed with SyntaxError: invalid syntax"),
        ("import a_missing_library", "broken_app", "No module named 'a_missing_library'"),
        ("raise SystemExit(5)", "broken_app", "failed with SystemExit: 5"),
    ],
)
def test_an_application_that_cannot_be_loaded_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str | None, application: str, message: str
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "broken_app", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    if source is not None:
        (tmp_path / "broken_app.py").write_text(source)
    with pytest.raises(ConfigError) as raised:
        load_application(application)
    assert message in str(raised.value)


def test_a_broken_application_is_one_line_on_stderr_and_exit_2(tmp_path: Path):
    (tmp_path / "broken_app.py").write_text("x = 1\nx.nothing")
    done = ironforge("dev", "broken_app", "--port", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.endswith(f"({tmp_path}/broken_app.py, line 2)\n")
    assert done.stderr.count("\n") == 1


def test_node_ends_with_2_when_its_application_cannot_be_loaded(server: str):
    done = ironforge("node", "no_such_module", "--node-http-port", "0", redis_url=server)
    assert done.returncode == 2
    assert "there is no module 'no_such_module'" in done.stderr


def test_an_application_that_cannot_be_loaded_is_said_once_for_all_processes(server: str):
    done = ironforge("node", "no_such_module", "--processes", "3", "--node-http-port", "0", redis_url=server)
    assert done.returncode == 2
    assert done.stderr.count("there is no module 'no_such_module'") == 1
