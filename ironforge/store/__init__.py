"""The store: everything that is durable, behind the protocols of `ironforge.store.contract`.

`Doors` is for whoever submits and looks, `NodeStore` for whoever runs jobs: neither can do the other's work.
"""

from __future__ import annotations

from ironforge.store.alone_contract import Alone
from ironforge.store.contract import (
    Accepted,
    Delivery,
    Due,
    Health,
    Inspection,
    JobView,
    Lease,
    Page,
    Rewrite,
    Settled,
    Signal,
    Signals,
    Stats,
    StreamDepth,
    Submission,
    Submissions,
    Work,
)
from ironforge.store.factory import Doors, NodeStore
from ironforge.store.leases_contract import Leases
from ironforge.store.node_view import NodeView

__all__ = [
    "Accepted",
    "Alone",
    "Delivery",
    "Doors",
    "Due",
    "Health",
    "Inspection",
    "JobView",
    "Lease",
    "Leases",
    "NodeStore",
    "NodeView",
    "Page",
    "Rewrite",
    "Settled",
    "Signal",
    "Signals",
    "Stats",
    "StreamDepth",
    "Submission",
    "Submissions",
    "Work",
]
