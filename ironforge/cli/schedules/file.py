"""A file of schedules: TOML or JSON, with the words of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from ironforge.cli.documents import read_document
from ironforge.errors import InvalidJob
from ironforge.job.mismatch import mismatch
from ironforge.schedules.checks import check_schedule
from ironforge.schedules.decoding import decode_schedule

_SHOWN_CHARACTERS: Final = 60
_NOT_GIVEN: Final = "(not given)"
_NODES: Final = "workflow.nodes"


class ScheduleFile(NamedTuple):
    """`source`: what owns them. As HTTP takes them, by name, without what is as by default."""

    source: str
    schedules: dict[str, dict[str, Any]]


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    schedules: dict[str, msgspec.Raw]
    source: str = ""


def read_schedules(path: Path) -> ScheduleFile:
    """Raises InvalidJob that names the file and, in it, each schedule that is wrong with its field."""
    try:
        document = msgspec.json.decode(read_document(path, "a file of schedules", "invalid_schedule"), type=_Document)
    except msgspec.ValidationError as error:
        raise _wrong(f"{path}: {_at('', mismatch(str(error), _Document))}") from None
    found, problems = {}, []
    for name, raw in document.schedules.items():
        try:
            found[name] = _schedule(raw)
        except InvalidJob as error:
            table = f'schedules."{name}"'
            problems.append(f"{path}: {_at(table, error)}")
    if problems:
        raise _wrong("\n".join(problems))
    return ScheduleFile(document.source or path.stem, found)


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    """Field by field, in words. `before`: None: that cannot be read."""
    old, new = _flat(before or {}), _flat(after)
    return [
        f"{field}: {_shown(old, field)} -> {_shown(new, field)}"
        for field in dict.fromkeys([*old, *new])
        if old.get(field) != new.get(field)
    ]


def _schedule(raw: msgspec.Raw) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(check_schedule(decode_schedule(raw))))
    return plain


def _at(table: str, error: InvalidJob) -> str:
    """What is wrong, with its whole path in front."""
    message = str(error).removeprefix("the body: ")
    if error.hint and error.hint not in message:
        message += f": {error.hint}"
    if error.field and not message.startswith(error.field):
        message = f"{error.field}: {message}"
    return f"{table}{'.' if error.field else ': '}{message}" if table else message


def _wrong(message: str) -> InvalidJob:
    return InvalidJob(message, code="invalid_schedule")


def _flat(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with those of its job, of its workflow with each node, and of what it catches up."""
    flat: dict[str, Any] = {}
    for field, value in schedule.items():
        inner = value if isinstance(value, Mapping) else {}
        flat |= {f"{field}.{name}": each for name, each in inner.items()} or {field: value}
    for number, node in enumerate(flat.pop(_NODES, ())):
        flat |= {f"{_NODES}[{number}].{name}": each for name, each in node.items()}
    return flat


def _shown(fields: Mapping[str, Any], field: str) -> str:
    text = msgspec.json.encode(fields[field]).decode() if field in fields else _NOT_GIVEN
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
