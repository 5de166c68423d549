"""What holds of any handler with steps, whatever it is changed to between its runs and wherever they end."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ironforge.steps.errors import DuplicateStep, InvalidStep
from ironforge.steps.journal import EntryKind, field_of, split_field
from ironforge.steps.names import checked_field
from ironforge.steps.parking import Parked
from tests.execution.steps.kit import MemoryJournal, Run

NAMES = st.sampled_from(["charge", "pack", "ship", "mail"])
KEYS = st.none() | st.integers(0, 2)
STEPS = st.tuples(st.just("step"), NAMES, KEYS)
FAILING = st.tuples(st.just("fails"), NAMES, KEYS)
SLEEPS = st.tuples(st.just("sleep"), st.sampled_from(["nap", "pack"]), KEYS)


class Runs(RuleBasedStateMachine):
    """One job, run over and over with steps in any order; some of its functions fail, some runs end between steps."""

    def __init__(self) -> None:
        super().__init__()
        self.journal = MemoryJournal()
        self.first: dict[str, Any] = {}
        self.kinds: dict[str, str] = {}
        self.recorded: Counter[str] = Counter()
        self.fence = 0
        self.calls = 0

    @rule(calls=st.lists(STEPS | FAILING | SLEEPS, max_size=8))
    def run(self, calls: list[tuple[str, str, int | None]]) -> None:
        context = Run(self.journal, self.fence).context
        self.fence += 1
        used: set[str] = set()
        for what, name, key in calls:
            field = field_of(name, None if key is None else str(key))
            try:
                if what == "sleep":
                    context.sleep(name, 5, key=key)
                    assert self.journal.entries[field].kind is EntryKind.WAITED
                else:
                    self.check(field, context.step(name, self.call, what, field, key=key))
            except ZeroDivisionError:
                assert what == "fails"
                return
            except DuplicateStep:
                assert field in used
                return
            except InvalidStep:
                assert (self.kinds[field] == "wait") != (what == "sleep")
                return
            except Parked:
                self.kinds[field] = "wait"
                self.journal.end(field, b"null")
                return
            assert field not in used
            used.add(field)

    def call(self, what: str, field: str) -> int:
        if what == "fails":
            raise ZeroDivisionError
        self.calls += 1
        self.recorded[field] += 1
        return self.calls

    def check(self, field: str, value: int) -> None:
        """The first value that it had, whatever the function would say now."""
        assert self.first.setdefault(field, value) == value
        self.kinds[field] = "step"

    @invariant()
    def nothing_is_done_twice(self) -> None:
        assert set(self.recorded.values()) <= {1}

    @invariant()
    def nothing_recorded_is_lost(self) -> None:
        """Also of names that no later run has used."""
        kept = {field for field, entry in self.journal.entries.items() if entry.kind is EntryKind.STEP}
        assert kept == set(self.recorded)


TestRuns = Runs.TestCase


@given(st.text(max_size=10), st.none() | st.text(max_size=10))
def test_what_passes_as_name_and_key_is_told_from_all_others(name: str, key: str | None) -> None:
    try:
        field = checked_field(name, key)
    except InvalidStep:
        return
    assert split_field(field) == (name, key)
