"""Bugs that the model has to find, as they would be written."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ironforge.redis import scripts
from ironforge.redis.scripts import Script


class Bug(NamedTuple):
    """In these scripts `old` becomes `new`. It is looked for in lives with this theme; what it does not say is left to
    chance, which `seed` begins: with some one meets a bug at once, and with others after minutes."""

    scripts: tuple[Script, ...]
    old: str
    new: str
    theme: Mapping[str, Any] = MappingProxyType({})
    seed: int = 7


def lives(*limits: str, **theme: bool) -> Mapping[str, Any]:
    return {"limits": list(limits), "unique": False, "expiry": False, "new_kinds": False, **theme}


TAKING = (scripts.TAKE_TURNS, scripts.TAKE_DECLINED)
RELEASING = (scripts.DECLINE, scripts.QUARANTINE, scripts.CANCEL, scripts.PARK)
STOP = "redis.call('ZADD', stem .. 'stops', 'GT', till, key)\n"
PROBE = "redis.call('ZADD', stem .. 'probes', 0, key)\n"
STAND_BACK = "release(id, mark, false, keeps(mark))\n  redis.call('HSET', index, id, enqueue"
BACK = "local back = math.max(0, math.min(charged, charged - micros() + held_ms * 1000))"
CORRECTED = "(stored or 0) or 0) + more * each"

LIMITS = {
    "one more is let in": Bug(TAKING, "held >= limit.concurrency\n", "held > limit.concurrency\n"),
    "only the first limit is asked": Bug(
        (scripts.TAKE_TURNS,),
        "for number = 1, #claims do\n    local wait",
        "for number = 1, 1 do\n    local wait",
    ),
    "a fifo key does not wait for its declined job": Bug(
        (scripts.DECLINE,),
        "release(id, mark, true, fifo_policy(mark) ~= nil)",
        "release(id, mark, true)",
        lives("block", "park", new_kinds=True),
    ),
    "a dead job keeps its places": Bug(
        (scripts.BURY,), "if is_limited(mark) then release_dead(id, mark, died) end", ""
    ),
}

THROTTLED = {
    "a key is not stopped by what its running job says": Bug(
        (scripts.ADJUST,), STOP + "  " + PROBE, PROBE, lives("both"), seed=2
    ),
    "a key is not stopped by a job that stands back": Bug((scripts.PARK,), STOP + "  " + PROBE, PROBE, lives("both")),
    "a shorter stop ends a longer one": Bug(
        (scripts.ADJUST, scripts.PARK), "'stops', 'GT', till", "'stops', till", lives("both")
    ),
    "no job goes first when a stop is over": Bug((scripts.ADJUST, scripts.PARK), PROBE, "", lives("both")),
    "others start beside the probe": Bug(
        TAKING,
        "'LIMIT', 0, 1)[1] then return true end",
        "'LIMIT', 0, 1)[1] then return false end",
        lives("both"),
    ),
    "one that has not run stays the probe": Bug(
        RELEASING, "redis.call('ZADD', stem .. 'probes', 0, claim.key)\n      end", "end", lives("both", new_kinds=True)
    ),
    "one that stands back keeps its places": Bug(
        (scripts.PARK,), STAND_BACK, "redis.call('HSET', index, id, enqueue", lives("both")
    ),
    "a fifo key does not wait for one that stands back": Bug(
        (scripts.PARK,), STAND_BACK, STAND_BACK.replace(", keeps(mark)", ""), lives("block", "park")
    ),
    "an operator cannot have a key go on": Bug(
        (scripts.RESUME,), "redis.call('ZREM', stops, claim)\n", "", lives("both")
    ),
}

USED = {
    "a rate lets in one more": Bug(TAKING, "if claim.used - burst > now and", "if claim.used - burst - each > now and"),
    "units count as one": Bug(TAKING, "used + tonumber(claim.units) * each", "used + each", lives("rate")),
    "what a run used more is not counted": Bug(
        (scripts.ADJUST,), CORRECTED, CORRECTED.replace("more *", "math.min(more, 0) *"), lives("rate")
    ),
    "what a run did not use is lost": Bug(
        (scripts.ADJUST,), CORRECTED, CORRECTED.replace("more *", "math.max(more, 0) *"), lives("rate"), seed=3
    ),
    "what is above the burst does not stop the key": Bug(
        (scripts.ADJUST,), "  " + STOP + "    redis.call('ZADD', stem .. 'dueroom', till, key)\n", "", lives("rate")
    ),
    "what was used is given back by one that ran": Bug(
        RELEASING, "local is_fresh = refund and since == ''", "local is_fresh = refund", lives("rate")
    ),
    "what time has worked off is given back": Bug(RELEASING, BACK, "local back = charged", lives("rate")),
    "nothing is given back": Bug(RELEASING, BACK, "local back = 0", lives("rate")),
    "one unit is given back": Bug(
        RELEASING, "tonumber(claim.units) * each_of(limit.rate)", "each_of(limit.rate)", lives("rate"), seed=2
    ),
    "one that is declined gives nothing back": Bug(
        (scripts.DECLINE,),
        "release(id, mark, true, fifo",
        "release(id, mark, false, fifo",
        lives("rate", new_kinds=True),
    ),
    "one that is put aside gives nothing back": Bug(
        (scripts.QUARANTINE,), "release(id, mark, true)", "release(id, mark, false)", lives("rate")
    ),
}

GIVEN_UP = {
    "a job that is given up keeps its unique key": Bug(
        (scripts.BURY_DECLINED,),
        "  release_key(id, record)\n  if is",
        "  if is",
        lives("", unique=True, new_kinds=True),
        seed=3,
    ),
    "a job that is given up keeps its places": Bug(
        (scripts.BURY_DECLINED,),
        "if is_limited(mark) then release_dead(id, mark, died) end",
        "",
        lives("block", "skip", new_kinds=True),
        seed=3,
    ),
    "a line is given up that a node serves": Bug(
        (scripts.WATCH_DECLINED,),
        "if serves and fits and not (runs",
        "if false and not (runs",
        lives("", new_kinds=True),
        seed=3,
    ),
    "a declined job comes back without its places": Bug(
        (scripts.TAKE_DECLINED,),
        "  occupy(claims, id)\n  return true\nend\n\nlocal function go_ahead",
        "  return true\nend\n\nlocal function go_ahead",
        lives("both", "two", new_kinds=True),
    ),
    "a declined job comes back though its limits are full": Bug(
        (scripts.TAKE_DECLINED,),
        "  local number, wait = refusal_of(claims, id)\n",
        "  local number, wait = nil, nil\n",
        lives("one", new_kinds=True),
    ),
    "a declined job does not expire": Bug(
        (scripts.EXPIRED,),
        "if record and not running then",
        "if record and not running and string.sub(location, 1, 1) ~= 'k' then",
        lives("", new_kinds=True, expiry=True),
    ),
    "an expired job keeps its unique key": Bug(
        (scripts.CANCEL,),
        "release_key(id, seen)",
        "if expired == '0' then release_key(id, seen) end",
        lives("", unique=True, expiry=True),
        seed=3,
    ),
}

FAMILIES = {
    "a job that is dead does not tell its parent": Bug(
        (scripts.BURY,), "  tell_parent(record)\n  -- Its own", "  -- Its own"
    ),
    "a job that is cancelled does not tell its parent": Bug((scripts.CANCEL,), "tell_parent(record)\nif kin", "if kin"),
    "children of a dead job go on": Bug(
        (scripts.BURY,), "if kin(record) then redis.call('ZADD', stem .. 'families', 'XX', -1, id) end", ""
    ),
    "children of a cancelled job go on": Bug((scripts.CANCEL,), "  end_family(id, seconds, expiry)\n", ""),
    "a job that was told to stop submits children": Bug(
        (scripts.CHILDREN,), "if redis.call('HGET', index, parent) ~= 'q:' .. place then", "if false then"
    ),
    "children of a former life stay those of the new one": Bug(
        (scripts.RETRY,), "take()\nleave_children(id, record)\n", "take()\n"
    ),
    "a parent goes on while children are open": Bug(
        (scripts.WAKE,), " and open_children(id) <= wait.low then", " then"
    ),
}

# Looked for in lives with steps.
STEPS = {
    "a run that is over records a step": Bug(
        (scripts.RECORD,), "string.sub(location, 3) == ARGV[at + 1]", "true", lives("")
    ),
    "what is recorded later counts": Bug(
        (scripts.RECORD,),
        "step = redis.pcall('HSETNX', journal, entry, ARGV[at + 5])",
        "step = redis.pcall('HSET', journal, entry, ARGV[at + 5]) and 1",
        lives(""),
    ),
    "an event that is there already is not seen": Bug(
        (scripts.WAIT,), "if redis.call('EXISTS', stem .. 'event:' .. event) == 1 then", "if false then", lives("")
    ),
    "an event does not wake its waiters": Bug(
        (scripts.SEND_EVENT,), "redis.call('ZADD', wake, now, 'e:' .. name)", "", lives("")
    ),
    "a later event of the name counts": Bug(
        (scripts.SEND_EVENT,), "if redis.call('EXISTS', event) == 1 then return 0 end", "", lives("")
    ),
    "an event comes too late for a time that was not looked at": Bug(
        (scripts.WAKE,),
        "(body_of(wait.event) or '') or 'null'",
        "'' or 'null'",
        lives(""),
    ),
    "a sleep ends before its time": Bug(
        (scripts.WAKE,), "'-inf', now, 'BYSCORE'", "'-inf', '+inf', 'BYSCORE'", lives("")
    ),
    "a wait leaves no word of what came of it": Bug(
        (scripts.WAKE,), "if wait.entry then close(wait, job.result) end", "", lives("")
    ),
    "a job that was cancelled waits on": Bug(
        (scripts.CANCEL,), "    end_wait(id, wait)\n    delay", "    delay", lives("")
    ),
    "the journal of a cancelled job stays for ever": Bug(
        (scripts.CANCEL,), "  end_journal(id, seconds, bucket)\n", "", lives("")
    ),
    "a job that waits keeps its places": Bug(
        (scripts.WAIT,),
        "  if is_limited(mark) then release(id, mark, false, keeps(mark)) end\n",
        "",
        lives("one", "two"),
    ),
}

BUGS = {**LIMITS, **THROTTLED, **USED, **GIVEN_UP, **STEPS}
