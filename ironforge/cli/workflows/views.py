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
# Told in full below the graph.
_MOST_FAILURES: Final = 10
_UNDOING: Final = {
    NodeState.PENDING: "to be undone",
    NodeState.RUNNING: "being undone",
    NodeState.SUCCEEDED: "undone",
    NodeState.FAILED: "could not be undone",
    NodeState.CANCELLED: "could not be undone",
    NodeState.SKIPPED: "not undone",
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
    """What it is, its graph, and what is too long for that."""
    tick = workflow["schedule"]
    of = [output.cell(f"of schedule {tick['name']}, tick {tick['tick_at']}")] if tick else []
    return Group(output.cell(workflow["id"]), _head(workflow), *of, *_picture(workflow))


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
    notes = {number: note for number, node in enumerate(workflow["nodes"]) if (note := _note(node))}
    lines = draw(
        graph,
        states,
        notes,
        width=output.out.width,
        most_lines=MOST_LINES if output.out.is_terminal else _MOST_PIPED_LINES,
        ascii_only=output.out.options.ascii_only,
    )
    whole = {span.text for line in lines for span in line}
    more = [
        output.cell(f"{graph.nodes[number].id}: {note}", _NODE_STYLES[NodeState.FAILED])
        for number, note in notes.items()
        if note not in whole and _is_failure(workflow["nodes"][number])
    ]
    return [
        *(
            Text.assemble(*((span.text, _NODE_STYLES.get(span.state, "") if span.state else "") for span in line))
            for line in lines
        ),
        *more[:_MOST_FAILURES],
        *(
            [output.cell(f"… and {counted(len(more) - _MOST_FAILURES, 'failure')} more")]
            if more[_MOST_FAILURES:]
            else ()
        ),
    ]


def _is_failure(node: Mapping[str, Any]) -> bool:
    undoing = node["compensation"]
    return node["status"] == NodeState.FAILED or bool(undoing and undoing["reason"])


def _note(node: Mapping[str, Any]) -> str:
    """What is said behind its state: of a map how many items have ended, what undoes it, why it failed."""
    said = []
    if items := node["items"]:
        failed = f", {items['failed']} failed" if items["failed"] else ""
        said.append(f"{items['ended']} of {counted(items['total'], 'item')} ended{failed}")
    if undoing := node["compensation"]:
        said.append(_UNDOING[undoing["status"]] + (f": {undoing['reason']}" if undoing["reason"] else ""))
    if node["reason"]:
        said.append(node["reason"])
    return plain(", ".join(said).replace("\n", " "))


def _status(name: str) -> Text:
    return output.cell(name, STATUS_STYLES.get(name, ""))
