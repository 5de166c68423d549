"""How this suite treats its proofs and its coverage, shown on a small suite that is run by the same conftest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

SUITE = """
import os
import signal
import pytest

BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ

def test_that_is_no_proof():
    pytest.fail("always")

@pytest.mark.proof
def test_disturbed():
    assert not BESIDE_OTHERS, "a bad moment"

@pytest.mark.proof
def test_that_ends_badly(disturbed_at_the_end):
    pass

@pytest.fixture
def disturbed_at_the_end():
    yield
    assert not BESIDE_OTHERS, "a bad end"

@pytest.mark.proof
def test_without_time():
    pytest.skip("no time")

@pytest.mark.proof
def test_that_cannot_run_here(missing):
    pass

@pytest.fixture
def missing():
    pytest.skip("not installed")

@pytest.mark.proof
def test_sound():
    pass

@pytest.mark.slow
def test_signals_are_heard():
    assert signal.SIG_IGN not in (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP))
"""
NAMES = (
    "as_usual",
    "in_a_process",
    "by_one_that_says_so",
    "in_a_process_of_that",
    "at_random",
    "on_the_other_server",
)
REACHED = "".join(f"def {name}():\n    pass\n" for name in NAMES)
REACHING = """
import os
import posix
import subprocess
import sys
import hypothesis
import pytest
import reached

AT_FIRST = os._exit

def in_a_process(call):
    subprocess.run([sys.executable, "-c", f"import reached; reached.{call}()"], check=True)

@pytest.mark.unmeasured
def test_that_says_so():
    assert sys.gettrace() is None
    reached.by_one_that_says_so()
    in_a_process("in_a_process_of_that")

@hypothesis.given(hypothesis.strategies.none())
def test_at_random(nothing):
    reached.at_random()

@pytest.mark.parametrize("server", ["valkey", "redis"])
def test_as_usual(server):
    reached.on_the_other_server() if server == "redis" else reached.as_usual()
    in_a_process("in_a_process")

def test_a_child_writes_down_its_coverage_no_more_often_than_before():
    assert os._exit is AT_FIRST is not posix._exit
"""
MEASURED = "[run]\nsource = .\npatch = subprocess, _exit\n"
CONFIG = "[pytest]\naddopts = -p no:schemathesis --strict-markers\nmarkers =\n    proof\n    slow\n    unmeasured\n"
PROOFS = ("-m", "proof")
AGAIN = ("--last-failed", "--last-failed-no-failures", "none")


def run(folder: Path, *options: str, suite: str = SUITE) -> tuple[int, str]:
    """The exit code, and the last line in words."""
    shutil.copy(Path(__file__).parents[1] / "conftest.py", folder)
    (folder / "pytest.ini").write_text(CONFIG)
    (folder / "test_it.py").write_text(suite)
    command = (sys.executable, "-m", "pytest", *options)
    # Run by a process of xdist, it must not take itself for one; nor is it measured with ours.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_XDIST", "COVERAGE_"))}
    given = {"env": own, "preexec_fn": ignore_signals}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **given)
    return done.returncode, done.stdout.splitlines()[-1].strip("= ").partition(" in ")[0]


def ignore_signals() -> None:
    """As a shell has it what it runs in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def test_a_proof_that_does_not_pass_beside_others_runs_once_more_alone(tmp_path: Path) -> None:
    beside_others = run(tmp_path, *PROOFS, "-n", "1")
    assert beside_others == (pytest.ExitCode.TESTS_FAILED, "2 failed, 2 passed, 1 skipped, 1 error")
    alone = run(tmp_path, *PROOFS, *AGAIN)
    assert alone == (pytest.ExitCode.OK, "2 passed, 1 skipped")


def test_what_is_no_proof_has_one_chance(tmp_path: Path) -> None:
    assert run(tmp_path, "-m", "not proof", "-n", "1")[0] == pytest.ExitCode.TESTS_FAILED
    assert run(tmp_path, *PROOFS, *AGAIN)[0] == pytest.ExitCode.NO_TESTS_COLLECTED


def test_signals_that_a_shell_ignores_in_the_background_are_heard(tmp_path: Path) -> None:
    assert run(tmp_path, "-k", "signals") == (pytest.ExitCode.OK, "1 passed, 6 deselected")


@pytest.mark.parametrize("processes", [(), ("-n", "1")], ids=["alone", "process of xdist"])
def test_coverage_is_taken_of_what_may_reach_more_than_others(tmp_path: Path, processes: tuple[str, ...]) -> None:
    (tmp_path / "reached.py").write_text(REACHED)
    (tmp_path / ".coveragerc").write_text(MEASURED)

    assert run(tmp_path, "--cov", "--cov-report=json", *processes, suite=REACHING) == (pytest.ExitCode.OK, "5 passed")

    functions = json.loads((tmp_path / "coverage.json").read_text())["files"]["reached.py"]["functions"]
    measured = {name for name, found in functions.items() if name and found["executed_lines"]}
    assert measured == {"as_usual", "in_a_process"}
