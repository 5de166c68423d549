"""The smoke profile of the chaos runs: what a seed mixes, small, with every promise judged.

The other scenarios mix nothing that `everything` does not, and `test_faults.py` has each of their faults.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ironforge.verify.load import Plan
from tests.system.chaos.harness import run

pytestmark = [pytest.mark.proof, pytest.mark.unmeasured]


@pytest.mark.parametrize("scenario", ["baseline", "nodes", "suspects", "server", "everything"])
async def test_every_promise_is_kept(scenario: str, tmp_path: Path) -> None:
    outcome = await run(scenario, Plan(seed=7, seconds=6.0, rate=400), kept=tmp_path)

    if outcome.discarded:
        pytest.skip(f"this process was {outcome.lag_seconds:.1f} s late: a machine without time proves nothing")
    verdict = outcome.verdict
    assert verdict.violations == []
    assert verdict.acknowledged > 500
    assert (verdict.faults == {}) == (scenario == "baseline")
    assert scenario != "baseline" or verdict.repeated_runs == 0
