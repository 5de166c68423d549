"""What a schedule says: when it fires, what it submits then, and what becomes of ticks that the clock or an earlier
job is in the way of. As JSON it is the body of `PUT /schedules/{name}`, and what is stored.

New fields go to the end with a default, so that definitions of older versions can be read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from ironforge.job import checks
from ironforge.job.options import MAX_RETAIN_SECONDS, JobOptions
from ironforge.job.request import JobRequest
from ironforge.workflows.definition import Workflow

MAX_LINES: Final = 16
MAX_EXCLUDED: Final = 400
# No line fires more often.
MIN_EVERY_SECONDS: Final = 1.0
MAX_EVERY_SECONDS: Final = checks.YEAR_SECONDS
MAX_JITTER_SECONDS: Final = 86_400.0
# Beyond it, an ended job can no longer be told from one that was never submitted.
MAX_WINDOW_SECONDS: Final = MAX_RETAIN_SECONDS
MAX_CAUGHT_UP: Final = 1_000
# Of a workflow that a tick starts, which one script stores as it moves the schedule on.
MAX_NODES: Final = 1_000
MAX_PAYLOADS_BYTES: Final = 1024 * 1024
# A tick that is later than this was missed: what becomes of it `catch_up` says.
GRACE_MS: Final = 10_000

Overlap = Literal["skip", "queue_one", "queue_all", "cancel_running", "allow"]
Late = Literal["latest", "all", "none"]
Gap = Literal["run", "skip"]
Fold = Literal["first", "last", "both"]


def _bounds(description: str, low: float, high: float) -> Meta:
    return Meta(description=description, extra_json_schema={"minimum": low, "maximum": high})


def _most(description: str, most: int) -> Meta:
    return Meta(description=description, extra_json_schema={"maxItems": most})


class CatchUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What becomes of ticks that are late, since nothing could fire them in time."""

    policy: Annotated[Late, Meta(description="the last of them starts, all, or none")] = "latest"
    window_seconds: Annotated[float, _bounds("those that are later than this are skipped", 0, MAX_WINDOW_SECONDS)] = (
        3600.0
    )
    most: Annotated[int, _bounds("of all, how many of the last start; the oldest of these first", 1, MAX_CAUGHT_UP)] = (
        100
    )


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What of a schedule says when it ticks. Two that tick alike have equal ones."""

    cron: Annotated[
        tuple[str, ...],
        _most("minute, hour, day of month, month and day of week; six fields begin with the second", MAX_LINES),
    ] = ()
    every_seconds: Annotated[
        float | None,
        _bounds(
            "instead of cron: real time, counted from start, else from 1970-01-01T00:00:00Z",
            MIN_EVERY_SECONDS,
            MAX_EVERY_SECONDS,
        ),
    ] = None
    timezone: Annotated[str, Meta(description="IANA name", examples=["Europe/Berlin"])] = "UTC"
    start: Annotated[datetime | None, Meta(description="no tick before it; one at this very time counts")] = None
    end: Annotated[datetime | None, Meta(description="no tick from it on")] = None
    exclude: Annotated[
        tuple[str, ...],
        _most(
            "no tick at these: dates such as 2026-12-25, and cron lines; of five fields: whole minutes", MAX_EXCLUDED
        ),
    ] = ()
    gap: Annotated[Gap, Meta(description="a time that does not exist: at the next moment that does, or not at all")] = (
        "run"
    )
    fold: Annotated[Fold, Meta(description="a time that comes twice: the first, the last, or both")] = "first"
    jitter_seconds: Annotated[
        float, _bounds("each tick fires up to this much later, always the same for one tick", 0, MAX_JITTER_SECONDS)
    ] = 0.0


class Started(NamedTuple):
    """A job that a tick submits, or that its workflow comes to. `field`: that of its kind in the schedule."""

    kind: str
    options: JobOptions | None
    field: str


class Schedule(Timing, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """`job` or `workflow` is submitted at each tick: at each time that a line of `cron` names, or every so many
    seconds.

    Lines are read by the clock on the wall of `timezone`. Where that is put forward or back, `gap` and `fold` say what
    becomes of times that do not exist or come twice; a line for every hour of the day, and `every_seconds`, go by real
    time, and do not ask. Times that several lines name are one tick.
    """

    job: Annotated[JobRequest | None, Meta(description="as for `POST /jobs`, without `run_at`; or `workflow`")] = None
    overlap: Annotated[Overlap, Meta(description="while the job or workflow of the last tick has not ended")] = "skip"
    catch_up: CatchUp = CatchUp()
    workflow: Annotated[
        Workflow | None,
        Meta(description=f"instead of a job: as for `POST /workflows`, with at most {MAX_NODES} nodes"),
    ] = None

    @property
    def starts(self) -> list[Started]:
        """All jobs that it may come to."""
        found = [] if self.job is None else [Started(self.job.kind, self.job, "job.kind")]
        workflow = self.workflow
        if workflow is None:
            return found
        found += [
            Started(node.kind, workflow.options_of(node), f"workflow.nodes[{number}].kind")
            for number, node in enumerate(workflow.nodes)
        ]
        others = {f"nodes[{number}].compensate": node.compensate for number, node in enumerate(workflow.nodes)}
        others |= {"on_success": workflow.on_success, "on_failure": workflow.on_failure}
        named = ((f"workflow.{field}", kind) for field, kind in others.items() if kind is not None)
        return [*found, *(Started(kind, workflow.options, field) for field, kind in named)]

    @property
    def kinds(self) -> list[str]:
        """Of all jobs that it may come to, each once."""
        return list(dict.fromkeys(job.kind for job in self.starts))

    @property
    def jobs(self) -> int:
        """How many a tick submits; a workflow counts as one beside its nodes."""
        return 1 if self.workflow is None else 1 + len(self.workflow.nodes)

    @property
    def payload_bytes(self) -> int:
        """Of all of these."""
        if self.workflow is not None:
            return self.workflow.payload_bytes
        return 0 if self.job is None else len(bytes(self.job.payload))

    @property
    def timing(self) -> Timing:
        """This alone."""
        return Timing(*(getattr(self, field) for field in Timing.__struct_fields__))
