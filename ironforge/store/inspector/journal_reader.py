"""What the runs of a job have recorded, as it stands in its journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ironforge.errors import IncompatibleRecord
from ironforge.redis.keys import Keys
from ironforge.redis.replies import pairs
from ironforge.redis.step_keys import journal_of
from ironforge.steps.journal import HEAD, RecordedStep, decode, split_field
from ironforge.store.inspector.census import Ask


class JournalReader:
    """`steps` is that of `contract.Inspector`."""

    def __init__(self, keys: Keys, ask: Ask) -> None:
        self._keys = keys
        self._ask = ask

    async def steps(self, job_id: bytes) -> list[RecordedStep]:
        (flat,) = await self._ask(["HGETALL", journal_of(self._keys, job_id)])
        return sorted(_legible(flat), key=lambda each: (each.entry.started_ms, each.name, each.key or ""))


def _legible(flat: Sequence[bytes]) -> Iterator[RecordedStep]:
    """What is no entry is passed over."""
    for field, value in pairs(flat):
        if field == HEAD:
            continue
        name, key = split_field(field.decode(errors="replace"))
        try:
            yield RecordedStep(name, key, decode(value))
        except IncompatibleRecord:
            continue
