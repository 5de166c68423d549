"""How this suite treats its proofs, shown on a small suite of its own that is run by the same conftest."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SUITE = """
import pytest

runs = []

@pytest.mark.proof
def test_disturbed_once():
    runs.append("disturbed")
    print(f"run {runs.count('disturbed')}")
    assert 1 < runs.count("disturbed"), "a bad moment"

@pytest.mark.proof
def test_broken():
    runs.append("broken")
    pytest.fail(f"broken {runs.count('broken')}")

@pytest.mark.proof
def test_sound():
    runs.append("sound")

@pytest.fixture
def disturbed_at_the_end():
    yield
    runs.append("end")
    assert 1 < runs.count("end"), "a bad end"

@pytest.mark.proof
def test_that_ends_badly(disturbed_at_the_end):
    pass

def test_that_needs_no_time():
    assert [] == runs, "a proof came first"
"""
FIRST = "unproven at first in"
CONFIG = "[pytest]\naddopts = -p no:cacheprovider -p no:schemathesis --strict-markers\nmarkers = proof\n"


def run(folder: Path, *options: str, suite: str = SUITE) -> tuple[int, str]:
    shutil.copy(Path(__file__).parents[1] / "conftest.py", folder)
    (folder / "pytest.ini").write_text(CONFIG)
    (folder / "test_it.py").write_text(suite)
    done = subprocess.run([sys.executable, "-m", "pytest", *options], cwd=folder, capture_output=True, check=False)
    return done.returncode, done.stdout.decode()


def test_a_proof_that_fails_runs_once_more_and_both_outcomes_are_told(tmp_path: Path) -> None:
    code, told = run(tmp_path)

    assert code == pytest.ExitCode.TESTS_FAILED
    listed = dict(line.split(": ", 1) for line in told.splitlines() if "; then " in line)
    assert listed == {
        "test_it.py::test_disturbed_once": f"{FIRST} call: AssertionError: a bad moment; then passed in call",
        "test_it.py::test_broken": f"{FIRST} call: Failed: broken 1; then failed in call: Failed: broken 2",
        "test_it.py::test_that_ends_badly": f"{FIRST} teardown: AssertionError: a bad end; then passed in call",
    }
    assert "1 failed, 5 passed, 3 unproven at first" in told
    assert 'assert 1 < runs.count("disturbed"), "a bad moment"' in told
    assert "run 1" in told


def test_a_second_outcome_that_is_good_is_enough(tmp_path: Path) -> None:
    code, told = run(tmp_path, "-k", "not broken")

    assert code == pytest.ExitCode.OK
    assert "5 passed, 1 deselected, 2 unproven at first" in told


def test_a_proof_that_finds_no_time_for_itself_has_not_passed(tmp_path: Path) -> None:
    late = SUITE.replace('assert 1 < runs.count("disturbed"), "a bad moment"', 'pytest.skip("no time")')

    code, told = run(tmp_path, "-k", "disturbed", suite=late)

    assert code == pytest.ExitCode.OK
    assert f"{FIRST} call: Skipped: no time; then skipped in call: Skipped: no time" in told


def test_what_is_no_proof_has_one_chance(tmp_path: Path) -> None:
    code, told = run(tmp_path, suite=SUITE.replace("@pytest.mark.proof\n", ""))

    assert code == pytest.ExitCode.TESTS_FAILED
    assert "then " not in told


def test_a_proof_that_is_not_alone_has_one_chance(tmp_path: Path) -> None:
    code, told = run(tmp_path, "-n", "1", "-k", "disturbed_once")

    assert code == pytest.ExitCode.TESTS_FAILED
    assert "then " not in told
