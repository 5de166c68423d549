"""Workflows on a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ironforge.cli import output
from ironforge.formats.numbers import counted
from ironforge.formats.terminal_text import plain
from ironforge.workflows.decoding import decode_workflow
from ironforge.workflows.graph import Graph
from ironforge.workflows.picture.drawing import MOST_LINES, draw
from ironforge.workflows.states import NodeState

STATUS_STYLES: Final = {
    "running": "yellow",
    "paused": "magenta",
    "completed": "green",
    "failed": "red",
    "cancelled": "dim",
}
_NODE_STYLES: Final = {
    NodeState.READY: "cyan",
    NodeState.RUNNING: "yellow",
    NodeState.SUCCEEDED: "green",
    NodeState.FAILED: "bold red",
    NodeState.CANCELLED: "dim",
    NodeState.SKIPPED: "dim",
}
# For grep more of it may be shown than fits on a screen.
_MOST_PIPED_LINES: Final = 1_000


def listed(workflows: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            one["id"],
            _status(one["status"]),
            one["name"],
            f"{one['nodes'] - one['left']}/{one['nodes']}",
            output.age(one["created_at"]),
        )
        for one in workflows
    ]
    return output.table(("ID", "STATUS", "NAME", "ENDED", "AGE"), rows, right=("ENDED", "AGE"))


def shown(workflow: Mapping[str, Any]) -> Group:
    """What it is, and its graph."""
    return Group(_head(workflow), *_picture(workflow))


def results(workflow: Mapping[str, Any]) -> list[str]:
    """A line for each node that has one."""
    return [
        f"{node['id']}: {json.dumps(node['result'], ensure_ascii=False)}"
        for node in workflow["nodes"]
        if node["status"] == NodeState.SUCCEEDED
    ]


def _head(workflow: Mapping[str, Any]) -> Text:
    ended = sum(NodeState(node["status"]).has_ended for node in workflow["nodes"])
    line = Text.assemble(
        output.cell(f"{workflow['name']}  "),
        _status(workflow["status"]),
        output.cell(f"  {ended} of {counted(len(workflow['nodes']), 'node')} ended"),
        output.cell(f", {output.age(workflow['created_at'])} old" if not workflow["ended_at"] else ""),
    )
    if workflow["reason"]:
        line.append_text(output.cell(f": {workflow['reason']}"))
    return line


def _picture(workflow: Mapping[str, Any]) -> list[Text]:
    graph = Graph(decode_workflow(msgspec.json.encode(workflow["workflow"])).nodes)
    states = [NodeState(node["status"]) for node in workflow["nodes"]]
    notes = {
        number: plain(node["reason"].replace("\n", " "))
        for number, node in enumerate(workflow["nodes"])
        if node["reason"]
    }
    lines = draw(
        graph,
        states,
        notes,
        width=output.out.width,
        most_lines=MOST_LINES if output.out.is_terminal else _MOST_PIPED_LINES,
        ascii_only=output.out.options.ascii_only,
    )
    return [
        Text.assemble(*((span.text, _NODE_STYLES.get(span.state, "") if span.state else "") for span in line))
        for line in lines
    ]


def _status(name: str) -> Text:
    return output.cell(name, STATUS_STYLES.get(name, ""))
