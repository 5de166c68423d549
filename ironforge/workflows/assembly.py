"""Nodes as Python put them together, as a document has them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from ironforge.job.json_values import encode
from ironforge.workflows.definition import Map
from ironforge.workflows.flow import Condition, Flow, FlowNode, Literal, Placeholder
from ironforge.workflows.payloads import ITEM, LITERAL, RESULT


def documents(flow: Flow) -> list[dict[str, Any]]:
    """With all nodes that those of `flow` wait for, or take results of. Raises SerializationError."""
    before: dict[FlowNode, dict[FlowNode, Condition | None]] = {}
    edges: dict[FlowNode, list[FlowNode]] = {}
    for first, then in flow.edges:
        edges.setdefault(then, []).append(first)
    open_ = [*flow.nodes]
    for each in open_:
        if each not in before:
            before[each] = _said(each, edges.get(each, ()))
            open_ += [*before[each], *_sources(each)]
    ids = _ids(list(before))
    taken = _taken(before)
    return [_document(each, {**before[each], **dict.fromkeys(taken[each])}, ids) for each in before]


def _said(each: FlowNode, edges: Sequence[FlowNode]) -> dict[FlowNode, Condition | None]:
    """What it is said to wait for. A condition of its own counts where there are both."""
    plain = [last for other in each.after if isinstance(other, Flow) for last in other.last]
    found: dict[FlowNode, Condition | None] = dict.fromkeys([*edges, *plain])
    for other in each.after:
        if isinstance(other, Condition):
            found[other.node] = other
    return found


def _taken(before: Mapping[FlowNode, Mapping[FlowNode, Condition | None]]) -> dict[FlowNode, list[FlowNode]]:
    """Of each, the nodes whose results it takes, and which need not have ended by what is said."""
    sources = {each: [*dict.fromkeys(_sources(each))] for each in before}
    try:
        order = [*TopologicalSorter({each: [*before[each], *sources[each]] for each in before}).static_order()]
    except CycleError:  # is told by what checks the document, by their ids
        return sources
    bits, earlier, taken = {each: 1 << place for place, each in enumerate(order)}, dict.fromkeys(order, 0), {}
    for each in order:
        for other in before[each]:
            earlier[each] |= earlier[other] | bits[other]
        taken[each] = [source for source in sources[each] if not earlier[each] & bits[source]]
        for source in taken[each]:
            earlier[each] |= earlier[source] | bits[source]
    return taken


def _document(
    each: FlowNode, before: Mapping[FlowNode, Condition | None], ids: Mapping[FlowNode, str]
) -> dict[str, Any]:
    said = {name: value for name, value in each.said.items() if value is not None}
    over, most = said.pop("over", None), said.pop("max_parallel", None)
    if over is not None:
        said["map"] = Map(over.text(ids), most)
    return {
        **said,
        "id": ids[each],
        "after": [
            {"node": ids[other], "when": condition.when} if condition else ids[other]
            for other, condition in before.items()
        ],
        "payload": msgspec.Raw(encode(_written(each.payload, ids), "payload")),
    }


def _written(value: object, ids: Mapping[FlowNode, str]) -> object:
    """With the words for what is known when the node starts."""
    match value:
        case Placeholder():
            return {ITEM if value.source is None else RESULT: value.text(ids)}
        case Literal():
            return {LITERAL: value.value}
        case dict():
            return {key: _written(part, ids) for key, part in value.items()}
        case list() | tuple():
            return [_written(part, ids) for part in value]
    return value


def _sources(each: FlowNode) -> list[FlowNode]:
    found = [*_placeholders(each.payload), *_placeholders(each.said.get("over"))]
    return [placeholder.source for placeholder in found if placeholder.source is not None]


def _placeholders(value: object) -> Iterator[Placeholder]:
    match value:
        case Placeholder():
            yield value
        case dict():
            for part in value.values():
                yield from _placeholders(part)
        case list() | tuple() if not isinstance(value, Literal):
            for part in value:
                yield from _placeholders(part)


def _ids(nodes: Sequence[FlowNode]) -> dict[FlowNode, str]:
    """Those that were given, else their kind, with a number where that is taken."""
    used = {each.said["id"] for each in nodes}
    numbers: dict[str, Iterator[int]] = {}
    found = {}
    for each in nodes:
        name = kind = each.said["kind"] if each.said["id"] is None else each.said["id"]
        while each.said["id"] is None and name in used:
            name = f"{kind}-{next(numbers.setdefault(kind, itertools.count(2)))}"
        used.add(name)
        found[each] = name
    return found
