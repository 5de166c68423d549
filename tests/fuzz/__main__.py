"""`python -m tests.fuzz --seconds 60 [TARGET …]`: the same targets, guided by coverage, until the time is over.

Each target runs in a process of its own, because the fuzzer ends the process it runs in. It needs `pip install
atheris`; what it finds is written down as `crash-…` and is given back with `--bytes crash-…`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import HOSTILE, TARGETS

SEED_BYTES = 4_096


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--bytes", type=Path, help="run one input instead, as a crash file holds it")
    parser.add_argument("targets", nargs="*", default=list(TARGETS), help=", ".join(TARGETS))
    given = parser.parse_args()
    unknown = [name for name in given.targets if name not in TARGETS]
    if unknown:
        parser.error(f"no such target: {unknown[0]!r}; there are {', '.join(TARGETS)}")
    if given.bytes:
        for name in given.targets:
            run(name, given.bytes.read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is None:
        parser.error("the fuzzer is not installed: pip install atheris")
    seconds = max(1, given.seconds // len(given.targets))
    return max([fuzz_apart(name, seconds) for name in given.targets])


def run(name: str, raw: bytes) -> None:
    target, allowed = TARGETS[name]
    with contextlib.suppress(*allowed):
        target(raw)


def fuzz_apart(name: str, seconds: int) -> int:
    sys.stdout.write(f"{name}: {seconds} s\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as corpus:
        for number, raw in enumerate(HOSTILE.values()):
            (Path(corpus) / f"seed-{number}").write_bytes(raw[:SEED_BYTES])
        limits = [f"-max_total_time={seconds}", f"-max_len={SEED_BYTES}", "-timeout=10", "-rss_limit_mb=1024"]
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.guided",
            name,
            *limits,
            "-verbosity=0",
            "-print_final_stats=1",
            corpus,
        ]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
