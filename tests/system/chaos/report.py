"""Adds up the outcomes of a matrix. Discarded runs are counted, and nothing else of them is, except what they broke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.system.chaos.harness import Outcome


def totals(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    counted = [outcome for outcome in outcomes if not outcome.discarded]
    verdicts = [outcome.verdict for outcome in counted]
    faults: Counter[str] = Counter()
    recovery: dict[str, float] = {}
    for outcome in counted:
        faults.update(outcome.verdict.faults)
        kill = {"kill": outcome.verdict.longest_recovery_seconds}
        for name, seconds in (outcome.recovery_seconds | kill).items():
            recovery[name] = max(seconds, recovery.get(name, 0.0))
    return {
        "seeds": [outcome.seed for outcome in counted],
        "discarded": [outcome.seed for outcome in outcomes if outcome.discarded],
        "acknowledged": sum(verdict.acknowledged for verdict in verdicts),
        "unanswered": sum(verdict.unanswered for verdict in verdicts),
        "faults": dict(sorted(faults.items())),
        "lost": sum(outcome.verdict.lost for outcome in outcomes),
        "settled_twice": sum(outcome.verdict.settled_twice for outcome in outcomes),
        "repeated_runs": sum(verdict.repeated_runs for verdict in verdicts),
        "repeated_runs_bound": sum(verdict.repeated_runs_bound for verdict in verdicts),
        "longest_recovery_seconds": recovery,
        "longest_drain_seconds": max((outcome.drain_seconds for outcome in counted), default=0.0),
        "violations": sum(len(outcome.verdict.violations) for outcome in outcomes),
    }


def markdown(found: dict[str, Any]) -> str:
    faults = ", ".join(f"{count} {name}" for name, count in found["faults"].items()) or "none"
    recovery = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found["longest_recovery_seconds"].items())
    rows = [
        ("seeds counted / discarded", f"{len(found['seeds'])} / {len(found['discarded'])}"),
        ("jobs acknowledged", f"{found['acknowledged']:,}"),
        ("submissions without an answer", f"{found['unanswered']:,}"),
        ("faults", f"{sum(found['faults'].values())}: {faults}"),
        ("lost", found["lost"]),
        ("settled twice", found["settled_twice"]),
        ("repeated runs", f"{found['repeated_runs']:,} of at most {found['repeated_runs_bound']:,}"),
        ("longest recovery", recovery),
        ("longest drain", f"{found['longest_drain_seconds']:.1f} s"),
        ("promises broken", found["violations"]),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
