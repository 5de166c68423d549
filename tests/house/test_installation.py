"""What an installation gets: one package, whole, beside whatever the user's own project has."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ironforge import Client
from tests.support.topologies import free_port
from tests.support.waiting import PATIENCE_SECONDS, eventually

# One process builds and installs for all of them.
pytestmark = [pytest.mark.proof, pytest.mark.unmeasured, pytest.mark.xdist_group("installation")]

ROOT = Path(__file__).parents[2]
# Pages for those who read the code; the manual in `docs` is a part of the package.
PAGES_BESIDE_CODE = "README.md"
APPLICATION = """
import actors
import ironforge
from ironforge.examples.app import forge

@forge.job("where")
def where() -> list[str]:
    return [actors.OWNER, ironforge.__file__]
"""


class Built(NamedTuple):
    """A checkout, its wheel, its source distribution, and the wheel that is made of the latter."""

    checkout: Path
    wheel: Path
    sdist: Path
    wheel_of_sdist: Path


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which this Python finds what pyproject.toml needs for a build."""
    folder = tmp_path_factory.mktemp("backend")
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pip(clean, "install", "--target", str(folder), *needed)
    return {**clean, "PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, backend: dict[str, str]) -> Built:
    folder = tmp_path_factory.mktemp("built")
    checkout, unpacked, first, second = (folder / name for name in ("checkout", "unpacked", "first", "second"))
    left_out = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=left_out)
    sdist, wheel = build("sdist", checkout, first, backend), build("wheel", checkout, first, backend)
    unpacked.mkdir()
    subprocess.run(["tar", "xzf", sdist, "-C", unpacked, "--strip-components", "1"], check=True)
    return Built(checkout, wheel, sdist, build("wheel", unpacked, second, backend))


def build(what: str, source: Path, target: Path, environment: dict[str, str]) -> Path:
    code = f"from setuptools import build_meta; build_meta.build_{what}({str(target)!r})"
    target.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-c", code], cwd=source, env=environment, check=True, capture_output=True)
    (made,) = target.glob("*.whl" if what == "wheel" else "*.tar.gz")
    return made


def pip(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_installs_one_package(built: Built) -> None:
    top = {name.partition("/")[0] for name in contents(built.wheel)}
    assert {name for name in top if not name.endswith(".dist-info")} == {"ironforge"}


def test_the_wheel_has_every_file_of_the_package(built: Built) -> None:
    package = [
        (Path(folder) / name).relative_to(ROOT)
        for folder, _, names in os.walk(ROOT / "ironforge", followlinks=True)
        for name in names
    ]
    needed = {
        str(path)
        for path in package
        if "__pycache__" not in path.parts and (path.name != PAGES_BESIDE_CODE or "docs" in path.parts)
    }
    assert {name for name in contents(built.wheel) if name.startswith("ironforge/")} == needed


def test_the_source_distribution_holds_files_and_no_links(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        assert [member.name for member in archive if not (member.isfile() or member.isdir())] == []


def test_the_source_distribution_makes_the_same_wheel(built: Built) -> None:
    assert contents(built.wheel_of_sdist) == contents(built.wheel)


@pytest.fixture(scope="module", params=["wheel", "sdist", "checkout"])
def installed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    built: Built,
    backend: dict[str, str],
) -> Path:
    """A fresh environment with the one under test: a checkout is installed editable.

    What IronForge depends on is that of the present environment.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    what = [*(["--editable"] if request.param == "checkout" else []), str(getattr(built, request.param))]
    given = ("--no-index", "--no-deps", "--no-build-isolation", *what)
    pip(backend, "--python", str(folder / "bin" / "python"), "install", *given)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


@contextlib.contextmanager
def dev(installation: Path, project: Path) -> Iterator[str]:
    """The URL of `ironforge dev app` of this installation, started in the project as its user does."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and "IRONFORGE" not in name}
    command = [installation / "bin" / "ironforge", "dev", "app", "--port", str(port)]
    with (project / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=project, env=own, stdout=log, stderr=log, start_new_session=True)
    try:
        eventually(lambda: answers(url) or process.poll() is not None, f"an answer, see {project / 'log'}")
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz"):
        return True
    return False


def test_it_runs_the_example_beside_a_package_of_the_users_that_is_called_actors(
    installed: Path, built: Built, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    (project / "actors").mkdir(parents=True)
    (project / "actors" / "__init__.py").write_text('OWNER = "the user"\n', encoding="utf-8")
    (project / "app.py").write_text(APPLICATION, encoding="utf-8")
    with dev(installed, project) as url, Client(url) as client:
        sent = client.wait(client.submit("email.send", {"to": "ada@example.com"})["id"])
        where = client.wait(client.submit("where")["id"])
    packages = [*installed.glob("lib/python*/site-packages/ironforge"), built.checkout / "ironforge"]
    assert sent["result"] == {"sent_to": "ada@example.com"}
    assert where["result"] == ["the user", str(packages[0] / "__init__.py")]


def test_it_brings_no_package_that_is_called_actors(installed: Path, tmp_path: Path) -> None:
    code = "import ironforge.actors.kernel, importlib.util; print(importlib.util.find_spec('actors'))"
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [installed / "bin" / "python", "-c", code]
    assert subprocess.run(command, cwd=tmp_path, env=own, check=True, capture_output=True).stdout == b"None\n"


def test_coverage_knows_each_file_of_the_actors_by_one_name(tmp_path: Path) -> None:
    """In a checkout they have two: by their folder, and by the link to it that makes them a part of the package."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    coverage = [sys.executable, "-m", "coverage"]
    data = ("--rcfile=pyproject.toml", f"--data-file={tmp_path / 'data'}")
    (program := tmp_path / "program.py").write_text("import ironforge.actors.messages\n", encoding="utf-8")
    for arguments in (["run", *data, program], ["combine", *data], ["json", *data, "-o", tmp_path / "report"]):
        subprocess.run([*coverage, *arguments], cwd=ROOT, env=own, check=False, capture_output=True)
    measured = json.loads((tmp_path / "report").read_text(encoding="utf-8"))["files"]
    assert [name for name in measured if name.endswith("actors/messages.py")] == ["actors/messages.py"]
