"""How this suite treats its proofs, shown on a small suite of its own that is run by the same conftest."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

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
CONFIG = "[pytest]\naddopts = -p no:schemathesis --strict-markers\nmarkers =\n    proof\n    slow\n"
PROOFS = ("-m", "proof")
AGAIN = ("--last-failed", "--last-failed-no-failures", "none")


def run(folder: Path, *options: str) -> tuple[int, str]:
    """The exit code, and the last line in words."""
    shutil.copy(Path(__file__).parents[1] / "conftest.py", folder)
    (folder / "pytest.ini").write_text(CONFIG)
    (folder / "test_it.py").write_text(SUITE)
    command = (sys.executable, "-m", "pytest", *options)
    # Run by a process of xdist, it must not take itself for one.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
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
