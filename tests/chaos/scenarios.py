"""What can be done to an installation in a run, and how a seed says when it is done.

Two lanes at once: nodes and server are hurt independently of each other, as they are in life.
"""

from __future__ import annotations

from typing import NamedTuple


class Scenario(NamedTuple):
    """Mean seconds between two faults of a lane; 0: the lane stays quiet."""

    node_pause_seconds: float = 0.0
    server_pause_seconds: float = 0.0


SCENARIOS = {
    "baseline": Scenario(),
    "nodes": Scenario(node_pause_seconds=0.3),
    "server": Scenario(server_pause_seconds=1.5),
    "everything": Scenario(node_pause_seconds=0.3, server_pause_seconds=1.5),
}
