"""The part of the model that knows unique keys: which job has which, and what becomes of one that wants the same."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from ironforge.job.uniqueness import UniqueUse, held_key

HOUR_MS = 3_600_000
USES = st.builds(
    UniqueUse,
    st.sampled_from("pq"),
    st.sampled_from(["unfinished", "unfinished", "queued", ""]),
    st.sampled_from([0, HOUR_MS]),
    st.sampled_from(["return", "reject", "replace", "debounce"]),
    st.sampled_from([0, 2 * HOUR_MS]),
).filter(lambda use: bool(use.holding or use.for_ms))


class Held(NamedTuple):
    """By which job, and until when at most (None: until it ends)."""

    job_id: bytes
    until_ms: int | None


class UniqueKeys:
    """By kind and key."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def holder(self, name: str) -> bytes | None:
        return self._held[name].job_id if name in self._held else None

    def take(self, kind: str, use: UniqueUse, job_id: bytes, now_ms: int) -> None:
        self._held[name_of(kind, use)] = Held(job_id, now_ms + use.for_ms if use.for_ms else None)

    def hold_as(self, kind: str, use: UniqueUse, now_ms: int) -> None:
        """Its job has been replaced by one that holds it like this: a time goes on, or begins, or there is none."""
        held = self._held[name_of(kind, use)]
        self._held[name_of(kind, use)] = held._replace(
            until_ms=(held.until_ms or now_ms + use.for_ms) if use.for_ms else None
        )

    def release(self, kind: str, use: UniqueUse | None, job_id: bytes) -> None:
        """Its job has ended, or is dead. One that is held for a time alone stays."""
        name = held_key(kind, use)
        if name and self.holder(name) == job_id:
            del self._held[name]

    def expire(self, now_ms: int) -> None:
        self._held = {name: held for name, held in self._held.items() if not held.until_ms or held.until_ms > now_ms}

    def all(self) -> dict[str, bytes]:
        return {name: held.job_id for name, held in self._held.items()}


def name_of(kind: str, use: UniqueUse) -> str:
    return f"{kind}:{use.key}"
