"""Text of strangers on a terminal: what would steer it, or turn its direction, is shown and not sent.

That is every character that prints nothing by itself: controls, marks of direction, those without a width, lone
surrogates, and whatever Unicode has not given a meaning.
"""

from __future__ import annotations

import json


def plain(text: str, *, keep: str = "") -> str:
    """`text` with such characters as Python writes them, except those in `keep`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)


def plain_json(document: str) -> str:
    """The same document, of one line, with such characters as JSON writes them: they can only be inside of strings."""
    if document.isprintable():
        return document
    return "".join(char if char.isprintable() else _escaped(char) for char in document)


def _escaped(char: str) -> str:
    # JSON need not escape DEL, and Python does not.
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]
