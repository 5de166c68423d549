"""The store: everything that is durable, behind the protocols of `ironforge.store.contract`.

`StoreClient` is for whoever submits and looks, `NodeStore` for whoever runs jobs: neither can do the other's work.
"""

from __future__ import annotations

from ironforge.store.contract import (
    Accepted,
    Health,
    Inspector,
    JobFilter,
    JobView,
    Page,
    Producer,
    Submission,
)
from ironforge.store.counts import Stats, StreamDepth
from ironforge.store.factory import NodeStore, StoreClient
from ironforge.store.node_contract import (
    Adjustment,
    Alone,
    Consumer,
    Delivery,
    Due,
    Ended,
    Lease,
    Leases,
    Notification,
    Notifications,
    Rewrite,
    Settled,
    Ticking,
    TickWatch,
)
from ironforge.store.node_view import NodeView
from ironforge.store.steps.contract import Event, Events, NewChildren, NewStep, NewWait, ParentRun

__all__ = [
    "Accepted",
    "Adjustment",
    "Alone",
    "Consumer",
    "Delivery",
    "Due",
    "Ended",
    "Event",
    "Events",
    "Health",
    "Inspector",
    "JobFilter",
    "JobView",
    "Lease",
    "Leases",
    "NewChildren",
    "NewStep",
    "NewWait",
    "NodeStore",
    "NodeView",
    "Notification",
    "Notifications",
    "Page",
    "ParentRun",
    "Producer",
    "Rewrite",
    "Settled",
    "Stats",
    "StoreClient",
    "StreamDepth",
    "Submission",
    "TickWatch",
    "Ticking",
]
