"""What no door takes for JSON, in the words of all of them.

Readers disagree about it: a job would be another one for a handler in another language.
"""

from __future__ import annotations

from typing import Final

from ironforge.codes import Code

# What a 64-bit integer, signed or not, can hold: the most that common JSON readers and msgpack agree on.
MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**64 - 1

# How deep values may be nested.
MAX_DEPTH: Final = 32

SHOWN_CHARACTERS: Final = 100


class Breach(ValueError):
    """A value that breaks a rule. `code` is stable for programs."""

    def __init__(self, code: Code, problem: str) -> None:
        super().__init__(problem)
        self.code = code


def no_number(name: str) -> Breach:
    return Breach("invalid_number", f"{name} is not a JSON number: use null or a text")


def integer_out_of_range(digits: str) -> Breach:
    return Breach("number_out_of_range", f"{short(digits)} is out of range: {MIN_INTEGER} to {MAX_INTEGER}")


def float_out_of_range(digits: str) -> Breach:
    return Breach("number_out_of_range", f"{short(digits)} is out of range of a 64-bit float")


def repeated_key(key: str) -> Breach:
    return Breach("duplicate_key", f"the key {key[:SHOWN_CHARACTERS]!r} appears twice in one object")


def half_of_a_pair() -> Breach:
    return Breach("invalid_unicode", "half of a surrogate pair")


def sendable(text: str) -> str:
    """With halves of surrogate pairs replaced: a key or a message may hold one, which could not be sent."""
    return text.encode(errors="replace").decode()


def short(digits: str) -> str:
    return digits if len(digits) <= 30 else f"{digits[:20]}… ({len(digits)} digits)"
