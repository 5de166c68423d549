"""Each bug still finds its place: who changes that sees it here, and not when all proofs are run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ironforge.settings import environment_name
from ironforge.verify.handlers import LEDGER_FOLDER
from tests.system.verify.mutants import MUTANTS


@pytest.mark.parametrize("bug", MUTANTS)
def test_a_bug_can_be_planted(bug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEDGER_FOLDER, str(tmp_path))
    monkeypatch.setenv(environment_name("lease_seconds"), "1")
    child = os.fork()
    if not child:  # planted for good, so in a process that ends with it
        try:
            MUTANTS[bug]()
        except BaseException:
            os._exit(1)
        os._exit(0)

    _, status = os.waitpid(child, 0)

    assert status == 0
