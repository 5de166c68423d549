"""Which nodes of a workflow wait for which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Final, NamedTuple

from ironforge.errors import InvalidJob
from ironforge.formats.suggest import closest
from ironforge.job.checks import check_name
from ironforge.workflows.definition import MAX_EDGES, MAX_NODES, EdgeWhen, Node, Workflow, id_of
from ironforge.workflows.errors import wrong
from ironforge.workflows.payloads import parse_reference, words_in

# Of a cycle that is longer, the beginning is told.
_TOLD: Final = 10
# To look through all for the one that is most alike would take seconds.
_SUGGESTED_FROM: Final = 2_000
# Of the ids that there are, where none is near.
_NAMED: Final = 10


class Need(NamedTuple):
    """A node that another one waits for, by its number. `when` None: by the `when` of the one that waits."""

    node: int
    when: EdgeWhen | None


class Graph:
    """Nodes are known by their numbers, in the order in which they stand in the document.

    `needs`: what each waits for; `dependants`: who waits for it.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Raises InvalidJob: an id twice or unknown, a cycle, too many of anything."""
        self.nodes = tuple(nodes)
        self.numbers = _numbers(self.nodes)
        self.needs = tuple(self._needs(number) for number in range(len(self.nodes)))
        edges = sum(map(len, self.needs))
        if edges > MAX_EDGES:
            raise wrong("nodes", f"they wait for each other in {edges} places", f"give at most {MAX_EDGES}")
        self.dependants = _dependants(self.needs)
        self.order = self._order()

    def __len__(self) -> int:
        return len(self.nodes)

    def downstream(self, numbers: Iterable[int]) -> set[int]:
        """All that wait for these, or for others that do; without these, unless they do so as well."""
        found: set[int] = set()
        open_ = [*numbers]
        while open_:
            for dependant in self.dependants[open_.pop()]:
                if dependant not in found:
                    found.add(dependant)
                    open_.append(dependant)
        return found

    def is_ancestor(self, number: int, of: int) -> bool:
        """Whether this one has always ended when that one starts."""
        return bool(self._ancestors[of] >> number & 1)

    def is_needed(self, number: int) -> bool:
        """Whether something is to get its result: a node that refers to it, or what undoes it."""
        node = self.nodes[number]
        return node.compensate is not None or node.id in self._referenced

    def unknown(self, name: str, field: str) -> InvalidJob:
        """How an id is refused that no node has."""
        close = closest(name, [*self.numbers][:_SUGGESTED_FROM])
        ids = ", ".join([*self.numbers][:_NAMED]) + (", …" if len(self.numbers) > _NAMED else "")
        return wrong(
            field, f"there is no node {name[:150]!r}", f"did you mean {close!r}?" if close else f"the nodes are {ids}"
        )

    @cached_property
    def _referenced(self) -> frozenset[str]:
        found = {reference.node for node in self.nodes for _, reference in words_in(bytes(node.payload)).results}
        overs = (node.map.over for node in self.nodes if node.map is not None)
        return frozenset(found.union(parse_reference(over, "map.over").node for over in overs))

    @cached_property
    def _ancestors(self) -> list[int]:
        """As bits: sets of 10,000 nodes would have 50 million members."""
        found = [0] * len(self.nodes)
        for number in self.order:
            for need in self.needs[number]:
                found[number] |= found[need.node] | 1 << need.node
        return found

    def _needs(self, number: int) -> tuple[Need, ...]:
        found: dict[int, Need] = {}
        for place, edge in enumerate(self.nodes[number].after):
            field, name = f"nodes[{number}].after[{place}]", id_of(edge)
            other = self.numbers.get(name)
            if other is None:
                raise self.unknown(name, field)
            if other in found:
                raise wrong(field, f"{name!r} stands in it twice", "leave one of them out")
            found[other] = Need(other, None if isinstance(edge, str) else edge.when)
        return tuple(found.values())

    def _order(self) -> tuple[int, ...]:
        """What is waited for comes first."""
        if all(need.node < number for number, needs in enumerate(self.needs) for need in needs):  # as most are written
            return tuple(range(len(self.nodes)))
        sorter = TopologicalSorter({number: [need.node for need in needs] for number, needs in enumerate(self.needs)})
        try:
            return tuple(sorter.static_order())
        except CycleError as error:
            found = error.args[1][1:]
        start = found.index(min(found))
        cycle = [self.nodes[number].id for number in (*found[start:], *found[: start + 1])]
        told = [*cycle[:_TOLD], f"… {len(cycle) - _TOLD - 1} more …", cycle[-1]] if len(cycle) > _TOLD + 1 else cycle
        place = f"nodes[{self.numbers[cycle[0]]}].after"
        raise wrong(place, f"these wait for each other: {' -> '.join(told)}", "leave one of these out")


def graph_of(workflow: Workflow) -> Graph:
    """Raises InvalidJob."""
    if not 1 <= len(workflow.nodes) <= MAX_NODES:
        raise wrong("nodes", f"there are {len(workflow.nodes)}", f"give 1 to {MAX_NODES}")
    return Graph(workflow.nodes)


def _numbers(nodes: Sequence[Node]) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, node in enumerate(nodes):
        field = f"nodes[{number}].id"
        check_name(field, node.id, "invalid_workflow")
        if ".result" in node.id:
            raise wrong(field, f"{node.id!r} has .result in it, which stands behind an id", "give it another name")
        first = found.setdefault(node.id, number)
        if first != number:
            raise wrong(field, f"nodes[{first}] is called {node.id!r} as well", "give it another name")
    return found


def _dependants(needs: Sequence[Sequence[Need]]) -> tuple[tuple[int, ...], ...]:
    found: list[list[int]] = [[] for _ in needs]
    for number, each in enumerate(needs):
        for need in each:
            found[need.node].append(number)
    return tuple(map(tuple, found))
