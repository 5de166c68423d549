# ruff: noqa: T201 - a program that prints what it found
"""`python -m tests.system.chaos run|replay|matrix|report`: breaks an installation by a seed, judges its promises."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from ironforge.logs.setup import configure_logging
from ironforge.settings import Settings
from ironforge.verify.load import Plan
from tests.system.chaos.harness import KEPT, Outcome, run
from tests.system.chaos.report import markdown, totals
from tests.system.chaos.scenarios import SCENARIOS, scenario_of


def main() -> int:
    arguments = _arguments()
    configure_logging(Settings(log_level="error"))
    if arguments.command == "report":
        return _report(arguments.results)
    plan = Plan(arguments.seed, arguments.seconds, arguments.rate)
    if arguments.command == "matrix":
        return _matrix(arguments, plan)
    return _show(uvloop.run(run(arguments.scenario or scenario_of(plan.seed), plan)))


def _matrix(arguments: argparse.Namespace, plan: Plan) -> int:
    """One seed after the other, until all are done, or the jobs or the time that were asked for."""
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    deadline, jobs, broken = time.monotonic() + arguments.minutes * 60, 0, 0
    with arguments.results.open("ab") as results:
        for seed in range(plan.seed, plan.seed + arguments.seeds):
            if time.monotonic() > deadline or jobs >= arguments.jobs:
                break
            outcome = uvloop.run(run(arguments.scenario or scenario_of(seed), plan._replace(seed=seed)))
            results.write(msgspec.json.encode(outcome) + b"\n")
            results.flush()
            broken += _show(outcome)
            jobs += 0 if outcome.discarded else outcome.verdict.acknowledged
    return 1 if broken else 0


def _report(results: Path) -> int:
    outcomes = [msgspec.json.decode(line, type=Outcome) for line in results.read_bytes().splitlines()]
    found = totals(outcomes)
    results.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    print(markdown(found))
    for outcome in outcomes:
        for violation in outcome.verdict.violations:
            print(f"\n{outcome.scenario} seed {outcome.seed}: {violation.promise}: {violation.job} {violation.why}")
            for event in violation.evidence:
                print(f"  {event.at:.3f} {event.what} fence={event.fence} pid={event.pid} {event.name}")
    return 1 if found["violations"] else 0


def _show(outcome: Outcome) -> int:
    verdict = outcome.verdict
    print(
        f"{outcome.scenario} seed {outcome.seed}: {verdict.acknowledged} acknowledged, {verdict.ticks_started} ticks "
        f"started and {verdict.ticks_skipped} skipped, faults {verdict.faults}, "
        f"lost {verdict.lost}, settled twice {verdict.settled_twice}, repeated {verdict.repeated_runs} of at most "
        f"{verdict.repeated_runs_bound}, recovery {verdict.longest_recovery_seconds:.1f} s, drain "
        f"{outcome.drain_seconds:.1f} s, lag {outcome.lag_seconds:.2f} s, {outcome.seconds:.0f} s"
        + (" (discarded: the machine was too slow)" if outcome.discarded else ""),
        flush=True,
    )
    for violation in verdict.violations[:10]:
        print(f"  BROKEN {violation.promise}: {violation.job} {violation.why}", flush=True)
    return 1 if verdict.violations and not outcome.discarded else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.system.chaos", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "replay", "matrix"):
        command = commands.add_parser(name)
        if name == "run":
            command.add_argument("scenario", choices=SCENARIOS)
        else:
            command.add_argument("--scenario", choices=SCENARIOS, help="default: one after the other, by the seed")
        command.add_argument("--seed", type=int, default=1, required=name == "replay")
        command.add_argument("--seconds", type=float, default=20.0, help="time under load and faults")
        command.add_argument("--rate", type=int, default=1_500, help="jobs submitted a second")
        if name == "matrix":
            command.add_argument("--seeds", type=int, default=20)
            command.add_argument("--jobs", type=int, default=1_000_000, help="stop after so many acknowledged jobs")
            command.add_argument("--minutes", type=float, default=60.0, help="start no seed after this time")
            command.add_argument("--results", type=Path, default=KEPT / "results.jsonl")
    commands.add_parser("report").add_argument("results", type=Path, nargs="?", default=KEPT / "results.jsonl")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
