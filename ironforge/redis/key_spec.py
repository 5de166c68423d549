"""What is known of a kind of key, written down once for names, scripts, the doctor and the manual."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

# How long a key lasts.
STAYS: Final = "stays"
EXPIRES: Final = "expires"
WITH_LEASE: Final = "stays with the lease"


class KeySpec:
    """A kind of key: what its name begins with behind the prefix, its type, how long it lasts, what it holds, and what
    does not work while something of another type stands in its place. As an attribute it is the key's name."""

    def __init__(self, name: str, type: str, lifetime: str, holds: str, without: str) -> None:  # noqa: A002 - the server's word
        self.name = name
        self.type = type
        self.lifetime = lifetime
        self.holds = holds
        self.without = without
        self.word = name.partition(":")[0]

    def __set_name__(self, owner: type, attribute: str) -> None:
        self._attribute = attribute


class Key(KeySpec):
    """One key of its kind."""

    def __get__(self, keys: KeySpace, owner: type) -> str:
        # From here on the name is the instance's own attribute, which is found first.
        name = keys.__dict__[self._attribute] = keys.prefix + self.word
        return name


class KeyFamily(KeySpec):
    """A key for each of many names: `keys.fence(node)`."""

    def __get__(self, keys: KeySpace, owner: type) -> Callable[[str], str]:
        stem = f"{keys.prefix}{self.word}:"
        made = keys.__dict__[self._attribute] = stem.__add__
        return made


class KeySpace:
    """Keys with one prefix; the class says which there are."""

    prefix: str

    @classmethod
    @functools.cache  # the doctor asks it for each key of a namespace
    def specs(cls) -> dict[str, KeySpec]:
        """By the first word behind the prefix."""
        declared = (spec for part in reversed(cls.__mro__) for spec in vars(part).values())
        return {spec.word: spec for spec in declared if isinstance(spec, KeySpec)}

    def spec_of(self, key: str) -> KeySpec | None:
        """None for a key that is none of ours."""
        if not key.startswith(self.prefix):
            return None
        return self.specs().get(key.removeprefix(self.prefix).partition(":")[0])
