"""Judges workflows: by what their jobs told, what was asked of them, and how they stand in the end.

How a node ends follows from how those ended that it waits for, and from its own job: the room `workflows` says how, and
neither the server nor its nodes have a say in that.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from ironforge.job.record import format_id
from ironforge.verify.account import Account, Ended, Run, Tell
from ironforge.verify.handlers import ITEMS, TOLD, UNDONE, digest
from ironforge.verify.ledger import Event
from ironforge.verify.workflows.documents import ITEM
from ironforge.verify.workflows.seen import Seen
from ironforge.workflows.again import retried
from ironforge.workflows.compensation import Compensation
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import NodeState, starts

ENDS: Final = "every workflow ends, and tells it once"
IN_TURN: Final = "no node starts before its needs have ended"
ONE_JOB: Final = "each node is one job"
AS_SAID: Final = "a node ends as its workflow says"
RESULTS: Final = "a result reaches who refers to it"
PAUSED: Final = "a paused workflow starts nothing"
UNDOES: Final = "what is undone is undone once, the last first"
AGAIN: Final = "a retry runs what failed, and what waits for that"

RAN: Final = (NodeState.SUCCEEDED, NodeState.FAILED)
HOW: Final = {"completed": NodeState.SUCCEEDED, "dead": NodeState.FAILED, "cancelled": NodeState.CANCELLED}


class Told:
    """What the jobs of one workflow told. `jobs`: by what they are of it, in the order in which they first ran."""

    def __init__(self, account: Account, seen: Seen, jobs: Mapping[str, Sequence[str]]) -> None:
        self.account = account
        self.seen = seen
        self.graph = seen.document.graph
        assert seen.view is not None
        self.view = seen.view
        self.states = [node.state for node in seen.view.nodes]
        self._jobs = jobs

    def jobs(self, what: str) -> Sequence[str]:
        return self._jobs.get(f"{self.seen.name}/{what}", ())

    def runs(self, number: int) -> list[Run]:
        """Of a node, those of its items included, in the order in which they began."""
        name = self.graph.nodes[number].id
        jobs = [*self.jobs(name), *self.jobs(name + ITEM)]
        return sorted((run for job in jobs for run in self.account.runs[job]), key=lambda run: run.at)

    def events(self, job: str, what: str) -> list[Event]:
        return [event for event in self.account.by_job[job] if event.what == what]

    def ended(self, number: int) -> float:
        """When the first of its runs had; infinite: none has, as far as is known."""
        return min((run.until for run in self.runs(number) if run.outcome == "end"), default=math.inf)

    def last(self, number: int) -> float:
        """When the last of its runs began."""
        return max((run.at for run in self.runs(number)), default=math.inf)

    def named(self, number: int) -> str:
        return f"node {self.graph.nodes[number].id} of {self.seen.name}"

    @property
    def may_have_been_retried(self) -> bool:
        return bool(self.view.generation or self.seen.retries)


def judge_workflows(account: Account, workflows: Collection[Seen], finals: Mapping[str, Ended], tell: Tell) -> None:
    jobs: defaultdict[str, list[str]] = defaultdict(list)
    for job, name in account.of_workflows.items():
        jobs[name].append(job)
    names = {seen.name for seen in workflows}
    for name, of_name in jobs.items():
        if name.partition("/")[0] not in names:
            tell(ONE_JOB, of_name[0], f"it ran as {name}, and nobody submitted that workflow")
    for seen in workflows:
        if seen.view is None:
            if not seen.forgotten:
                tell(ENDS, "", f"workflow {seen.name} was accepted, and is not there in the end")
            continue
        told = Told(account, seen, jobs)
        for judge in (_ends, _one_job, _states, _order, _results, _paused, _undone, _again):
            judge(told, finals, tell)


def _ends(told: Told, _: Mapping[str, Ended], tell: Tell) -> None:
    view, name = told.view, told.seen.name
    if view.status in ("running", "paused"):
        return tell(ENDS, format_id(view.id), f"workflow {name} is {view.status} in the end: {told.states}")
    heard = {status: len(told.jobs(f"{TOLD[1:]}{status}")) for status in ("completed", "failed", "cancelled")}
    ends = view.generation + 1
    last = heard[view.status] if view.status != "cancelled" else 1
    if not last or sum(heard.values()) > ends or (view.status != "completed" and heard["completed"]):
        tell(
            ENDS, format_id(view.id), f"workflow {name} is {view.status}, ended {ends} times at most, and told {heard}"
        )
    return None


def _one_job(told: Told, finals: Mapping[str, Ended], tell: Tell) -> None:
    """In each generation, and it is the one that the view names; of one that did not run after a retry it may be a
    later one, or none."""
    most = told.view.generation + 1
    for number, node in enumerate(told.graph.nodes):
        for what, jobs_each in ((node.id, 1), (node.id + ITEM, ITEMS)):
            if len(found := told.jobs(what)) > most * jobs_each:
                tell(ONE_JOB, found[-1], f"{told.named(number)} was {len(found)} jobs in {most} generations")
        job_id, ran_last = told.view.nodes[number].job_id, told.states[number] in RAN or not told.view.generation
        if ran_last and told.jobs(node.id) and (job_id is None or format_id(job_id) not in told.jobs(node.id)):
            tell(ONE_JOB, told.jobs(node.id)[-1], f"it ran as {told.named(number)}, which is another job")
        ended = job_id and finals.get(format_id(job_id))
        if ended and HOW.get(ended.state) is not told.states[number]:
            tell(
                AS_SAID,
                format_id(job_id or b""),
                f"{told.named(number)} is {told.states[number]}, and it {ended.state}",
            )


def _states(told: Told, _: Mapping[str, Ended], tell: Tell) -> None:
    """How those that ran ended decides on all others; once it is stopped, what had not started is cancelled."""
    graph, states, status = told.graph, told.states, told.view.status
    if not all(state.has_ended for state in states):
        return
    fails = [
        number
        for number, node in enumerate(graph.nodes)
        if node.on_failure == "fail" and (states[number] is NodeState.FAILED)
    ]
    is_stopped = bool(fails) or status == "cancelled"
    if status == "cancelled" and math.isinf(told.seen.cancelled_at):
        tell(AS_SAID, "", f"workflow {told.seen.name} was cancelled, and nobody asked for it")
    for number in graph.order:
        state = states[number]
        may = starts(graph.nodes[number], graph.needs[number], graph.nodes, states)
        if state is NodeState.CANCELLED and not is_stopped:
            tell(AS_SAID, "", f"{told.named(number)} was cancelled, and nothing stopped its workflow")
        elif state in RAN and not may:
            tell(AS_SAID, "", f"{told.named(number)} {state}, and was to be skipped: {states}")
        elif state is NodeState.SKIPPED and may:
            tell(AS_SAID, "", f"{told.named(number)} was skipped, and was to run: {states}")
    stopped = "cancelled" if status == "cancelled" else "failed" if fails else ""
    outcome = Progress(graph, states, stopped=stopped).outcome  # type: ignore[arg-type]
    if outcome != status:
        tell(AS_SAID, "", f"workflow {told.seen.name} is {status}, and was to be {outcome}: {states}")


def _order(told: Told, _: Mapping[str, Ended], tell: Tell) -> None:
    """Of those that needs which succeeded; a failure that was the last may not have been told. One that succeeded only
    when it was retried had ended before."""
    for number, needs in enumerate(told.graph.needs):
        begun = min((run.at for run in told.runs(number)), default=math.inf)
        for need in needs:
            at_first = [retry.states[need.node] for retry in told.seen.retries] or [told.states[need.node]]
            if {told.states[need.node], *at_first} == {NodeState.SUCCEEDED} and begun < told.ended(need.node):
                why = f"{told.named(number)} began before {told.named(need.node)} had ended, which it needs"
                tell(IN_TURN, told.runs(number)[0].job, why)


def _results(told: Told, finals: Mapping[str, Ended], tell: Tell) -> None:
    results = {node.id: _of(node.result) for node in told.view.nodes}
    for number, node in enumerate(told.view.nodes):
        job = format_id(node.job_id) if node.job_id else ""
        made = [
            event.value for event in told.events(job, "made") if job in finals and event.fence == finals[job].result
        ]
        if node.state is NodeState.SUCCEEDED and made and results[node.id] not in made:
            tell(RESULTS, job, f"what {told.named(number)} has returned is not what the workflow shows")
        for event in told.events(job, "given"):
            if event.value != results[event.name]:
                tell(RESULTS, job, f"run {event.fence} was given something else than {event.name} had returned")
    for name in () if told.may_have_been_retried else results:
        for job in told.jobs(f"{name}{UNDONE}"):
            if [event for event in told.events(job, "given") if event.value != results[name]]:
                tell(RESULTS, job, f"it undoes {name}, and was given something else than that had returned")


def _of(result: bytes | None) -> int:
    return digest(None if result is None else msgspec.json.decode(result))


def _paused(told: Told, _: Mapping[str, Ended], tell: Tell) -> None:
    """What waited for others then."""
    for number, needs in enumerate(told.graph.needs):
        runs = told.runs(number)
        if not runs or not needs:
            continue
        freed = max(told.ended(need.node) for need in needs)
        for begin, end in told.seen.paused:
            if begin < freed < runs[0].at < end:
                tell(PAUSED, runs[0].job, f"{told.named(number)} began in a pause, {runs[0].at - begin:.1f} s after it")


def _undone(told: Told, finals: Mapping[str, Ended], tell: Tell) -> None:
    graph, account = told.graph, told.account
    found = {number: told.jobs(f"{node.id}{UNDONE}") for number, node in enumerate(graph.nodes)}
    for number, jobs in found.items():
        if len(jobs) > told.view.generation + 1:
            tell(UNDOES, jobs[-1], f"{told.named(number)} was undone {len(jobs)} times")
    if told.may_have_been_retried or told.view.status in ("running", "paused"):
        return
    undone = {number: account.runs[jobs[0]] for number, jobs in found.items() if jobs}
    to_undo = {
        number
        for number, node in enumerate(graph.nodes)
        if node.compensate and told.states[number] is NodeState.SUCCEEDED and told.view.status != "completed"
    }
    if undone.keys() - to_undo:
        tell(UNDOES, "", f"of {told.seen.name} were undone {sorted(undone)}, and to be undone {sorted(to_undo)}")
    failed = any(finals[job].state != "completed" for jobs in found.values() for job in jobs if job in finals)
    if to_undo - undone.keys() and not failed:
        tell(UNDOES, "", f"of {told.seen.name} only {sorted(undone)} were undone, of {sorted(to_undo)}")
    in_order = sorted(undone, key=lambda number: undone[number][0].at)
    for first, second in pairwise(in_order):
        if undone[second][0].at < min(run.until for run in undone[first]):
            tell(UNDOES, found[second][0], f"it undid {told.named(second)} before another one was undone")
        if _surely_before(told, first, second):
            tell(UNDOES, found[second][0], f"{told.named(second)} had succeeded later, and was undone later")


def _surely_before(told: Told, first: int, second: int) -> bool:
    """Whether the first one succeeded before the second, however long it took to be settled."""
    if second in told.graph.downstream([first]):
        return True
    last = max((run.until for run in told.runs(first) if run.outcome == "end"), default=math.inf)
    return last + told.account.unsettled_seconds < told.ended(second) and not told.account.between(
        last, told.ended(second)
    )


def _again(told: Told, _: Mapping[str, Ended], tell: Tell) -> None:
    """Of one that was retried once, for sure."""
    if len(told.seen.retries) != 1 or told.view.generation != 1 or told.seen.cancelled_at < math.inf:
        return
    retry = told.seen.retries[0]
    graph = told.graph
    undone = {
        number: NodeState.SUCCEEDED
        for number, node in enumerate(graph.nodes)
        if any(told.account.runs[job][0].at < retry.asked for job in told.jobs(f"{node.id}{UNDONE}"))
    }
    before = Progress(
        graph,
        retry.states,
        stopped=retry.status,
        compensation=Compensation(graph.nodes, undone, undone),
    )
    anew = {number for number, state in enumerate(retried(before).states) if not _kept(state, retry.states[number])}
    for number in range(len(graph)):
        late = [run for run in told.runs(number) if run.at > retry.asked and not told.account.touching(run)]
        if late and number not in anew:
            tell(AGAIN, late[0].job, f"{told.named(number)} ran again, and had ended well")
        elif number in anew and told.states[number] in RAN and told.last(number) < retry.asked:
            tell(AGAIN, "", f"{told.named(number)} is {told.states[number]}, and did not run again")


def _kept(state: NodeState, before: NodeState) -> bool:
    return state is before and state.has_ended
