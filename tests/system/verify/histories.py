"""Histories written by hand for the judge: good ones, and bad ones with the promise that they break."""

from __future__ import annotations

from ironforge.job.expiry import EXPIRED
from ironforge.verify import verdict as promises
from ironforge.verify.account import Ended
from ironforge.verify.ledger import Event

STEP_SECONDS = 0.1
FAULTS = ("kill", "pause", "stop", "link-cut", "server-kill", "script-flush")
HEALED = {"healed": "pause", "linked": "link-cut"}
NAMED = {
    "cancelled": ("cancel_ok", "cancelled"),
    "cancelling": ("cancel_ok", "running"),
    "cancel_lost": ("cancel_info", ""),
}
# What happens to another job, `b`.
OTHERS = {"other": "start", "over": "end", "left": "left"}
RUN = "start 0|end 0"
DONE = Ended("completed", 0, 0)
AGAIN = Ended("completed", 1, 1)
FAILS = "|".join(f"start {fence}|fail {fence}" for fence in range(6))


def events(text: str) -> list[Event]:
    """`start 1|end 1|kill`: what happened to job `a`, a tenth of a second apart.

    `start 1 @2`: on process 2 instead of 1, for faults as well (0: the server). `wait 20`: 20 steps without an event.
    `due 5`: accepted, and due in 5 steps. `wall -2`: the clock on the wall is 2 steps behind the monotonic one.
    """
    found = []
    step = 0
    for told in filter(None, text.split("|")):
        words, _, process = told.strip().partition(" @")
        what, _, number = words.partition(" ")
        at, pid, value = step * STEP_SECONDS, int(process or 1), int(number or 0)
        step += value if what == "wait" else 1
        if what in FAULTS:
            found.append(Event(at, "fault", name=what, pid=pid))
        elif what == "starved":
            found.append(Event(at, "starved", pid=pid, seconds=value * STEP_SECONDS))
        elif what == "fault_begin":
            found.append(Event(at, "fault_begin", name="server-kill"))
        elif what in HEALED:
            found.append(Event(at, "healed", name=HEALED[what], pid=pid))
        elif what in NAMED:
            found.append(Event(at, NAMED[what][0], "a", name=NAMED[what][1]))
        elif what == "wall":
            found.append(Event(at, "wall", seconds=value * STEP_SECONDS))
        elif what == "due":
            found.append(Event(at, "submit_ok", "a", due=at + value * STEP_SECONDS))
        elif what == "kills":
            found.append(Event(at, "fault", name="kill", pid=pid, by="a", fence=value))
        elif what in OTHERS:
            found.append(Event(at, OTHERS[what], "b", pid=pid, fence=value))
        elif what != "wait":
            found.append(Event(at, what, "a", fence=value, pid=pid))
    return found


