"""The Lua scripts: read once from this package, run by their hash.

By hash and not as server functions: during a rolling upgrade two versions of a script are in use at the same time,
and a function library has only one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

# The type of each key by the first word behind the prefix.
TYPES: Final = {
    "q": "stream",
    "fair": "zset",
    "turns": "zset",
    "index": "hash",
    "scheduled": "zset",
    "delayed": "hash",
    "parked": "hash",
    "dead": "zset",
    "done": "hash",
    "kept": "hash",
    "buckets": "zset",
    "nodes": "zset",
    "roster": "hash",
    "fence": "string",
    "epoch": "string",
    "alone": "string",
    "blocked": "string",
    "idem": "string",
    "queues": "set",
    "paused": "set",
    "totals": "hash",
    "quarantine": "stream",
    "lock": "string",
    "lockfence": "string",
    "rate": "hash",
    "audit": "stream",
    "audithead": "string",
}

# A script that fails half-way stays half done, so whatever it cannot do without is looked at before the first write.
_PROLOGUE: Final = """
local types = {%s}
local function misfit(key)
  local found, wanted = redis.call('TYPE', key).ok, types[string.match(key, '}:(%%a+)')]
  if found ~= wanted and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and must be a ' .. wanted)
  end
end
-- Takes an entry off a stream: false when it was not pending. Where somebody has replaced the stream, only the index
-- can tell that it was not taken before.
local function take(stream, entry, indexed)
  local acknowledged = redis.pcall('XACK', stream, 'nodes', entry)
  if type(acknowledged) == 'table' then return indexed end
  if acknowledged == 0 then return false end
  redis.call('XDEL', stream, entry)
  return true
end
-- How many jobs of a queue are scheduled: what keeps its name in use. `place`: `s:<queue>:<priority>…`.
local function delay(delayed, place, by)
  local queue = string.match(place, '^s?:([^:]*):')
  local count = queue and redis.pcall('HINCRBY', delayed, queue, by)
  if type(count) == 'number' and count <= 0 then redis.call('HDEL', delayed, queue) end
end
local function misfits(first, last)
  local wrong
  for at = first, last do wrong = wrong or misfit(KEYS[at]) end
  return wrong
end
""" % ", ".join(f"{word} = '{kind}'" for word, kind in TYPES.items())  # noqa: UP031 - braces are Lua's


class Script:
    """The text of `lua/<name>.lua`, behind what all of them and what some of them share, and its hash."""

    def __init__(self, name: str, shared: str = "") -> None:
        self.name = name
        flags, _, body = _text_of(name).partition("\n")
        self.text = f"{flags}{_PROLOGUE}{_text_of(shared) if shared else ''}{body}"
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def by_hash(self, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> list[str | bytes | int]:
        """The command to send; the server answers NOSCRIPT when it does not know the script."""
        return ["EVALSHA", self.sha, len(keys), *keys, *arguments]

    def by_text(self, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> list[str | bytes | int]:
        """The command to send after a NOSCRIPT: it also makes the server remember the script."""
        return ["EVAL", self.text, len(keys), *keys, *arguments]


def _text_of(name: str) -> str:
    return files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


SUBMIT: Final = Script("submit", "enqueue")
CANCEL: Final = Script("cancel")
REVIVE: Final = Script("revive", "enqueue")
PAUSE: Final = Script("pause", "enqueue")
REQUEUE: Final = Script("requeue")
PARK: Final = Script("park")
BURY: Final = Script("bury")
QUARANTINE: Final = Script("quarantine")
RESTORE: Final = Script("restore", "enqueue")
PROMOTE: Final = Script("promote", "enqueue")
TAKE_TURNS: Final = Script("take_turns", "enqueue")
EXPIRE: Final = Script("expire")
SETTLE: Final = Script("settle")
JOIN: Final = Script("join")
GROUPS: Final = Script("groups")
BEAT: Final = Script("beat")
FENCE: Final = Script("fence")
RETIRE: Final = Script("retire")
FORGET: Final = Script("forget")
CENSUS: Final = Script("census", "present")
CONSUMERS: Final = Script("consumers", "present")
LOOK: Final = Script("look")
PAGE: Final = Script("page", "present")
CLAIM: Final = Script("claim")
TAKE_ALONE: Final = Script("take_alone")
RELEASE: Final = Script("lock_release")
