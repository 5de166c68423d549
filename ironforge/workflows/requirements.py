"""What has to have become of others for a node to run, and whether that contradicts itself."""

from __future__ import annotations

from ironforge.workflows.errors import wrong
from ironforge.workflows.graph import Graph


def check_requirements(graph: Graph) -> None:
    """Raises InvalidJob for a node that runs only after another one both succeeded and failed: it joins what excludes
    each other."""
    if not any(_needs_failure(graph, number) for number in range(len(graph))):
        return
    # As bits, over all that a node waits for and these in turn.
    succeeded, failed = [0] * len(graph), [0] * len(graph)
    for number in graph.order:
        node, needs = graph.nodes[number], graph.needs[number]
        plain = [need.node for need in needs if need.when is None]
        for other, when in needs:
            how = when
            if how is None and node.when == "all_succeeded":
                how = "succeeded"
            elif how is None and node.when == "any_failed" and len(plain) == 1:
                how = "failed"
            if how in ("succeeded", "failed"):
                succeeded[number] |= succeeded[other]
                failed[number] |= failed[other]
            if how == "failed":
                failed[number] |= 1 << other
            elif how == "succeeded" and (when or graph.nodes[other].on_failure != "continue"):
                succeeded[number] |= 1 << other
        if both := succeeded[number] & failed[number]:
            name = graph.nodes[(both & -both).bit_length() - 1].id
            why = f"it never runs: that takes {name!r} to have succeeded and to have failed"
            hint = "give it when all_done if it is to run after either of those that it waits for"
            raise wrong(f"nodes[{number}].after", why, hint)


def _needs_failure(graph: Graph, number: int) -> bool:
    return graph.nodes[number].when == "any_failed" or any(need.when == "failed" for need in graph.needs[number])
