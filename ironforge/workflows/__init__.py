"""Workflows as data: what they say, which node is next, and a picture of both. Without I/O.

For applications, what writes one in Python; all else is for the other folders.
"""

from ironforge.workflows.builder import chain, dag, group, item, map_over, node
from ironforge.workflows.definition import Workflow
from ironforge.workflows.flow import Flow, FlowNode, Literal

__all__ = ["Flow", "FlowNode", "Literal", "Workflow", "chain", "dag", "group", "item", "map_over", "node"]
