"""What can be done to an installation in a run, and how a seed says when it is done.

Every lane hurts independently of the others, as it is in life; one lane does one thing at a time.
"""

from __future__ import annotations

from typing import NamedTuple


class Scenario(NamedTuple):
    """Mean seconds between two faults of a lane; 0: the lane stays quiet.

    `nodes_tick`: else the API process alone fires ticks of schedules. `hogs_per_core`: processes that want a whole
    processor each, as long as the run lasts.
    """

    node_pause_seconds: float = 0.0
    server_pause_seconds: float = 0.0
    network_pause_seconds: float = 0.0
    storage_pause_seconds: float = 0.0
    clock_pause_seconds: float = 0.0
    client_pause_seconds: float = 0.0
    loop_pause_seconds: float = 0.0
    guilty_pause_seconds: float = 0.0
    deploy_pause_seconds: float = 0.0
    ticking_pause_seconds: float = 0.0
    change_pause_seconds: float = 0.0
    nodes_tick: bool = True
    hogs_per_core: float = 0.0

    @property
    def linked(self) -> bool:
        """Whether nodes and submitter reach the server through links that can be hurt."""
        return bool(self.network_pause_seconds or self.client_pause_seconds)

    @property
    def moves_clocks(self) -> bool:
        return bool(self.clock_pause_seconds or self.change_pause_seconds)


SCENARIOS = {
    "baseline": Scenario(),
    "nodes": Scenario(node_pause_seconds=0.3, loop_pause_seconds=4.0),
    "suspects": Scenario(guilty_pause_seconds=3.0),
    "server": Scenario(server_pause_seconds=1.5),
    "network": Scenario(network_pause_seconds=0.4, node_pause_seconds=2.0),
    "storage": Scenario(storage_pause_seconds=1.0),
    "clock": Scenario(clock_pause_seconds=0.7, node_pause_seconds=2.0),
    "clients": Scenario(client_pause_seconds=0.1, server_pause_seconds=4.0),
    "deploy": Scenario(deploy_pause_seconds=1.0, node_pause_seconds=2.0, network_pause_seconds=3.0),
    "schedules": Scenario(ticking_pause_seconds=1.0, node_pause_seconds=2.0, server_pause_seconds=4.0),
    "api-alone": Scenario(ticking_pause_seconds=1.5, node_pause_seconds=4.0, nodes_tick=False),
    "clock-change": Scenario(change_pause_seconds=3.0, node_pause_seconds=3.0, ticking_pause_seconds=3.0),
    "soak": Scenario(hogs_per_core=2.0),
    "everything": Scenario(0.5, 2.5, 1.5, 3.0, 3.0, 0.5, 4.0, 8.0, 4.0, 2.0),
}
# One scenario after the other, seed by seed; `nodes` alone leaves server and links as they are.
ROTATION = (
    *("nodes", "everything", "network", "storage", "clock", "clients", "suspects", "deploy"),
    *("schedules", "api-alone", "clock-change"),
)


def scenario_of(seed: int) -> str:
    return ROTATION[seed % len(ROTATION)]
