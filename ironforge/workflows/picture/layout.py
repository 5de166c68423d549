"""Where nodes stand in a picture: what waits for others stands in a later layer than they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ironforge.workflows.graph import Graph

_SWEEPS: Final = 4


class Place(NamedTuple):
    """`layer` counts from 0, and is the way along edges. `row` is across: 0 is the middle of each layer, and its nodes
    are 1 apart."""

    layer: int
    row: float


def layers_of(graph: Graph) -> list[int]:
    """Of each node: as many as there are nodes on the longest way to it."""
    found = [0] * len(graph)
    for number in graph.order:
        found[number] = max((found[need.node] + 1 for need in graph.needs[number]), default=0)
    return found


def places_of(graph: Graph) -> list[Place]:
    """Of each node, by number. Those of a layer are ordered so that few edges cross."""
    layers = layers_of(graph)
    rows: list[list[int]] = [[] for _ in range(max(layers, default=-1) + 1)]
    for number in graph.order:
        rows[layers[number]].append(number)
    before = [[need.node for need in needs] for needs in graph.needs]
    at = _spread(rows, [0.0] * len(graph))
    for sweep in range(_SWEEPS):
        neighbours: Sequence[Sequence[int]] = graph.dependants if sweep % 2 else before
        for row in reversed(rows) if sweep % 2 else rows:
            # One without neighbours on this side stays where it is.
            middle = {
                number: sum(at[other] for other in neighbours[number]) / len(neighbours[number])
                if neighbours[number]
                else at[number]
                for number in row
            }
            row.sort(key=middle.__getitem__)
            _spread([row], at)
    return [Place(layer, at[number]) for number, layer in enumerate(layers)]


def _spread(rows: Sequence[Sequence[int]], at: list[float]) -> list[float]:
    for row in rows:
        for place, number in enumerate(row):
            at[number] = place - (len(row) - 1) / 2
    return at
