"""Writes what was measured: a page for people, a document for programs, and the pictures of what was swept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import plot


def write(document: dict[str, Any], folder: Path) -> Path:
    """`report.md`, `report.json` and a PNG for each sweep in `folder`; the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    page = folder / "report.md"
    page.write_text("\n".join(_page(document, folder)) + "\n", encoding="utf-8")
    return page


def _page(document: dict[str, Any], folder: Path) -> list[str]:
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    settings = ", ".join(f"{name} {value}" for name, value in machine["settings"].items())
    cores = f"{machine['cores']} cores ({machine['cpu']})"
    lines = [
        f"# Benchmarks of {document['date']}",
        "",
        f"{cores}, {machine['system']}, Python {machine['python']}, servers with {machine['allocator']}.",
        "Server, nodes and measuring process share them. Median of several runs where a table has one.",
        "",
        f"Versions: {versions}. Settings: {settings}.",
    ]
    for name, result in document["results"].items():
        lines += ["", f"## {name}", "", *_section(name, result, folder)]
    return lines


def _section(name: str, result: dict[str, Any], folder: Path) -> list[str]:
    if "failed" in result:
        return [f"Not measured: {result['failed']}"]
    lines = [f"In {result['unit']}.", "", *_table(result["figures"])]
    if result.get("systems"):
        told = (f"{one} {about['version']} ({about['concurrency']})" for one, about in result["systems"].items())
        lines += ["", f"Releases, and the concurrency that was best: {', '.join(told)}."]
    lines += [f"- {system} could not be measured: {why}" for system, why in result.get("failures", {}).items()]
    if picture := plot.draw(name, result, folder):
        lines += ["", f"![{name}]({picture.name})"]
    return lines


def _table(figures: dict[str, dict[str, Any]]) -> list[str]:
    columns = columns_of(figures)
    rows = [["", *columns], ["---", *("---:" for _ in columns)]]
    rows += [
        [what, *(number(found[column]) if column in found else "" for column in columns)]
        for what, found in figures.items()
    ]
    return [f"| {' | '.join(row)} |" for row in rows]


def columns_of(figures: dict[str, dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for found in figures.values() for key in found if key != "runs"))


def number(value: float) -> str:
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:.2f}"
