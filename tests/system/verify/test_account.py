"""Which faults explain that a run is repeated, on ledgers written by hand."""

from __future__ import annotations

import pytest

from ironforge.verify.account import Account
from ironforge.verify.ledger import Event
from tests.system.verify.flow_histories import fault, run


def touching(begin: float, *parts: list[Event], before: float) -> list[str]:
    """The faults that touch a run which begins then, and is repeated `before`."""
    events = [*run("a", begin, begin + 0.1), *(event for part in parts for event in part)]
    account = Account(sorted(events, key=lambda event: event.at))
    [told] = account.runs["a"]
    return [found.name for found in account.touching(told, before)]


def test_a_late_run_on_a_node_that_was_away_twice_in_a_row_is_explained() -> None:
    blocked = fault("block-loop", 1, 3), fault("block-loop", 3.1, 6)

    assert touching(6.1, *blocked, before=2.5) == ["block-loop"]


@pytest.mark.parametrize(
    "second", [fault("block-loop", 4.1, 6), fault("deploy", 3.1, 6), fault("pause", 3.1, 6, pid=2)]
)
def test_one_on_a_node_that_had_time_to_hear_of_its_fate_is_not(second: list[Event]) -> None:
    assert touching(6.1, fault("block-loop", 1, 3), second, before=2.5) == []


def test_a_run_that_was_told_to_stop_is_over_for_faults_that_come_later() -> None:
    stopped = [*run("a", 1), Event(2, "left", "a", pid=1)]

    for begin, expected in ((2.2, ["kill"]), (9, [])):
        account = Account([*stopped, *fault("kill", begin)])
        [told] = account.runs["a"]
        assert [found.name for found in account.touching(told)] == expected
