"""No text can steer a terminal or turn its direction, and programs read what was meant."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.cli import output
from ironforge.formats.terminal_text import plain, plain_json

TEXTS = st.text(st.characters())  # of every character there is, lone surrogates included
HOSTILE = [
    "\x00",
    "\r",
    "\x1b[2J",
    "\x1b]8;;http://evil.example\x1b\\",
    "\x7f",
    "\x9b31m",
    "\u202e",
    "\u2066",
    "\u200b",
]
HOSTILE += ["\u200f", "\u2028", "\ufeff", "\ud800", "\U000e0041"]


@given(TEXTS)
def test_a_plain_text_has_nothing_that_prints_nothing(text: str) -> None:
    assert plain(text).isprintable()


@given(TEXTS)
def test_a_text_that_prints_stays_as_it_is(text: str) -> None:
    assert plain(plain(text)) == plain(text)


def test_what_is_kept_is_kept() -> None:
    assert plain("a\n\tb\x1b", keep="\n\t") == "a\n\tb\\x1b"


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_json_is_printable_and_means_the_same(document: object) -> None:
    text = plain_json(json.dumps(document, ensure_ascii=False))
    assert text.isprintable()
    assert json.loads(text) == document


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_json_that_commands_print_is_printable(capsys: pytest.CaptureFixture[str], hostile: str) -> None:
    output.print_json({hostile: [hostile, "für 猫"]})
    written = capsys.readouterr().out
    assert written.rstrip("\n").isprintable()
    assert json.loads(written) == {hostile: [hostile, "für 猫"]}
    assert "für 猫" in written


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("show", [output.say, output.line])
def test_messages_and_lines_are_printable(capsys: pytest.CaptureFixture[str], hostile: str, show: object) -> None:
    assert callable(show)
    show(f"[red]a{hostile}b")
    written = "".join(capsys.readouterr())
    assert written.rstrip("\n").isprintable()
    assert "[red]a" in written
