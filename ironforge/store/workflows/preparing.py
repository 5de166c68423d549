"""Makes workflows ready to be accepted: with what nodes announced of the kinds of their jobs, as for single jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, cast

import msgspec

from ironforge.codes import Code
from ironforge.errors import InvalidJob
from ironforge.job.checked_options import CheckedOptions
from ironforge.job.mismatch import within
from ironforge.job.options import JobOptions
from ironforge.job.payload_schema import check_payload
from ironforge.store.kind_catalog import LookUp
from ironforge.store.kinds import Kind
from ironforge.store.workflows.contract import Prepared
from ironforge.workflows.definition import Node, NodeOptions, Workflow
from ironforge.workflows.graph import Graph
from ironforge.workflows.jobs import NodeJob, jobs_of
from ironforge.workflows.progress import Outcome

_CALLBACKS: Final[dict[Outcome, str]] = {"completed": "on_success", "failed": "on_failure"}


class Own(NamedTuple):
    """What the application that submits says of a kind: what holds where nodes announced nothing of it, and what raises
    InvalidJob for a payload that its handler does not take."""

    defaults: CheckedOptions
    check: Callable[[bytes], object]


def nothing_own(_kind: str) -> None:
    """Of an application that runs no kinds."""


class Preparing:
    """One door's way to do so; implements `contract.Prepare`. `own`: of a kind. `by`: who submits."""

    def __init__(self, look_up: LookUp, own: Callable[[str], Own | None] = nothing_own, *, by: str = "") -> None:
        self._look_up = look_up
        self._own = own
        self._by = by
        self._unknown: set[str] = set()

    @property
    def unknown_kinds(self) -> list[str]:
        """Those whose jobs go without what their kind fixes, sorted."""
        return sorted(self._unknown)

    def __call__(self, document: Workflow, graph: Graph) -> Prepared:
        """Raises InvalidJob with the place of a node that cannot be submitted, StoreUnavailable."""
        jobs = jobs_of(document, graph)
        options = [self._options(job, graph.nodes[number], f"nodes[{number}]") for number, job in enumerate(jobs)]
        undoing = {
            number: self._other_options(document, node.compensate, f"nodes[{number}].compensate")
            for number, node in enumerate(graph.nodes)
            if node.compensate is not None
        }
        callbacks = {
            outcome: self._other_options(document, kind, field)
            for outcome, field in _CALLBACKS.items()
            if (kind := getattr(document, field)) is not None
        }
        queues = {each.record.queue for each in (*options, *undoing.values(), *callbacks.values())}
        return Prepared(document, graph, jobs, options, tuple(sorted(queues)), self._by, undoing, callbacks)

    def _options(self, job: NodeJob, node: Node, place: str) -> CheckedOptions:
        try:
            known = self._known(node.kind)
            defaults = self._defaults(node.kind, known)
            if node.map is not None:
                return job.options.checked(_place_of(defaults))
            checked = job.options.checked(defaults)
            self._check_payload(job, known, checked)
        except InvalidJob as error:
            raise within(place, error) from None
        return checked

    def _known(self, kind: str) -> Kind | None:
        known = self._look_up(kind)
        if known is None and self._own(kind) is None:
            self._unknown.add(kind)
        return known

    def _defaults(self, kind: str, known: Kind | None) -> CheckedOptions | None:
        if known is not None:
            return known.defaults
        own = self._own(kind)
        return None if own is None else own.defaults

    def _check_payload(self, job: NodeJob, known: Kind | None, checked: CheckedOptions) -> None:
        """As its kind wants it, where it refers to nothing that is not there yet; and for the keys that its kind takes
        from it. What it refers to is checked where the job runs."""
        if not job.references:
            if (own := self._own(job.kind)) is not None:
                own.check(job.payload)
            if known is not None and known.schemas:
                check_payload(job.kind, known.schemas, job.payload)
        if checked.unique_by_path or checked.limits_by_path or checked.record.unique:
            checked.job(job.kind, job.payload)

    def _other_options(self, document: Workflow, kind: str, place: str) -> CheckedOptions:
        """Of a job that is no node: one that undoes a node, or is told how the workflow ended."""
        try:
            defaults = self._defaults(kind, self._known(kind))
            return (document.options or NodeOptions()).checked(defaults)
        except InvalidJob as error:
            message, code = f"{place}: {error}", cast("Code", error.code)
            raise InvalidJob(message, code=code, field=place, hint=error.hint) from None


def _place_of(defaults: CheckedOptions | None) -> CheckedOptions:
    """What of the kind of its items holds for the job of a map as well: where it waits for its turn."""
    without = JobOptions().checked()
    if defaults is None:
        return without
    said = defaults.record
    return without._replace(record=msgspec.structs.replace(without.record, queue=said.queue, priority=said.priority))
