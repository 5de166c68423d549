"""Many nodes as a few, so that a picture of them fits: those of one kind that stand alike, and else whole layers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from ironforge.workflows.graph import Graph
from ironforge.workflows.picture.layout import layers_of


class Fold(NamedTuple):
    """Nodes that are shown as one, by number, and the places of the folds that some of them wait for."""

    members: list[int]
    needs: list[int]


def folds_of(graph: Graph, most: int) -> list[Fold]:
    """At most so many, what is waited for first. No node is folded where all have room."""
    if len(graph) <= most:
        return _folds(graph, range(len(graph)))
    alike = _folds(graph, _alike(graph))
    if len(alike) <= most:
        return alike
    layers = layers_of(graph)
    count = max(layers) + 1
    return _folds(graph, [layer * min(most, count) // count for layer in layers])


def _folds(graph: Graph, keys: Sequence[Hashable]) -> list[Fold]:
    """Nodes with one key in one. What it waits for has another key, and none of them waits for it in turn."""
    places: dict[Hashable, int] = {}
    members: list[list[int]] = []
    needs: list[set[int]] = []
    for number in graph.order:
        place = places.setdefault(keys[number], len(places))
        if place == len(members):
            members.append([])
            needs.append(set())
        members[place].append(number)
        needs[place] |= {places[keys[need.node]] for need in graph.needs[number]} - {place}
    return [Fold(sorted(each), sorted(needs[place])) for place, each in enumerate(members)]


def _alike(graph: Graph) -> list[tuple[int, int]]:
    """The same for nodes of one kind whose needs are alike, and whose dependants are."""
    before = [[need.node for need in needs] for needs in graph.needs]
    up = _signs(graph, graph.order, before)
    down = _signs(graph, graph.order[::-1], graph.dependants)
    return [*zip(up, down, strict=True)]


def _signs(graph: Graph, order: Sequence[int], neighbours: Sequence[Sequence[int]]) -> list[int]:
    signs, known = [0] * len(graph), dict[Hashable, int]()
    for number in order:
        sign = (graph.nodes[number].kind, frozenset(signs[other] for other in neighbours[number]))
        signs[number] = known.setdefault(sign, len(known))
    return signs
