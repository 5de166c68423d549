"""The part of the model that knows keys of limits whose targets throttle: none starts, then one goes first."""

from __future__ import annotations

from collections import defaultdict


class Stops:
    """By key of a limit: until when (µs) it is stopped, and the job that goes first then, which is its probe; None: the
    next one that starts is it."""

    def __init__(self) -> None:
        self.until_us: dict[str, int] = defaultdict(int)
        self._probes: dict[str, bytes | None] = {}

    def stop(self, claim: str, until_us: int) -> None:
        self.until_us[claim] = max(self.until_us[claim], until_us)

    def throttle(self, claim: str, until_us: int) -> None:
        self.stop(claim, until_us)
        self._probes[claim] = None

    def go_on(self, claim: str) -> None:
        """An operator says so."""
        self.until_us.pop(claim, None)
        self._probes.pop(claim, None)

    def is_open(self, claim: str, job_id: bytes, at_us: int) -> bool:
        return self.until_us[claim] <= at_us and self._probes.get(claim) in (None, job_id)

    def start(self, claim: str, job_id: bytes, at_us: int) -> None:
        assert self.is_open(claim, job_id, at_us)
        if claim in self._probes:
            self._probes[claim] = job_id

    def releases(self, claim: str, job_id: bytes, *, ran: bool) -> None:
        """A probe has ended, and all may start; or has not run, and the next one is it."""
        if self._probes.get(claim) == job_id:
            if ran:
                del self._probes[claim]
            else:
                self._probes[claim] = None

    def forget(self, known: set[str], at_us: int) -> list[str]:
        """Of all other keys it is no longer known that they were throttled. Those that are stopped, or whose probe
        runs, were to be known."""
        gone = [claim for claim in self._probes if claim not in known]
        wrong = [claim for claim in gone if self.until_us[claim] > at_us or self._probes[claim] is not None]
        for claim in gone:
            del self._probes[claim]
        return wrong
