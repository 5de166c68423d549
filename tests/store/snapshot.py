"""All keys of a namespace with what is in them, at one moment and by one question."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ironforge.redis.replies import pairs

LOOK = """
local reads = {
  string = {'GET'}, set = {'SMEMBERS'}, hash = {'HGETALL'}, list = {'LRANGE', 0, -1}, zset = {'ZRANGE', 0, -1},
  stream = {'XRANGE', '-', '+'},
}
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local command, first, last = unpack(reads[redis.call('TYPE', key).ok])
  local content, pending = first and redis.call(command, key, first, last) or redis.call(command, key), 0
  for _, group in ipairs(command == 'XRANGE' and redis.call('XINFO', 'GROUPS', key) or {}) do
    pending = pending + group[6]
  end
  found[#found + 1] = {key, redis.call('PTTL', key), command, content, pending}
end
return found
"""


class Snapshot:
    """`left_ms`: by key how long it lasts still, as PTTL says it. `pending`: entries of streams that nodes have."""

    def __init__(self, raw: Any, prefix: str) -> None:
        self.left_ms: dict[str, int] = {}
        self.pending = 0
        self._content: dict[str, Any] = {}
        for key, left_ms, command, content, pending in raw.eval(LOOK, 0, prefix + "*"):
            self.left_ms[key.decode()] = left_ms
            self.pending += pending
            self._content[key.decode()] = dict(pairs(content)) if command == b"HGETALL" else content

    def hash(self, key: str) -> dict[bytes, bytes]:
        return self._content.get(key, {})

    def members(self, key: str) -> set[bytes]:
        """Of a set or a sorted one."""
        return set(self._content.get(key, ()))

    def family(self, name: Callable[[str], str]) -> dict[str, Any]:
        """Of all keys of a kind, such as `keys.holders`, by what their names end with, the members or entries."""
        stem = name("")
        return {key.removeprefix(stem): content for key, content in self._content.items() if key.startswith(stem)}

    def members_of(self, name: Callable[[str], str]) -> set[bytes]:
        """Of all keys of a kind together."""
        return {member for members in self.family(name).values() for member in members}
