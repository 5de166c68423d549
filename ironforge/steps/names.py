"""The names of steps, their keys and events, checked."""

from __future__ import annotations

from typing import Final

from ironforge.settings import NAME, NAME_RULE
from ironforge.steps.errors import InvalidStep
from ironforge.steps.journal import field_of

MAX_KEY_CHARACTERS: Final = 200
MAX_EVENT_CHARACTERS: Final = 200


def checked_field(name: object, key: object = None) -> str:
    """As `field_of`; a key may be a whole number as well. Raises InvalidStep."""
    if not isinstance(name, str) or not NAME.match(name):
        raise InvalidStep(f"{name!r:.150} is no name of a step: give {NAME_RULE}")
    return field_of(name, checked_key(name, key))


def checked_key(name: str, key: object) -> str | None:
    """Raises InvalidStep."""
    if key is None:
        return None
    text = str(key) if isinstance(key, int) and not isinstance(key, bool) else key
    if not isinstance(text, str) or not _is_key(text):
        rule = f"give a whole number, or 1 to {MAX_KEY_CHARACTERS} printable characters without spaces"
        raise InvalidStep(f"key {key!r:.60} of step {name} is none: {rule}")
    return text


def event_name_problem(name: object) -> str:
    """What is wrong with the name of an event, in words; empty: nothing is. No URL can carry the names `.` and `..`."""
    if isinstance(name, str) and len(name) <= MAX_EVENT_CHARACTERS and _is_key(name) and name not in (".", ".."):
        return ""
    rule = f"give 1 to {MAX_EVENT_CHARACTERS} printable characters without spaces, such as approved:42"
    return f"{name!r:.60} is no name of an event: {rule}"


def _is_key(text: str) -> bool:
    return 1 <= len(text) <= MAX_KEY_CHARACTERS and text.isprintable() and " " not in text


def shown(field: str) -> str:
    """As people read it: `name`, or `name/key`."""
    return field.replace("\n", "/", 1)
