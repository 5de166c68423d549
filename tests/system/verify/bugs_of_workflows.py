"""Planted bugs in workflows."""

from __future__ import annotations

from ironforge.redis.scripts import ADVANCE
from ironforge.store.steps import sources
from ironforge.store.workflows import finishing, workflow_audit
from ironforge.workflows.compensation import Undoing
from tests.system.verify.planting import edit


def audit_no_workflows() -> None:
    """No bug but bad luck: the run is over before a node looks after what a bug has left stranded."""

    async def nothing(_: object) -> int:
        return 0

    workflow_audit.WorkflowAudit.page = nothing


def count_no_skipped_node() -> None:
    """A node that is skipped still counts as one whose end is to come."""
    edit(ADVANCE, ("flow.left = flow.left - 1\n", "if letter ~= 'k' then flow.left = flow.left - 1 end\n"))


def start_one_need_early() -> None:
    """A node starts when all but one of those that it waits for have ended."""
    edit(ADVANCE, ("if needs == 0 then", "if needs <= 1 then"))


def ignore_conditions() -> None:
    """A node starts however those ended that it waits for."""
    edit(
        ADVANCE,
        ("if band(had, band(math.floor(rule / 512), 7)) ~= 0 or band(had, needed) ~= needed then", "if false then"),
    )


def take_continue_for_fail() -> None:
    """Each failure stops the workflow."""
    edit(
        ADVANCE,
        ("if letter ~= 'f' and letter ~= 'c' or on_failure == 2 then return end", "if letter ~= 'f' then return end"),
        ("if on_failure == 1 and flow.stopped == 0 then", "if flow.stopped == 0 then"),
    )


def start_in_a_pause() -> None:
    """What becomes ready in a pause starts at once."""
    edit(ADVANCE, ("local job = flow.paused == 0 and field_of(", "local job = field_of("))


def give_null_for_results() -> None:
    """Whoever refers to a result is given null."""
    sources._result = lambda _: None


def undo_the_first_first() -> None:
    """Nodes are undone in the order in which they succeeded."""
    edit(ADVANCE, ("redis.call('RPUSH', stem .. 'order:'", "redis.call('LPUSH', stem .. 'order:'"))


def undo_nothing() -> None:
    """A workflow that failed ends without undoing anything."""

    async def nothing(*_: object) -> Undoing:
        return Undoing(())

    finishing.Finishing._undoing = nothing
