"""What a run knows of the journal of its job, which it loads when others went before it, and the bounds of that."""

from __future__ import annotations

from ironforge.execution.steps.journal import Journal
from ironforge.steps.errors import InvalidStep, JournalFull
from ironforge.steps.journal import MAX_ENTRIES, MAX_JOURNAL_BYTES, Entry, EntryKind, encode, size_of
from ironforge.steps.names import shown


class Recorded:
    """Of a run that `fence` others went before."""

    def __init__(self, fence: int, journal: Journal) -> None:
        self._journal = journal
        self._entries: dict[str, Entry] | None = None if fence else {}
        self._bytes = 0

    async def find(self, field: str, *, waits: bool) -> Entry | None:
        """Raises InvalidStep where a step was recorded for what waits, or the other way round."""
        if self._entries is None:
            loaded = await self._journal.load()
            if self._entries is None:  # another task may have been quicker, and recorded more since
                self._entries = dict(loaded)
                self._bytes = sum(size_of(name, encode(entry)) for name, entry in loaded.items())
        found = self._entries.get(field)
        if found is not None and waits == (found.kind is EntryKind.STEP):
            was, is_ = ("step", "wait") if waits else ("wait", "step")
            raise InvalidStep(f"{shown(field)} was a {was} in an earlier run, and is a {is_} now: give it another name")
        return found

    async def add(self, field: str, entry: Entry) -> Entry:
        """What stands in the journal then."""
        value = encode(entry)
        size = size_of(field, value)
        self._check_room(field, size)
        stands = await self._journal.record(field, entry, value)
        return self._keep(field, stands, size if stands is entry else size_of(field, encode(stands)))

    def check_room(self, field: str) -> None:
        """Raises JournalFull: better before its function is called than afterwards."""
        self._check_room(field, size_of(field, b""))

    def keep(self, field: str, entry: Entry) -> Entry:
        return self._keep(field, entry, size_of(field, encode(entry)))

    def _check_room(self, field: str, size: int) -> None:
        assert self._entries is not None
        if len(self._entries) >= MAX_ENTRIES:
            raise JournalFull(f"no room for step {shown(field)}: a job records {MAX_ENTRIES} steps at most")
        if self._bytes + size > MAX_JOURNAL_BYTES:
            raise JournalFull(f"no room for step {shown(field)}: a job records {MAX_JOURNAL_BYTES} bytes at most")

    def _keep(self, field: str, entry: Entry, size: int) -> Entry:
        assert self._entries is not None
        self._entries[field] = entry
        self._bytes += size
        return entry
