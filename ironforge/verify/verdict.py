"""Judges a run: the ledger's account against what the store says at the end. Pure: tested on written histories.

A submission whose answer was lost is neither accepted nor refused: it may have become a job, or not. A run may be
repeated only when a fault on the very process that ran it, or on the server, came before the result was settled.
Dead is an end only for a job that used up its retries or its crashes: otherwise to bury jobs would be to keep them.

The invariants of job systems, and the promise that covers each:

- no loss, every accepted job has one end: `KEPT`. No phantoms: `PHANTOM`. One job for one key, and for a submission
  without an answer at most one: `KEY`, `FENCE`. An end never changes: `ONCE`, `STAYS`.
- one accepted settlement a job, that of its highest fence; fences rise; leases of one job do not overlap: `ONCE`,
  `FENCE`, `REPEATS`.
- repeats are bounded by the faults: `REPEATS`. Retries and crashes end where they should: `TRIED`, `LIMIT`, `CRASHES`.
- nothing before its time: `EARLY`. Nothing after its cancellation: `CANCEL`, `STAYS`, `ASKED`.
- what was created has ended, nothing is pending, no key or consumer without an owner: `NOTHING_LEFT`. Until then it is
  in one of the counts, whenever one looks: `COUNTED`.
- orphans are taken over in time, and every node goes on: `IN_TIME`, `GOES_ON`; not suspects, which wait for their turn.
  No handler hurts another job: `ALONE`, `REPEATS`, `GOES_ON`. One that kills its nodes hurts itself alone: `INNOCENT`,
  `GUILTY`, `BY_ITSELF` in `suspicion.py`.
- limits hold, and let in who may: `HOLDERS`, `RATE`, `ORDER`, `WAITED` in `flow_verdict.py`, `STRAY`. What they do
  instead of letting jobs wait: `FULL`, `OLDEST`, `PARKED` in `limits/policy_verdict.py`. A unique key is one job's, and
  nobody's when that has ended: `UNIQUE`, `LET_GO`, and `NOTHING_LEFT` where the next one could take it. Who meets older
  nodes runs all the same: `DECLINED`.
- an expiring job starts in time, or is cancelled for that, one of the two: `EXPIRES`; `ASKED`, and `KEPT` where it
  waits for ever.
- what a step recorded stays, and it is not done again: `RECORDED`, `NOT_AGAIN` in `steps/verdict.py`. An event is one,
  for all who wait for it, and none of them misses it, wakes early or late: `FIRST`, `HEARD`, `SLEPT`,
  `STRANDED`, `IN_TIME` there.
- a schedule starts one job for each of its ticks, none early and none else, or says why not: `ONCE`, `NO_TICK`,
  `EARLY`, `OVERLAP`, `CATCH_UP` and `PAUSED` in `schedules/verdict.py`. That job is kept, as any other one.
- workflows: `ENDS`, `IN_TURN`, `ONE_JOB`, `AS_SAID`, `RESULTS`, `PAUSED`, `UNDOES` and `AGAIN` in
  `workflows/verdict.py`. Their jobs are kept, as any other one.

Not judged here: memory and open connections, replies that belong to other requests, and the durability that an answer
promised (the chaos runs take servers down, the tests of the store the rest). IronForge has no webhooks and no
order between jobs of one priority but by fifo limits and turns of fairness keys: a job that never has its turn is not
`KEPT`, and the order of turns is judged by the tests of the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from ironforge.verify.account import CANCELLED, CLOCK_SECONDS, CLOCK_SET, HARMLESS, STARVED, Account, Ended, Run, Tell
from ironforge.verify.findings import Verdict, Violation
from ironforge.verify.flow_verdict import judge_flow
from ironforge.verify.handlers import MAX_RETRIES
from ironforge.verify.ledger import Event
from ironforge.verify.limits.policy_verdict import ends_unasked
from ironforge.verify.recovery import Recoveries, recoveries
from ironforge.verify.schedules.verdict import NO_SCHEDULES, Schedules, judge_ticks
from ironforge.verify.steps.verdict import judge_steps
from ironforge.verify.suspicion import CRASH_BUDGET, DEAD, judge_suspects
from ironforge.verify.workflows.seen import Seen
from ironforge.verify.workflows.verdict import judge_workflows

COMPLETED, MISSING = "completed", "missing"
# The store counts settlements, it does not name them: jobs that ended twice may be those that were counted twice.
SUSPECTS: Final = 10
# Of a run: another one follows without a fault.
ENDS_AN_ATTEMPT: Final = ("fail", "parked")

KEPT = "accepted means kept"
ONCE = "settles exactly once"
PHANTOM = "no phantoms"
KEY = "one key is one job"
FENCE = "the fence rises with every run"
CANCEL = "cancelled means never started"
STAYS = "cancelled stays cancelled"
ASKED = "only who is asked cancels"
EARLY = "nothing starts early"
REPEATS = "repeats only what faults explain"
TRIED = "dead means tried to the end"
LIMIT = "retries have an end"
CRASHES = "every crash is counted, and nothing else"
IN_TIME = "taken over in time"
ALONE = "a handler hurts only its own job"
GOES_ON = "a node that nobody hurts goes on"
NOTHING_LEFT = "nothing is left behind"
COUNTED = "a job that lives is always counted"
STRAY = "no holder without a job"


def judge(
    events: Iterable[Event],
    finals: Mapping[str, Ended],
    completed_total: int,
    *,
    lease_seconds: float = 0.0,
    leftovers: Iterable[str] = (),
    torn: Iterable[str] = (),
    strays: Iterable[str] = (),
    schedules: Schedules = NO_SCHEDULES,
    workflows: Collection[Seen] = (),
) -> Verdict:
    """`completed_total`: how many settlements as completed the store has counted.

    `lease_seconds`: judges how soon the jobs of a killed node started elsewhere; 0: only tells it. `leftovers`: what
    was found in the store, in words, when all jobs had ended and all nodes had left. `torn`: counts that did not add
    up while they had not, `strays`: holders of limits whose jobs had ended, in words. `schedules`, `workflows`: what
    was seen of them.
    """
    account = Account(events)
    violations: list[Violation] = []

    def tell(promise: str, job: str, why: str) -> None:
        violations.append(Violation(promise, job, why, account.evidence(job) if job else []))

    _each_job(account, finals, tell)
    _keys(account, finals, tell)
    judge_suspects(account, finals, tell)
    judge_flow(account, finals, tell)
    judge_ticks(account, schedules, tell)
    judge_steps(account, finals, tell)
    judge_workflows(account, workflows, finals, tell)
    violations += _ended_by_themselves(account)
    completed = sum(final.state == COMPLETED for final in finals.values())
    settled_twice = max(0, completed_total - completed)
    if settled_twice:
        violations.append(_settled_twice(account, completed, completed_total))
    recovered = recoveries(account, lease_seconds)
    _late(recovered, tell)
    for promise_of_all, whys in ((NOTHING_LEFT, leftovers), (COUNTED, torn), (STRAY, strays)):
        for why in whys:
            tell(promise_of_all, "", why)
    return _verdict(account, violations, settled_twice, recovered, schedules)


def _each_job(account: Account, finals: Mapping[str, Ended], tell: Tell) -> None:
    for job in sorted(account.by_job):
        final = finals.get(job, Ended(MISSING))
        for promise in (_kept, _settled, _fences, _times, _cancelled, _dead, _crashes, _repeats, _alone):
            promise(account, job, final, tell)


def _late(recovered: Recoveries, tell: Tell) -> None:
    for late in recovered.late:
        tell(IN_TIME, late.job, f"its node was killed, and it started again after {late.seconds:.1f} s")


def _settled_twice(account: Account, completed: int, completed_total: int) -> Violation:
    why = f"{completed} jobs are completed, {completed_total} settlements counted"
    suspects = account.ended_twice()[:SUSPECTS]
    return Violation(ONCE, "", why, [event for job in suspects for event in account.evidence(job)])


def _ended_by_themselves(account: Account) -> list[Violation]:
    return [
        Violation(GOES_ON, "", f"process {event.pid} ended by itself: {event.name}", [event])
        for event in account.died
        if account.killed(event.pid) > event.at  # else by a job that it ran
    ]


def _verdict(
    account: Account, violations: list[Violation], settled_twice: int, recovered: Recoveries, schedules: Schedules
) -> Verdict:
    names = Counter(fault.name for fault in account.faults)
    starved = names.pop(STARVED, 0)
    clock_set = names.pop(CLOCK_SET, 0)
    runs = [run for told in account.runs.values() for run in told]
    return Verdict(
        acknowledged=len(account.accepted),
        unanswered=len(account.unanswered),
        faults=dict(names),
        lost=sum(violation.promise == KEPT for violation in violations),
        settled_twice=settled_twice,
        repeated_runs=sum(len(_repeated(account, job)) for job in account.runs),
        repeated_runs_bound=sum(bool(account.touching(run)) for run in runs),
        longest_recovery_seconds=recovered.longest_seconds,
        violations=violations,
        starved=starved,
        clock_set=clock_set,
        recoveries=recovered.interrupted,
        recoveries_judged=recovered.judged,
        ticks_started=sum(len(life.ticked) for life in schedules.lives),
        ticks_skipped=sum(seen.past.ticks for life in schedules.lives for seen in life.skips),
    )


def _kept(account: Account, job: str, final: Ended, tell: Tell) -> None:
    if job in account.accepted and final.state not in (COMPLETED, CANCELLED, DEAD):
        tell(KEPT, job, f"it was accepted, and in the end it is {final.state}")
    known = job in account.accepted or job in account.unanswered
    known = known or job in account.of_schedules or job in account.of_workflows
    if account.runs[job] and not known:
        tell(PHANTOM, job, "it ran, and nobody submitted it")


def _settled(account: Account, job: str, final: Ended, tell: Tell) -> None:
    if final.state != COMPLETED:
        return
    finished = [run.fence for run in account.runs[job] if run.outcome == "end"]
    if final.result not in finished:
        tell(ONCE, job, f"its result is of run {final.result}, the runs that ended are {finished}")
    if final.result != final.fence:
        tell(ONCE, job, f"its record is of run {final.fence}, its result of run {final.result}")


def _fences(account: Account, job: str, final: Ended, tell: Tell) -> None:
    """A node that was away may start a job late that others have run meanwhile; no other run may go back."""
    seen: set[int] = set()
    runs = account.runs[job]
    for run in runs:
        if run.fence in seen or (run.fence < max(seen, default=0) and not account.touching(run)):
            tell(FENCE, job, f"runs in their order: {[run.fence for run in runs]}")
            break
        seen.add(run.fence)
    if final.state in (COMPLETED, CANCELLED, DEAD) and final.fence < max(seen, default=0):
        tell(FENCE, job, f"run {max(seen)} was the newest, and it was run {final.fence} that ended the job")


def _times(account: Account, job: str, _: Ended, tell: Tell) -> None:
    due = account.due.get(job, 0.0)
    for run in account.runs[job]:
        early = due - CLOCK_SECONDS - run.at
        # It is due by the server's clock, which may have been set since it was told.
        if early > 0 and early > account.wall_clock.gained(account.by_job[job][0].at, run.at):
            return tell(EARLY, job, f"it started {due - run.at:.3f} s before it was due")
    return None


def _cancelled(account: Account, job: str, final: Ended, tell: Tell) -> None:
    at = account.cancelled_at.get(job)
    if at is not None and any(run.at > at for run in account.runs[job]):
        tell(CANCEL, job, "it started after its cancellation was acknowledged")
    if at is not None and final.state not in (CANCELLED, MISSING):
        tell(STAYS, job, f"its cancellation was acknowledged, and in the end it is {final.state}")
    # Of those of a workflow: its judge knows.
    asked = job in account.asked_to_cancel or job in account.of_workflows or ends_unasked(account, job, final)
    if final.state == CANCELLED and not asked:
        tell(ASKED, job, "it is cancelled, and nobody asked for it")


def _dead(account: Account, job: str, final: Ended, tell: Tell) -> None:
    """A failure that was not accepted cannot be told from one that was, so only untouched ones speak against us."""
    fails = [run for run in account.runs[job] if run.outcome == "fail"]
    if final.state == DEAD and len(fails) <= MAX_RETRIES and final.crashes < CRASH_BUDGET:
        tell(TRIED, job, f"it is dead after {len(fails)} failures and {final.crashes} crashes")
    untouched = [run for run in fails if not account.touching(run)]
    retried = sum(event.job == job for event in account.retried)
    most = MAX_RETRIES + retried * (MAX_RETRIES + 1)
    if len(untouched) > most + 1 or (len(untouched) > most and final.state == COMPLETED):
        tell(LIMIT, job, f"it failed {len(untouched)} times with {MAX_RETRIES} retries, and is {final.state}")


def _crashes(account: Account, job: str, final: Ended, tell: Tell) -> None:
    if final.state == MISSING:
        return
    killed = 0
    for run, repeated_at in account.in_order(job):
        # A run that failed may have been that of a suspect: it killed no node, and is none any longer.
        anew = run.records or run.outcome in ENDS_AN_ATTEMPT
        killed = (0 if anew else killed) + account.crashed(run, repeated_at)
    possible = sum(fault.name not in HARMLESS for fault in account.faults)
    if not killed <= final.crashes <= possible:
        tell(CRASHES, job, f"{killed} of its runs were killed in {possible} faults, {final.crashes} crashes counted")


def _repeats(account: Account, job: str, _: Ended, tell: Tell) -> None:
    for run, again in _repeated(account, job):
        if not account.touching(run, again.at):
            tell(REPEATS, job, f"run {run.fence} on process {run.pid} was repeated, and no fault touched it")


def _repeated(account: Account, job: str) -> list[tuple[Run, Run]]:
    """Runs that were followed by another one although they had neither failed nor gone to wait before."""
    pairs = account.followed(job)
    return [(run, again) for run, again in pairs if not (run.outcome in ENDS_AN_ATTEMPT and run.until <= again.at)]


def _alone(account: Account, job: str, _: Ended, tell: Tell) -> None:
    """Cancelled or failed by another one it would run again: that is a repeat without a fault."""
    felt = [event for event in account.by_job[job] if event.what == "felt"]
    if felt:
        tell(ALONE, job, f"run {felt[0].fence} found what job {felt[0].name} had left behind")


def _keys(account: Account, finals: Mapping[str, Ended], tell: Tell) -> None:
    for key, jobs in account.by_key.items():
        exist = sorted(job for job in jobs if job in account.accepted or job in finals or account.runs[job])
        if len(exist) > 1:
            tell(KEY, exist[1], f"the idempotency key {key} stands for {exist}")
