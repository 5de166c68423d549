"""What commands print: data on stdout, messages on stderr; tables for people, JSON for programs.

A job's kind and payload were chosen by callers: nothing of them may be taken for markup or steer a terminal.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ironforge.auth import AUDIT_FAILED
from ironforge.formats.terminal_text import plain, plain_json

# Piped output is for grep and cut: it is as wide as it has to be, never cut or folded.
PIPED_WIDTH: Final = 10_000

EXIT_CODES: Final = """Exit codes:
0  it went well
1  the operation failed: a job did not complete with --wait, doctor found problems
2  wrong usage or configuration
3  the API or the server cannot be reached
4  there is no such job, or whatever else was named
5  it conflicts with the state of the job, or of what was named
"""

CONFLICT: Final = 5
WATCH_SECONDS: Final = 1.0

out: Final = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
messages: Final = Console(stderr=True)

STATE_STYLES: Final = {
    "scheduled": "cyan",
    "queued": "blue",
    "running": "yellow",
    "waiting": "magenta",
    "completed": "green",
    "cancelled": "dim",
    "dead": "red",
}


def report(answer: Mapping[str, Any], words: str, *, as_json: bool) -> None:
    """What the API has done, in its own words or in these; and whether the audit trail lacks it."""
    if answer.get("audit") == AUDIT_FAILED:
        say("it is done, but not in the audit trail, which could not be written; the log of the API has it")
    if as_json:
        print_json(answer)
    else:
        say(words)


def say(text: str) -> None:
    """A message to the user, on stderr."""
    messages.print(plain(text, keep="\n"), markup=False, highlight=False, soft_wrap=True)


def print_json(document: object) -> None:
    """One document on one line."""
    sys.stdout.write(plain_json(json.dumps(document, ensure_ascii=False)) + "\n")
    sys.stdout.flush()


def watch(
    read: Callable[[], dict[str, Any]],
    shown: Callable[[dict[str, Any]], RenderableType],
    *,
    as_json: bool,
    is_last: Callable[[dict[str, Any]], bool] = lambda _answer: False,
) -> dict[str, Any]:
    """Print what is read every second, until the last one, or Ctrl-C; as JSON: a line each. Gives the one read last."""
    from rich.live import Live  # noqa: PLC0415

    live = Live(console=out, auto_refresh=False) if out.is_terminal and not as_json else None
    answer: dict[str, Any] = {}
    with suppress(KeyboardInterrupt), live or nullcontext():
        while not (answer and is_last(answer)):
            if answer:
                time.sleep(WATCH_SECONDS)
            answer = read()
            if as_json:
                print_json(answer)
            elif live:
                live.update(shown(answer), refresh=True)
            else:
                out.print(shown(answer))
    return answer


def line(text: str) -> None:
    """One line on stdout, as wide as it is."""
    out.print(plain(text), markup=False, highlight=False, soft_wrap=True)


def cell(value: object, style: str = "") -> Text:
    return Text(plain("" if value is None else str(value).replace("\n", " ")), style=style)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> Table:
    """A table without frames; the first column is never cut, the others go on in the next line, and the columns in
    `right` hold numbers."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for number, name in enumerate(columns):
        side: Literal["left", "right"] = "right" if name in right else "left"
        made.add_column(name, justify=side, no_wrap=number == 0, overflow="fold" if number else "ellipsis")
    for row in rows:
        made.add_row(*(value if isinstance(value, Text) else cell(value) for value in row))
    return made


def jobs_table(jobs: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            job["id"],
            state(job["status"]),
            job["kind"],
            f"{job['queue']}/{job['priority']}",
            job["attempts"],
            age(job["created_at"]),
            _note(job),
        )
        for job in jobs
    ]
    return table(("ID", "STATUS", "KIND", "QUEUE", "FAILED", "AGE", "NOTE"), rows, right=("FAILED", "AGE"))


def job_details(job: Mapping[str, Any]) -> Table:
    """One line for each field that says something, then steps and errors."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in job.items():
        if name == "payload" or (name == "result" and job["status"] == "completed"):
            shown = json.dumps(value, ensure_ascii=False)
        elif value in (None, "", [], False) or name in ("steps", "errors"):
            continue
        elif name == "waiting_for":
            shown = _reason(value)
        elif name == "schedule":
            shown = f"{value['name']}, tick of {value['tick_at']}"
        else:
            shown = field(value)
        made.add_row(cell(name), cell(shown, STATE_STYLES.get(shown, "") if name == "status" else ""))
    for step in job.get("steps") or ():
        made.add_row(cell(f"step {step['name']}" + (f"/{step['key']}" if step["key"] else "")), cell(_step(step)))
    for error in job["errors"]:
        made.add_row(f"attempt {error['attempt']}", cell(f"{error['type']}: {error['message']}", "red"))
        if error["trace"]:
            made.add_row("", Text(plain(error["trace"], keep="\n").rstrip(), style="dim"))
    return made


def field(value: object) -> str:
    """A value of a job or a kind in words: uses of limits, a unique key, or what it is."""
    match value:
        case list():
            return "; ".join(map(_use, value))
        case dict():
            return ", ".join(f"{word} {said}" for word, said in value.items() if said is not None)
    return str(value)


def state(name: str) -> Text:
    return cell(name, STATE_STYLES.get(name, ""))


def age(time: str) -> str:
    """How long ago an RFC 3339 time was, in its two largest units."""
    return duration((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds())


def duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{max(0.0, seconds):.1f}s"
    minutes, seconds_left = divmod(int(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days}d{hours_left:02}h"
    return f"{hours}h{minutes_left:02}m" if hours else f"{minutes}m{seconds_left:02}s"


def until(time: str) -> str:
    """How long from now an RFC 3339 time is, in its two largest units."""
    return duration((datetime.fromisoformat(time) - datetime.now(UTC)).total_seconds())


def _step(step: Mapping[str, Any]) -> str:
    """How long a step took, or a wait lasts, and what came of it."""
    if step["ended_at"] is None:
        said = "waits" + (f", for {until(step['until'])} at most" if step["until"] else "")
    else:
        seconds = datetime.fromisoformat(step["ended_at"]) - datetime.fromisoformat(step["started_at"])
        said = f"{'took' if step['kind'] == 'step' else 'waited'} {duration(seconds.total_seconds())}: "
        said += "its time was over" if step["timed_out"] else json.dumps(step["result"], ensure_ascii=False)
    return f"run {step['run']}, {said}"


def _reason(waiting: Mapping[str, Any]) -> str:
    """Why a job waits, and for how long if that is known."""
    end = f", for {until(waiting['until'])} at most" if waiting["until"] else ""
    return f"{waiting['detail']}{end}"


def _use(use: Mapping[str, Any]) -> str:
    key = f", key {use['key']}" if use["key"] else ""
    return f"{use['name']}{key}" + (f", {use['units']} units" if use["units"] != 1 else "")


def _note(job: Mapping[str, Any]) -> str:
    """The one thing more that is worth knowing at a glance."""
    if job["status"] == "running":
        return f"on {job['node']}" + (", cancel requested" if job["cancel_requested"] else "")
    if job["status"] == "scheduled" and job["run_at"]:
        return f"due {job['run_at']}"
    if job["status"] in ("queued", "waiting") and job.get("waiting_for"):
        return _reason(job["waiting_for"])
    if job["status"] == "completed" or not (job["reason"] or job["errors"]):
        return ""
    last = "".join(f"{error['type']}: {error['message']}" for error in job["errors"][-1:])
    reason = job["reason"] or ""
    return "; ".join(filter(None, (last, "" if last.endswith(reason) else reason)))
