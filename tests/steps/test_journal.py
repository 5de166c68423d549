"""Entries of a journal, and names of entries: what is written is read again, and what is none is refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.errors import IncompatibleRecord
from ironforge.formats.bounds import MAX_COUNT, MAX_TIME_MS
from ironforge.steps import journal
from ironforge.steps.journal import Entry, EntryKind

TIMES = st.integers(0, MAX_TIME_MS)
ENTRIES = st.builds(Entry, st.sampled_from(EntryKind), st.binary(), TIMES, TIMES, st.integers(0, MAX_COUNT))
NAMES = st.text().filter(lambda text: "\n" not in text)


@given(ENTRIES)
def test_an_entry_is_read_as_it_was_written(entry):
    assert journal.decode(journal.encode(entry)) == entry


@given(NAMES, st.none() | st.text())
def test_a_name_and_its_key_are_found_again(name, key):
    assert journal.split_field(journal.field_of(name, key)) == (name, key)


@pytest.mark.parametrize(
    "value",
    [b"", b"\xc1", b"\x91" * 100_000, msgspec.msgpack.encode([7, b"", 0, 0, 0]), msgspec.msgpack.encode(["step"])],
    ids=range(5),
)
def test_what_is_no_entry_is_refused(value):
    with pytest.raises(IncompatibleRecord, match="this is no entry of a journal"):
        journal.decode(value)


@pytest.mark.parametrize(
    ("head", "fence"),
    [(b"7", 7), (b"7 event paid\nwait", 7), (None, None), (b"", None), (b"x", None), (b"9" * 99, None)],
)
def test_the_head_says_which_run_recorded_last(head, fence):
    assert journal.fence_of(head) == fence


def test_a_wait_whose_time_was_over_has_no_result():
    over = Entry(EntryKind.WAITED, b"", 1, 2, 0)
    assert over.timed_out
    assert not msgspec.structs.replace(over, result=b"null").timed_out
    assert not msgspec.structs.replace(over, kind=EntryKind.WAIT).timed_out
