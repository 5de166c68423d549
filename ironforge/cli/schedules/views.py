"""Schedules and their ticks on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from rich.table import Table
from rich.text import Text

from ironforge.cli import output
from ironforge.formats.numbers import counted
from ironforge.formats.numbers import shown as number
from ironforge.job.record import created_ms_of, parse_id
from ironforge.schedules import reasons

_STYLES: Final = {"ticks": "green", "paused": "yellow", "ended": "dim", "broken": "red"}
_REASONS: Final = {**reasons.SKIPPED, **reasons.OUT_OF_TURN}
APPLIED: Final = ("created", "changed", "unchanged", "deleted")


def listed(schedules: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            one["name"],
            f"in {output.until(one['next_at'])}" if one["next_at"] and not one["paused"] else "",
            _last(_started(one, "last_")),
            _state(one),
            one["words"] or one["problem"],
        )
        for one in schedules
    ]
    return output.table(("NAME", "NEXT", "LAST", "STATE", "TICKS"), rows)


def in_a_line(schedule: Mapping[str, Any]) -> str:
    """What it says, and what comes next."""
    return f"{schedule['name']}: {schedule['words'] or schedule['problem']}; {_comes(schedule)}"


def print_schedule(schedule: Mapping[str, Any]) -> None:
    output.line(in_a_line(schedule))
    said = dict(schedule["schedule"] or {})
    job, workflow = dict(said.pop("job", {})), said.pop("workflow", None)
    for name, value in said.items():
        output.line(f"  {name}: {_value(value)}")
    if job:
        kind, payload = job.pop("kind"), msgspec.json.encode(job.pop("payload", None)).decode()
        options = [f"{name} {_value(value)}" for name, value in job.items()]
        output.line(f"  job: {', '.join([f'{kind} {payload}', *options])}")
    if workflow:
        output.line(f"  workflow: {workflow['name']}, {counted(len(workflow['nodes']), 'node')}")
    for name in ("source", "by"):
        if schedule[name]:
            output.line(f"  {name}: {schedule[name]}")
    if started := _started(schedule, "last_"):
        what = "workflow" if schedule["last_workflow_id"] else "job"
        output.line(f"  last {what}: {started}, {_last(started)}")
    for warning in schedule["warnings"]:
        output.line(f"  warning: {warning['detail']}")


def next_ticks(ticks: Sequence[Mapping[str, Any]]) -> Table:
    rows = [(_time(tick["local"]), output.until(tick["at"]) if _to_come(tick) else "", tick["note"]) for tick in ticks]
    return output.table(("NEXT", "IN", "NOTE"), rows)


def history(ticks: Sequence[Mapping[str, Any]]) -> Table:
    rows = [(_time(tick["local"]), _late(tick), _outcome(tick)) for tick in ticks]
    return output.table(("TICK", "LATE", "OUTCOME"), rows, right=("LATE",))


def print_applied(answer: Mapping[str, Any], differences: Mapping[str, Sequence[str]]) -> None:
    for what in APPLIED:
        for name in answer[what]:
            output.line(f"{what:9}  {name}")
            for difference in differences.get(name, ()):
                output.line(f"{'':9}    {difference}")


def backfilled(ticks: Sequence[Mapping[str, Any]]) -> Table:
    """Without what starts in a dry run."""
    rows = [(_time(tick["local"]), *filter(None, [_started(tick)])) for tick in ticks]
    what = "WORKFLOW" if ticks[0]["workflow_id"] else "JOB"
    return output.table(("TICK", what)[: len(rows[0])], rows)


def backfill_words(ticks: Sequence[Mapping[str, Any]], per_second: float, *, dry_run: bool) -> str:
    if not ticks:
        return "it has no tick in this time: nothing starts"
    jobs = counted(len(ticks), "workflow" if ticks[0]["workflow_id"] else "run" if dry_run else "job")
    takes = output.duration((len(ticks) - 1) / per_second)
    words = f"{jobs} would start within {takes}" if dry_run else f"{jobs} submitted: the last starts in {takes}"
    if again := sum(map(_to_come, ticks)):
        words += f"\nwarning: {again} of these ticks are still to come, and start one again then"
    return words


def warn(answer: Mapping[str, Any]) -> None:
    for warning in answer["warnings"]:
        output.say(f"warning: {warning['detail']}")


def pause(paused: Mapping[str, Any]) -> str:
    end = f"until {_time(paused['until'])}" if paused["until"] else "until it is resumed"
    by = f" by {paused['by']}" if paused["by"] else ""
    return f"paused{by} {end}" + (f": {paused['note']}" if paused["note"] else "")


def reason(code: str) -> str:
    return _REASONS.get(code, code)


def _comes(schedule: Mapping[str, Any]) -> str:
    if schedule["paused"]:
        return pause(schedule["paused"])
    if schedule["problem"]:
        return "it does not tick: put it anew"
    return f"next in {output.until(schedule['next_at'])}" if schedule["next_at"] else "it does not tick again"


def _state(schedule: Mapping[str, Any]) -> Text:
    if schedule["problem"]:
        name = "broken"
    elif schedule["paused"]:
        name = "paused"
    else:
        name = "ticks" if schedule["next_at"] else "ended"
    return output.cell(name, _STYLES[name])


def _started(answer: Mapping[str, Any], of: str = "") -> str | None:
    """The id of the job or workflow."""
    found: str | None = answer[f"{of}job_id"] or answer[f"{of}workflow_id"]
    return found


def _last(started: str | None) -> str:
    """How long ago its last run was to start, which its id says."""
    if started is None:
        return ""
    then = datetime.fromtimestamp(created_ms_of(parse_id(started)) / 1000, UTC)
    return f"{output.age(then.isoformat())} ago"


def _late(tick: Mapping[str, Any]) -> str:
    return output.duration(tick["late_seconds"]) if tick["outcome"] == "started" else ""


def _outcome(tick: Mapping[str, Any]) -> str:
    words = [tick["outcome"], "workflow" if tick["workflow_id"] else None, _started(tick)]
    if tick["count"] > 1:
        words.append(f"{tick['count']} ticks")
    if tick["until"] != tick["at"]:
        words.append(f"until {_time(tick['local_until'])}")
    if tick["reason"]:
        words.append(f"({reason(tick['reason'])})")
    return " ".join(filter(None, words))


def _to_come(tick: Mapping[str, Any]) -> bool:
    return datetime.fromisoformat(tick["at"]) > datetime.now(UTC)


def _time(text: str) -> str:
    """With the day of the week, for most schedules are made of them."""
    moment = datetime.fromisoformat(text)
    return f"{moment:%a} {moment.isoformat(' ', 'seconds')}".replace("+00:00", "Z")


def _value(value: object) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "; ".join(value)
    return number(value) if isinstance(value, float) else output.field(value)
