"""`python -m benchmarks QUESTION [--jobs N] [--repeats N] [--json]`, or `all` of them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import drain, fairness, footprint, harness, http, latency, slow_clients, steady, submit, timers
from ironforge.config import load

QUESTIONS: dict[str, Callable[..., Coroutine[Any, Any, dict[str, Any]]]] = {
    "drain": drain.run,
    "submit": submit.run,
    "latency": latency.run,
    "fairness": fairness.run,
    "http": http.run,
    "timers": timers.run,
    "steady": steady.run,
    "footprint": footprint.run,
    "slow_clients": slow_clients.run,
}
# What each takes from the command line.
TAKES = {
    "drain": ("jobs", "repeats", "nodes"),
    "submit": ("jobs", "repeats"),
    "latency": ("repeats", "rates"),
    "fairness": ("jobs", "repeats"),
    "http": ("repeats",),
    "timers": ("jobs", "repeats"),
    "steady": ("rates",),
    "footprint": ("jobs",),
    "slow_clients": ("repeats",),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("question", choices=[*QUESTIONS, "all"])
    parser.add_argument("--jobs", type=int, default=200_000, help="jobs of one run (default 200,000)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each measurement (default 3)")
    parser.add_argument("--nodes", type=int, nargs="+", help="node processes to measure")
    parser.add_argument("--rates", type=int, nargs="+", help="jobs/s of latency and steady")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    given = parser.parse_args()
    questions = list(QUESTIONS) if given.question == "all" else [given.question]
    results = {name: uvloop.run(QUESTIONS[name](**_arguments(name, given))) for name in questions}
    document = {"machine": harness.describe(load({})), "results": results}
    if given.json:
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _show(document)
    return 0


def _arguments(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Only what was given, beside the two that have a default here."""
    return {key: value for key in TAKES[name] if (value := getattr(given, key)) is not None}


def _show(document: dict[str, Any]) -> None:
    console = Console()
    machine = document["machine"]
    console.print(f"{machine['cores']} cores, {machine['cpu']}, Python {machine['python']}, {machine['system']}")
    console.print("  ".join(f"{name} {version}" for name, version in machine["versions"].items()), style="dim")
    console.print("  ".join(f"{name} {value}" for name, value in machine["settings"].items()), style="dim")
    for name, result in document["results"].items():
        table = Table(title=f"{name} ({result['unit']})", title_justify="left")
        columns = list(dict.fromkeys(key for row in result["figures"].values() for key in row if key != "runs"))
        table.add_column("")
        for column in columns:
            table.add_column(column, justify="right")
        for what, figures in result["figures"].items():
            table.add_row(what, *(_number(figures[column]) if column in figures else "" for column in columns))
        console.print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
