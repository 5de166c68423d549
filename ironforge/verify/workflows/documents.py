"""Workflows of any shape, as a seed draws them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from ironforge.errors import InvalidJob
from ironforge.verify.handlers import MAX_RETRIES, NODE, OVER, UNDO
from ironforge.workflows.checks import check_workflow
from ironforge.workflows.definition import Workflow
from ironforge.workflows.graph import Graph

MOST_NODES: Final = 7
WHENS: Final = ("all_succeeded", "all_succeeded", "all_done", "any_failed")
EDGE_WHENS: Final = (None, None, None, "succeeded", "done", "failed")
ON_FAILURE: Final = ("fail", "continue", "continue", "skip_dependents")
ITEM: Final = "/item"


class Document(NamedTuple):
    workflow: Workflow
    graph: Graph


def any_document(rng: random.Random, name: str, failing: float) -> Document:
    """`failing`: the share of its nodes that do. Conditions that could never be met are drawn again."""
    while True:
        nodes = [_any_node(rng, name, number, failing) for number in range(rng.randint(1, MOST_NODES))]
        try:
            return document(name, nodes)
        except InvalidJob:
            continue


def wide_document(name: str, width: int, seconds: float = 0.0) -> Document:
    """One node, so many that need it, each a little slower than the one before, and one that needs all of these."""
    wide = [f"n{number}" for number in range(1, width + 1)]
    slower = [_node(name, each, ["n0"], seconds=seconds + 0.03 * number) for number, each in enumerate(wide)]
    return document(name, [_node(name, "n0", seconds=seconds), *slower, _node(name, "last") | {"after": wide}])


def map_document(name: str, failing: float = 0.0) -> Document:
    """A node, one for each item of what that returns, at most two at once, and one that gets all their results."""
    items = _node(name, "n1", ["n0"], failing=failing) | {"map": {"over": "n0.result.items", "max_parallel": 2}}
    items["payload"] = {"name": f"{name}/n1{ITEM}", "item": {"$item": ""}, "failing": failing}
    return document(name, [_node(name, "n0"), items, _node(name, "n2", ["n1"])])


def undone_document(name: str) -> Document:
    """Three nodes one after the other, which are undone as the next one fails."""
    chain = [_node(name, "n0"), _node(name, "n1", ["n0"]), _node(name, "n2", ["n1"])]
    nodes = [{**node, "compensate": UNDO} for node in chain]
    return document(name, [*nodes, _node(name, "n3", ["n2"], failing=1.0)])


def document(name: str, nodes: list[dict[str, Any]]) -> Document:
    """Raises InvalidJob."""
    said = {"name": name, "nodes": nodes, "on_success": OVER, "on_failure": OVER}
    made = {**said, "options": {"max_retries": MAX_RETRIES}}
    workflow = msgspec.json.decode(msgspec.json.encode(made), type=Workflow)
    return Document(workflow, check_workflow(workflow))


def _any_node(rng: random.Random, name: str, number: int, failing: float) -> dict[str, Any]:
    needs = rng.sample([f"n{need}" for need in range(number)], rng.randint(0, min(number, 3)))
    # Some wait for others and get nothing of them.
    given = [need for need in needs if rng.random() < 0.5]
    node = _node(name, f"n{number}", given, seconds=rng.choice((0.0, 0.0, 0.1)), failing=failing)
    edges = [need if (when := rng.choice(EDGE_WHENS)) is None else {"node": need, "when": when} for need in needs]
    made = {
        "after": edges,
        "when": rng.choice(WHENS) if needs else "all_succeeded",
        "on_failure": rng.choice(ON_FAILURE),
    }
    return {**node, **made, **({"compensate": UNDO} if rng.random() < 0.5 else {})}


def _node(name: str, node: str, needs: list[str] | None = None, **payload: Any) -> dict[str, Any]:
    given: Mapping[str, Any] = {need: {"$result": f"{need}.result"} for need in needs or ()}
    return {
        "id": node,
        "kind": NODE,
        "after": needs or [],
        "payload": {"name": f"{name}/{node}", "given": given, **payload},
    }
