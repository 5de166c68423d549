"""What is to happen to a schedule at its next tick, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from ironforge.errors import InvalidJob
from ironforge.schedules.definition import Overlap
from ironforge.store.contract import Submission
from ironforge.store.schedules.stored import Held, Position
from ironforge.store.schedules.ticking import Moment, Skipped
from ironforge.store.workflows.submit_call import Accepted

# Runs that may wait, of schedules whose runs do.
MOST_WAITING: Final = {"queue_one": 1, "queue_all": 100}
# As many as there are: the jobs of a backfill wait all together.
ANY_NUMBER: Final = 1_000_000_000


# What a tick starts.
Run: TypeAlias = Submission | Accepted


def id_of(run: Run) -> bytes:
    return run.one.id if isinstance(run, Accepted) else run.job.id


class Advance(NamedTuple):
    """A schedule that is where it was seen goes to `goes`, and `runs` are submitted, all jobs or all workflows, for the
    tick at `at_ms`, or for all from there to `last_ms`, from `fires_ms` on (0: now).

    `give_up_ms`: see `Step`. `ends`: the run that is cancelled first. `starts`: the tick that starts one, `refused`:
    why it cannot. `holds_ms`: until when this is right (0: for ever): later the tick has been missed, and others with
    it. `waits`: when it is looked at next stays as it is. `pace`: in how many ms the first of several workflows begins,
    and how many are between two of them.
    """

    held: Held
    goes: Position
    runs: Sequence[Run] = ()
    at_ms: int = 0
    fires_ms: int = 0
    overlap: str = ""
    reason: str = ""
    skipped: Skipped | None = None
    give_up_ms: int = 0
    ends: bytes = b""
    starts: Moment | None = None
    refused: InvalidJob | None = None
    holds_ms: int = 0
    waits: bool = False
    last_ms: int = 0
    pace: tuple[int, int] = (0, 0)

    def starting(self, runs: Sequence[Run], overlap: Overlap, *, whatever_runs: bool = False) -> Advance:
        """With these, and what becomes of them, or of the last run, where that goes on: as the policy says.
        `whatever_runs`: they start beside it, or behind it, all the same."""
        words, ends = "", b""
        if (most := MOST_WAITING.get(overlap)) is not None:
            words = f"q{ANY_NUMBER if whatever_runs else most}"
        elif overlap == "skip" and not whatever_runs:
            words = "s"
        elif overlap == "cancel_running" and not whatever_runs:
            ends = self.goes.last_job
        return self._replace(runs=runs, overlap=words, ends=ends)

    def skipping(self, reason: str) -> Advance:
        """Instead of starting a job that is refused: skips what was skipped before it, if anything, or else this
        tick."""
        assert self.starts is not None
        if self.skipped is not None:
            return self._replace(goes=self.goes.to(self.starts), waits=True, runs=(), refused=None, ends=b"")
        skipped = Skipped(self.at_ms, self.at_ms, 1, reason)
        return self._replace(skipped=skipped, runs=(), refused=None, ends=b"")

    @property
    def starts_workflows(self) -> bool:
        return bool(self.runs) and isinstance(self.runs[0], Accepted)

    @property
    def since_ms(self) -> int:
        """When the first tick that this is about fires: one that was missed has been due since then."""
        position = self.held.position()
        return self.fires_ms if position is None else position.fires_ms


class Advanced(NamedTuple):
    """What became of one: `started`, `skipped`, `early`, or `moved`: the schedule was not where it was seen, or the
    advance holds no longer. `job_id`: of the last job that it started."""

    verdict: str
    job_id: bytes
