"""A failure in words: whatever the exception does, the text can be stored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironforge.errors import Retry
from ironforge.failure import RemoteFailure, describe


class Own(Exception):
    pass


def test_builtin_types_have_a_short_name_and_others_a_full_one():
    assert "ValueError" == describe(ValueError())[0]
    assert "ironforge.errors.Retry" == describe(Retry())[0]
    assert f"{__name__}.Own" == describe(Own())[0]


def test_a_failure_of_another_process_is_passed_on_as_it_is():
    assert ("KeyError", "'a'", "trace") == describe(RemoteFailure("KeyError", "'a'", "trace"))


class Evil(SyntaxError):
    @property
    def filename(self) -> str:
        raise SystemExit


def test_an_exception_that_cannot_be_formatted_has_no_trace():
    assert (f"{__name__}.Evil", "odd", "") == describe(Evil("odd"))


@given(st.text(alphabet=st.characters(codec=None)))
def test_every_text_can_be_encoded(text):
    for part in describe(ValueError(text)):
        part.encode()
