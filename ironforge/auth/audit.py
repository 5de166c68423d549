"""The audit trail of a namespace: who did what, each entry sealed together with the one before it.

The seal is keyed with the pepper, so that whoever can write to the server alone cannot make a trail that fits. What
that cannot show is a trail whose end was cut off, or that is gone as a whole: for that `verify` takes the head of an
earlier run, which was kept where whoever can write to the server cannot.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ironforge.errors import StoreUnavailable
from ironforge.formats.timestamps import now_ms
from ironforge.logs.setup import get_logger
from ironforge.redis.connection import DoorConnection
from ironforge.redis.keys import Keys
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import AUDIT
from ironforge.settings import Settings

KEPT_ENTRIES: Final = 100_000
CHUNK: Final = 1_000
# Somebody else would have to append between our reading and writing for so many times in a row.
CHASES: Final = 100

# So many problems are told one by one.
SHOWN_PROBLEMS: Final = 100

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_SEAL: Final = re.compile(r"[0-9a-f]{64}")


class AuditEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was done. `number` counts from 1; `at_ms` is Unix time; `queue` is "" where none was concerned, or
    several `queues`."""

    number: int
    at_ms: int
    who: str
    action: str
    target: str
    request_id: str
    queue: str = ""
    queues: tuple[str, ...] = ()

    @property
    def concerned(self) -> tuple[str, ...]:
        """All queues that are known to be."""
        return self.queues or ((self.queue,) if self.queue else ())


class Head(NamedTuple):
    """The newest entry's number and seal; as a text `<number>:<seal>`. A trail without entries has number 0."""

    number: int
    seal: str

    @classmethod
    def read(cls, text: str) -> Head | None:
        """None for what is no head."""
        number, _, seal = text.partition(":")
        return cls(int(number), seal) if _NUMBER.fullmatch(number) and _SEAL.fullmatch(seal) else None

    def __str__(self) -> str:
        return f"{self.number}:{self.seal}"


class Verdict(NamedTuple):
    """`head` is that of the newest entry, as a text; `problems` is empty when every entry is where it was put."""

    entries: int
    head: str
    problems: list[str]


_log: Final = get_logger(__name__)
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(AuditEntry).decode


class AuditTrail:
    """The trail of `settings.namespace`. Every method raises StoreUnavailable when the server cannot be used."""

    def __init__(self, settings: Settings, *, kept: int = KEPT_ENTRIES) -> None:
        self._keys = Keys(settings.namespace)
        self._connection = DoorConnection(settings.redis_url, self._keys.prefix)
        self._kept = kept
        self._turn = asyncio.Lock()
        self._appended = 0  # the number of the last entry that this process wrote
        self._known: str | None = None  # the head, if nobody else has appended since
        # Not the pepper itself: a seal of one purpose must not be one of another.
        self._key = hmac.digest(settings.key_pepper.encode(), b"audit:" + settings.namespace.encode(), hashlib.sha256)

    async def append(
        self, who: str, action: str, target: str = "", request_id: str = "", queues: Sequence[str] = ()
    ) -> AuditEntry:
        """Write down what has been done. `queues`: that it was done to."""
        one, several = (queues[0], ()) if len(queues) == 1 else ("", tuple(queues))
        async with self._turn:
            for _ in range(CHASES):
                head = await self._head() if self._known is None else self._known
                number, before = Head.read(head) or (0, "")
                if number < self._appended:
                    _log.error("the audit trail was cut, or put back", newest=number, appended_here=self._appended)
                entry = AuditEntry(number + 1, now_ms(), who, action, target, request_id, one, several)
                raw = _encode(entry)
                seal = _seal(self._key, before, raw)
                following = str(Head(entry.number, seal))
                self._known = None  # until this has gone well
                appended = await self._connection.run(
                    AUDIT,
                    AUDIT.keys(self._keys),
                    [head, following, raw, seal, self._kept, before],
                )
                if appended:
                    self._known, self._appended = following, entry.number
                    return entry
        raise StoreUnavailable(f"the audit trail moved {CHASES} times while this was to be added; try again")

    async def newest(self, limit: int, before: str | None = None) -> tuple[list[AuditEntry], str | None]:
        """Newest first, and where the next page goes on. `before` is an entry id from an earlier page."""
        end = f"({before}" if before else "+"
        rows = await self._connection.call("XREVRANGE", self._keys.audit, end, "-", "COUNT", limit)
        entries = [entry for _, fields in rows if (entry := _legible(fields)) is not None]
        return entries, rows[-1][0].decode() if len(rows) == limit else None

    async def verify(self, anchor: Head | None = None) -> Verdict:
        """Walk the whole trail; with the head of an earlier run, also from there on nothing may be missing.

        What is appended meanwhile is left for the next time.
        """
        while True:
            head = await self._head()
            walk = _Walk(self._key, head, anchor)
            async for row_id, fields in self._rows():
                if not walk.step(row_id, fields):
                    break
            problems = walk.conclude(self._kept)
            # An entry that pushed the oldest one out while we were reading is no problem.
            if not problems or await self._head() == head:
                return Verdict(walk.count, head, problems)

    async def _head(self) -> str:
        head: bytes | None = await self._connection.call("GET", self._keys.audit_head)
        return (head or b"").decode(errors="replace")

    async def close(self) -> None:
        await self._connection.close()

    async def _rows(self) -> AsyncIterator[tuple[str, dict[bytes, bytes]]]:
        start = "-"
        while True:
            rows = await self._connection.call("XRANGE", self._keys.audit, start, "+", "COUNT", CHUNK)
            for row_id, fields in rows:
                yield row_id.decode(), dict(pairs(fields))
                start = f"({row_id.decode()}"
            if len(rows) < CHUNK:
                return


