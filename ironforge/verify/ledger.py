"""The ledger: what submitters, handlers and faults did, in files outside the server under test.

Each line is one `write` to a file opened for appending: it is complete even if its process is killed right after.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from ironforge.job.limits import LimitUse

# A result that was reported less than this long ago may not be settled yet, and is repeated if its node dies now.
UNSETTLED_SECONDS: Final = 0.5


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """`at`: seconds of the machine's monotonic clock, comparable between its processes.

    `what`: submit_ok and submit_info (the answer was lost) by the submitter, with the idempotency key as `name`; start,
    end and fail by a handler, with the `fence` of the run and the process that ran it, and left when it was told to
    stop; the start of a job of a schedule with the `name` of that; felt by one that found what another run had left
    behind, with the job of that as `name`; fault by the code that injects one, with the jobs that were in flight at its
    target, or `by` the job whose handler does it, and healed once a node is whole again; for the server (`pid` 0)
    fault_begin and then fault; starved by a node that got no processor for some `seconds`; died for a node that ended
    and was not hurt; cancel_ok with the state that the answer named, cancel_info when that answer was lost.
    Of some jobs also asked, before they are submitted, with the kind as `name`, their `limits`, their `unique` key and
    how many seconds after that they expire (`expires_in`; 0: never); told_apart by who submitted another one with that
    key and got this job for an answer, which took `seconds`; waited for one that stood for so many `seconds` at the
    head of a limit's line (`name`) that had room, or lets none wait. Also resumed, when an operator has let the key of
    a limit (`name`) go on, which took `seconds`.
    Of jobs with steps: stepped by the function of a step (`name`), recorded by a run that was given its `value`; slept
    and waits, told before a run waits for some `seconds` (0: for ever), with the step or the event as `name`, woke,
    heard with the `value` of the event, and timed_out; parked by a run that left its node for that. Of an event `name`:
    sent with its `value`, sent_late when there was one already, sent_info when the answer was lost.
    Of jobs of workflows node, with the `name` of the workflow and of the node, or what else it is of it; given the
    `value` of what the node `name` had returned (0: nothing), and made the `value` of what it returns itself; retried,
    before its workflow is.
    Of the machine wall: its clock on the wall had gone ahead of the monotonic one by so many `seconds` since the first
    look, told whenever that changes, with how it was at the look before. And late: a timer was, by so many `seconds`.
    `due`: no run may start before it; 0 for at once.
    """

    at: float
    what: str
    job: str = ""
    fence: int = 0
    pid: int = 0
    name: str = ""
    in_flight: int = 0
    due: float = 0.0
    seconds: float = 0.0
    by: str = ""
    limits: tuple[LimitUse, ...] = ()
    unique: str = ""
    expires_in: float = 0.0
    value: int = 0


class Ledger:
    """One file; open it once per process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._encode = msgspec.json.Encoder().encode

    def note(self, what: str, jobs: Iterable[str] = ("",), **fields: float | str | Sequence[LimitUse]) -> None:
        at = time.monotonic()
        lines = [self._encode({"at": at, "what": what, "job": job, **fields}) for job in jobs]
        os.write(self._file, b"".join(line + b"\n" for line in lines))

    def close(self) -> None:
        os.close(self._file)


def read(folder: Path, name: str = "*") -> list[Event]:
    """Every event of the ledgers of this name in `folder`, in their order. A line that was cut off is left out."""
    events: list[Event] = []
    decode = msgspec.json.Decoder(Event).decode
    for path in folder.glob(f"{name}.ledger"):
        for line in path.read_bytes().splitlines():
            try:
                events.append(decode(line))
            except msgspec.MsgspecError:
                continue
    return sorted(events, key=lambda event: event.at)
