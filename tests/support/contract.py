"""Runs schemathesis: whether an API answers as its own /openapi.json says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import PATIENCE_SECONDS

FOLDER = Path(__file__).parents[1] / "api"
LONGEST_LINE = 300
# Of a whole run; a thousand requests take a busy machine minutes.
CONTRACT_TIMEOUT_SECONDS = 900


def differences(url: str, *options: str, cwd: Path) -> str:
    """What schemathesis tells of them, "" for none; it tries examples, edge cases, fuzzing and stateful sequences."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            f"--config-file={FOLDER / 'schemathesis.toml'}",
            *("run", f"{url}/openapi.json", *options),
            *("--phases=examples,coverage,fuzzing,stateful", "--seed=1", "--no-shrink", "--continue-on-failure"),
            f"--request-timeout={PATIENCE_SECONDS}",
        ],
        cwd=cwd,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(FOLDER / "schemathesis_hooks.py")},
        capture_output=True,
        text=True,
        check=False,
    )
    # Bodies that it sent may be a hundred kilobytes long.
    said = "\n".join(line[:LONGEST_LINE] for line in (done.stdout + done.stderr).splitlines())
    return said if done.returncode else ""
