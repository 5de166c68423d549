"""Where a job is, in the words of the index."""

from __future__ import annotations

from typing import Final

from ironforge.job.limits import PREEMPTED

# Places of jobs that run and were told to stop, and why, as their records say it when they have.
TOLD_TO_STOP: Final = {"c": "", "p": PREEMPTED}
# Of jobs in streams, whether they run or not.
IN_STREAM: Final = ("q", *TOLD_TO_STOP)


def told_to_stop_for(reason: str) -> str:
    """The place of a job that runs from when it is told to stop for this reason."""
    return next((place for place, why in TOLD_TO_STOP.items() if why == reason), "c")


class Location:
    """Where a job is, as the index says it.

    `q:<queue>:<priority>:<entry>` in a stream, with `c:` instead when cancellation was asked for while it ran, or `p:`
    when its limit gives its place to another one;
    `s:<queue>:<priority>` scheduled, `f:<queue>:<priority>` waiting for its turn, both followed by the job's mark
    (`:<weight>:<fairness key>`, and its limits), `l:<queue>:<priority>` and the mark waiting behind the first of its
    limits; `w:<queue>:<priority>` and the mark waiting for a time, an event or its children;
    `k:<queue>:<priority>:<kind>` declined, with `:a` behind it for a job that runs alone, and then a line feed and the
    mark of one with limits; `d` dead.
    """

    __slots__ = ("entry", "line", "place", "raw", "stream")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.place = raw[:1].decode(errors="replace")
        rest = raw[2:].decode(errors="replace")
        self.stream, self.entry = ":".join(rest.split(":")[:2]), ""
        # The line that it waits in, as its key ends.
        self.line = f"{self.stream}:" + "\n".join(rest.split("\n")[2:4]) if self.place == "l" else ""
        if self.place in IN_STREAM:
            self.stream, _, self.entry = rest.rpartition(":")

    @property
    def told_to_stop(self) -> bool:
        return self.place in TOLD_TO_STOP

    def member(self, job_id: bytes) -> bytes:
        """What stands for the job in the sorted set where it is: its id, for a declined one behind its kind."""
        kind = self.raw.split(b":", 3)[-1].partition(b"\n")[0]
        return kind + b"\n" + job_id if self.place == "k" else job_id
