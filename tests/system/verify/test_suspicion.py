"""What the judge says of suspects, on histories written by hand."""

from __future__ import annotations

import pytest

from ironforge.verify import suspicion
from ironforge.verify.account import Account, Ended
from ironforge.verify.suspicion import judge_suspects
from tests.system.verify.histories import events

GOOD = {
    "it was poison": (
        "submit_ok|start 0|kill|start 1 @2|kill @2|start 2 @3|kill @3",
        Ended("dead", 3, None, crashes=3),
    ),
    "it was killed before its last run had started": (
        "submit_ok|start 0|kill|start 1 @2|kill @2|kill @3",
        Ended("dead", 3, None, crashes=3),
    ),
    "its node was away while it ran alone": (
        "submit_ok|start 0|kill|start 1 @2|kill @2|start 2 @3|pause @3|healed @3|end 2 @3",
        Ended("dead", 3, None, crashes=3),
    ),
    "it was a suspect, and others were before and after it on its node": (
        "submit_ok|start 0|kill|start 1 @2|kill @2|other @3|over @3|start 2 @3|end 2 @3|other 1 @3|over 1 @3",
        Ended("completed", 2, 2, crashes=2),
    ),
    "it was a suspect beside one that was told to stop before": (
        "submit_ok|start 0|kill|start 1 @2|kill @2|other @3|left @3|start 2 @3|end 2 @3",
        Ended("completed", 2, 2, crashes=2),
    ),
    "the server may have forgotten one of its crashes": (
        "submit_ok|start 0|kill|server-kill @0|wait 20|start 1 @2|kill @2|start 2 @3|other @3|end 2 @3",
        Ended("completed", 2, 2, crashes=1),
    ),
    "it killed all its nodes": (
        "submit_ok|start 0|kills 0|start 1 @2|kills 1 @2|start 2 @3|kills 2 @3",
        Ended("dead", 3, None, crashes=3),
    ),
}
BAD = {
    "it was buried with others on its node": (
        "submit_ok|start 0|kill|start 1 @2|kill @2|other @3|start 2 @3|kill @3",
        Ended("dead", 3, None, crashes=3),
        suspicion.INNOCENT,
    ),
    "it was buried and nothing had hurt its last node": (
        "submit_ok|start 0|kill|start 1 @2|kill @2|start 2 @3|end 2 @3",
        Ended("dead", 3, None, crashes=3),
        suspicion.INNOCENT,
    ),
    "it was a suspect and not alone": (
        "submit_ok|start 0|kill|start 1 @2|kill @2|start 2 @3|other @3|end 2 @3",
        Ended("completed", 2, 2, crashes=2),
        suspicion.BY_ITSELF,
    ),
    "it killed its nodes and lives": (
        "submit_ok|start 0|kills 0|start 1 @2|kills 1 @2",
        Ended("queued", 2, None, crashes=2),
        suspicion.GUILTY,
    ),
    "it killed more nodes than the budget says": (
        "submit_ok|start 0|kills 0|start 1 @2|kills 1 @2|start 2 @3|kills 2 @3|start 3 @4|kills 3 @4",
        Ended("dead", 4, None, crashes=4),
        suspicion.GUILTY,
    ),
    "it killed its nodes and was buried after another run": (
        "submit_ok|start 0|kills 0|start 1 @2|kills 1 @2|start 2 @3|kill @3",
        Ended("dead", 3, None, crashes=3),
        suspicion.GUILTY,
    ),
}


def judged(text: str, final: Ended) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    judge_suspects(Account(events(text)), {"a": final}, lambda promise, job, _: found.append((promise, job)))
    return found


@pytest.mark.parametrize(("text", "final"), GOOD.values(), ids=GOOD)
def test_a_good_history_passes(text: str, final: Ended) -> None:
    assert judged(text, final) == []


@pytest.mark.parametrize(("text", "final", "promise"), BAD.values(), ids=BAD)
def test_a_bad_history_is_caught_for_its_reason(text: str, final: Ended, promise: str) -> None:
    assert (promise, "a") in judged(text, final)


def test_two_suspects_at_once_are_caught() -> None:
    killed = "submit_ok|start 0|other|kill|start 1 @2|other 1 @2|kill @2"

    one_by_one = Account(events(f"{killed}|start 2 @3|end 2 @3|other 2 @4|over 2 @4"))
    at_once = Account(events(f"{killed}|start 2 @3|other 2 @4|end 2 @3|over 2 @4"))

    found: list[str] = []
    for account in (one_by_one, at_once):
        judge_suspects(account, {}, lambda promise, job, _: found.append(f"{promise}: {job}"))
    assert found == [f"{suspicion.BY_ITSELF}: b"]
