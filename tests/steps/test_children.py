"""Children of a step: their ids, and what the journal says of them."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.errors import IncompatibleRecord
from ironforge.job.record import created_ms_of, format_id, parse_id
from ironforge.steps.children import MOST_CHILDREN, ChildrenState, child_id, decode_state, encode_state
from ironforge.steps.waits import member_of

PARENTS = st.uuids().map(lambda one: one.bytes)
FIELDS = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1, max_size=20)
# An entry with a key has a line feed between the two.
ENTRIES = FIELDS | st.tuples(FIELDS, FIELDS).map("\n".join)
MEMBERS = st.builds(member_of, ENTRIES, st.integers(0, MOST_CHILDREN), st.integers(0, 50))
TIMES = st.integers(0, 2**48 - 1)


@given(PARENTS, MEMBERS, TIMES, st.integers(0, 255))
def test_an_id_is_a_uuid_with_its_time_and_its_tail(parent: bytes, member: str, at_ms: int, tail: int) -> None:
    job_id = child_id(parent, member, at_ms, tail)
    assert uuid.UUID(bytes=job_id).variant == uuid.RFC_4122
    assert parse_id(format_id(job_id)) == job_id
    assert created_ms_of(job_id) == at_ms
    assert job_id[-1] == tail


@given(PARENTS, MEMBERS, TIMES)
def test_whoever_makes_it_comes_to_the_same(parent: bytes, member: str, at_ms: int) -> None:
    assert child_id(parent, member, at_ms, 0) == child_id(bytes(parent), str(member), at_ms, 0)


@given(
    st.lists(st.tuples(PARENTS, ENTRIES, st.integers(0, 20), st.integers(0, 3)), min_size=2, max_size=50, unique=True)
)
def test_no_two_children_have_the_same(children: list[tuple[bytes, str, int, int]]) -> None:
    names = {(parent, member_of(*child)) for parent, *child in children}
    assert len(names) == len(children)
    assert len({child_id(parent, member, 0, 0) for parent, member in names}) == len(children)


@given(
    st.builds(
        ChildrenState,
        st.integers(0, MOST_CHILDREN),
        st.integers(0, MOST_CHILDREN),
        st.lists(st.integers(0, 9), min_size=1, max_size=5).map(tuple),
    )
)
def test_what_the_journal_says_is_read_as_it_was_written(state: ChildrenState) -> None:
    assert decode_state(encode_state(state)) == state


@pytest.mark.parametrize("result", [b"", b"null", b"{}", b'{"count":-1}', b'{"count":1,"generations":[]}', b"\xff"])
def test_bytes_that_say_nothing_of_children_are_refused(result: bytes) -> None:
    with pytest.raises(IncompatibleRecord):
        decode_state(result)
