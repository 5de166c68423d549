"""What only the API needs does not reach handlers: not their environment, nor that of the processes they start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ironforge.client.client import Client
from ironforge.process.handler_environment import hide_from_handlers
from ironforge.settings import Settings, environment_name, environment_of
from ironforge.settings.declaration import DECLARED
from tests.cli.kit import Service, environment
from tests.support.servers import valkey

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

PEPPER = "0123456789abcdef0123456789abcdef"
APPLICATION = """
import os
import subprocess
import sys
from pathlib import Path

from ironforge import Forge
from ironforge.settings import load

forge = Forge()
AT_IMPORT = dict(os.environ)


def seen():
    child = [sys.executable, "-c", "import os; print(dict(os.environ))"]
    return [str(AT_IMPORT), str(dict(os.environ)), subprocess.run(child, capture_output=True, text=True).stdout]


@forge.job("in.loop")
async def in_loop():
    return [*seen(), load().auth, Path("/proc/self/environ").read_text()]


@forge.job("in.thread")
def in_thread():
    return seen()


@forge.job("in.process", executor="process")
def in_process():
    return [*seen(), Path("/proc/self/environ").read_text()]
"""
KINDS = ("in.loop", "in.thread", "in.process")


@pytest.fixture
def application(tmp_path: Path) -> Path:
    (tmp_path / "env_app.py").write_text(APPLICATION)
    return tmp_path


def results(url: str, key: str = "") -> dict[str, Any]:
    with Client(url, api_key=key) as client:
        return {kind: client.wait(client.submit(kind)["id"], 60)["result"] for kind in KINDS}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_node_keeps_the_pepper_from_its_handlers(application: Path, processes: str) -> None:
    with valkey() as server:
        arguments = ("node", "env_app", "--node-http-port", "0", "--processes", processes)
        secrets = {"key_pepper": PEPPER, "auth": "on", "jwt_issuers": "/nowhere/issuers.toml"}
        with (
            Service("api", "--port", "0", redis_url=server) as api,
            Service(*arguments, redis_url=server, cwd=application, api_key="ifk_handlers", **secrets) as node,
        ):
            found = results(json.loads(api.logged("api is listening"))["url"])
            started_with = Path(f"/proc/{node.pid}/environ").read_text()

    assert set(found) == set(KINDS)
    assert PEPPER not in started_with, "nor is it where others of this user could read it"
    assert "IRONFORGE_REDIS_URL" in started_with
    for kind, texts in found.items():
        assert [name for name in (PEPPER, "issuers.toml") if name in str(texts)] == [], kind
        assert "ifk_handlers" in str(texts), "handlers that submit need it"
    assert found["in.loop"][3] == "off"


def test_a_node_starts_without_the_pepper_where_authentication_is_on(application: Path) -> None:
    with valkey() as server:
        with (
            Service("api", "--port", "0", redis_url=server) as api,
            Service("node", "env_app", "--node-http-port", "0", redis_url=server, auth="on", cwd=application) as node,
        ):
            results(json.loads(api.logged("api is listening"))["url"])
        assert not [line for line in node.stderr if "KEY_PEPPER" in line]


def test_so_does_an_application_that_runs_its_node_itself(application: Path) -> None:
    (application / "main.py").write_text("import env_app, ironforge.node\nironforge.node.run_node(env_app.forge)\n")
    with valkey() as server, Service("api", "--port", "0", redis_url=server) as api:
        settings = environment(redis_url=server, key_pepper=PEPPER, auth="on")
        with subprocess.Popen(
            [sys.executable, "main.py"], cwd=application, env=settings, stderr=subprocess.DEVNULL
        ) as node:
            found = results(json.loads(api.logged("api is listening"))["url"])
            node.terminate()

    for texts in found.values():
        assert PEPPER not in str(texts[1:3])


def test_dev_keeps_it_from_its_handlers_too(application: Path) -> None:
    """What a process was started with cannot be taken back: here that is what the API needs as well."""
    with Service("dev", "env_app", "--port", "0", key_pepper=PEPPER, cwd=application) as dev:
        found = results(json.loads(dev.logged("api is listening"))["url"])

    assert PEPPER not in str([texts[:3] for texts in found.values()])
    assert PEPPER not in str(found["in.process"])


def test_everything_that_only_the_api_needs_is_hidden() -> None:
    environ = {**environment_of(Settings(key_pepper=PEPPER, auth="on")), "PATH": "/bin"}
    assert hide_from_handlers(environ)
    assert not {environment_name(name) for name, setting in DECLARED.items() if setting.only_api} & set(environ)
    assert environ["PATH"] == "/bin"
    assert environment_name("redis_url") in environ
    assert not hide_from_handlers(environ)
