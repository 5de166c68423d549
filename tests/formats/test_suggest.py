"""The name that was meant is found, and a hostile one costs nothing."""

from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st

from ironforge.formats.suggest import closest

words = st.text("abc", max_size=40)


@given(words, st.lists(words, max_size=4))
def test_it_finds_what_difflib_finds(name: str, names: list[str]) -> None:
    assert (difflib.get_close_matches(name, names, n=1) or [None]) == [closest(name, names)]


def test_a_name_that_is_far_too_long_is_not_compared(monkeypatch) -> None:
    monkeypatch.delattr(difflib, "get_close_matches")
    assert closest("k" * 1_000_000, ["kind", "queue"]) is None
