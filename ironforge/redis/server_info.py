"""Reads what INFO and CONFIG GET answer, whatever stands there.

What cannot be read counts as not said: these are the words of another program, often of a proxy in front of it, and a
line that nobody expected must not stop a node.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final

# More digits than any size or count has; Python alone would refuse, or try, to read thousands of them.
DIGITS: Final = 18


def info_of(reply: object) -> dict[str, str]:
    """The fields of INFO by name."""
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else ""
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value for name, colon, value in lines if colon}


def config_of(reply: object) -> dict[str, str]:
    """The settings of CONFIG GET by name; a refusal names none."""
    words = reply if isinstance(reply, list) else []
    texts = [word.decode(errors="replace") if isinstance(word, bytes) else "" for word in words]
    return dict(itertools.zip_longest(texts[::2], texts[1::2], fillvalue=""))


def number_in(fields: Mapping[str, str], name: str) -> int:
    """A size or a count; 0 when there is none."""
    value = fields.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= DIGITS else 0


def version_of(text: str) -> tuple[int, int]:
    """Major and minor version; (0, 0) for a text that has none."""
    major, _, rest = text.partition(".")
    numbers = {"major": major, "minor": rest.partition(".")[0]}
    return number_in(numbers, "major"), number_in(numbers, "minor")
