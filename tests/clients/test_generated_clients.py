"""Clients that others generate from `/openapi.json`: each compiles under the strictest settings, and works.

The generators are installed once into the virtual environment, in the versions that are named here; a second run
finds them there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.kit import Service
from tests.support.servers import valkey

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

HERE = Path(__file__).parent
# With what it needs beside the packages of our own development; in that environment it would change versions of them.
PYTHON_GENERATOR = (
    *("openapi-python-client==0.29.1", "typer==0.27.3", "jinja2==3.1.6", "ruamel.yaml==0.19.1"),
    *("httpx==0.28.1", "httpcore==1.0.9", "h11==0.16.0"),
)
INSTALL_SECONDS = 300.0
RUN_SECONDS = 100.0


def run(*command: str | Path, cwd: Path, seconds: float = RUN_SECONDS, **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(name: str, what: str, *command: str | Path) -> Path:
    """The folder in which `command` has installed `what`, once."""
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    folder = Path(sys.prefix) / "generators" / f"{name}-{digest}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text((HERE / "package.json").read_text())
        run(*command, cwd=folder, seconds=INSTALL_SECONDS)
        (folder / "complete").touch()
    return folder


@pytest.fixture(scope="module")
def modules() -> Path:
    """Of node, with the generators of TypeScript and its compiler."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("node and npm are not installed: apt-get install nodejs npm")
        pytest.skip("node and npm are not installed: apt-get install nodejs npm")
    wanted = (HERE / "package.json").read_text()
    return installed("node", wanted, npm, "install", "--no-audit", "--no-fund", "--no-package-lock") / "node_modules"


@pytest.fixture(scope="module")
def python_generator() -> Path:
    """A folder for PYTHONPATH."""
    pip = (
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--target",
        ".",
    )
    return installed("python", f"{PYTHON_GENERATOR} {sys.version}", *pip, *PYTHON_GENERATOR)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with valkey() as server, Service("api", "--port", "0", redis_url=server) as service:
        yield json.loads(service.logged("api is listening"))["url"]


@pytest.fixture
def folder(tmp_path: Path, url: str) -> Path:
    """With `/openapi.json` as the server gives it."""
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=RUN_SECONDS) as answer:
        (tmp_path / "openapi.json").write_bytes(answer.read())
    return tmp_path


def check(printed: str) -> None:
    told = json.loads(printed)
    assert told["kind"] == "demo.echo"
    assert len(told["ids"]) == 3
    assert set(told["ids"]) <= set(told["listed"])
    assert told["refused"] == [409, "invalid_state", False]


@pytest.mark.timeout(900)
def test_typescript(folder: Path, modules: Path, url: str) -> None:
    (folder / "node_modules").symlink_to(modules)
    for name in ("tsconfig.json", "openapi_typescript.ts", "hey_api.ts"):
        shutil.copy(HERE / name, folder)
    run(modules / ".bin/openapi-typescript", "openapi.json", "--output", "schema.ts", cwd=folder)
    hey = ("--input", "openapi.json", "--output", "hey", "--client", "@hey-api/client-fetch")
    run(modules / ".bin/openapi-ts", *hey, cwd=folder)
    run(modules / ".bin/tsc", "--project", ".", cwd=folder)
    for program in ("openapi_typescript", "hey_api"):
        check(run("node", f"built/{program}.js", url, cwd=folder))


@pytest.mark.timeout(900)
def test_python(folder: Path, python_generator: Path, url: str) -> None:
    paths = {"PYTHONPATH": str(python_generator), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    generate = ("generate", "--path", "openapi.json", "--output-path", "generated", "--meta", "none")
    run(sys.executable, "-m", "openapi_python_client", *generate, cwd=folder, **paths)
    shutil.copy(HERE / "python_client.py", folder)
    checked = {"MYPYPATH": f"{folder}:{python_generator}"}
    mypy = ("-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", "python_client.py")
    run(sys.executable, *mypy, cwd=folder, **checked)
    check(run(sys.executable, "python_client.py", url, cwd=folder, **paths))
