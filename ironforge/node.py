"""Running a node from Python, for applications to import."""

from ironforge.runtime.node import run_node

__all__ = ["run_node"]
