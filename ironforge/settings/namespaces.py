"""The namespaces that a node serves, and the share that each of them has of it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from ironforge.errors import ConfigError
from ironforge.settings.declaration import Settings, environment_name

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
NAME_RULE: Final = "1 to 128 letters, digits, '.', '_' or '-', starting with a letter or a digit"
MAX_SHARE: Final = 100


class Share(NamedTuple):
    """A namespace, and how many of its jobs a node takes for each one of a namespace with a share of 1."""

    namespace: str
    weight: int


def shares_of(settings: Settings) -> list[Share]:
    """The namespaces that a node serves. Raises ConfigError for one that is no `name` or `name:share`."""
    found = []
    for text in settings.namespaces or (settings.namespace,):
        name, colon, share = text.partition(":")
        right = not colon or (share.isascii() and share.isdigit() and 1 <= int(share[:4]) <= MAX_SHARE)
        if not NAME.match(name) or not right:
            raise ConfigError(
                f"{environment_name('namespaces')}: {text!r} is not a name, or a name with a share as in team-a:3, "
                f"from 1 to {MAX_SHARE}"
            )
        found.append(Share(name, int(share) if colon else 1))
    return found


def of_namespace(settings: Settings, namespace: str) -> Settings:
    """The same for this one alone."""
    return msgspec.structs.replace(settings, namespace=namespace, namespaces=())


def namespaces_of(settings: Settings) -> list[str]:
    """The namespace of each part that a node serves, in the order by which deliveries name the parts."""
    return [share.namespace for share in shares_of(settings) for _ in range(settings.shards)]