class _Walk:
    """From the oldest entry to the head, comparing each with the one before it, and one of them with the anchor."""

    def __init__(self, key: bytes, head: str, anchor: Head | None) -> None:
        self.count = 0
        self._problems: list[str] = []
        self._key = key
        self._head = head
        self._anchor = anchor
        self._newest = (Head.read(head) or Head(0, "")).number
        self._expected = 0
        self._before: str | None = None
        self._misfits = 0
        self._oldest = 0

    def step(self, row_id: str, fields: dict[bytes, bytes]) -> bool:
        """False: this entry is newer than the head."""
        entry, said = _legible(fields), fields.get(b"h", b"").decode(errors="replace")
        if entry is None:
            self._problems.append(f"{row_id}: is no entry")
            self._before = None
            return True
        if self._newest and entry.number > self._newest:
            return False
        self.count += 1
        self._oldest = self._oldest or entry.number
        if self._expected and entry.number != self._expected:
            self._problems.append(f"entry {self._expected}: {entry.number} stands in its place")
            self._before = None
        self._compare(entry.number, said, fields)
        self._expected, self._before = entry.number + 1, said
        return True

    def _compare(self, number: int, said: str, fields: dict[bytes, bytes]) -> None:
        before = "" if number == 1 else self._before
        if before is None and (told := fields.get(b"b")) is not None:
            before = told.decode(errors="replace")  # of the oldest that is left, what it followed is gone
        if before is not None and said != _seal(self._key, before, fields[b"e"]):
            self._misfits += 1
            self._problems.append(f"entry {number}: was changed, or did not follow the one before it")
        if number == self._newest and self._head != f"{number}:{said}":
            self._problems.append(f"entry {number}: is not the one that was appended last")
        if self._anchor is not None and number == self._anchor.number and said != self._anchor.seal:
            self._problems.append(f"entry {number}: is another one than when the head that was given was printed")

    def conclude(self, kept: int) -> list[str]:
        problems = list(self._problems)
        if self.count > 1 and self._misfits == self.count:
            problems = ["no entry has a seal of this pepper: is it the one that the API has? If so, all were changed"]
        due = min(self._newest, kept)
        if self.count != due:
            problems.append(f"there should be {due} entries, there are {self.count}")
        elif self._newest and self._expected != self._newest + 1:
            problems.append(f"the trail ends with entry {self._expected - 1}, not {self._newest}")
        problems += self._cut_off()
        hidden = len(problems) - SHOWN_PROBLEMS
        return [*problems[:SHOWN_PROBLEMS], f"and {hidden} more"] if hidden > 0 else problems

    def _cut_off(self) -> list[str]:
        """What of the trail that the anchor was the head of is not there any more."""
        if self._anchor is None:
            return []
        number = self._anchor.number
        if number > self._newest:
            ends = f"ends with entry {self._newest}" if self._newest else "is empty"
            return [f"the trail {ends}, and had entry {number} when the head that was given was printed"]
        if number < self._oldest:
            return [f"entry {number}, whose head was given, is no longer kept: give the head of a later run"]
        return []


def _seal(key: bytes, before: str, raw: bytes) -> str:
    return hmac.digest(key, before.encode() + b"\n" + raw, hashlib.sha256).hex()


def _legible(fields: Any) -> AuditEntry | None:
    held = fields if isinstance(fields, dict) else dict(pairs(fields))
    try:
        return _decode(held[b"e"])
    except (KeyError, msgspec.MsgspecError):
        return None
