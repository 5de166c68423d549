"""The Lua commands: read once from this package, run by their hash.

By hash and not as server functions: during a rolling upgrade two versions of a script are in use at the same time,
and a function library has only one.

A command is `lua/<name>.lua`, a line here, and its caller. The head of the file declares it: behind `-- KEYS` and
`-- ARGV` stand the names of its keys and arguments, which become local variables of the script, up to the first that
is no name; behind `-- USES` the files of `lua/shared` that it needs; behind `-- RUNS` a command that it has as a
function of this name, with the same keys and arguments. A script that writes is refused in front of its
first write while one of its keys is of the wrong type, unless it uses `types` and so looks at its keys itself; one
whose first key is `fence` also for a caller that has lost its lease, by its first argument, `epoch`.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from ironforge.redis.key_spec import KeySpace
from ironforge.redis.keys import TYPES

_CHECK_ALL: Final = "local wrong = wrong_type(KEYS) if wrong then return wrong end"
# What may run which commands: the users of the server that the manual has rights for.
USERS: Final[dict[str, list[Script]]] = {"api": [], "node": [], "admin": []}


class Script:
    """The text of `lua/<name>.lua` behind what it declares, and its hash. `users`: words of `USERS`; `uses`: which line
    of its head names the shared files."""

    def __init__(self, name: str, users: str, *, uses: str = "USES") -> None:
        self.name = name
        flags, _, body = _text_of(name).partition("\n")
        runs = "".join(_declared(body, "RUNS"))
        inner = _text_of(runs) if runs else ""
        self._keys = _declared(inner or body, "KEYS")
        fenced = self._keys[:1] == ["fence"]
        used = list(dict.fromkeys(_declared(inner, "USES") + _declared(body, uses)))
        shared = [use for use in used if use not in ("clock", "types")]
        writes = "no-writes" not in flags
        parts = [
            _types(self._keys) + _shared("types") if writes else "",
            *map(_shared, shared),
            _locals(self._keys, "KEYS"),
            _locals(_declared(body, "ARGV"), "ARGV"),
            _shared("fenced") if fenced else "",
            _CHECK_ALL if writes and "types" not in used else "",
            _shared("clock") if "clock" in used else "",
            _function(runs, inner) if runs else "",
        ]
        self.text = "\n".join([flags, *parts, body])
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        for user in users.split():
            USERS[user].append(self)

    def keys(self, space: KeySpace, *more: str, **given: str) -> list[str]:
        """The keys that the script declares, in their order: those given, the others by their names in `space`; then
        `more`. A given key that is not declared comes at the end."""
        return [given.get(name) or getattr(space, name) for name in self._keys] + [*more]

    def by_hash(self, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> list[str | bytes | int]:
        """The command to send; the server answers NOSCRIPT when it does not know the script."""
        return ["EVALSHA", self.sha, len(keys), *keys, *arguments]

    def by_text(self, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> list[str | bytes | int]:
        """The command to send after a NOSCRIPT: it also makes the server remember the script."""
        return ["EVAL", self.text, len(keys), *keys, *arguments]


def _text_of(name: str) -> str:
    return files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


def _shared(name: str) -> str:
    return _text_of(f"shared/{name}")


def _declared(body: str, what: str) -> list[str]:
    """The names behind `-- WHAT`, up to the first that is none."""
    line = re.search(rf"^-- {what} +(.*)$", body, re.MULTILINE)
    return list(itertools.takewhile(str.isidentifier, line[1].split(", "))) if line else []


def _function(name: str, text: str) -> str:
    """A whole command, which takes its keys and arguments as they stand when it is called."""
    _, _, body = text.partition("\n")
    return f"local function {name}() {_locals(_declared(body, 'ARGV'), 'ARGV')}\n{body}\nend"


def _types(first: list[str]) -> str:
    """The types of all keys, as one text: a table would be made anew by each call, for the most part to no use. What
    stands first is found first."""
    words = [*(word for word in first if word in TYPES), *(word for word in TYPES if word not in first)]
    return f"local types = '{''.join(f':{word}={TYPES[word]}' for word in words)}'\n"


def _locals(names: list[str], table: str) -> str:
    return f"local {', '.join(names)} = unpack({table}, 1, {len(names)})" if names else ""


SUBMIT: Final = Script("submit", "api", uses="PLAIN")
SUBMIT_NEWER: Final = Script("submit", "api")
CANCEL: Final = Script("cancel", "api node")
EXPIRED: Final = Script("expired", "api node")
RETRY: Final = Script("retry", "api")
RELEASE_DECLINED: Final = Script("release_declined", "api")
ROUTE: Final = Script("route", "api")
PUT_SCHEDULE: Final = Script("put_schedule", "api node")
DELETE_SCHEDULE: Final = Script("delete_schedule", "api")
CLAIM_TICKS: Final = Script("claim_ticks", "api node")
FIRE: Final = Script("fire", "api node")
FIRE_WORKFLOWS: Final = Script("fire_workflows", "api node")
NOTE_PROBLEM: Final = Script("note_problem", "api node")
AUDIT_SCHEDULES: Final = Script("audit_schedules", "api node")
PAUSE: Final = Script("pause", "api")
STEER_WORKFLOW: Final = Script("steer_workflow", "api node")
DEFINE: Final = Script("define", "api")
KEY_STATE: Final = Script("key_state", "api")
RESUME: Final = Script("resume", "api")
SPEND: Final = Script("spend", "api")
PAGE: Final = Script("page", "api")
USAGE: Final = Script("usage", "api")
CENSUS: Final = Script("census", "api admin")
LOOK: Final = Script("look", "api admin")
FIND_STRANDED: Final = Script("find_stranded", "admin")
CONSUMERS: Final = Script("consumers", "api node admin")
KINDS: Final = Script("kinds", "api node admin")
FORGET: Final = Script("forget", "api node")
AUDIT: Final = Script("audit", "api admin")
KEY_CREATE: Final = Script("key_create", "api admin")
KEY_REVOKE: Final = Script("key_revoke", "api admin")
KEY_TOUCH: Final = Script("key_touch", "api")
JOIN: Final = Script("join", "node")
GROUPS: Final = Script("groups", "node")
BEAT: Final = Script("beat", "node")
FENCE: Final = Script("fence", "node")
ANNOUNCE_SCHEDULES: Final = Script("announce_schedules", "node")
SCHEDULES_IN_CODE: Final = Script("schedules_in_code", "node")
RETIRE: Final = Script("retire", "node")
TAKE_TURNS: Final = Script("take_turns", "node")
CHILDREN: Final = Script("children", "node")
OPEN_CHILDREN: Final = Script("open_children", "node")
DELIVER_ENDS: Final = Script("deliver_ends", "node")
SEE_TO_FAMILY: Final = Script("see_to_family", "node")
AUDIT_FAMILIES: Final = Script("audit_families", "node")
RELEASE: Final = Script("release", "node")
OPEN_NODES: Final = Script("open_nodes", "node")
END_NODES: Final = Script("end_nodes", "node")
SEEN_TO_STOP: Final = Script("seen_to_stop", "node")
CLAIM: Final = Script("claim", "node")
TAKE_ALONE: Final = Script("take_alone", "node")
SETTLE: Final = Script("settle", "node")
ARM: Final = Script("arm", "node")
REQUEUE: Final = Script("requeue", "node")
PARK: Final = Script("park", "node")
RECORD: Final = Script("record", "node")
WAIT: Final = Script("wait", "node")
WAKE: Final = Script("wake", "node")
SUBMIT_WORKFLOWS: Final = Script("submit_workflows", "api node")
STAGE_WORKFLOW: Final = Script("stage_workflow", "api node")
ADVANCE: Final = Script("advance", "node")
AUDIT_WAITS: Final = Script("audit_waits", "node")
FINISH_WORKFLOWS: Final = Script("finish_workflows", "node", uses="PLAIN")
FINISH_AND_TELL: Final = Script("finish_workflows", "node")
RESTART_WORKFLOW: Final = Script("restart_workflow", "api")
SUPERSEDE: Final = Script("supersede", "api")
COPY_RESULTS: Final = Script("copy_results", "api")
UNDO_NODE: Final = Script("undo_node", "node")
DROP_WORKFLOWS: Final = Script("drop_workflows", "node")
HOLD_WORKFLOWS: Final = Script("hold_workflows", "node")
AUDIT_WORKFLOWS: Final = Script("audit_workflows", "node")
RECOUNT: Final = Script("recount", "node")
REBUILD_WORKFLOW: Final = Script("rebuild_workflow", "node")
RESTORE_WORKFLOW: Final = Script("restore_workflow", "node")
SEND_EVENT: Final = Script("send_event", "api node")
COPY_EVENT: Final = Script("copy_event", "api node")
COPIED: Final = Script("copied", "api node")
BURY: Final = Script("bury", "node")
DECLINE: Final = Script("decline", "node")
TAKE_DECLINED: Final = Script("take_declined", "node")
WATCH_DECLINED: Final = Script("watch_declined", "node")
BURY_DECLINED: Final = Script("bury_declined", "node")
QUARANTINE: Final = Script("quarantine", "node")
RESTORE: Final = Script("restore", "node")
ADJUST: Final = Script("adjust", "node")
AUDIT_LIMITS: Final = Script("audit_limits", "node")
PROMOTE: Final = Script("promote", "node")
EXPIRE: Final = Script("expire", "node")
FORGET_KINDS: Final = Script("forget_kinds", "node")
LOCK_ACQUIRE: Final = Script("lock_acquire", "node")
LOCK_EXTEND: Final = Script("lock_extend", "node")
LOCK_RELEASE: Final = Script("lock_release", "node")
