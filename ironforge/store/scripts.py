"""The Lua scripts: read once from this package, run by their hash.

By hash and not as server functions: during a rolling upgrade two versions of a script are in use at the same time,
and a function library has only one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Final


class Script:
    """The text of `lua/<name>.lua` and its hash."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def by_hash(self, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> list[str | bytes | int]:
        """The command to send; the server answers NOSCRIPT when it does not know the script."""
        return ["EVALSHA", self.sha, len(keys), *keys, *arguments]

    def by_text(self, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> list[str | bytes | int]:
        """The command to send after a NOSCRIPT: it also makes the server remember the script."""
        return ["EVAL", self.text, len(keys), *keys, *arguments]


SUBMIT: Final = Script("submit")
CANCEL: Final = Script("cancel")
REVIVE: Final = Script("revive")
REQUEUE: Final = Script("requeue")
PARK: Final = Script("park")
BURY: Final = Script("bury")
QUARANTINE: Final = Script("quarantine")
RESTORE: Final = Script("restore")
PROMOTE: Final = Script("promote")
EXPIRE: Final = Script("expire")
SETTLE: Final = Script("settle")
JOIN: Final = Script("join")
GROUPS: Final = Script("groups")
BEAT: Final = Script("beat")
FENCE: Final = Script("fence")
RETIRE: Final = Script("retire")