GOOD = {
    "it ran and completed": (f"submit_ok|{RUN}", DONE),
    "it was submitted before its answer was noted": (f"{RUN}|submit_ok", DONE),
    "the answer was lost and it became a job": (f"submit_info|{RUN}", DONE),
    "the answer was lost and it never was a job": ("submit_info", Ended("missing")),
    "it failed, was retried and completed": ("submit_ok|start 0|fail 0|start 1|end 1", AGAIN),
    "it failed until it was dead": (f"submit_ok|{FAILS}", Ended("dead", 5)),
    "its node was killed and it ran again": (
        "submit_ok|start 0|kill|start 1 @2|end 1 @2",
        Ended("completed", 1, 1, crashes=1),
    ),
    "its node was killed before it ran": ("submit_ok|kill|start 1 @2|end 1 @2", Ended("completed", 1, 1, crashes=1)),
    "it ended on a paused node that had lost it": (
        "submit_ok|start 0|pause|start 1 @2|end 1 @2|healed|end 0",
        Ended("completed", 1, 1, crashes=1),
    ),
    "it failed on a paused node that had lost it": (
        "submit_ok|start 0|pause|start 1 @2|end 1 @2|healed|fail 0",
        Ended("completed", 1, 1, crashes=1),
    ),
    "it started late on a node that had been paused": (
        "submit_ok|pause|start 1 @2|end 1 @2|healed|start 0|end 0",
        Ended("completed", 1, 1, crashes=1),
    ),
    "its first run was settled by nobody and the second one was": (
        "submit_ok|start 0|pause|end 0|start 1 @2|end 1 @2",
        Ended("completed", 1, 1, crashes=1),
    ),
    "its result was not settled when its node died": (
        "submit_ok|start 0|end 0|kill|start 1 @2|end 1 @2",
        Ended("completed", 1, 1, crashes=1),
    ),
    "its result was not settled when its node died, on a machine without time": (
        "submit_ok|start 0|end 0|wait 10|starved 8 @3|kill|start 1 @2|end 1 @2",
        Ended("completed", 1, 1, crashes=1),
    ),
    "its result was settled when its node died": (f"submit_ok|{RUN}|kill", DONE),
    "it was requeued before it had started": ("submit_ok|stop|start 1 @2|end 1 @2", AGAIN),
    "it was requeued twice": ("submit_ok|stop|stop @2|start 2 @3|end 2 @3", Ended("completed", 2, 2)),
    "it ran again under a fault that outlasted another one": (
        "submit_ok|link-cut|pause|healed|wait 12|start 0|end 0|start 1 @2|end 1 @2|linked",
        AGAIN,
    ),
    "it ended while its node was stopped": ("submit_ok|start 0|stop|end 0|healed", DONE),
    "it was cancelled before it ran": ("submit_ok|cancelled", Ended("cancelled")),
    "it was cancelled while it ran": ("submit_ok|start 0|cancelling", Ended("cancelled")),
    "it ran on after its cancellation was asked for": ("submit_ok|start 0|cancelling|end 0", DONE),
    "it was cancelled after it had run once": ("submit_ok|start 0|fail 0|cancelled", Ended("cancelled", 1)),
    "the answer to its cancellation was lost, and it is cancelled": ("submit_ok|cancel_lost", Ended("cancelled")),
    "the answer to its cancellation was lost, and it ran": (f"submit_ok|cancel_lost|{RUN}", DONE),
    "it was poison": (
        "submit_ok|start 0|kill|start 1 @2|kill @2|start 2 @3|kill @3",
        Ended("dead", 3, None, crashes=3),
    ),
    "it died of crashes before it had run": ("submit_ok|kill|kill @2|kill @3", Ended("dead", 3, None, crashes=3)),
    "two faults explain two repetitions": (
        "submit_ok|start 0|kill|start 1 @2|pause @2|start 2 @3|end 2 @3",
        Ended("completed", 2, 2, crashes=2),
    ),
    "the server's fault explains a repetition": (
        "submit_ok|start 0|fault_begin|end 0|server-kill @0|start 1 @2|end 1 @2",
        AGAIN,
    ),
    "its node got no processor": (
        "submit_ok|start 0|wait 9|starved 8|start 1 @2|end 1 @2",
        Ended("completed", 1, 1, crashes=1),
    ),
    "a fault repeated nothing": (f"submit_ok|{RUN}|pause", DONE),
    "it waited until it was due": (f"due 5|wait 4|{RUN}", DONE),
    "it was taken over in time": (
        "submit_ok|start 0|kill|wait 20|start 1 @2|end 1 @2",
        Ended("completed", 1, 1, crashes=1),
    ),
    "it was taken over late, with another fault near": (
        "submit_ok|start 0 @3|fail 0 @3|start 1|kill|pause @2|wait 40|start 2 @3|end 2 @3",
        Ended("completed", 2, 2, crashes=1),
    ),
    "it was taken over late, soon after another fault": (
        "submit_ok|start 0 @3|fail 0 @3|stop @2|start 1|kill|wait 40|start 2 @3|end 2 @3",
        Ended("completed", 2, 2, crashes=1),
    ),
    "it was taken over late, when no other node had come yet": (
        "submit_ok|start 0|kill|wait 40|start 1 @2|end 1 @2",
        Ended("completed", 1, 1, crashes=1),
    ),
    "it was taken over late, on a machine without time": (
        "submit_ok|start 0 @2|fail 0 @2|start 1|kill|wait 20|starved 8 @2|wait 20|start 2 @2|end 2 @2",
        Ended("completed", 2, 2, crashes=1),
    ),
    "nothing happened at all": ("", Ended("missing")),
}
BAD = {
    "it was accepted and is gone": ("submit_ok", Ended("missing"), promises.KEPT),
    "it was accepted, ran, and is gone": (f"submit_ok|{RUN}", Ended("missing"), promises.KEPT),
    "it is still queued": ("submit_ok", Ended("queued"), promises.KEPT),
    "it is still scheduled": ("submit_ok|start 0|fail 0", Ended("scheduled", 1), promises.KEPT),
    "it is still running": ("submit_ok|start 0", Ended("running"), promises.KEPT),
    "it is gone after a kill": ("submit_ok|start 0|kill", Ended("missing"), promises.KEPT),
    "nobody submitted it": (RUN, DONE, promises.PHANTOM),
    "it is completed and never ran": ("submit_ok", DONE, promises.ONCE),
    "it is completed and no run ended": ("submit_ok|start 0", DONE, promises.ONCE),
    "its result is of a run that failed": ("submit_ok|start 0|fail 0", DONE, promises.ONCE),
    "its result is of a run that never was": (f"submit_ok|{RUN}", AGAIN, promises.ONCE),
    "it has no result": (f"submit_ok|{RUN}", Ended("completed", 0, None), promises.ONCE),
    "an older run's result stands in a newer record": (
        "submit_ok|start 0|pause|start 1 @2|end 1 @2|end 0",
        Ended("completed", 1, 0),
        promises.ONCE,
    ),
    "a newer run's result stands in an older record": (
        "submit_ok|start 0|pause|start 1 @2|end 1 @2|end 0",
        Ended("completed", 0, 1),
        promises.ONCE,
    ),
    "it ran twice with the same fence": ("submit_ok|start 0|kill|start 0 @2|end 0 @2", DONE, promises.FENCE),
    "it ran twice at the same time with the same fence": (
        "submit_ok|start 0|start 0 @2|end 0|end 0 @2|kill",
        DONE,
        promises.FENCE,
    ),
    "an older run came later on a node that nobody hurt": (
        "submit_ok|kill|start 1 @2|end 1 @2|start 0 @3|end 0 @3",
        Ended("completed", 1, 1, crashes=1),
        promises.FENCE,
    ),
    "a run that was replaced ended it": (
        "submit_ok|start 0|pause|start 1 @2|end 1 @2|end 0",
        Ended("completed", 0, 0),
        promises.FENCE,
    ),
    "a run that was replaced buried it": (
        f"submit_ok|{FAILS}|pause|start 6 @2|end 6 @2",
        Ended("dead", 5),
        promises.FENCE,
    ),
    "it started after its cancellation": (f"submit_ok|cancelled|{RUN}", DONE, promises.CANCEL),
    "it started again after its cancellation": (
        "submit_ok|start 0|fail 0|cancelled|start 1|end 1",
        AGAIN,
        promises.CANCEL,
    ),
    "it was cancelled and is dead": ("submit_ok|cancelled", Ended("dead"), promises.STAYS),
    "it was cancelled and is queued": ("submit_info|cancelled", Ended("queued"), promises.STAYS),
    "nobody asked to cancel it": ("submit_ok", Ended("cancelled"), promises.ASKED),
    "it is cancelled as expired, and was to wait": ("submit_ok", Ended("cancelled", reason=EXPIRED), promises.ASKED),
    "nobody asked to cancel it while it ran": ("submit_ok|start 0", Ended("cancelled"), promises.ASKED),
    "it started before it was due": (f"due 5|{RUN}", DONE, promises.EARLY),
    "its retry found it before it was due": (f"due 9|wait 2|{RUN}", DONE, promises.EARLY),
    "it is dead and never ran": ("submit_ok", Ended("dead"), promises.TRIED),
    "it is dead after one failure": ("submit_ok|start 0|fail 0", Ended("dead"), promises.TRIED),
    "it is dead after one crash": ("submit_ok|start 0|kill", Ended("dead", 1, crashes=1), promises.TRIED),
    "it failed too often": (f"submit_ok|{FAILS}|start 6|fail 6", Ended("dead", 6), promises.LIMIT),
    "it completed when it should have been given up": (
        f"submit_ok|{FAILS}|start 6|end 6",
        Ended("completed", 6, 6),
        promises.LIMIT,
    ),
    "its crash was not counted": ("submit_ok|start 0|kill|start 1 @2|end 1 @2", AGAIN, promises.CRASHES),
    "one of its crashes was not counted": (
        "submit_ok|start 0|kill|start 1 @2|kill @2|start 2 @3|end 2 @3",
        Ended("completed", 2, 2, crashes=1),
        promises.CRASHES,
    ),
    "a crash was counted and nothing had crashed": (
        f"submit_ok|{RUN}",
        Ended("completed", 0, 0, crashes=1),
        promises.CRASHES,
    ),
    "an orderly stop was counted as a crash": (
        "submit_ok|stop|start 1 @2|end 1 @2",
        Ended("completed", 1, 1, crashes=1),
        promises.CRASHES,
    ),
    "it ran twice and no fault explains it": ("submit_ok|start 0|start 1 @2|end 1 @2", AGAIN, promises.REPEATS),
    "it ran more often than the faults explain": (
        "submit_ok|start 0|kill|start 1 @2|start 2 @3|end 2 @3",
        Ended("completed", 2, 2, crashes=1),
        promises.REPEATS,
    ),
    "it ran again long after it had ended on a node that was killed": (
        "submit_ok|start 0|end 0|wait 5|kill|start 1 @2|end 1 @2",
        AGAIN,
        promises.REPEATS,
    ),
    "it ran again because another node was hurt": (
        "submit_ok|start 0|kill @2|start 1 @3|end 1 @3",
        Ended("completed", 1, 1),
        promises.REPEATS,
    ),
    "it ran again before its node was hurt": (
        "submit_ok|start 0|start 1 @2|end 1 @2|wait 5|kill",
        AGAIN,
        promises.REPEATS,
    ),
    "it ran again long after its node was healed": (
        "submit_ok|pause|healed|wait 15|start 0|start 1 @2|end 1 @2",
        AGAIN,
        promises.REPEATS,
    ),
    "it ran again because its node drained": (
        "submit_ok|start 0|stop|start 1 @2|end 1 @2",
        AGAIN,
        promises.REPEATS,
    ),
    "it ran again before the server was hurt": (
        "submit_ok|start 0|start 1 @2|end 1 @2|wait 9|server-kill @0",
        AGAIN,
        promises.REPEATS,
    ),
    "it ran again because scripts were forgotten": (
        "submit_ok|start 0|script-flush @0|start 1 @2|end 1 @2",
        AGAIN,
        promises.REPEATS,
    ),
    "it found what another one had left behind": ("submit_ok|start 0|felt 0|end 0", DONE, promises.ALONE),
    "it was cancelled by another one, and ran again": (
        "submit_ok|start 0|start 1|end 1",
        AGAIN,
        promises.REPEATS,
    ),
    "it was taken over too late": (
        "submit_ok|other @2|over @2|start 0|kill|wait 26|start 1 @2|end 1 @2",
        Ended("completed", 1, 1, crashes=1),
        promises.IN_TIME,
    ),
}
