"""`python -m benchmarks QUESTION`, or `all` of them: measures, prints a table, and can write a report."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import (
    backlog,
    bound,
    drain,
    fairness,
    harness,
    http,
    idle,
    latency,
    limits,
    memory,
    options,
    plot,
    report,
    rollout,
    scale,
    schedules,
    slow_clients,
    steady,
    steps,
    submit,
    timers,
    unique,
    workflows,
)
from benchmarks.peers import run as peers
from benchmarks.peers.steps import run as step_peers
from ironforge.settings import load

# In the order of `all`: what strains the machine least comes first.
QUESTIONS: dict[str, Callable[..., Coroutine[Any, Any, dict[str, Any]]]] = {
    "idle": idle.run,
    "latency": latency.run,
    "drain": drain.run,
    "submit": submit.run,
    "fairness": fairness.run,
    "limits": limits.run,
    "unique": unique.run,
    "steps": steps.run,
    "workflows": workflows.run,
    "rollout": rollout.run,
    "http": http.run,
    "steady": steady.run,
    "timers": timers.run,
    "schedules": schedules.run,
    "options": options.run,
    "slow_clients": slow_clients.run,
    "scale": scale.run,
    "bound": bound.run,
    "memory": memory.run,
    "backlog": backlog.run,
    "peers": peers.run,
    "step_peers": step_peers.run,
}
REPORT = Path(__file__).parent / "report"


def main() -> int:
    parser = _parser()
    given = parser.parse_args()
    wanted = {name: value for name, value in vars(given).items() if name in _SIZES and value is not None}
    questions = list(QUESTIONS) if given.question == "all" else [given.question]
    if given.question != "all" and (useless := set(wanted) - _parameters(given.question)):
        parser.error(f"{given.question} does not take --{' or --'.join(sorted(useless))}")
    if (given.plot or given.report) and not plot.available():
        parser.error("pictures need matplotlib: pip install -e '.[bench]'")
    results = {name: _measure(name, wanted) for name in questions}
    document = {"date": time.strftime("%Y-%m-%d"), "machine": harness.describe(load({})), "results": results}
    if given.json:
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _show(document)
    if given.plot:
        given.plot.mkdir(parents=True, exist_ok=True)
        for name, result in results.items():
            plot.draw(name, result, given.plot)
    if given.report:
        print(f"report: {report.write(document, given.report)}", file=sys.stderr)
    return int(any("failed" in result for result in results.values()))


_SIZES: dict[str, dict[str, Any]] = {
    "jobs": {"type": int, "help": "jobs of one run"},
    "schedules": {"type": int, "help": "schedules that there are"},
    "due": {"type": int, "help": "of those, how many tick at once"},
    "repeats": {"type": int, "help": "runs of each measurement (default 3)"},
    "nodes": {"type": int, "nargs": "+", "help": "node processes to measure"},
    "rates": {"type": int, "nargs": "+", "help": "jobs/s of latency, steady and rollout"},
    "seconds": {
        "type": float,
        "help": "length of one run of latency, http, steady, timers, schedules, idle, limits and steps; "
        "of one step of rollout",
    },
    "batch": {"type": int, "help": "jobs in one POST /jobs/batch (default 500)"},
    "processes": {"type": int, "nargs": "+", "help": "API processes to measure"},
    "shards": {"type": int, "nargs": "+", "help": "shards, each on a server of its own"},
    "only": {"nargs": "+", "metavar": "PEER", "help": "peers to measure (default: all)"},
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("question", choices=[*QUESTIONS, "all"])
    for name, about in _SIZES.items():
        parser.add_argument(f"--{name}", **about)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="write a PNG of each sweep")
    parser.add_argument(
        "--report",
        type=Path,
        nargs="?",
        const=REPORT,
        metavar="FOLDER",
        help="write report.md, report.json and pictures (default: benchmarks/report)",
    )
    return parser


def _parameters(name: str) -> set[str]:
    return set(inspect.signature(QUESTIONS[name]).parameters) & set(_SIZES)


def _measure(name: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """What the question found, or why it could not: one that needs a missing tool does not end the others."""
    print(f"{harness.clock()} {name}", file=sys.stderr, flush=True)
    takes = _parameters(name)
    try:
        return uvloop.run(QUESTIONS[name](**{key: value for key, value in wanted.items() if key in takes}))
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def _show(document: dict[str, Any]) -> None:
    console = Console()
    machine = document["machine"]
    console.print(
        f"{machine['cores']} cores, {machine['cpu']}, Python {machine['python']}, {machine['system']}, "
        f"servers with {machine['allocator']}"
    )
    console.print("  ".join(f"{name} {version}" for name, version in machine["versions"].items()), style="dim")
    console.print("  ".join(f"{name} {value}" for name, value in machine["settings"].items()), style="dim")
    for name, result in document["results"].items():
        if "failed" in result:
            console.print(f"{name} failed: {result['failed']}", style="red", markup=False)
            continue
        table = Table(title=f"{name} ({result['unit']})", title_justify="left")
        columns = report.columns_of(result["figures"])
        table.add_column("")
        for column in columns:
            table.add_column(column, justify="right")
        for what, found in result["figures"].items():
            table.add_row(what, *(report.number(found[column]) if column in found else "" for column in columns))
        console.print(table)
        for system, why in result.get("failures", {}).items():
            console.print(f"{system} could not be measured: {why}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
