"""Shows what the store holds of workflows in the words of the HTTP contract."""

from __future__ import annotations

from ironforge.api.schemas.views import optional_rfc3339, rfc3339, stored_json, tick_answer
from ironforge.api.schemas.workflows import (
    CompensationAnswer,
    ItemsAnswer,
    WorkflowAnswer,
    WorkflowNodeAnswer,
    WorkflowPage,
    WorkflowSummary,
)
from ironforge.job.record import format_id
from ironforge.store.workflows.contract import CompensationView, NodeView, WorkflowRow, WorkflowView
from ironforge.workflows.graph import Graph
from ironforge.workflows.picture.layout import Place, places_of


def workflow_answer(view: WorkflowView) -> WorkflowAnswer:
    """Of a large one, places take a while."""
    places = places_of(Graph(view.document.nodes))
    return WorkflowAnswer(
        id=format_id(view.id),
        name=view.name,
        status=view.status,
        created_at=rfc3339(view.created_ms),
        ended_at=optional_rfc3339(view.ended_ms),
        reason=view.reason or None,
        by=view.by,
        schedule=tick_answer(view.tick),
        retries=view.generation,
        nodes=[_node(node, place) for node, place in zip(view.nodes, places, strict=True)],
        workflow=view.document,
    )


def _node(node: NodeView, place: Place) -> WorkflowNodeAnswer:
    return WorkflowNodeAnswer(
        id=node.id,
        kind=node.kind,
        status=node.state,
        job_id=None if node.job_id is None else format_id(node.job_id),
        result=stored_json(node.result or b""),
        truncated=node.truncated,
        reason=node.reason or None,
        started_at=optional_rfc3339(node.started_ms),
        ended_at=optional_rfc3339(node.ended_ms),
        layer=place.layer,
        row=place.row,
        items=None if node.items is None else ItemsAnswer(*node.items),
        compensation=None if node.compensation is None else _compensation(node.compensation),
    )


def _compensation(shown: CompensationView) -> CompensationAnswer:
    job_id = None if shown.job_id is None else format_id(shown.job_id)
    return CompensationAnswer(shown.state, job_id, shown.reason or None)


def workflow_page(rows: list[WorkflowRow], cursor: str | None) -> WorkflowPage:
    return WorkflowPage([_summary(row) for row in rows], cursor)


def _summary(row: WorkflowRow) -> WorkflowSummary:
    return WorkflowSummary(
        id=format_id(row.id),
        name=row.name,
        status=row.status,
        created_at=rfc3339(row.created_ms),
        ended_at=optional_rfc3339(row.ended_ms),
        reason=row.reason or None,
        by=row.by,
        nodes=row.nodes,
        left=row.left,
        schedule=tick_answer(row.tick),
    )
