"""Whether a workflow is right: everything that can be told before it starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from ironforge.errors import InvalidJob
from ironforge.job import checks
from ironforge.job.mismatch import within
from ironforge.workflows.definition import MAX_ITEMS, MAX_PAYLOADS_BYTES, Node, Workflow
from ironforge.workflows.errors import wrong
from ironforge.workflows.graph import Graph, graph_of
from ironforge.workflows.payloads import ITEM, check_path, parse_reference, words_in
from ironforge.workflows.reachability import check_reachable

T = TypeVar("T")

# Of one job: each of a workflow would be put off by it, or be the same as the one before.
_OF_NODES: Final = ("delay_seconds", "run_at", "unique")


def check_workflow(workflow: Workflow) -> Graph:
    """One of the right types, as `decode_workflow` gives it, whose values are right too: its jobs can be submitted, as
    far as that can be told without their kinds, each node may come to run, and it ends however they end. Raises
    InvalidJob with `code`, `field` and `hint`."""
    checks.check_name("name", workflow.name, "invalid_workflow")
    for field, kind in (("on_success", workflow.on_success), ("on_failure", workflow.on_failure)):
        _check_kind(field, kind)
    if workflow.options is not None:
        for field in _OF_NODES:
            if getattr(workflow.options, field) is not None:
                raise wrong(f"options.{field}", "it belongs to one job", "give it to the nodes that it is meant for")
        _at("options", workflow.options.checked)
    graph = graph_of(workflow)
    for number, node in enumerate(graph.nodes):
        _check_node(workflow, node, f"nodes[{number}]")
        _check_references(graph, number)
    total = workflow.payload_bytes
    if total > MAX_PAYLOADS_BYTES:
        hint = f"give at most {MAX_PAYLOADS_BYTES}, or store large data elsewhere and refer to it"
        raise wrong("nodes", f"their payloads have {total} bytes", hint)
    check_reachable(graph)
    return graph


def _check_node(workflow: Workflow, node: Node, place: str) -> None:
    _at(place, lambda: checks.check_kind(node.kind))
    _check_kind(f"{place}.compensate", node.compensate)
    _at(place, lambda: checks.check_payload_size(bytes(node.payload)))
    if node.options is not None:
        _at(f"{place}.options", workflow.options_of(node).checked)
    if node.map is None:
        return
    if node.map.max_parallel is not None:
        most = node.map.max_parallel
        checks.check_whole(f"{place}.map.max_parallel", most, 1, MAX_ITEMS)
    if node.options is not None and node.options.unique is not None:
        hint = "leave it out, or give it to the jobs by their kind, with a path into the payload"
        raise wrong(f"{place}.options.unique", "all jobs of the map would have the same key", hint)


def _check_references(graph: Graph, number: int) -> None:
    node, place = graph.nodes[number], f"nodes[{number}]"
    words = _at(place, lambda: words_in(bytes(node.payload), strict=True))
    references = [(f"{place}.{where}", reference) for where, reference in words.results]
    if node.map is not None:
        over = f"{place}.map.over"
        references.append((over, parse_reference(node.map.over, over)))
        check_path(node.map.over, over)
        if not words.items and bytes(node.payload) != b"null":
            hint = f'put {{"{ITEM}": ""}} where the item belongs, or leave the payload out to have the item as such'
            raise wrong(f"{place}.payload", "all jobs of the map would have the same one", hint)
    elif words.items:
        raise wrong(f"{place}.{words.items[0]}", f"{ITEM} in a node that is no map", "give the node a map")
    for where, reference in references:
        _check_ancestor(graph, number, reference.node, where)


def _check_ancestor(graph: Graph, number: int, name: str, where: str) -> None:
    other = graph.numbers.get(name)
    if other is None:
        raise graph.unknown(name, where)
    if any(need.node == other for need in graph.needs[number]) or graph.is_ancestor(other, of=number):
        return
    if other == number:
        raise wrong(where, f"{name!r} is the node itself", "refer to one that has ended when it starts")
    why = f"{name!r} need not have ended when {graph.nodes[number].id!r} starts"
    raise wrong(where, why, f"add {name!r} to after, here or in a node on the way")


def _check_kind(field: str, kind: str | None) -> None:
    if kind is not None:
        checks.check_name(field, kind, "invalid_kind")


def _at(place: str, check: Callable[[], T]) -> T:
    try:
        return check()
    except InvalidJob as error:
        raise within(place, error) from None
