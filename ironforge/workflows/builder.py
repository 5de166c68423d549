"""A workflow as Python writes it.

    fetch = node("file.fetch", {"url": url})
    sizes = group(*(node("image.resize", {"file": fetch.result["path"], "width": w}, id=f"w{w}") for w in (100, 200)))
    merge = node("image.merge", [size.result for size in sizes.nodes], on_failure="continue")
    workflow = dag("pictures", chain(fetch, sizes, merge), node("ops.tell", after=[merge.failed]))

A node waits for those before it in a `chain`, for those in its `after`, and for those whose result it takes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final, Unpack

import msgspec

from ironforge.job.mismatch import mismatch
from ironforge.job.options import JobKeywords, check_names, in_words_of_json
from ironforge.workflows.assembly import documents
from ironforge.workflows.checks import check_workflow
from ironforge.workflows.definition import OnFailure, When, Workflow
from ironforge.workflows.flow import Condition, Flow, FlowNode, Placeholder

# Of a map, what is its job's own.
item: Final = Placeholder(None)


def node(
    kind: str,
    payload: object = None,
    /,
    *,
    id: str | None = None,  # noqa: A002 - as the document calls it
    after: Sequence[Flow | Condition] = (),
    when: When = "all_succeeded",
    on_failure: OnFailure = "fail",
    compensate: str | None = None,
    **options: Unpack[JobKeywords],
) -> FlowNode:
    """A job of this kind, which `compensate` undoes, with the options of `submit`. Without an `id` it is called after
    its kind. Raises TypeError for other options."""
    check_names("a node", options, JobKeywords)
    _check_all(after, Flow | Condition, "after", "nodes such as fetch, or conditions such as fetch.failed")
    options_ = {name: in_words_of_json(value) for name, value in options.items() if value is not None}
    said = {"id": id, "kind": kind, "when": when, "on_failure": on_failure, "compensate": compensate}
    return FlowNode({**said, "options": options_ or None}, payload, after)


def map_over(
    over: Placeholder, kind: str, payload: object = item, /, *, max_parallel: int | None = None, **more: Any
) -> FlowNode:
    """A job of this kind for each item of a list that a node returns. In the payload `item` stands for it; by default
    it is the payload. Its result is the list of their results. `more`: as for `node`."""
    if not isinstance(over, Placeholder) or over.source is None:
        raise TypeError(f"map_over takes the result of a node, such as fetch.result, not {over!r:.100}")
    made = node(kind, None if payload is item else payload, **more)
    return FlowNode({**made.said, "over": over, "max_parallel": max_parallel}, made.payload, made.after)


def chain(*parts: Flow) -> Flow:
    """Each starts when the one before has ended."""
    _check_all(parts, Flow, "a chain", "nodes, chains and groups")
    edges = [edge for part in parts for edge in part.edges]
    for before, behind in itertools.pairwise(parts):
        edges += [(last, first) for last in before.last for first in behind.first]
    nodes = [each for part in parts for each in part.nodes]
    return Flow(nodes, parts[0].first if parts else (), parts[-1].last if parts else (), edges)


def group(*parts: Flow) -> Flow:
    """They run side by side."""
    _check_all(parts, Flow, "it", "nodes, chains and groups")
    return Flow(*([each for part in parts for each in getattr(part, of)] for of in ("nodes", "first", "last", "edges")))


def dag(
    name: str,
    *parts: Flow,
    on_success: str | None = None,
    on_failure: str | None = None,
    **options: Unpack[JobKeywords],
) -> Workflow:
    """The workflow of these and all that they wait for. `on_success`, `on_failure`: kinds of jobs that are told how it
    has ended; `options`: of all its jobs. Raises InvalidJob for anything wrong, SerializationError for a payload that
    JSON cannot carry."""
    check_names("a workflow", options, JobKeywords)
    given = {key: in_words_of_json(value) for key, value in options.items() if value is not None} or None
    document = {"name": name, "on_success": on_success, "on_failure": on_failure, "options": given}
    try:
        made = msgspec.convert({**document, "nodes": documents(group(*parts))}, Workflow)
    except msgspec.ValidationError as error:
        raise mismatch(str(error), Workflow) from None
    check_workflow(made)
    return made


def _check_all(given: Sequence[object], kind: Any, what: str, takes: str) -> None:
    for each in given:
        if not isinstance(each, kind):
            raise TypeError(f"{what} takes {takes}, not {each!r:.100}")
