"""What a run knows of one workflow: what it asked for, and how that stands in the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ironforge.store.workflows.contract import WorkflowView
from ironforge.verify.workflows.documents import Document
from ironforge.workflows.states import NodeState


class Stretch(NamedTuple):
    """From an answer to the next question."""

    begin: float
    end: float


class Retry(NamedTuple):
    """`states` of its nodes, by number, and its `status` before it was asked for."""

    asked: float
    states: Sequence[NodeState]
    status: Literal["failed", "cancelled"]


@dataclass
class Seen:
    """`name`: what its jobs tell. `paused`: when it surely was. `cancelled_at`: when that was asked for; infinite:
    never. `view`: in the end, with all results; None: it is not there, as is promised of
    one that is `forgotten`."""

    name: str
    id: bytes
    document: Document
    paused: list[Stretch] = field(default_factory=list)
    cancelled_at: float = math.inf
    retries: list[Retry] = field(default_factory=list)
    view: WorkflowView | None = None
    forgotten: bool = False
