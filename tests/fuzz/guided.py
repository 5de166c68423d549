"""One target under the coverage-guided fuzzer, in a process of its own: `python -m tests.fuzz` starts it.

It imports the targets itself, because only what is imported under the fuzzer's eyes tells it which branches are taken.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["ironforge"]):
    from tests.fuzz.targets import TARGETS


def main(name: str) -> None:
    target, allowed = TARGETS[name]

    def once(raw: bytes) -> None:
        with contextlib.suppress(*allowed):
            target(raw)

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv.pop(1))
